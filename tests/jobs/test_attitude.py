"""What an attitude does to the shipped listener on a speaker who is not of its training data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dimcli import media
from dimcli.core.motion import expression_index
from dimcli.jobs.generate import SOUND_RATE, Listener, Source
from dimcli.tracking.landmarks import track_video
from weights import DEFAULT_LISTENER, resolve

pytestmark = pytest.mark.slow

SMILE = [expression_index("mouthSmileLeft"), expression_index("mouthSmileRight")]


def test_the_listener_smiles_most_when_positive_and_least_when_negative(examples: Path) -> None:
    listener = Listener.load(resolve(DEFAULT_LISTENER), "cpu")
    assert listener.attitude_conditioned
    speaker = examples / "speaker.mp4"
    watched = Source(media.read_audio(speaker, SOUND_RATE), track_video(speaker))
    perceived = listener.perceive(watched)

    def smile(attitude: str) -> float:
        made = [listener.answer(perceived, seed=seed, attitude=attitude) for seed in range(6)]
        return float(np.mean([motion.values[:, SMILE].mean() for motion in made]))

    negative, neutral, positive = (smile(name) for name in ("negative", "neutral", "positive"))
    assert negative + 0.05 < neutral
    assert neutral + 0.05 < positive
