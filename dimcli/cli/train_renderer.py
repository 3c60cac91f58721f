"""``dim train-renderer``: clips of a person in, a renderer of that person out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import (
    CheckpointOption,
    DeviceOption,
    ForceOption,
    JsonOption,
    RegionOption,
    RunOption,
    Tracker,
)
from dimcli.cli.resuming import training
from dimcli.cli.train_options import ResumeOption
from dimcli.core.limits import LARGEST_SEED

if TYPE_CHECKING:
    from dimcli.training.renderer.run import Look


def train_renderer(
    output: RunOption,
    clips: Annotated[
        list[Path] | None,
        typer.Argument(help="Clips of one person, or a folder of pictures.", show_default=False),
    ] = None,
    identity: Annotated[
        list[str] | None,
        typer.Option(help="NAME=clip.mp4, for several people in one run. Repeatable."),
    ] = None,
    preset: Annotated[str, typer.Option(help="lite (any computer) or paper (a GPU).")] = "lite",
    tracker: Annotated[
        Tracker,
        typer.Option(
            help="What measures the motion that is drawn: landmarks (space arkit), or with paper "
            "emoca, deca or smirk (space flame)."
        ),
    ] = "landmarks",
    checkpoint: CheckpointOption = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.0, help="Time for everything; 0: no limit. Default: 15 for lite."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Most steps.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST_SEED, help="Same seed, same result.")
    ] = None,
    held_out: Annotated[
        float, typer.Option(help="Share of each clip, its end, kept to judge by.")
    ] = 0.25,
    region: RegionOption = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="pirender: start paper from its imported weights, or none. "
            "Default: where they are."
        ),
    ] = None,
    resume: ResumeOption = False,
    device: DeviceOption = "auto",
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Learn to draw one person: better than from one picture."""
    import math
    from dataclasses import asdict

    from dimcli.jobs.extract import parse_region
    from dimcli.training.renderer.run import RendererOptions, named_sources
    from dimcli.training.renderer.run import train_renderer as train

    def look(now: Look) -> None:
        level = "" if math.isnan(now.psnr) else f", held-out PSNR {now.psnr:.2f} dB"
        console.say(f"step {now.step}: training loss {now.loss:.3f}{level}")

    with training(output, again=resume), console.progress_display() as progress:
        result = train(
            named_sources(clips, identity),
            output,
            RendererOptions(
                preset=preset,
                tracker=tracker,
                checkpoint=checkpoint,
                minutes=minutes,
                steps=steps,
                seed=seed,
                held_out=held_out,
                region=parse_region(region),
                init=init,
                resume=resume,
                force=force,
                device=device,
                progress=progress,
                look=look,
                remark=lambda text: console.say(f"note: {text}"),
            ),
        )
    left_min = result.taken_s / 60 * (result.steps / max(result.step, 1) - 1)
    ends = {
        "steps": "all steps done",
        "patience": f"of {result.steps}: stopped early, it no longer improves",
        "minutes": f"of {result.steps}: time is up; --resume: {left_min:.0f} min more",
    }
    for name, person in result.figures.items():
        ours, placed = person.trained, person.placed
        console.say(
            f"{name}: {ours.psnr - placed.psnr:+.2f} dB over the zero-shot portrait placed where "
            f"the head is, on {person.frames} held-out frames; perceptual distance "
            f"{ours.distance:.3f} (placed {placed.distance:.3f}), sharpness of the face "
            f"{ours.sharpness:.2f} of the clip's ({placed.sharpness:.2f})"
        )
        more = ", or train on with --resume" if result.reason == "minutes" else ""
        if worse := person.worse():
            console.say(
                f"note: {name} looks worse than from one picture without training: "
                f"{'; '.join(worse)}; use --renderer portrait{more}"
            )
    console.say(
        f"wrote {output}, step {result.step} ({ends[result.reason]}), "
        f"{console.seconds(result.taken_s)} taken; look at {output / 'preview-*.jpg'}"
    )
    if as_json:
        console.print_json(
            {
                "path": str(output),
                "step": result.step,
                "steps": result.steps,
                "best_step": result.best_step,
                "reason": result.reason,
                "taken_s": round(result.taken_s, 3),
                "figures": {
                    name: asdict(person) | {"worse": person.worse()}
                    for name, person in result.figures.items()
                },
            }
        )
