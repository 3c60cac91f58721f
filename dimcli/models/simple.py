"""Predictors that learn nothing about the speaker, and the oracle that knows the truth's rule.

Each is a :class:`dimcli.data.clip.Predictor`. Only the oracle looks behind the speaker.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.clip import ClipRecord, Stimulus
from dimcli.data.store import ClipStore
from dimcli.data.synthetic.synthetic import Recipe, conversation_index, redraw_listener
from dimcli.models.listener_io import plausible


@dataclass(frozen=True)
class MeanPredictor:
    """The mean listener frame of the train split, held still."""

    mean: NDArray[np.float32]

    @classmethod
    def fit(cls, store: ClipStore) -> MeanPredictor:
        """Take the mean from a data set."""
        return cls(store.statistics()["listener"].mean)

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """The mean, for as long as the stimulus."""
        del seed
        return stimulus.motion(np.tile(self.mean, (len(stimulus), 1)))


@dataclass(frozen=True)
class RandomPredictor:
    """A listener from a random clip of the train split, slightly disturbed (the paper's Random).

    ``perturbation`` is the standard deviation of the normal noise on every frame, as a share of
    the standard deviation ``std`` [56] that each column has in the train split.
    """

    store: ClipStore
    records: tuple[ClipRecord, ...]
    std: NDArray[np.float32]
    perturbation: float = 0.05

    @classmethod
    def fit(cls, store: ClipStore) -> RandomPredictor:
        """Draw from the train split of a data set."""
        records = store.clips("train")
        if not records:
            raise InputError(f"{store.root}: the train split is empty")
        return cls(store, tuple(records), store.statistics()["listener"].std)

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """Another clip's listener, from its start, repeated forwards and back where too short."""
        random = np.random.default_rng([seed, _key(stimulus)])
        record = self.records[random.integers(len(self.records))]
        values = self.store.load(record, 0, min(len(record), len(stimulus))).listener.values
        there_and_back = np.concatenate([values, values[::-1]])
        repeats = -(-len(stimulus) // len(there_and_back))
        values = np.tile(there_and_back, (repeats, 1))[: len(stimulus)]
        noise = self.perturbation * self.std * random.standard_normal(values.shape, np.float32)
        return stimulus.motion(plausible(values + noise, stimulus.space))


@dataclass(frozen=True)
class MirrorPredictor:
    """The speaker's own motion, smoothed (the paper's Mirror).

    ``smooth_s`` is the length of the moving average in seconds (the released code's is 10 frames);
    past the ends it reads the clip mirrored.
    """

    smooth_s: float = 0.4

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """The speaker's motion."""
        del seed
        values = stimulus.seen.values
        width = min(max(1, round(self.smooth_s * stimulus.fps)), len(values))
        before = width // 2
        padded = np.pad(values, ((before, width - 1 - before), (0, 0)), mode="symmetric")
        smooth = np.lib.stride_tricks.sliding_window_view(padded, width, axis=0).mean(axis=-1)
        return stimulus.motion(smooth)


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

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """A fresh listener for the clip's conversation, cut to the clip."""
        index = conversation_index(stimulus.conversation)
        values = redraw_listener(self.recipe, index, draw=1 + seed)
        first = stimulus.first_frame
        return stimulus.motion(values[first : first + len(stimulus)])


def _key(stimulus: Stimulus) -> int:
    return zlib.crc32(stimulus.id.encode())
