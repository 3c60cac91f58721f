"""Make ``renderer.jpg``: reference, truth, zero-shot and trained pictures of somebody made up.

    dim train-renderer examples/speaker.mp4 -o runs/speaker
    python -m examples.recipes.build_renderer_picture runs/speaker

``speaker.mp4`` is what stands for the film of a person: a shaded mesh (build_examples.py), which
neither the portrait renderer nor the trained one knows anything of. Its last quarter, which the run
has not seen, is drawn.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from dimcli.core.motion import JAW, YAW
from dimcli.training.renderer.footage import read_shots
from dimcli.training.renderer.judging import psnr, trained
from dimcli.training.renderer.training_set import HELD_OUT, TrainingSet
from renderers.trained.run import read_run

HERE = Path(__file__).parent.parent
HEADER, QUALITY = 26, 88


def rows(run: Path) -> tuple[np.ndarray, list[str]]:
    """Three rows of four pictures, and what stands over them."""
    loaded = read_run(run)
    (name,) = loaded.people
    with tempfile.TemporaryDirectory() as folder:
        training_set = TrainingSet(name, read_shots(HERE / "speaker.mp4").shots, Path(folder))
        frames = training_set.frames(HELD_OUT)
        truth = training_set.pictures(frames)
        zero_shot = training_set.zero_shot(frames)
        drawn = trained(loaded.network, training_set, frames)
        home = training_set.reference.image
    jaw = training_set.values[frames, JAW.start]
    turn = np.abs(training_set.values[frames, YAW] - np.median(training_set.values[frames, YAW]))
    chosen = [int(np.argmax(jaw)), int(np.argmin(jaw)), int(np.argmax(turn))]
    sheet = [np.hstack([home, truth[n], zero_shot[n], drawn[n]]) for n in chosen]
    levels = [float(psnr(pictures, truth).mean()) for pictures in (zero_shot, drawn)]
    labels = [
        "reference",
        "truth (not seen in training)",
        f"zero-shot, {levels[0]:.1f} dB",
        f"trained, {levels[1]:.1f} dB",
    ]
    return np.vstack(sheet), labels


def main() -> None:
    """Write the picture beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run of dim train-renderer on speaker.mp4")
    sheet, labels = rows(parser.parse_args().run)
    header = np.full((HEADER, sheet.shape[1], 3), 255, np.uint8)
    for number, label in enumerate(labels):
        place = (number * sheet.shape[1] // 4 + 6, 18)
        cv2.putText(header, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    picture = np.vstack([header, sheet])[..., ::-1]
    cv2.imwrite(str(HERE / "renderer.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


if __name__ == "__main__":
    main()
