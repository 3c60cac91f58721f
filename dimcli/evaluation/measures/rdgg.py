"""R-DGG: does the speaker's voice help to predict the listener beyond the listener's own past?

One figure of a whole corpus, on a grid of equal frames (25 a second as published). A listener's
motion y_t is predicted by ridge regression from its own motion (and voice) at :data:`LAGS` frames
before, and from what an operator, learnt on true listeners of other people, makes of the speaker's
voice and motion at the same lags. The figure is

    G = log(sum e_motion / sum e_both),    net = G - mean over nulls of G,

with e the squared errors without and with the speaker's voice, and nulls that read the speaker
elsewhere in the clip: nats a target, printed times 10^4. Above zero, the voice tells something of
the listener that its own past and the speaker's motion do not. Larger is better, up to the truth's.

Source: Donfa1con/R-DGG (NeurIPS 2026 workshop, openreview uZdMPMmHxa), ``rdgg/``. Its arithmetic
is followed to rounding in float64; what brings a corpus to the grid, and identities to folds, is in
:mod:`dimcli.evaluation.measures.rdgg_inputs`. Axes: n frames of the grid, R rows (targets), D
columns of motion, L lags.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.masks import runs
from dimcli.core.motion import Bools

Array = NDArray[np.floating[Any]]
Whole = NDArray[np.int64]

LAGS = np.array([*range(1, 13), 14, 16, 18, 20, 24, 28, 32, 40, 48, 60, 72, 88, 100])
LONGEST = 100
"""Frames: the longest lag, the shortest run that has targets, and the least shift of a null."""
FIRST_TARGET = 10
SHORTEST_CENTRED = 25
"""Runs from so many frames on lose their own mean."""
FEWEST_FRAMES = 20
FEWEST_LISTENERS, FEWEST_TO_LEARN = 10, 5
NULLS = 100
DRAWS = 20_000
_OWN_RIDGE, _SPEAKER_RIDGE = 1e-4, 0.1


@dataclass(frozen=True)
class Driver:
    """What a speaker gives: scores of its voice and of its motion, [n, K] each."""

    audio: Array
    motion: Array


@dataclass(frozen=True)
class Listener:
    """One listener of the corpus: ``motion`` [n, D], ``valid`` [n] (it listens, and was seen), its
    own ``voice`` scores [n, A] (A = 0: none is known), its speaker's ``driver``, and the ``fold``
    whose operator has not seen it.
    """

    motion: Array
    valid: Bools
    voice: Array
    driver: Driver
    fold: int

    def of(self, motion: Array, valid: Bools) -> Listener:
        """The same with another ``motion``, on the frames ``valid``."""
        return Listener(motion, valid, self.voice, self.driver, self.fold)


@dataclass(frozen=True)
class _Rows:
    """Targets of one listener: frames ``at`` [R], lags that ``count`` [R, L], and the centred
    motion [n, D]."""

    listener: Listener
    at: Whole
    count: Bools
    motion: Array

    @classmethod
    def of(cls, listener: Listener) -> _Rows | None:
        """None where too few frames or no run is long enough, or no null can be read elsewhere."""
        valid = listener.valid
        if valid.sum() < FEWEST_FRAMES or len(valid) <= 2 * LONGEST:
            return None
        motion = listener.motion - listener.motion[valid].mean(axis=0)
        at, since = [], []
        for start, stop in runs(valid):
            if stop - start >= SHORTEST_CENTRED:
                motion[start:stop] -= motion[start:stop].mean(axis=0)
            if stop - start >= LONGEST:
                times = np.arange(max(start + FIRST_TARGET, LONGEST), stop)
                at.append(times)
                since.append(times - start)
        if not at or not sum(map(len, at)):
            return None
        return cls(
            listener,
            np.concatenate(at),
            np.concatenate(since)[:, None] >= LAGS,
            motion,
        )

    @property
    def targets(self) -> Array:
        return self.motion[self.at]

    def lagged(self, track: Array, shift: int = 0) -> Array:
        """``track`` [n, C] at the lags, read ``shift`` frames earlier: [R, L, C]."""
        return track[(self.at[:, None] - LAGS - shift) % len(track)]


@dataclass(frozen=True)
class _Scaling:
    """Mean and spread of each lag and column over the entries that count, [L, C] each."""

    mean: Array
    std: Array

    @classmethod
    def of(cls, blocks: Iterator[tuple[Array, Bools]]) -> _Scaling:
        """From blocks [R, L, C] and which entries count [R, L]."""
        kept = list(blocks)
        n = sum(count.sum(axis=0) for _, count in kept)[:, None]
        n = np.maximum(n, 1)
        mean = sum(np.einsum("rlc,rl->lc", block, count) for block, count in kept) / n
        size = sum(np.einsum("rlc,rl->lc", np.abs(block), count) for block, count in kept) / n
        square = sum(np.einsum("rlc,rl->lc", (block - mean) ** 2, count) for block, count in kept)
        return cls(mean, np.maximum(np.sqrt(square / n), 1e-6 * (size + 1e-12)))

    def of_rows(self, block: Array, count: Bools) -> Array:
        """Standardised and flat, lag-major, [R, L * C]; entries that do not count are 0."""
        scaled = (block - self.mean) / self.std * count[..., None]
        return scaled.reshape(len(block), -1)


@dataclass(frozen=True)
class _Own:
    """How a set of rows' own past is standardised: its motion, and its voice at the lags."""

    motion: _Scaling
    voice: _Scaling

    @classmethod
    def of(cls, rows: Sequence[_Rows]) -> _Own:
        return cls(
            _Scaling.of((each.lagged(each.motion), each.count) for each in rows),
            _Scaling.of((each.lagged(each.listener.voice), each.count) for each in rows),
        )

    def block(self, rows: _Rows) -> Array:
        """The own past of one listener's rows: [R, L * (D + A)]."""
        return np.concatenate(
            [
                self.motion.of_rows(rows.lagged(rows.motion), rows.count),
                self.voice.of_rows(rows.lagged(rows.listener.voice), rows.count),
            ],
            axis=1,
        )


