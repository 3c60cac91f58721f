"""All commands, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from dimcli.cli import evaluate, generate, motion, prepare, train, train_renderer, weights

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


COMMANDS: dict[str, Callable[..., None]] = {
    "generate-listener": generate.generate_listener,
    "generate-speaker": generate.generate_speaker,
    "generate-dyad": generate.generate_dyad,
    "extract": motion.extract,
    "visualize": motion.visualize,
    "render": motion.render,
    "convert": motion.convert,
    "export": motion.export,
    "train-vq": train.train_vq,
    "pretrain": train.pretrain,
    "finetune": train.finetune,
    "train": train.train,
    "train-renderer": train_renderer.train_renderer,
    "eval": evaluate.evaluate,
    "table": evaluate.table,
    "doctor": weights.doctor,
}
"""In the order that ``dim --help`` lists them."""

for _name, _command in COMMANDS.items():
    app.command(_name, cls=evaluate.Eval if _name == "eval" else None)(_command)
app.add_typer(prepare.prepare, name="prepare")
app.add_typer(weights.group, name="weights")
