"""All commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from dimcli.cli import (
    convert,
    doctor,
    evaluate,
    export,
    generate,
    motion,
    prepare,
    train,
    train_renderer,
    weights,
)

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
        from dimcli._version import __version__

        print(f"dim {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for _group in (
    *(generate, motion, convert, export, prepare, train, train_renderer),
    *(evaluate, weights, doctor),
):
    _group.register(app)
