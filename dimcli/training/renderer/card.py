"""Judging a renderer on frames it has not seen: figures, preview pictures and the run's card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dimcli.core.files import atomic_output, write_text
from dimcli.core.motion import Picture
from dimcli.training.renderer.objective import PerceptualLoss, draw
from dimcli.training.renderer.training_set import (
    TrainingSet,
)
from renderers.trained.backbones import Backbone
from renderers.trained.start import as_pictures, as_tensor

COLUMNS = ("reference", "truth", "zero-shot", "trained")
ROWS = 4
BATCH = 4


@dataclass(frozen=True)
class Figures:
    """Means over frames: PSNR (dB) and perceptual distance of the trained renderer, of the
    zero-shot portrait, and (``placed``) of one that is told where in the picture the head is."""

    frames: int
    psnr: float
    psnr_zero_shot: float
    psnr_placed: float
    distance: float
    distance_zero_shot: float
    distance_placed: float

    @property
    def gain(self) -> float:
        """PSNR over the zero-shot portrait's, dB."""
        return self.psnr - self.psnr_zero_shot


def psnr(pictures: Picture, truth: Picture) -> NDArray[np.floating]:
    """Peak signal-to-noise ratio [N], dB, of pictures [N, H, W, 3]."""
    error = np.square(pictures.astype(np.float32) - truth).mean(axis=(1, 2, 3))
    return 10 * np.log10(255**2 / np.maximum(error, 1e-3))


@torch.inference_mode()
def trained(network: nn.Module, training_set: TrainingSet, frames: NDArray[np.int64]) -> Picture:
    """The network's pictures of ``frames``, uint8 [N, S, S, 3]."""
    network.eval()
    device = next(network.parameters()).device
    made = []
    for first in range(0, len(frames), BATCH):
        batch = training_set.batch(frames[first : first + BATCH]).to(device)
        picture = draw(network, batch).picture
        assert picture is not None
        made.append(as_pictures(picture))
    return np.concatenate(made)


@torch.inference_mode()
def distance(pictures: Picture, truth: Picture, loss: PerceptualLoss) -> float:
    """Mean perceptual distance of pictures [N, H, W, 3]."""
    device = next(loss.buffers()).device
    away = []
    for pair in zip(pictures, truth, strict=True):
        one, two = (as_tensor(picture[None]).to(device) for picture in pair)
        away.append(float(loss(one, two)))
    return float(np.mean(away))


def judge(
    network: nn.Module, training_set: TrainingSet, frames: NDArray[np.int64], backbone: Backbone
) -> Figures:
    """Figures of ``frames``."""
    loss = PerceptualLoss(backbone, scales=1)
    truth = training_set.pictures(frames)
    shown = {
        "": trained(network, training_set, frames),
        "_zero_shot": training_set.zero_shot(frames),
        "_placed": training_set.starts(frames),
    }
    figures: dict[str, float] = {}
    for name, pictures in shown.items():
        figures[f"psnr{name}"] = float(psnr(pictures, truth).mean())
        figures[f"distance{name}"] = distance(pictures, truth, loss)
    return Figures(frames=len(frames), **figures)


def preview(network: nn.Module, training_set: TrainingSet, frames: NDArray[np.int64]) -> Picture:
    """A sheet with a row for each of some frames: reference, truth, zero-shot, trained."""
    some = frames[np.linspace(0, len(frames) - 1, ROWS).round().astype(int)]
    parts = zip(
        training_set.pictures(some),
        training_set.zero_shot(some),
        trained(network, training_set, some),
        strict=True,
    )
    home = training_set.reference.image
    rows = [np.hstack([home, truth, zero_shot, made]) for truth, zero_shot, made in parts]
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
        "the trained one is told, too. Distance: L1 of EfficientNet-lite0's features.",
        "",
        "| person | frames | | PSNR, dB | distance |",
        "|---|---|---|---|---|",
    ]
    for name, found in figures.items():
        for what, suffix in (("zero-shot", "_zero_shot"), ("placed", "_placed"), ("trained", "")):
            level, away = getattr(found, f"psnr{suffix}"), getattr(found, f"distance{suffix}")
            text.append(f"| {name} | {found.frames} | {what} | {level:.2f} | {away:.3f} |")
    text += [
        "",
        "Pictures made with it show a real person saying and doing what they did not. Ask them.",
        "",
    ]
    write_text(directory / "README.md", "\n".join(text))
