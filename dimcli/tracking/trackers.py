"""The trackers by name, each with the space that it measures in, ready to follow a face."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from dimcli import media
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.core.progress import Progress

if TYPE_CHECKING:
    from dimcli.tracking.flame_encoders import FlameEncoder

BUILT_IN = "landmarks"
TRACKERS = (BUILT_IN, "emoca", "deca", "smirk")

Region = tuple[int, int, int, int]


def space_of(tracker: str) -> str:
    """The space that a tracker measures in. InputError where it is unknown."""
    if tracker not in TRACKERS:
        raise InputError(f"--tracker {tracker}: unknown; known: {', '.join(TRACKERS)}")
    return "arkit" if tracker == BUILT_IN else "flame"


@lru_cache(maxsize=1)
def loaded_encoder(tracker: str, checkpoint: Path | None, device: str) -> FlameEncoder:
    """The network of ``emoca``, ``deca`` or ``smirk``; the last one stays in memory, as a corpus's
    videos come one after another. Raises InputError.
    """
    if space_of(tracker) != "flame":
        raise InputError(f"--tracker {tracker}: has no checkpoint; expected emoca, deca or smirk")
    from dimcli.tracking.encoders import load_encoder

    return load_encoder(tracker, checkpoint, device)


def face_tracker(
    video: Path,
    tracker: str = BUILT_IN,
    checkpoint: Path | None = None,
    *,
    smooth: bool = False,
    region: Region | None = None,
    online: bool = False,
    device: str = "auto",
) -> Callable[[Progress], Motion]:
    """What tracks the face in ``video``, or in its ``region`` (x, y, width, height px), with
    everything that can be wrong from the start checked, and its network loaded. ``online``: the
    built-in tracker knows nothing of what follows (:mod:`dimcli.tracking.streaming`).

    ``checkpoint`` is that of ``emoca``, ``deca`` or ``smirk``, by default the imported one. Raises
    InputError.
    """
    if space_of(tracker) == "arkit":
        check_no_checkpoint(tracker, checkpoint)
        from dimcli.tracking import landmarks, streaming

        if online:
            return lambda progress: streaming.track_online(video, region=region, progress=progress)
        return lambda progress: landmarks.track_video(
            video, smooth=smooth, region=region, progress=progress
        )
    media.probe_video(video)
    encoder = loaded_encoder(tracker, checkpoint, device)
    from dimcli.tracking import encoders

    return lambda progress: encoders.track_video(
        video, encoder, smooth=smooth, region=region, progress=progress
    )


def check_no_checkpoint(tracker: str, checkpoint: Path | None) -> None:
    """Raise InputError where the built-in tracker, which has its own networks, is given one."""
    if tracker == BUILT_IN and checkpoint is not None:
        raise InputError(f"--checkpoint {checkpoint}: --tracker {tracker} has its own")
