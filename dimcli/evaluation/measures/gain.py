"""R-DGG (:mod:`dimcli.evaluation.measures.rdgg`) on the clips of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import Bools, Floats
from dimcli.data.clip import Clip, ClipRecord
from dimcli.data.store import ClipStore
from dimcli.evaluation.measures.family import Tally
from dimcli.evaluation.measures.rdgg import Driver, Energies, Listener, Reference
from dimcli.evaluation.measures.rdgg_inputs import (
    AUDIO_PARTS,
    MOTION_PARTS,
    Projection,
    join_folds,
    reactive,
)

Array = NDArray[np.floating[Any]]


class Gain:
    """R-DGG on clips: each is a listener, on a grid of 25 frames a second."""

    nulls = 40
    most_targets = 20_000
    folds = 2
    fps = 25.0

    def __init__(self, store: ClipStore, records: Sequence[ClipRecord]) -> None:
        self._store = store
        order = np.random.default_rng(0).permutation(len(records))
        self._picked: list[int] = []
        targets = 0
        for index in order:
            if targets >= self.most_targets:
                break
            frames = round(len(records[index]) * self.fps / store.info.fps)
            self._picked.append(int(index))
            targets += max(frames - 100, 0)
        self._records = records
        self._ids = {records[index].id for index in self._picked}
        self._clips: dict[str, Clip] = {}
        self._made: tuple[dict[str, Listener], Bools, Reference] | str | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """How it was made."""
        used, among = len(self._ids), len(self._records)
        some = "" if used == among else f" on {used} of the {among} clips, drawn by chance"
        return (
            f"R-DGG{some}: nats, {self.nulls} nulls, {self.folds} folds, 25 frames a second; the "
            "listener's own voice is not in the data and is left out of its own past.",
        )

    def keep(self, clip: Clip) -> None:
        """A true clip, which the operators learn from."""
        if clip.record.id in self._ids:
            self._clips[clip.record.id] = clip

    def tally(self, answers: Sequence[Mapping[str, Floats]]) -> Tally:
        """Of each sample's answers [T, 56] by clip."""
        if self._made is None:
            try:
                self._made = self._learn()
            except InputError as error:
                self._made = str(error).removeprefix("R-DGG: ")
        if isinstance(self._made, str):
            return _GainTally((), (), len(self._records), self._made)
        true, moving, reference = self._made
        energies = []
        for values in answers:
            system = {}
            for name, one in true.items():
                motion = self._on_grid(values[name])[:, moving]
                system[name] = one.of(motion, one.valid)
            try:
                energies.append(reference.score(system, self.nulls))
            except InputError as error:
                why = str(error).removeprefix("R-DGG: ")
                return _GainTally((), (), len(self._records), why)
        where = {record.id: index for index, record in enumerate(self._records)}
        return _GainTally(
            tuple(energies), tuple(where[n] for n in energies[0].names), len(self._records)
        )

    def _learn(self) -> tuple[dict[str, Listener], Bools, Reference]:
        clips = [self._clips[name] for name in sorted(self._clips)]
        if any(clip.speaker_audio.shape[1] == 0 for clip in clips):
            raise InputError("the data has no sound")
        motions = [self._on_grid(clip.listener.values) for clip in clips]
        moving = np.any([np.ptp(motion, axis=0) > 0 for motion in motions], axis=0)
        if not moving.any():
            raise InputError("no true listener moves")
        sounds = [self._on_grid(clip.speaker_audio) for clip in clips]
        speakers = [self._on_grid(clip.speaker.values) for clip in clips]
        speakers = [speaker - speaker.mean(axis=0) for speaker in speakers]
        voices = Projection.fit(sounds, AUDIO_PARTS, 101)
        faces = Projection.fit(speakers, MOTION_PARTS, 103)
        folds = join_folds(
            {
                clip.record.id: (
                    clip.record.listener,
                    clip.record.speaker,
                    f"conversation {clip.record.conversation}",
                )
                for clip in clips
            },
            self.folds,
        )
        listeners = {
            clip.record.id: Listener(
                motion[:, moving],
                self._valid(clip, len(motion)),
                np.zeros((len(motion), 0)),
                Driver(voices.scores(sound), faces.scores(speaker)),
                folds[clip.record.id],
            )
            for clip, motion, sound, speaker in zip(clips, motions, sounds, speakers, strict=True)
        }
        return listeners, moving, Reference(listeners)

    def _on_grid(self, track: Floats) -> Array:
        fps = self._store.info.fps
        if abs(fps - self.fps) < 1e-6:
            return track.astype(float)
        at = np.arange(int(len(track) * self.fps / fps)) * fps / self.fps
        low = np.minimum(at.astype(int), max(len(track) - 2, 0))
        weight = (at - low)[:, None]
        return track[low] * (1 - weight) + track[np.minimum(low + 1, len(track) - 1)] * weight

    def _valid(self, clip: Clip, frames: int) -> Bools:
        voice = self._store.listener_voice(clip.record)
        if voice is None:
            return np.ones(frames, bool)
        activity = clip.activity
        heard = np.ones(len(clip), bool) if activity is None else activity > 0.5
        listens = reactive(voice, heard, clip.speaker.fps)
        return listens[(np.arange(frames) * len(clip) // frames)]


@dataclass(frozen=True)
class _GainTally:
    """R-DGG of each sample; ``where`` its listeners are among all ``clips``."""

    energies: tuple[Energies, ...]
    where: tuple[int, ...]
    clips: int
    why: str = ""

    @property
    def reasons(self) -> Mapping[str, str]:
        return {"rdgg": self.why} if self.why else {}

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        draws = np.ones((1, self.clips)) if draws is None else np.asarray(draws, float)
        if self.why:
            return {"rdgg": np.full((1, len(draws)), np.nan)}
        weights = draws[:, list(self.where)]
        return {"rdgg": np.stack([each.net(weights) for each in self.energies])}
