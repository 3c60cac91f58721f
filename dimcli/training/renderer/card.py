"""What a renderer's run shows of itself: preview pictures and its card."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import nn

from dimcli.core.files import atomic_output, write_text
from dimcli.core.motion import Picture
from dimcli.training.renderer.judging import Figures, Scores, trained
from dimcli.training.renderer.training_set import TrainingSet

COLUMNS = ("reference", "truth", "placed", "trained")
ROWS = 4


def preview(network: nn.Module, training_set: TrainingSet, frames: NDArray[np.int64]) -> Picture:
    """A sheet with a row for each of some frames: reference, truth, placed portrait, trained."""
    some = frames[np.linspace(0, len(frames) - 1, ROWS).round().astype(int)]
    parts = zip(
        training_set.pictures(some),
        training_set.starts(some),
        trained(network, training_set, some),
        strict=True,
    )
    home = training_set.reference.image
    rows = [np.hstack([home, truth, placed, made]) for truth, placed, made in parts]
    header = np.full((24, rows[0].shape[1], 3), 255, np.uint8)
    for number, name in enumerate(COLUMNS):
        place = (number * home.shape[1] + 6, 17)
        cv2.putText(header, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([header, *rows])


def write_preview(sheet: Picture, path: Path) -> None:
    """Write a sheet as JPEG."""
    path.parent.mkdir(exist_ok=True)
    with atomic_output(path, force=True) as temporary:
        cv2.imwrite(str(temporary), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])


def write_card(directory: Path, kind: str, lines: list[str], figures: dict[str, Figures]) -> None:
    """Write the run's ``README.md``: what it is, how it was made, and how good it is."""
    text = [
        f"# A renderer of {', '.join(figures)}",
        "",
        f"Network `{kind}`, trained by `dim train-renderer`. Use it with",
        "",
        f"    dim generate-listener speaker.mp4 --ref picture.jpg --renderer {directory}",
        "",
        *(f"- {line}" for line in lines),
        "",
        "On frames that it has not seen, and that nothing was chosen by (the last ones of each",
        "clip). *Placed* is the zero-shot portrait moved to where the head is in the picture, as",
        "the trained one is told, too: it is what training is to beat. Distance: L1 of",
        "EfficientNet-lite0's features. Sharpness: fine detail on the face, as a share of that of",
        "the clip. Lids, lips: mean absolute errors of eyeBlink and of the lip gap, tracked in",
        "each picture by itself.",
        "",
        "| person | frames | | PSNR, dB | distance | sharpness | lids | lips |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in figures.items():
        for what in ("zero-shot", "placed", "trained"):
            one: Scores = getattr(found, what.replace("-", "_"))
            text.append(
                f"| {name} | {found.frames} | {what} | {one.psnr:.2f} | {one.distance:.3f} | "
                f"{one.sharpness:.2f} | {one.lids:.3f} | {one.lips:.3f} |"
            )
    for name, found in figures.items():
        if worse := found.worse():
            text += ["", f"**{name} looks worse than the placed portrait: {'; '.join(worse)}.**"]
    text += [
        "",
        "Pictures made with it show a real person saying and doing what they did not. Ask them.",
        "",
    ]
    write_text(directory / "README.md", "\n".join(text))
