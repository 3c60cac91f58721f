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

from dimcli.training.renderer.card import psnr, trained
from dimcli.training.renderer.takes import read_takes
from renderers.trained.material import HELD_OUT, Material
from renderers.trained.run import read_run

HERE = Path(__file__).parent.parent
HEADER, QUALITY = 26, 88


def rows(run: Path) -> tuple[np.ndarray, list[str]]:
    """Three rows of four pictures, and what stands over them."""
    loaded = read_run(run)
    (name,) = loaded.people
    with tempfile.TemporaryDirectory() as folder:
        material = Material(name, read_takes(HERE / "speaker.mp4").takes, Path(folder))
        frames = material.frames(HELD_OUT)
        truth = material.pictures(frames)
        zero_shot = material.zero_shot(frames)
        drawn = trained(loaded.network, material, frames)
        home = material.reference.image
    jaw = material.values[frames, 3]
    turn = np.abs(material.values[frames, 1] - np.median(material.values[frames, 1]))
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
