"""The families of measures by name, on the clips of a data set: what ``dim eval --measures`` adds.

Their definitions are in the files of this package; here is what brings clips to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dimcli.audio import ACTIVITY, MEL
from dimcli.core.errors import InputError
from dimcli.core.motion import HEAD, JAW_PITCH, Bools, Floats, Motion
from dimcli.data.clip import Clip, ClipRecord
from dimcli.data.store import ClipStore
from dimcli.evaluation.measures import dualtalk, reaction, unils
from dimcli.evaluation.measures.events import Behaving
from dimcli.evaluation.measures.family import (
    Family,
    Joined,
    MeanTally,
    Shares,
    Tally,
    Value,
    mean_over,
)
from dimcli.evaluation.measures.listening import FEWEST_FRAMES, PooledEntropy, rpcc
from dimcli.evaluation.measures.rdgg import (
    AUDIO_PARTS,
    MOTION_PARTS,
    Driver,
    Energies,
    Listener,
    Projection,
    Reference,
    join_folds,
    reactive,
)
from dimcli.evaluation.measures.timing import tlcc
from dimcli.evaluation.metrics import CLUSTERS, PARTS, Gaussian
from dimcli.evaluation.official import entropy_of_counts
from renderers.heads.regions import whole_head

Array = NDArray[np.floating[Any]]

BOTH = "expression and pose"
SHORT = "the clip is too short"
STILL = "something stands still"


class Listening(Family):
    """The paper's figures over all frames, and over those in which the listener is silent."""

    title = "while listening"
    columns = ("fd", "p_fd", "mse", "sid_si184", "var_pooled", "rpcc_clip")
    of_truth = ("sid_si184", "var_pooled")
    rewards = (
        "Rewards falsely: systems that never hear the partner have come first in all of these; two "
        "faces at rest correlate (rPCC) and a still face has variance (Var), as columns differ."
    )

    def __init__(self, store: ClipStore, records: Sequence[ClipRecord]) -> None:
        self._store = store
        silent = [store.listener_voice(record) for record in records]
        self._known = any(voice is not None for voice in silent)
        frames = [
            (store.motion_values(record, "listener"), voice)
            for record, voice in zip(records, silent, strict=True)
        ]
        self._clusters: dict[str, PooledEntropy | None] = {}
        for variant in self._variants():
            kept = np.concatenate(
                [values if not variant or v is None else values[~v] for values, v in frames]
            )
            for part, columns in PARTS.items():
                self._clusters[part + variant] = (
                    PooledEntropy.fit(kept[:, columns], CLUSTERS[part])
                    if len(kept) >= CLUSTERS[part]
                    else None
                )

    def _variants(self) -> tuple[str, ...]:
        return ("", ", listening") if self._known else ("",)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What counts as silence."""
        if self._known:
            return (
                "listening: frames in which the data set has no voice of the listener; the others "
                "are taken out, and gaps closed.",
            )
        return (
            "The data set does not say when its listeners talk: every frame of a clip counts as "
            "listening.",
        )

    def measure(self, clip: Clip) -> Callable[[Motion], Any]:
        """Figures, counts and moments of each part and variant."""
        voice = self._store.listener_voice(clip.record)
        whole = np.ones(len(clip), bool)
        kept = {"": whole, ", listening": whole if voice is None else ~voice}

        def share(motion: Motion) -> dict[str, _ListeningShare]:
            return {
                part + variant: _ListeningShare.of(
                    clip.speaker.values[kept[variant]][:, columns].astype(float),
                    clip.listener.values[kept[variant]][:, columns].astype(float),
                    motion.values[kept[variant]][:, columns].astype(float),
                    self._clusters[part + variant],
                )
                for variant in self._variants()
                for part, columns in PARTS.items()
            }

        return share

    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, Tally]:
        """One tally a part and variant."""
        parts = {}
        for part in shares[0][0]:
            means = [
                [{(part, name): value for name, value in one[part].own.items()} for one in sample]
                for sample in shares
            ]
            pooled = _Pooled(
                np.array([[one[part].counts for one in sample] for sample in shares], float),
                np.array([[one[part].moments for one in sample] for sample in shares], float),
            )
            parts[part] = Joined((MeanTally.by_part(means)[part], pooled))
        return parts


@dataclass(frozen=True)
class _ListeningShare:
    own: dict[str, Value]
    counts: NDArray[np.int64]
    moments: Array

    @classmethod
    def of(
        cls, speaker: Array, truth: Array, prediction: Array, clusters: PooledEntropy | None
    ) -> _ListeningShare:
        own: dict[str, Value] = dict.fromkeys(("fd", "p_fd", "mse", "rpcc_clip"), SHORT)
        if len(truth) >= FEWEST_FRAMES:
            joint = [np.hstack([speaker, each]) for each in (prediction, truth)]
            gap = rpcc(speaker, truth, prediction)
            own = {
                "fd": Gaussian.fit(prediction).distance(Gaussian.fit(truth)),
                "p_fd": Gaussian.fit(joint[0]).distance(Gaussian.fit(joint[1])),
                "mse": float(np.mean((prediction - truth) ** 2)),
                "rpcc_clip": gap if np.isfinite(gap) else STILL,
            }
        counts = np.zeros(1, np.int64) if clusters is None else clusters.histogram(prediction)
        moments = np.array([prediction.size, prediction.sum(), (prediction**2).sum()])
        return cls(own, counts, moments)


@dataclass(frozen=True)
class _Pooled:
    """SID and Var over the frames of all clips: counts [S, C, k], moments [S, C, 3]."""

    counts: Array
    moments: Array

    @property
    def reasons(self) -> Mapping[str, str]:
        """SID needs as many true frames as clusters."""
        too_few = self.counts.shape[2] == 1
        return {"sid_si184": "there are fewer true frames than clusters"} if too_few else {}

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        draws = np.ones((1, self.counts.shape[1])) if draws is None else np.asarray(draws, float)
        with np.errstate(invalid="ignore", divide="ignore"):
            counts = draws @ self.counts
            n, total, squares = np.moveaxis(draws @ self.moments, -1, 0)
            sid = np.full(n.shape, np.nan)
            if counts.shape[-1] > 1:
                sid = np.maximum(entropy_of_counts(counts), 0.0)
            return {"sid_si184": sid, "var_pooled": squares / n - (total / n) ** 2}


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
        heard = np.ones(len(clip), bool)
        if clip.audio_encoder == MEL.name:
            heard = clip.speaker_audio[:, ACTIVITY] > 0.5
        listens = reactive(voice, heard, clip.speaker.fps)
        return listens[(np.arange(frames) * len(clip) // frames)]


class Timing(Family):
    """TLCC and R-DGG."""

    title = "timing"
    columns = ("tlcc_offset", "tlcc_peak", "rdgg")
    of_truth = columns
    rewards = (
        "Rewards falsely: the peak is largest for a copy of the speaker, and offsets of those who "
        "do not listen scatter to about the same mean as true ones. R-DGG is near zero for all who "
        "do not hear, but needs many listeners: an interval across zero is no verdict."
    )

    def __init__(self, store: ClipStore, records: Sequence[ClipRecord]) -> None:
        self._gain = Gain(store, records)

    @property
    def remarks(self) -> tuple[str, ...]:
        """How R-DGG was made."""
        return self._gain.remarks

    def measure(self, clip: Clip) -> Callable[[Motion], Any]:
        """TLCC of each part, and the prediction itself."""
        self._gain.keep(clip)

        def share(motion: Motion) -> tuple[Shares, str, Floats]:
            found: Shares = {}
            for part, columns in PARTS.items():
                lag = tlcc(clip.speaker.values[:, columns], motion.values[:, columns], motion.fps)
                offset = lag if isinstance(lag, str) else float(abs(lag.offset))
                found[part, "tlcc_offset"] = offset
                found[part, "tlcc_peak"] = lag if isinstance(lag, str) else lag.peak
            return found, clip.record.id, motion.values

        return share

    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, Tally]:
        """TLCC by part, and R-DGG of both."""
        lags = MeanTally.by_part([[one[0] for one in sample] for sample in shares])
        answers = [{name: values for _, name, values in sample} for sample in shares]
        return {**lags, BOTH: self._gain.tally(answers)}


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


class Reaction(Family):
    """The REACT family; the set of appropriate reactions is the true one alone."""

    title = "reaction"
    columns = ("fr_corr", "fr_dist", "fr_div", "fr_var", "fr_dvs", "fr_syn")
    of_truth = ("fr_var", "fr_dvs", "fr_syn")
    rewards = (
        "Rewards falsely: noise has the largest FRDiv, FRVar and FRDvs; mimicry has FRSyn 0, which "
        "the truth has not; FRDist rewards standing still near the mean."
    )
    notes = (
        "FRCorr and FRDist are sums over the samples of a clip, as published: compare equal "
        "numbers of samples. The set of appropriate reactions is the true one alone.",
    )

    def __init__(self, store: ClipStore, records: Sequence[ClipRecord]) -> None:
        del store, records

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the sums and the sets are."""
        return self.notes

    def measure(self, clip: Clip) -> Callable[[Motion], Any]:
        """Figures of one prediction, and itself."""
        speaker, truth = clip.speaker.values, clip.listener.values

        def share(motion: Motion) -> tuple[Shares, Floats]:
            found: Shares = {}
            for part, c in PARTS.items():
                p, t = motion.values[:, c], truth[:, c]
                whole = [(slice(None), 1 / p.shape[1])]
                fits = len(p) <= reaction.LONGEST_WARP
                lag = tlcc(speaker[:, c], p, motion.fps)
                found[part, "fr_corr"] = reaction.ccc(t, p)
                found[part, "fr_dist"] = (
                    reaction.warped(p, t, whole)
                    if fits
                    else f"the clip has over {reaction.LONGEST_WARP} frames"
                )
                found[part, "fr_var"] = reaction.fr_var(p)
                found[part, "fr_syn"] = lag if isinstance(lag, str) else float(abs(lag.offset))
            return found, motion.values

        return share

    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, Tally]:
        """One tally a part."""
        means = MeanTally.by_part([[one[0] for one in sample] for sample in shares])
        return {
            part: Joined(
                (
                    _Summed(
                        {name: means[part].values[name] for name in ("fr_corr", "fr_dist")},
                        means[part].reasons,
                    ),
                    MeanTally(
                        {name: means[part].values[name] for name in ("fr_var", "fr_syn")}, {}
                    ),
                    _Diversity.of(
                        [[values[:, columns] for _, values in sample] for sample in shares]
                    ),
                )
            )
            for part, columns in PARTS.items()
        }