@dataclass(frozen=True)
class _Operator:
    """What the speaker's voice or motion says of a listener's next frame."""

    scaling: _Scaling
    weights: Array

    @classmethod
    def learn(cls, rows: Sequence[_Rows], own: _Own, kind: str, scale: Array) -> _Operator:
        """By ridge on the own past and the speaker's ``kind``, of which the latter is kept."""
        scaling = _Scaling.of(
            (each.lagged(getattr(each.listener.driver, kind)), each.count) for each in rows
        )
        mean = np.concatenate([each.targets for each in rows]).mean(axis=0)
        gram: Any = 0.0
        cross: Any = 0.0
        width = 0
        for each in rows:
            driven = scaling.of_rows(each.lagged(getattr(each.listener.driver, kind)), each.count)
            design = np.concatenate([own.block(each), driven], axis=1)
            width = driven.shape[1]
            gram = gram + design.T @ design
            cross = cross + design.T @ ((each.targets - mean) * scale)
        ridge = _OWN_RIDGE * np.diag(gram).mean()
        solved = np.linalg.solve(gram + ridge * np.eye(len(gram)), cross)
        return cls(scaling, solved[-width:])

    def predict(self, rows: _Rows, kind: str, shift: int) -> Array:
        """[R, D], from the speaker read ``shift`` frames earlier."""
        driver = getattr(rows.listener.driver, kind)
        return self.scaling.of_rows(rows.lagged(driver, shift), rows.count) @ self.weights


