"""``dim prepare``: a corpus into a data set that every training command takes."""

import time
from pathlib import Path
from typing import Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import JsonOption, SeedOption

prepare = typer.Typer(
    help="Turn a corpus into a data set.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.add_typer(prepare, name="prepare")


@prepare.command("synthetic")
def prepare_synthetic(
    output: Annotated[Path, typer.Option("--output", "-o", help="Data set folder to write.")],
    hours: Annotated[
        float, typer.Option(min=0.01, max=100_000, help="Hours of conversation.")
    ] = 1.0,
    seed: SeedOption = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Draw dyads whose listener follows a known rule. Run again after a kill, it goes on."""
    from dimcli.data.store import ClipStore
    from dimcli.data.synthetic import Recipe, write_synthetic

    started = time.monotonic()
    with console.progress_display() as progress:
        write_synthetic(
            output,
            hours=hours,
            recipe=Recipe(seed=seed),
            workers=workers,
            progress=lambda done, total: progress("conversations", done, total),
        )
    store = ClipStore(output)
    clips = {split: len(store.clips(split)) for split in ("train", "val", "test")}
    taken = time.monotonic() - started
    shares = ", ".join(f"{count} {split}" for split, count in clips.items())
    console.say(f"wrote {output}: {shares} clips, {console.seconds(taken)} taken")
    if as_json:
        console.print_json({"path": str(output), "clips": clips, "taken_s": round(taken, 3)})
