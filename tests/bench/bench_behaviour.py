"""How generated listeners behave on real speakers, measured on the rendered videos by the tracker.

``python -m tests.bench behaviour``. Runs the main job on every clip and portrait of DIM_CLIPS (or
``../shared/clips``), tracks the videos it wrote, and prints the medians beside those of real
listeners. DIM_WEIGHTS says whose; DIM_ONLINE=1 lets them answer as a stream, DIM_VOICE=1 the clips'
sound alone; DIM_SEEDS is how many seeds (3).
"""

import math
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from dimcli import media
from dimcli.audio import ACTIVITY, mel
from dimcli.core.motion import Motion
from dimcli.evaluation.behaviour import (
    Behaviour,
    find_nods,
    lip_gaps,
    measure,
)
from dimcli.jobs.generate import Models, generate_videos
from dimcli.tracking.landmarks import track_face, track_video
from tests.coupling import Coupling, couple, find_pauses, medians

REPOSITORY = Path(__file__).parents[2]
CLIPS = Path(os.environ.get("DIM_CLIPS", REPOSITORY.parent / "shared" / "clips"))
WEIGHTS = os.environ.get("DIM_WEIGHTS", "listener-small")
ONLINE, VOICE = (os.environ.get(name) == "1" for name in ("DIM_ONLINE", "DIM_VOICE"))
SEEDS = range(int(os.environ.get("DIM_SEEDS", "3")))

REAL = {
    "blinks_a_minute": 41,
    "blink_width_s": 0.13,
    "nods_a_minute": 19,
    "nod_degrees": 2.8,
    "nod_hz": 2.0,
    "shakes_a_minute": 0,
    "pitch_nod_band_degrees": 0.83,
    "yaw_std_degrees": 1.1,
    "pitch_std_degrees": 1.5,
    "roll_std_degrees": 1.0,
    "head_speed_mean": 5.4,
    "head_speed_p95": 15.7,
    "still_share": 0.21,
    "pitch_jitter_degrees": 0.18,
    "smile_mean": 0.70,
    "smile_std": 0.13,
    "lip_gap_mean": 0.016,
    "lip_gap_p95": 0.050,
    "lip_gap_std": 0.011,
    "openings_a_minute": 6,
    "opening_s": 0.43,
    "opening_height": 0.08,
    "expression_speed": 0.24,
}
"""Medians over 7 real listeners, 60 s in all (an independent tracker; its expression speed is
defined a little differently)."""


def activity(clip: Path, motion: Motion) -> np.ndarray:
    """Whether the speaker speaks, a number a frame of ``motion``."""
    samples = media.read_audio(clip, 16000)
    return mel(samples, 16000, motion.fps, len(motion))[:, ACTIVITY]


@dataclass
class PauseNods:
    """Nods counted by their middle, 0.25 to 1.25 s after a pause begins and elsewhere, pooled."""

    counts: np.ndarray = field(default_factory=lambda: np.zeros(2))
    minutes: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def add(self, listener: Motion, active: np.ndarray) -> None:
        """Count one video's nods; ``active`` [T] says whether the speaker speaks."""
        near = np.zeros(len(listener), bool)
        for pause in find_pauses(active, listener.fps):
            near[round((pause + 0.25) * listener.fps) : round((pause + 1.25) * listener.fps)] = True
        for nod in find_nods(np.degrees(listener.head[:, 0]), listener.fps):
            middle = min(int((nod.start + nod.end) / 2 * listener.fps), len(near) - 1)
            self.counts[0 if near[middle] else 1] += 1
        self.minutes += np.array([near.sum(), (~near).sum()]) / listener.fps / 60

    def __str__(self) -> str:
        rates = self.counts / np.maximum(self.minutes, 1e-9)
        return (
            f"{rates[0]:.1f} a minute after pauses ({self.counts[0]:.0f} nods), "
            f"{rates[1]:.1f} elsewhere ({self.counts[1]:.0f})"
        )


def main() -> None:
    speakers = sorted(CLIPS.glob("*.mp4"))
    portraits = sorted((CLIPS / "portraits").iterdir()) if CLIPS.is_dir() else []
    if not speakers or not portraits:
        print(f"no clips at {CLIPS}: set DIM_CLIPS")
        return
    generated: list[Behaviour] = []
    rendered: list[Behaviour] = []
    coupling: list[Coupling] = []
    found: list[float] = []
    models = Models()
    pause_nods = {"motion": PauseNods(), "video": PauseNods()}
    between_seeds: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        out, kept = Path(name) / "out.mp4", Path(name) / "motion.npz"
        for speaker in speakers:
            watched, source = track_video(speaker), speaker
            if VOICE:
                source = Path(name) / f"{speaker.stem}.wav"
                sound = media.read_audio(speaker, 16000)
                wavfile.write(source, 16000, sound)
                watched = watched.resampled(25.0, frames=math.ceil(len(sound) / 640 - 1e-6))
            active = activity(speaker, watched)
            for portrait in portraits:
                draws = []
                for seed in SEEDS:
                    generate_videos("listener", 
                        source, portrait, out, weights=WEIGHTS, seed=seed,
                        save_motion=kept, force=True, online=ONLINE, models=models,
                        who="left" if source.suffix == ".mp4" and source.stem.startswith("vico")
                        else None,
                    )  # fmt: skip
                    tracked = track_face(out, keep_landmarks=True)
                    motion, seen = Motion.load(kept), tracked.motion
                    generated.append(measure(motion))
                    rendered.append(measure(seen, lip_gaps(tracked.landmarks)))
                    coupling.append(couple(seen, watched, active))
                    pause_nods["motion"].add(motion, active)
                    pause_nods["video"].add(seen, active)
                    found.append(float(seen.valid.mean()))
                    draws.append(motion.values)
                between_seeds.append(float(np.abs(draws[0] - draws[1]).mean()))
                print(f"{speaker.stem} x {portrait.stem}: face found {found[-1]:.3f}", flush=True)
    motion, video = medians(generated).as_dict(), medians(rendered).as_dict()
    pooled = np.average(
        [one.blinks_a_minute for one in rendered], weights=[one.seconds for one in rendered]
    )
    print(
        f"\n{len(rendered)} videos of {len(speakers)} speakers on {len(portraits)} pictures, "
        f"{len(SEEDS)} seeds; medians, in brackets the 10th and 90th percentile. "
        f"Blinks over all the time: {pooled:.1f} a minute.\n"
    )
    print("| | real listeners | motion | rendered video | video / real |\n|---|---|---|---|---|")
    for figure, real in REAL.items():
        ratio = f"{video[figure] / real:.2f}" if real else "-"
        low, high = np.nanpercentile([getattr(one, figure) for one in rendered], [10, 90])
        shown = f"{video[figure]:.3g} [{low:.3g}, {high:.3g}]"
        name = figure.replace("_", " ").replace("p95", "95th percentile")
        print(f"| {name} | {real} | {motion[figure]:.3g} | {shown} | {ratio} |")
    print(
        f"\nThe tracker found the face in at least {min(found):.3f} of the frames of every video."
    )
    print(f"Mean difference between two seeds' motion: {np.mean(between_seeds):.3f}.")
    for where, nods in pause_nods.items():
        print(f"Nods in the {where}, pooled: {nods}.")
    for figure in Coupling.__dataclass_fields__:
        values = [getattr(one, figure) for one in coupling]
        name = figure.replace("_", " ").capitalize()
        print(f"{name}: {np.nanmean(values):.3f} (mean of {np.sum(np.isfinite(values))}).")


if __name__ == "__main__":
    main()