@dataclass(frozen=True)
class _Summed:
    """Means over clips of sums over samples: ``values`` [S, C] by name."""

    values: Mapping[str, Array]
    reasons: Mapping[str, str]

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        return {
            name: mean_over(values.sum(axis=0, keepdims=True), draws)
            for name, values in self.values.items()
        }


@dataclass(frozen=True)
class _Diversity:
    """FRDiv [1, C], and what FRDvs is made of: mean squared differences of clips [S, C, C]."""

    within: Array
    between: Array | None
    reasons: Mapping[str, str]

    @classmethod
    def of(cls, samples: Sequence[Sequence[Floats]]) -> _Diversity:
        reasons = {}
        if len(samples) == 1:
            reasons["fr_div"] = "it needs several samples a clip (--samples)"
        within = np.array([reaction.squared_apart(each) for each in zip(*samples, strict=True)])
        between = None
        if len(samples[0]) < 2 or len({len(values) for values in samples[0]}) > 1:
            reasons["fr_dvs"] = "it needs two clips or more, of one length"
        else:
            between = np.stack([_squares_apart(sample) for sample in samples])
        return cls(within[None] if len(samples) > 1 else np.full((1, len(within)), np.nan),
                   between, reasons)  # fmt: skip

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        draws = np.ones((1, self.within.shape[1])) if draws is None else np.asarray(draws, float)
        found = {"fr_div": mean_over(self.within, draws)}
        if self.between is None:
            return found | {"fr_dvs": np.full((1, len(draws)), np.nan)}
        pairs = draws.sum(axis=1) ** 2 - (draws**2).sum(axis=1)  # a clip is no pair with itself
        sums = np.einsum("bi,sij,bj->sb", draws, self.between, draws, optimize=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            return found | {"fr_dvs": sums / pairs}


def _squares_apart(sample: Sequence[Floats]) -> Array:
    flat = np.stack([values.reshape(-1) for values in sample]).astype(float)
    flat -= flat.mean(axis=0)
    squares = (flat**2).sum(axis=1)
    apart = squares[:, None] + squares - 2 * flat @ flat.T
    np.fill_diagonal(apart, 0.0)
    return np.maximum(apart, 0.0) / flat.shape[1]


class DualTalk(Family):
    """DualTalk's split."""

    title = "DualTalk's split"
    columns = ("fd", "p_fd", "mse", "sid_clip", "sid_reverse", "rpcc_clip")
    of_truth = ("sid_clip",)
    rewards = (
        "Rewards falsely: MSE the mean face; SID reverse (DualTalk's own) a prediction without any "
        "order, whose clusters cut the truth evenly. SID is TIMAR's other reading."
    )

    def __init__(self, store: ClipStore, records: Sequence[ClipRecord]) -> None:
        del store, records

    def measure(self, clip: Clip) -> Callable[[Motion], Shares]:
        """Figures of a prediction by region."""
        truths = {
            region: dualtalk.RegionTruth(
                clip.listener.values[:, columns].astype(float),
                clip.speaker.values[:, columns].astype(float),
                dualtalk.CLUSTERS[region],
            )
            for region, columns in dualtalk.REGIONS.items()
        }
        return lambda motion: {
            (region, name): value if np.isfinite(value) else f"{SHORT}, or {STILL}"
            for region, truth in truths.items()
            for name, value in truth.figures(
                motion.values[:, dualtalk.REGIONS[region]].astype(float)
            ).items()
        }

    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, Tally]:
        """One tally a region."""
        return MeanTally.by_part(shares)