@dataclass(frozen=True)
class Energies:
    """Squared errors by listener: ``both`` [C] with the speaker's voice, ``motion`` [C] without,
    and the same with each null's shifted speaker, [K, C].
    """

    names: tuple[str, ...]
    both: Array
    motion: Array
    both_null: Array
    motion_null: Array

    def gains(self, weights: Array | None = None) -> tuple[Array, Array]:
        """G of each draw [B], and of each null [K, B]; ``weights`` [B, C], by default one draw."""
        weights = np.ones((1, len(self.names))) if weights is None else weights
        with np.errstate(divide="ignore", invalid="ignore"):
            real = np.log((weights @ self.motion) / (weights @ self.both))
            null = np.log((self.motion_null @ weights.T) / (self.both_null @ weights.T))
        return real, null

    def net(self, weights: Array | None = None) -> Array:
        """G less the mean of the nulls', of each draw: [B]."""
        real, null = self.gains(weights)
        return real - null.mean(axis=0)

    def interval(self, clusters: Sequence[str]) -> Interval:
        """Of the net figure, by drawing the ``clusters`` (of each listener, in the order of
        ``names``) with replacement."""
        return Interval.of(self.net(), self.net(_draws(clusters)))

    def lead(self, other: Energies, clusters: Sequence[str]) -> Interval:
        """Of this net figure less the ``other``'s, of the same listeners; p is two-sided."""
        weights = _draws(clusters)
        drawn = self.net(weights) - other.net(weights)
        found = Interval.of(self.net() - other.net(), drawn)
        share = min(float((drawn <= 0).mean()), float((drawn >= 0).mean()))
        return Interval(found.value, found.low, found.middle, found.high, min(2 * share, 1.0))


@dataclass(frozen=True)
class Interval:
    """A figure, its 95 % interval with the median, and p: the share of draws at or below zero."""

    value: float
    low: float
    middle: float
    high: float
    p: float

    @classmethod
    def of(cls, value: Array, drawn: Array) -> Interval:
        """From the figure [1] and its draws [B]."""
        low, middle, high = np.percentile(drawn, [2.5, 50, 97.5])
        share = float((drawn <= 0).mean())
        return cls(float(value[0]), float(low), float(middle), float(high), share)


def _draws(clusters: Sequence[str]) -> Array:
    """How often each listener is in each of the published 20,000 draws of clusters: [B, C]."""
    names = list(dict.fromkeys(clusters))
    member = np.array([names.index(each) for each in clusters])
    random, weights = np.random.default_rng(0), np.zeros((DRAWS, len(names)))
    for draw in weights:
        np.add.at(draw, random.integers(0, len(names), len(names)), 1)
    return weights[:, member]


