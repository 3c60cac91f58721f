"""``dim generate-listener``, ``dim generate-speaker`` and ``dim generate-dyad``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from dimcli.cli import console
from dimcli.cli.options import (
    AudioTrackOption,
    BackgroundOption,
    CheckpointOption,
    FaceOptions,
    Job,
    OutputOption,
    RegionOption,
    RendererOption,
    SeedOption,
    SizeOption,
    Tracker,
    WhoOption,
    job,
)

Layout = Literal["listener", "side-by-side"]
ListenerStyle = Literal["unknown", "reserved", "warm", "lively"]
Attitude = Literal["unknown", "negative", "neutral", "positive"]
WeightsOption = Annotated[str, typer.Option("--weights", help="Bundled name or run directory.")]
StyleOption = Annotated[
    str, typer.Option(help="Way of talking, one of the weights' own; any other word lists them.")
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=2.0,
        help="Variety of head, brows and eyes; 0 is the surest. Default: the model's.",
    ),
]


@job(console.report_videos, many="speaker", options=FaceOptions)
def generate_listener(
    speaker: Annotated[
        list[Path],
        typer.Argument(
            help="Video of somebody talking, their voice alone (wav, mp3, ...), or their motion "
            "(of dim extract); several, a folder, or a table (.csv with speaker, ref, output, "
            "seed, attitude, style)."
        ),
    ],
    ref: Annotated[
        Path | None,
        typer.Option(help="Picture of the listener (not needed with --renderer mesh)."),
    ] = None,
    output: OutputOption = None,
    *,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Bundled name or run directory. Default: listener-small; listener-live with "
            "--online, and for a voice alone.",
            show_default=False,
        ),
    ] = None,
    renderer: RendererOption = "portrait",
    layout: Annotated[Layout, typer.Option(help="What the video shows.")] = "listener",
    samples: Annotated[int, typer.Option(min=1, max=100, help="How many to make.")] = 1,
    seed: SeedOption = 0,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=2.0, help="Variety of the motion; 0 is the surest. Default: the model's."
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=64, help="Sampling steps. Default: the model's own.")
    ] = None,
    attitude: Annotated[Attitude, typer.Option(help="How the listener feels.")] = "unknown",
    style: Annotated[
        ListenerStyle, typer.Option(help="Who listens. unknown: somebody else with every seed.")
    ] = "unknown",
    traits: Annotated[
        str | None,
        typer.Option(
            help="Factors on the usual: nods=1.2,smile=0.8; also blinks and head.",
            show_default=False,
        ),
    ] = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="Answer as a stream, without look ahead: listener-live, or such weights.",
        ),
    ] = False,
    background: BackgroundOption = "keep",
    size: SizeOption = None,
    audio: Annotated[
        Path | None,
        typer.Option(
            help="The speaker's sound. Default: the video's, or that of the motion's clip."
        ),
    ] = None,
    audio_track: AudioTrackOption = None,
    region: RegionOption = None,
    who: WhoOption = None,
    save_motion: Annotated[
        Path | None, typer.Option(help="Keep the listener's motion in this .npz.")
    ] = None,
    tracker: Annotated[
        Tracker | None,
        typer.Option(
            help="What measures the speaker. Default: landmarks, or emoca where the weights need "
            "the flame space.",
            show_default=False,
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
) -> Job:
    """Make a video of a listener who reacts to a speaker.

    It is as long as the speaker's.
    """
    from dimcli.jobs.generate import Models, generate_videos

    return partial(generate_videos, "listener", models=Models())


@job(console.report_videos, many="speech", options=FaceOptions)
def generate_speaker(
    speech: Annotated[
        list[Path],
        typer.Argument(
            help="Speech: a sound file, or a video's sound; several, a folder, or a table (.csv "
            "with speech, ref, output, seed, style)."
        ),
    ],
    ref: Annotated[
        Path | None,
        typer.Option(help="Picture of the speaker; not needed with --renderer mesh."),
    ] = None,
    output: OutputOption = None,
    *,
    weights: WeightsOption = "speaker-small",
    renderer: RendererOption = "portrait",
    style: StyleOption = "unknown",
    seed: SeedOption = 0,
    temperature: TemperatureOption = None,
    background: BackgroundOption = "keep",
    size: SizeOption = None,
    audio_track: AudioTrackOption = None,
    save_motion: Annotated[
        Path | None, typer.Option(help="Keep the speaker's motion in this .npz.")
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Answer as a stream: look no more than 0.24 s ahead.")
    ] = False,
) -> Job:
    """Make a video of a face that says recorded speech."""
    from dimcli.jobs.generate import Models, generate_videos

    return partial(generate_videos, "speaker", models=Models())


@job(console.report_videos, options=FaceOptions)
def generate_dyad(
    speech_a: Annotated[Path, typer.Argument(help="Sound of one person, shown on the left.")],
    speech_b: Annotated[Path, typer.Argument(help="Sound of the other, recorded beside it.")],
    ref_a: Annotated[Path | None, typer.Option(help="Picture of the one on the left.")] = None,
    ref_b: Annotated[Path | None, typer.Option(help="Picture of the other.")] = None,
    output: OutputOption = None,
    *,
    weights: Annotated[
        str, typer.Option(help="Speaker: bundled name or run directory.")
    ] = "speaker-small",
    listener: Annotated[
        str, typer.Option(help="Listener: bundled name or run directory.")
    ] = "listener-small",
    renderer: RendererOption = "portrait",
    style_a: StyleOption = "unknown",
    style_b: StyleOption = "unknown",
    seed: SeedOption = 0,
    temperature: TemperatureOption = None,
    background: BackgroundOption = "keep",
    size: SizeOption = None,
    audio_track: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Which sound track, from 1, of both files. Default: the one that each flags as "
            "default.",
            show_default=False,
        ),
    ] = None,
    save_motion: Annotated[
        Path | None, typer.Option(help="Keep the motions in NAME-a.npz and NAME-b.npz.")
    ] = None,
) -> Job:
    """Make a video of both faces of a two-track conversation."""
    from dimcli.jobs.dyad import generate_dyad_video

    return generate_dyad_video