class UniLS(Family):
    """UniLS' vertex distances, on the head that shows the data's space."""

    title = "UniLS' distances"
    columns = ("lve_mm", "mhd_mm", "fdd_mm", "pdd", "jdd")
    of_truth = ()
    rewards = (
        "Rewards falsely: LVE and MHD the mean face; FDD, PDD and JDD compare amounts of motion, "
        "so that motion at the wrong time scores 0."
    )
    units = "LVE, MHD and FDD (times 100) in millimetres; PDD and JDD (times 100) in radians."

    def __init__(self, store: ClipStore, records: Sequence[ClipRecord]) -> None:
        del records
        self._store = store
        self._regions = whole_head(store.info.space)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Units."""
        return (self.units,)

    def measure(self, clip: Clip) -> Callable[[Motion], Shares]:
        """Distances of a prediction, over the frames of speech apart where they are known."""
        voice = self._store.listener_voice(clip.record)
        kept = {"": np.ones(len(clip), bool)}
        if voice is not None:
            kept = {", speaking": voice, ", listening": ~voice}
        true = self._vertices(clip.listener)

        def share(motion: Motion) -> Shares:
            moved, found = self._vertices(motion), Shares()
            values, truth = motion.values, clip.listener.values
            for variant, frames in kept.items():
                part = self._regions.name + variant
                if frames.sum() < 2:
                    found |= {(part, name): SHORT for name in self.columns}
                    continue
                a, b = true[frames], moved[frames]
                upper, lips = self._regions.upper, self._regions.lips
                heads = (each[frames, HEAD][..., None] for each in (truth, values))
                jaws = (each[frames, JAW_PITCH][:, None, None] for each in (truth, values))
                found |= {
                    (part, "lve_mm"): unils.lip_error(a[:, lips], b[:, lips]),
                    (part, "mhd_mm"): unils.head_error(a, b),
                    (part, "fdd_mm"): unils.dynamics_error(a[:, upper], b[:, upper]),
                    (part, "pdd"): unils.dynamics_error(*heads),
                    (part, "jdd"): unils.dynamics_error(*jaws),
                }
            return found

        return share

    def _vertices(self, motion: Motion) -> Floats:
        upright = torch.from_numpy(np.array(motion.values, np.float32))
        upright[:, HEAD] = 0
        with torch.inference_mode():
            posed = [self._regions.head.vertices(part) for part in upright.split(256)]
        return np.asarray(1000.0 * torch.cat(posed).numpy(), np.float32)

    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, Tally]:
        """One tally a variant."""
        return MeanTally.by_part(shares)


FAMILIES: dict[str, Callable[[ClipStore, Sequence[ClipRecord]], Family]] = {
    "listening": Listening,
    "timing": Timing,
    "reaction": Reaction,
    "dualtalk": DualTalk,
    "unils": UniLS,
    "behaviour": Behaving,
}
"""By what ``--measures`` calls them."""
