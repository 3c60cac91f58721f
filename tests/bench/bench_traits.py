"""What the shipped listener makes of traits that are said: ``python -m tests.bench traits``.

On every real clip of DIM_CLIPS (or ``../shared/clips``) and the example speaker: means over clips
and seeds of what the motion shows, and how much listeners differ from seed to seed.
"""

import os
from pathlib import Path

import numpy as np

from dimcli import media
from dimcli.data.traits import STYLES, TRAITS, Traits, traits_said
from dimcli.evaluation.behaviour import measure
from dimcli.jobs.generate import SOUND_RATE, Listener, Source
from dimcli.tracking.landmarks import track_video
from weights import DEFAULT_LISTENER, resolve

REPOSITORY = Path(__file__).parents[2]
CLIPS = Path(os.environ.get("DIM_CLIPS", REPOSITORY.parent / "shared" / "clips"))
WEIGHTS = os.environ.get("DIM_WEIGHTS", DEFAULT_LISTENER)
SEEDS = range(6)
SHOWN = {
    "nods a minute": "nods_a_minute",
    "pitch 0.7-4 Hz": "pitch_nod_band_degrees",
    "blinks a minute": "blinks_a_minute",
    "smile": "smile_mean",
    "yaw std": "yaw_std_degrees",
    "still share": "still_share",
}


def main() -> None:
    listener = Listener.load(resolve(WEIGHTS), "cpu")
    clips = [REPOSITORY / "examples" / "speaker.mp4", *sorted(CLIPS.glob("*.mp4"))]
    perceived = [
        listener.perceive(Source(media.read_audio(clip, SOUND_RATE), track_video(clip)))
        for clip in clips
    ]
    said: dict[str, Traits] = {
        "nothing said": (),
        **{name: traits_said(name, None) for name in STYLES},
    }
    for trait in TRAITS:
        said |= {f"{trait}={factor}": ((trait, factor),) for factor in (0.6, 1.6)}
    print(f"{'':16}" + "".join(f"{name:>24}" for name in SHOWN))
    for name, traits in said.items():
        cells = []
        made = [
            measure(listener.answer(one, seed=seed, traits=traits))
            for one in perceived
            for seed in SEEDS
        ]
        for figure in SHOWN.values():
            values = np.reshape([getattr(one, figure) for one in made], (len(clips), len(SEEDS)))
            cells.append(f"{np.nanmean(values):.2f} (seeds {np.nanstd(values, axis=1).mean():.2f})")
        print(f"{name:16}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
