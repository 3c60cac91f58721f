"""Predictors that learn nothing about the speaker, and the oracle that knows the truth's rule.

Each is ``predict(clip, seed) -> Motion`` for a :class:`dimcli.data.clip.Clip`; only the oracle
looks behind the speaker, and none looks at the clip's listener.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dimcli.data.clip import Clip, ClipRecord
from dimcli.data.store import ClipStore
from dimcli.data.synthetic import Recipe, conversation_index, redraw_listener
from dimcli.errors import InputError
from dimcli.motion import Motion


class Predictor(Protocol):
    """Anything that answers a clip with listener motion of its length."""

    def predict(self, clip: Clip, seed: int) -> Motion:
        """The predicted listener of ``clip``."""
        ...


@dataclass(frozen=True)
class MeanPredictor:
    """The mean listener frame of the train split, held still."""

    mean: NDArray[np.float32]

    @classmethod
    def fit(cls, store: ClipStore) -> MeanPredictor:
        """Take the mean from a data set."""
        return cls(store.statistics()["listener"].mean)

    def predict(self, clip: Clip, seed: int) -> Motion:
        """The mean, for as long as the clip."""
        del seed
        return _like(clip, np.tile(self.mean, (len(clip), 1)))


@dataclass(frozen=True)
class RandomPredictor:
    """A listener from a random clip of the train split (the paper's Random)."""

    store: ClipStore
    records: tuple[ClipRecord, ...]

    @classmethod
    def fit(cls, store: ClipStore) -> RandomPredictor:
        """Draw from the train split of a data set."""
        records = store.clips("train")
        if not records:
            raise InputError(f"{store.root}: the train split is empty")
        return cls(store, tuple(records))

    def predict(self, clip: Clip, seed: int) -> Motion:
        """Another clip's listener, from its start, repeated forwards and back where too short."""
        random = np.random.default_rng([seed, _key(clip)])
        record = self.records[random.integers(len(self.records))]
        values = self.store.load(record, 0, min(len(record), len(clip))).listener.values
        there_and_back = np.concatenate([values, values[::-1]])
        repeats = -(-len(clip) // len(there_and_back))
        return _like(clip, np.tile(there_and_back, (repeats, 1))[: len(clip)])


@dataclass(frozen=True)
class MirrorPredictor:
    """The speaker's own motion (the paper's Mirror)."""

    def predict(self, clip: Clip, seed: int) -> Motion:
        """The speaker of the clip."""
        del seed
        return _like(clip, clip.speaker.values)


@dataclass(frozen=True)
class Oracle:
    """A new draw of the synthetic listener given the true hidden events of the speaker.

    It is the best that can be said without seeing the listener: what is left between it and the
    truth is the rule's own chance. Only for synthetic data made by ``recipe``.
    """

    recipe: Recipe

    @classmethod
    def fit(cls, store: ClipStore) -> Oracle:
        """Take the recipe from a synthetic data set; it must be of this version and rule."""
        made_by = store.info.made_by
        if made_by.get("prepare") != "synthetic":
            raise InputError(f"{store.root}: not synthetic; the oracle knows only synthetic dyads")
        recipe = Recipe(
            seed=made_by["seed"],
            fps=store.info.fps,
            conversation_s=made_by["conversation_s"],
            clip_s=made_by["clip_s"],
        )
        if recipe.fingerprint() != made_by["recipe"]:
            raise InputError(f"{store.root}: made by another version of the rule; prepare it again")
        return cls(recipe)

    def predict(self, clip: Clip, seed: int) -> Motion:
        """A fresh listener for the clip's conversation, cut to the clip."""
        index = conversation_index(clip.record.conversation)
        values = redraw_listener(self.recipe, index, draw=1 + seed)
        first = clip.record.start + clip.start
        return _like(clip, values[first : first + len(clip)])


def _like(clip: Clip, values: NDArray[np.float32]) -> Motion:
    return Motion(values.astype(np.float32), fps=clip.listener.fps, space=clip.listener.space)


def _key(clip: Clip) -> int:
    return zlib.crc32(clip.record.id.encode())
