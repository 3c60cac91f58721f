"""``dim live``: a listener's face, now, into other programs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dimcli.cli import console
from dimcli.cli.generate import Attitude, WeightsOption
from dimcli.cli.options import (
    FaceOptions,
    Job,
    OutputOption,
    RegionOption,
    SeedOption,
    WhoOption,
    job,
)

if TYPE_CHECKING:
    from dimcli.jobs.live import LiveResult


def report_live(result: LiveResult, **_: bool) -> dict[str, Any]:
    """Say how a conversation went; the same as figures."""
    if result.written is not None:
        console.say(f"wrote {result.written}")
    console.say(f"{result.frames} frames in {console.seconds(result.seconds)}: {result}")
    return {
        "frames": result.frames,
        "seconds": round(result.seconds, 3),
        "fps": round(result.fps, 3),
        "latency_s": round(result.latency_s, 4),
        "latency_95_s": round(result.latency_95_s, 4),
        "undrawn": result.undrawn,
        "lost": result.lost,
        "written": None if result.written is None else str(result.written),
    }


@job(report_live, options=FaceOptions)
def live(
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="camera (and microphone), mic, ws or ws:PORT (a program sends sound and pictures "
            "over a WebSocket), or a clip's path.",
        ),
    ],
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="livelink, vmc, osc, camera, sound (plays the voice) or file; repeat it for "
            "several at once. Not needed with -o, which is --to file.",
            show_default=False,
        ),
    ] = None,
    ref: Annotated[
        Path | None, typer.Option(help="Picture of the face, for --to camera and an .mp4.")
    ] = None,
    output: OutputOption = None,
    *,
    voice: Annotated[
        str | None,
        typer.Option(
            help="What the face itself says: a sound file, - (16-bit samples, mono, 16 kHz, on "
            "standard input), ws or ws:PORT.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where the program runs that is sent to.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Its port. Default: 11111 (livelink), 39539 (vmc), 9000 (osc).",
            show_default=False,
        ),
    ] = None,
    subject: Annotated[str, typer.Option(help="The face's name in Unreal's Live Link.")] = "dim",
    camera: Annotated[int, typer.Option(min=0, max=99, help="Number of the camera.")] = 0,
    audio_track: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Which sound track of the clip, from 1. Default: the one flagged as default.",
            show_default=False,
        ),
    ] = None,
    region: RegionOption = None,
    who: WhoOption = None,
    weights: WeightsOption = "listener-live",
    attitude: Annotated[Attitude, typer.Option(help="How the listener feels.")] = "unknown",
    seed: SeedOption = 0,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.2, max=1e6, help="End after so long.", show_default=False),
    ] = None,
    size: Annotated[
        int, typer.Option(min=64, max=2048, help="Longer side of the picture, in pixels.")
    ] = 512,
) -> Job:
    """Listen, live, and move a face in other programs.

    It answers the camera and the microphone, or a clip as if it happened now.
    """
    from dimcli.jobs.live import live as listen
    from dimcli.web.line import websocket

    return partial(listen, told=console.say, websocket=websocket)
