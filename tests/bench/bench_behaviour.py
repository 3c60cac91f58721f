"""How generated listeners behave on real speakers, measured on the rendered videos by the tracker.

``python -m tests.bench behaviour``. Runs the main job on every clip and portrait of DIM_CLIPS (or
``../shared/clips``), tracks the videos it wrote, and prints the medians beside those of real
listeners. DIM_WEIGHTS says whose; DIM_ONLINE=1 lets them answer as a stream, DIM_VOICE=1 the clips'
sound alone; DIM_SEEDS is how many seeds (3). DIM_RENDER=0 measures the motion alone, in a tenth of
the time.
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
from dimcli.evaluation.behaviour import Behaviour, measure
from dimcli.jobs.extract import track
from dimcli.jobs.generate import Listener, Models, Source, generate_videos
from dimcli.models.config import find_run
from dimcli.tracking.geometry import lip_gaps
from dimcli.tracking.landmarks import track_face, track_video
from tests.coupling import Coupling, PauseNods, couple, medians

REPOSITORY = Path(__file__).parents[2]
CLIPS = Path(os.environ.get("DIM_CLIPS", REPOSITORY.parent / "shared" / "clips"))
WEIGHTS = os.environ.get("DIM_WEIGHTS", "listener-small")
RENDER = os.environ.get("DIM_RENDER", "1") == "1"
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
class Videos:
    """What was measured of the videos so far, a value a video."""

    generated: list[Behaviour] = field(default_factory=list)
    rendered: list[Behaviour] = field(default_factory=list)
    coupling: list[Coupling] = field(default_factory=list)
    found: list[float] = field(default_factory=list)
    between_seeds: list[float] = field(default_factory=list)
    nods: dict[str, PauseNods] = field(
        default_factory=lambda: {"motion": PauseNods(), "video": PauseNods()}
    )

    def add(self, video: Path, motion: Motion, watched: Motion, active: np.ndarray) -> None:
        """Measure a ``video`` of ``motion``, the answer to what was ``watched`` and heard."""
        tracked = track_face(video, keep_landmarks=True)
        seen = tracked.motion
        self.generated.append(measure(motion))
        self.rendered.append(measure(seen, lip_gaps(tracked.landmarks)))
        self.coupling.append(couple(seen, watched, active))
        self.nods["motion"].add(motion, active)
        self.nods["video"].add(seen, active)
        self.found.append(float(seen.valid.mean()))

    def report(self, speakers: int, portraits: int) -> None:
        """Print the medians beside those of real listeners."""
        motion, video = (medians(each).as_dict() for each in (self.generated, self.rendered))
        pooled = np.average(
            [one.blinks_a_minute for one in self.rendered],
            weights=[one.seconds for one in self.rendered],
        )
        seeds = len(self.rendered) // (speakers * portraits)
        print(
            f"\n{len(self.rendered)} videos of {speakers} speakers on {portraits} pictures, "
            f"{seeds} seed{'s' * (seeds > 1)}; medians, in brackets the 10th and 90th percentile. "
            f"Blinks over all the time: {pooled:.1f} a minute.\n"
        )
        print(
            "| | real listeners | motion | rendered video | video / real |\n|---|---|---|---|---|"
        )
        for figure, real in REAL.items():
            ratio = f"{video[figure] / real:.2f}" if real else "-"
            low, high = np.nanpercentile([getattr(one, figure) for one in self.rendered], [10, 90])
            shown = f"{video[figure]:.3g} [{low:.3g}, {high:.3g}]"
            name = figure.replace("_", " ").replace("p95", "95th percentile")
            print(f"| {name} | {real} | {motion[figure]:.3g} | {shown} | {ratio} |")
        least = min(self.found)
        print(f"\nThe tracker found the face in at least {least:.3f} of the frames of every video.")
        if self.between_seeds:
            apart = np.mean(self.between_seeds)
            print(f"Mean difference between two seeds' motion: {apart:.3f}.")
        for where, nods in self.nods.items():
            print(f"Nods in the {where}, pooled: {nods}.")
        print_coupling(self.coupling)


def measure_motion(speakers: list[Path]) -> None:
    """Print the medians of the motion, beside those of real listeners, without a picture."""
    listener = Listener.load(find_run(WEIGHTS), online=ONLINE)
    found, coupling = [], []
    for speaker in speakers:
        watched = track_video(speaker)
        seen = track(speaker, who="left") if speaker.stem.startswith("vico") else watched
        heard = media.read_audio(speaker, 16000)
        perceived = listener.perceive(Source(heard, None if VOICE else seen))
        for seed in SEEDS:
            motion = listener.answer(perceived, seed=seed)
            found.append(measure(motion))
            motion = motion.resampled(watched.fps, frames=len(watched))
            coupling.append(couple(motion, watched, activity(speaker, watched)))
    medial = medians(found).as_dict()
    print(f"\n{len(found)} answers to {len(speakers)} speakers, {len(SEEDS)} seeds; medians.\n")
    print("| | real listeners | motion |\n|---|---|---|")
    for figure, real in REAL.items():
        if np.isfinite(medial[figure]):
            name = figure.replace("_", " ").replace("p95", "95th percentile")
            print(f"| {name} | {real} | {medial[figure]:.3g} |")
    print()
    print_coupling(coupling)


def print_coupling(coupling: list[Coupling]) -> None:
    """Print how listeners went with their speakers."""
    for figure in Coupling.__dataclass_fields__:
        values = [getattr(one, figure) for one in coupling]
        name = figure.replace("_", " ").capitalize()
        print(f"{name}: {np.nanmean(values):.3f} (mean of {np.sum(np.isfinite(values))}).")


def main() -> None:
    speakers = sorted(CLIPS.glob("*.mp4"))
    portraits = sorted((CLIPS / "portraits").iterdir()) if CLIPS.is_dir() else []
    if not speakers or not portraits:
        print(f"no clips at {CLIPS}: set DIM_CLIPS")
        return
    if not RENDER:
        measure_motion(speakers)
        return
    videos, models = Videos(), Models()
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
            beside = "left" if not VOICE and speaker.stem.startswith("vico") else None
            for portrait in portraits:
                draws = []
                for seed in SEEDS:
                    generate_videos("listener", 
                        source, portrait, out, weights=WEIGHTS, seed=seed, who=beside,
                        save_motion=kept, force=True, online=ONLINE, models=models,
                    )  # fmt: skip
                    motion = Motion.load(kept)
                    videos.add(out, motion, watched, active)
                    draws.append(motion.values)
                if len(draws) > 1:
                    videos.between_seeds.append(float(np.abs(draws[0] - draws[1]).mean()))
                found = videos.found[-1]
                print(f"{speaker.stem} x {portrait.stem}: face found {found:.3f}", flush=True)
    videos.report(len(speakers), len(portraits))


if __name__ == "__main__":
    main()
