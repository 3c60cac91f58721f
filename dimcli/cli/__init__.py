"""The command line: one thin file per command group; each parses, makes one call and prints.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from dimcli.cli import console, generate, motion, prepare, train
from dimcli.errors import DimError

app = typer.Typer(
    name="dim",
    help="Watch somebody talk and make the face of somebody listening to them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        from dimcli import __version__

        print(f"dim {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for _group in (generate, motion, prepare, train):
    _group.register(app)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    """End like Ctrl-C does: clean up what is half-written, then go."""
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line. Exit 0 done, 1 our fault, 2 the user's, 130 interrupted."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = app(args=arguments, standalone_mode=False) or 0
    except DimError as error:
        console.fail(str(error))
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        console.fail("interrupted; nothing half-written was left")
        code = 130
    except Exception as error:
        # Typer's own usage errors: their class lives in a private place that moves.
        if not hasattr(error, "format_message"):
            raise
        console.fail(f"{error.format_message()} (see --help)")
        code = 2
    sys.exit(code)