class Reference:
    """What true listeners of a corpus teach; every system's listeners are scored against it."""

    def __init__(self, listeners: Mapping[str, Listener]) -> None:
        """``listeners``: the true ones by name. Raises InputError where there are too few."""
        rows = {name: _Rows.of(listeners[name]) for name in sorted(listeners)}
        self._true = {name: each for name, each in rows.items() if each is not None}
        if len(self._true) < FEWEST_LISTENERS:
            raise InputError(
                f"R-DGG: {len(self._true)} listeners listen for {LONGEST} frames at a stretch, in "
                f"clips of over {2 * LONGEST}; it needs {FEWEST_LISTENERS}"
            )
        targets = np.concatenate([each.targets for each in self._true.values()])
        spread = targets.var(axis=0)
        self._scale = 1.0 / np.sqrt(spread + np.sort(spread)[(len(spread) - 1) // 2])
        self._operators: dict[int, dict[str, _Operator]] = {}
        for fold in sorted({each.listener.fold for each in self._true.values()}):
            others = [each for each in self._true.values() if each.listener.fold != fold]
            if len(others) < FEWEST_TO_LEARN:
                raise InputError(
                    f"R-DGG: {len(others)} listeners remain beside a fold; it needs "
                    f"{FEWEST_TO_LEARN} of other people"
                )
            own = _Own.of(others)
            self._operators[fold] = {
                kind: _Operator.learn(others, own, kind, self._scale)
                for kind in ("audio", "motion")
            }

    def score(self, listeners: Mapping[str, Listener], nulls: int = NULLS) -> Energies:
        """The energies of a system's ``listeners``, with so many ``nulls``. Raises InputError where
        nothing moves, or nobody listens for long enough."""
        rows = [
            (name, each)
            for name in sorted(listeners)
            if (each := _Rows.of(listeners[name])) is not None
        ]
        if not rows:
            raise InputError(f"R-DGG: nobody listens for {LONGEST} frames at a stretch")
        own = _Own.of([each for _, each in rows])
        mean = np.concatenate([each.targets for _, each in rows]).mean(axis=0)
        blocks = [own.block(each) for _, each in rows]
        targets = [(each.targets - mean) * self._scale for _, each in rows]
        gram: Any = sum(block.T @ block for block in blocks)
        if not gram.any():
            raise InputError("R-DGG: its listeners stand still")
        gram = gram + _OWN_RIDGE * np.diag(gram).mean() * np.eye(len(gram))
        cross = sum(block.T @ target for block, target in zip(blocks, targets, strict=True))
        factor = _Factor(gram, cross)
        shifts = [dict.fromkeys(listeners, 0), *(_shifts(listeners, k) for k in range(nulls))]
        width = targets[0].shape[1]
        both, motion = [], []
        for shift in shifts:
            said = [
                np.hstack(
                    [
                        self._operators[each.listener.fold][kind].predict(each, kind, shift[name])
                        for kind in ("audio", "motion")
                    ]
                )
                for name, each in rows
            ]
            whole, moved = factor.energies(blocks, targets, said, slice(width, None))
            both.append(whole)
            motion.append(moved)
        return Energies(
            tuple(name for name, _ in rows),
            both[0],
            motion[0],
            np.array(both[1:]),
            np.array(motion[1:]),
        )


def _shifts(listeners: Mapping[str, Listener], null: int) -> dict[str, int]:
    """How many frames earlier a null reads each speaker: drawn for those, too, who turn out to have
    no targets, so that one who drops out leaves the others' as they were."""
    random = np.random.default_rng(2000 + null)
    frames = {name: len(listeners[name].motion) for name in sorted(listeners)}
    return {
        name: int(random.integers(LONGEST, n - LONGEST))
        for name, n in frames.items()
        if n > 2 * LONGEST
    }


class _Factor:
    """Ridge on the own past and on what the speaker says, solved with the own past kept."""

    def __init__(self, gram: Array, cross: Array) -> None:
        from scipy.linalg import cho_factor, cho_solve

        self._gram, self._cross = cho_factor(gram), cross
        self._alone = cho_solve(self._gram, cross)

    def energies(
        self,
        blocks: Sequence[Array],
        targets: Sequence[Array],
        said: Sequence[Array],
        part: slice,
    ) -> tuple[Array, Array]:
        """Squared errors by listener, [C] each: with all columns of what is ``said`` [R, S] by
        listener, which is standardised here, and with those of ``part`` alone."""
        from scipy.linalg import cho_solve

        scores = np.concatenate(said)
        mean, std = scores.mean(axis=0), scores.std(axis=0)
        std = np.maximum(std, 1e-6 * (np.abs(scores).mean(axis=0) + 1e-12))
        scaled = [(each - mean) / std for each in said]
        mixed = sum(block.T @ one for block, one in zip(blocks, scaled, strict=True))
        gram: Any = sum(one.T @ one for one in scaled)
        cross: Any = sum(one.T @ target for one, target in zip(scaled, targets, strict=True))
        through = cho_solve(self._gram, mixed)
        gram_left, cross_left = gram - mixed.T @ through, cross - through.T @ self._cross
        own, weights = [], []
        for columns in (slice(None), part):
            ridge = _SPEAKER_RIDGE * np.diag(gram)[columns].mean()
            left = gram_left[columns, columns]
            solved = np.zeros_like(cross)
            solved[columns] = np.linalg.solve(left + ridge * np.eye(len(left)), cross_left[columns])
            weights.append(solved)
            own.append(self._alone - through @ solved)
        both_own, both_weights = np.hstack(own), np.hstack(weights)
        errors = np.array(
            [
                ((np.hstack([target, target]) - block @ both_own - one @ both_weights) ** 2)
                .reshape(len(target), 2, -1)
                .sum(axis=(0, 2))
                for block, target, one in zip(blocks, targets, scaled, strict=True)
            ]
        )
        return errors[:, 0], errors[:, 1]
