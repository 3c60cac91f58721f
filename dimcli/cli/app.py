"""All commands, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dimcli.cli import (
    evaluate,
    generate,
    live,
    motion,
    prepare_speech,
    serve,
    study,
    train,
    train_renderer,
    weights,
)

GROUPS = {
    "Make faces": ("generate-listener", "generate-speaker", "generate-dyad", "live", "serve"),
    "Motion": ("extract", "render", "visualize", "convert", "export"),
    "Train": ("prepare", "finetune", "train-renderer", "train", "train-vq", "pretrain"),
    "Evaluate": ("eval", "measure", "table", "study"),
    "This machine": ("doctor", "weights"),
}
"""In the order that ``dim --help`` lists them."""


class _Groups(TyperGroup):
    """Commands under a heading each."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write them, with their first sentences."""
        widest = max(map(len, self.commands))
        for heading, names in GROUPS.items():
            with formatter.section(heading):
                limit = formatter.width - 6 - widest
                rows = [
                    (name.ljust(widest), self.commands[name].get_short_help_str(limit))
                    for name in names
                ]
                formatter.write_dl(rows)


app = typer.Typer(
    name="dim",
    cls=_Groups,
    help="Watch somebody talk and make the face of somebody listening to them.",
    no_args_is_help=True,
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
    "live": live.live,
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
    "measure": evaluate.measure,
    "table": evaluate.table,
    "serve": serve.serve,
    "doctor": weights.doctor,
}
EXAMPLES = {
    "generate-listener": "dim generate-listener speaker.mp4 --ref listener.jpg",
    "generate-speaker": "dim generate-speaker speech.wav --ref face.jpg",
    "generate-dyad": "dim generate-dyad a.wav b.wav --ref-a a.jpg --ref-b b.jpg -o both.mp4",
    "live": "dim live --from camera --to livelink",
    "extract": "dim extract clip.mp4 -o motion.npz",
    "visualize": "dim visualize motion.npz -o mesh.mp4",
    "render": "dim render motion.npz --ref face.jpg -o out.mp4",
    "convert": "dim convert motion.npz --to arkit -o out.npz",
    "export": "dim export motion.npz -o out.glb",
    "train-vq": "dim train-vq DATA --role listener -o runs/vq",
    "pretrain": "dim pretrain DATA --vq-speaker runs/a --vq-listener runs/b -o runs/pre",
    "finetune": "dim finetune DATA --init listener-small --preset adapt -o runs/mine",
    "train": "dim train DATA --method dim -o runs/dim",
    "train-renderer": "dim train-renderer alice.mp4 -o runs/alice",
    "measure": "dim measure out/ real/",
    "table": "dim table 1 --dataset vico --data DATA -o tables",
    "clips": "dim prepare clips CLIPS -o DATA",
    "vico": "dim prepare vico VICO -o DATA",
    "import": "dim weights import flame generic_model.pkl",
    "show": "dim weights show listener-small",
    "fetch": "dim weights fetch hubert",
    "make": "dim study make A/ B/ --speaker SPEAKERS/ -o study",
    "score": "dim study score study results/*.json",
}
"""What to say to somebody who left out what a command needs."""

for _name, _command in COMMANDS.items():
    app.command(_name, cls=evaluate.Eval if _name == "eval" else None)(_command)
app.add_typer(prepare_speech.prepare, name="prepare")
app.add_typer(study.group, name="study")
app.add_typer(weights.group, name="weights")
