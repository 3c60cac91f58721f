"""What training gains over the zero-shot portrait, clip by clip, and how fast the result draws.

    python -m tests.bench renderer

Each real clip (DIM_CLIPS or ``../shared/clips``) and the example's first 75 % train a ``lite``
renderer for DIM_BENCH_MINUTES (15), the rest judges. Pictures, by PSNR and perceptual distance:
``zero-shot`` knows the motion alone, ``placed`` and ``trained`` are told where the head is, too.
Motion, by the correlation of what was asked for and what the tracker sees in the frames drawn, and
by how far the head's pitch, yaw and roll are off (standard deviation): both renderers get the
motion alone, as users have it, and ``real`` is the clip itself, whose encoding and size the tracker
feels: what moves too little for that one says nothing. Runs are kept in DIM_BENCH_RUNS where that
is set, and those that are there already are only judged.
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from dimcli.core.motion import HEAD, expression_index
from dimcli.media import VideoWriter
from dimcli.tracking.landmarks import track_video
from dimcli.training.renderer.footage import Region, read_shots
from dimcli.training.renderer.judging import judge
from dimcli.training.renderer.run import RendererOptions, train_renderer
from dimcli.training.renderer.training_set import HELD_OUT, TrainingSet
from renderers.trained.backbones import choose_backbone
from renderers.trained.renderer import TrainedRenderer
from renderers.trained.run import read_config, read_run

REPOSITORY = Path(__file__).parent.parent.parent
LEFT, RIGHT = (0, 0, 256, 256), (256, 0, 256, 256)
COLUMNS = {"pitch": 0, "yaw": 1, "roll": 2, "jaw": 3} | {
    "blink": expression_index("eyeBlinkLeft"),
}
FPS = 25


def clips() -> dict[str, tuple[Path, Region | None]]:
    """The clips that are here, and where in them to look."""
    folder = Path(os.environ.get("DIM_CLIPS", REPOSITORY.parent / "shared" / "clips"))
    found: dict[str, tuple[Path, Region | None]] = {
        "example": (REPOSITORY / "examples" / "speaker.mp4", None)
    }
    for path in sorted(folder.glob("*.mp4")):
        if path.stem.startswith("vico"):
            found[f"{path.stem} speaker"] = (path, LEFT)
            found[f"{path.stem} listener"] = (path, RIGHT)
        else:
            found[path.stem] = (path, None)
    return found


def correlations(pictures: np.ndarray, values: np.ndarray, folder: Path) -> str:
    """How motion ``values`` [N, 56] and what the tracker sees in ``pictures`` go together."""
    path = folder / "drawn.mp4"
    with VideoWriter(path, fps=FPS, force=True) as writer:
        for picture in pictures:
            writer.write(picture)
    seen = track_video(path).values
    count = min(len(seen), len(values))
    found = []
    for name, column in COLUMNS.items():
        asked, drawn = values[:count, column], seen[:count, column]
        moves = min(asked.std(), drawn.std()) > 0  # a listener's jaw may not
        found.append(f"{name} {np.corrcoef(asked, drawn)[0, 1]:.2f}" if moves else f"{name} still")
    away = np.degrees(seen[:count, HEAD] - values[:count, HEAD])
    turns = " ".join(f"{one:.2f}" for one in away.std(axis=0))
    return f"{' '.join(found)}; rotation off by {turns} deg"


def measure(name: str, clip: Path, region: Region | None, run: Path, minutes: float) -> None:
    """Train where the run is not there, and print a clip's lines."""
    if not (run / "model.safetensors").is_file():
        options = RendererOptions(minutes=minutes, region=region, force=True)
        train_renderer({"person": [clip]}, run, options)
    loaded = read_run(run)
    (person,) = read_config(run)["people"]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        training_set = TrainingSet(person, read_shots(clip, region=region).shots, folder)
        frames = training_set.frames(HELD_OUT)
        found = judge(
            loaded.network, training_set, frames[:: max(1, len(frames) // 60)], choose_backbone()
        )
        print(f"{name}: {len(frames)} held-out frames; {_steps(run)}")
        for what in ("zero_shot", "placed", "trained"):
            one = getattr(found, what)
            print(
                f"  {what:<9} PSNR {one.psnr:.2f} dB, distance {one.distance:.3f}, sharpness "
                f"{one.sharpness:.2f}, lids {one.lids:.3f}, lips {one.lips:.3f}"
            )
        print(f"  worse than placed: {'; '.join(found.worse()) or 'in nothing'}")
        values = training_set.values[frames]
        renderer = TrainedRenderer(loaded)
        renderer.prepare(training_set.reference)
        next(renderer.render(values))
        started = time.perf_counter()
        drawn = np.stack(list(renderer.render(values)))
        rate = len(values) / (time.perf_counter() - started)
        for what, pictures in (
            ("real", training_set.pictures(frames)),
            ("zero-shot", training_set.zero_shot(frames)),
            ("trained", drawn),
        ):
            print(f"  {what:<9} {correlations(pictures, values, folder)}", flush=True)
        print(f"  {rate:.1f} frames/s, {torch.get_num_threads()} threads", flush=True)


def _steps(run: Path) -> str:
    """The card's line about the training."""
    lines = (run / "README.md").read_text(encoding="utf-8").splitlines()
    return next(line[2:] for line in lines if " steps, " in line)


def main() -> None:
    """All clips."""
    minutes = float(os.environ.get("DIM_BENCH_MINUTES", "15"))
    kept = os.environ.get("DIM_BENCH_RUNS")
    with tempfile.TemporaryDirectory() as folder:
        for name, (clip, region) in clips().items():
            run = Path(kept or folder) / name.replace(" ", "-")
            run.parent.mkdir(parents=True, exist_ok=True)
            measure(name, clip, region, run, minutes)


if __name__ == "__main__":
    main()
