"""What a chain of stages needs: one rate, one space and one encoder of sound, from the first data
set to the last run. Compared here alone, before anything trains or answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dimcli.audio import NO_SOUND
from dimcli.core.errors import InputError
from dimcli.data.clip import DataConfig

_TRACKERS = {"arkit": "landmarks", "flame": "emoca"}


def require_fit(
    wanted: DataConfig, before: Path | str, found: DataConfig, data: Path | str, *, hears: bool
) -> None:
    """Raise InputError unless what comes ``before``, a run or a data set, goes on with ``data``.

    ``wanted`` says what the former was made of and ``found`` what the latter has. ``hears``: sound
    is read, so that its encoder and width must agree, too; data without sound goes with all.
    """
    if found.fps != wanted.fps:
        low, high = sorted((found.fps, wanted.fps))
        others = f"what {before} was made of"  # it may be a run, which nobody prepares
        slow, fast = (data, others) if found.fps == low else (others, data)
        raise InputError(
            f"{data}: has {found.fps:g} frames a second, {before} {wanted.fps:g}; prepare {fast} "
            f"with --fps {low:g}, or {slow} from videos at {high:g}"
        )
    if found.space != wanted.space:
        raise InputError(
            f"{data}: has motion of the '{found.space}' space, {before} of '{wanted.space}'; "
            f"prepare {data} with --tracker {_TRACKERS.get(wanted.space, wanted.space)}"
        )
    if not hears or found.audio_encoder == NO_SOUND.name:
        return
    if (found.audio_encoder, found.audio_dim) != (wanted.audio_encoder, wanted.audio_dim):
        raise InputError(
            f"{data}: has sound as '{found.audio_encoder}' ({found.audio_dim} wide), {before} as "
            f"'{wanted.audio_encoder}' ({wanted.audio_dim} wide); prepare {data} with --audio "
            f"{wanted.audio_encoder}"
        )


def is_silent_for(wanted: DataConfig, found: DataConfig) -> bool:
    """Whether a model that hears as ``wanted`` says meets data without sound."""
    return found.audio_encoder == NO_SOUND.name != wanted.audio_encoder


def as_heard(wanted: DataConfig, found: DataConfig) -> DataConfig:
    """What goes into a model of ``wanted`` from data of ``found``: where that has no sound, zeros
    that are as wide as what the model hears."""
    if not is_silent_for(wanted, found):
        return found
    return replace(found, audio_encoder=wanted.audio_encoder, audio_dim=wanted.audio_dim)
