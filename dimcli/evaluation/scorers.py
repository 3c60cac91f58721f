"""How predictions become figures: the paper's protocol, the released code's, and speakers'."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Motion
from dimcli.data.clip import Clip
from dimcli.data.store import ClipStore
from dimcli.evaluation import official
from dimcli.evaluation.intervals import AnyTally
from dimcli.evaluation.metrics import CLUSTERS, PARTS, ClipTruth, Clusters, Share, Tally
from dimcli.evaluation.speaker_metrics import RatioTally, SpeakerMeasures, SpeakerTruth

Array = NDArray[np.floating[Any]]

CLUSTER_SEED = 0


class Scorer(Protocol):
    """How predictions become figures."""

    def choose(self, clip: Clip, samples: list[Motion]) -> list[Motion]:
        """Which of a method's samples count, as they are to be measured."""
        ...

    def measure(self, clip: Clip) -> Callable[[Motion], Any]:
        """A function from a prediction of the clip to what it adds to the figures."""
        ...

    def tally(self, shares: Sequence[Sequence[Any]]) -> Mapping[str, AnyTally]:
        """All of a method's shares, by sample, then clip, put together by part."""
        ...


class PaperScorer:
    """Supplement A: every sample is a prediction and its figures are averaged."""

    def __init__(self, frames: Array) -> None:
        """``frames`` [N, 56] are true listener frames."""
        self._clusters = {
            part: Clusters.fit([frames[:, columns]], CLUSTERS[part], seed=CLUSTER_SEED)
            for part, columns in PARTS.items()
        }

    def choose(self, clip: Clip, samples: list[Motion]) -> list[Motion]:
        """All."""
        return samples

    def measure(self, clip: Clip) -> Callable[[Motion], dict[str, Share]]:
        """Shares by part."""
        listener, speaker = clip.listener.values, clip.speaker.values
        truths = {
            part: ClipTruth(listener[:, columns], speaker[:, columns], self._clusters[part])
            for part, columns in PARTS.items()
        }
        return lambda motion: {
            part: truth.share(motion.values[:, PARTS[part]]) for part, truth in truths.items()
        }

    def tally(self, shares: Sequence[Sequence[dict[str, Share]]]) -> dict[str, Tally]:
        """One tally a part."""
        return {
            part: Tally.of([[share[part] for share in sample] for sample in shares])
            for part in PARTS
        }


class OfficialScorer:
    """The released code's way: of all samples the one nearest to the truth, no intervals."""

    def choose(self, clip: Clip, samples: list[Motion]) -> list[Motion]:
        """The nearest to the truth, without its first frame."""
        truth, _ = official.aligned(clip.listener.values, clip.speaker.values)
        draws = [official.aligned(one.values, clip.speaker.values)[0] for one in samples]
        best = draws[official.choose(truth, draws)]
        return [Motion(best, fps=clip.listener.fps, space=clip.listener.space)]

    def measure(self, clip: Clip) -> Callable[[Motion], tuple[Array, Array, Array]]:
        """The truth, the prediction and the speaker as they are."""
        truth, speaker = official.aligned(clip.listener.values, clip.speaker.values)
        return lambda motion: (truth, motion.values, speaker)

    def tally(
        self, shares: Sequence[Sequence[tuple[Array, Array, Array]]]
    ) -> dict[str, _WholeFigures]:
        """The released code's figures of all clips."""
        truth, prediction, speaker = zip(*shares[0], strict=True)
        scores = official.scores(truth, prediction, speaker)
        return {part: _WholeFigures(figures) for part, figures in scores.items()}


@dataclass(frozen=True)
class _WholeFigures:
    """Figures of all clips at once, which cannot be drawn again."""

    values: dict[str, float]

    def figures(self, draws: Array | None = None) -> dict[str, Array]:
        """Every figure [1, 1]."""
        assert draws is None
        return {name: np.array([[value]]) for name, value in self.values.items()}


class SpeakerScorer:
    """Speakers, whose figures are sums over clips divided by sums over clips."""

    def __init__(self, store: ClipStore, measures: SpeakerMeasures) -> None:
        self._store, self._measures = store, measures

    def choose(self, clip: Clip, samples: list[Motion]) -> list[Motion]:
        """All."""
        return samples

    def measure(self, clip: Clip) -> Callable[[Motion], dict[tuple[str, str], tuple[float, float]]]:
        """Sums and what they are divided by, by part and figure."""
        return SpeakerTruth(self._measures, self._store, clip).shares

    def tally(self, shares: Sequence[Sequence[Any]]) -> dict[str, RatioTally]:
        """One tally a part."""
        return RatioTally.by_part(shares)
