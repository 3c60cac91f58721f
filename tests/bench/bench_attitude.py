"""Mean smile of the shipped listener by attitude: ``python -m tests.bench attitude``.

On the example speaker, and on every real clip of DIM_CLIPS (or ``../shared/clips``).
"""

import os
from pathlib import Path

import numpy as np

from dimcli import media
from dimcli.core.motion import expression_index
from dimcli.data.clip import ATTITUDES
from dimcli.jobs.generate import SOUND_RATE, Listener, Source
from dimcli.tracking.landmarks import track_video
from weights import DEFAULT_LISTENER, resolve

REPOSITORY = Path(__file__).parents[2]
CLIPS = Path(os.environ.get("DIM_CLIPS", REPOSITORY.parent / "shared" / "clips"))
WEIGHTS = os.environ.get("DIM_WEIGHTS", DEFAULT_LISTENER)
SEEDS = range(6)
SMILE = [expression_index("mouthSmileLeft"), expression_index("mouthSmileRight")]


def main() -> None:
    listener = Listener.load(resolve(WEIGHTS), "cpu")
    print(f"{'speaker':32} " + " ".join(f"{name:>14}" for name in ATTITUDES))
    for clip in [REPOSITORY / "examples" / "speaker.mp4", *sorted(CLIPS.glob("*.mp4"))]:
        watched = Source(media.read_audio(clip, SOUND_RATE), track_video(clip))
        perceived = listener.perceive(watched)
        cells = []
        for attitude in ATTITUDES:
            motions = (listener.answer(perceived, seed=i, attitude=attitude) for i in SEEDS)
            smiles = [motion.values[:, SMILE].mean() for motion in motions]
            cells.append(f"{np.mean(smiles):.2f} (sd {np.std(smiles):.2f})")
        print(f"{clip.name:32} " + " ".join(f"{cell:>14}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
