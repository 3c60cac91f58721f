"""What is a listener's own: how much somebody nods, blinks, smiles and moves the head.

In training the decoder is told what the true window shows of each trait; to answer, they are drawn
once a seed as they differ between the people of the training data, or said, and kept through a
clip, however long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dimcli.core.motion import HEAD, expression_index
from dimcli.data.clip import ATTITUDES
from dimcli.data.traits import TRAITS

LARGEST = 2.5
"""Traits further from the usual than this, in standard deviations of windows, count as this."""
LEAST_SPREAD = 0.4
"""People differ in everything at least so much; what is rare hardly shows it in a window's half."""
SCRAMBLING, SEQUENCE = 27, 4096
"""Number of the first scrambling, chosen for its beginning, and seeds to each."""
_FAST_S, _SLOW_S = 0.08, 0.72
"""A nod lies between means over these: 0.7 to 5 Hz."""
_LEAST = 0.2
"""Traits are logarithms of amounts over this, so that much less is as good as none."""


def traits_of(motion: Tensor, fps: float) -> Tensor:
    """The traits of listeners' windows [B, T, 56] in the ``arkit`` space: [B, 4], as ``TRAITS``.

    ``nods`` is the log of the pitch's root mean square between 0.7 and 5 Hz (degrees), ``blinks``
    of how much lids close a second, ``head`` of the root mean square of yaw and roll about their
    means (degrees), and ``smile`` the mean of mouthSmile.
    """
    degrees = torch.rad2deg(motion[..., HEAD])
    pitch = degrees[..., 0]
    band = _smoothed(pitch, _FAST_S * fps) - _smoothed(pitch, _SLOW_S * fps)
    lids = motion[..., _both("eyeBlink")].mean(dim=-1)
    closing = lids.diff(dim=1).clamp(min=0).mean(dim=1) * fps
    turn = degrees[..., 1:]
    turn = (turn - turn.mean(dim=1, keepdim=True)).square().mean(dim=(1, 2)).sqrt()
    amounts = torch.stack([band.square().mean(dim=1).sqrt(), closing, turn], dim=1)
    nods, blinks, head = (amounts + _LEAST).log().unbind(dim=1)
    smile = motion[..., _both("mouthSmile")].mean(dim=(1, 2))
    return torch.stack([nods, blinks, smile, head], dim=1)


def _both(name: str) -> list[int]:
    return [expression_index(f"{name}{side}") for side in ("Left", "Right")]


def _smoothed(track: Tensor, frames: float) -> Tensor:
    """``track`` [B, T] averaged over an odd number of frames, its ends held."""
    half = max(0, round((frames - 1) / 2))
    held = functional.pad(track[:, None], (half, half), mode="replicate")
    return functional.avg_pool1d(held, 2 * half + 1, stride=1)[:, 0]


@dataclass(frozen=True)
class People:
    """The listeners of the training data: ``mean`` and ``std`` [4] of their windows' traits;
    ``spread`` [4], how much people differ, and ``usual`` [A, 4], how those of each attitude differ
    from the mean (nothing for the unknown one), both in standard deviations of windows.
    """

    mean: Tensor
    std: Tensor
    spread: Tensor
    usual: Tensor


def drawn_person(seed: int) -> Tensor:
    """How a person differs from the usual one in each trait, standard normal over seeds: [4].

    Seeds that follow each other are a scrambled Sobol' sequence: any four are a person of each
    quarter in every trait, so that few videos show how people differ. Seed 0 is near the middle.
    """
    points = torch.quasirandom.SobolEngine(
        len(TRAITS), scramble=True, seed=SCRAMBLING + seed // SEQUENCE
    )
    points.fast_forward(seed % SEQUENCE)
    return torch.special.ndtri(points.draw(1, dtype=torch.float64)[0].clamp(1e-6, 1 - 1e-6)).float()


def told(
    people: People,
    attitude: int,
    said: Mapping[str, float],
    seed: int,
    smile_lift: float = 0.0,
) -> Tensor:
    """The traits of one listener as the decoder is told them: [1, 5], the last 1 for known.

    What is not ``said``, a factor on what is usual for the ``attitude``, is drawn by ``seed``.
    The usual smile is ``smile_lift`` above that of the training data.
    """
    smile = TRAITS.index("smile")
    mean, std = people.mean.cpu(), people.std.cpu()
    usual = people.usual[attitude].cpu().clone()
    usual[smile] += smile_lift / std[smile]
    traits = usual + drawn_person(seed) * people.spread.cpu()
    for name, factor in said.items():
        index = TRAITS.index(name)
        amount = math.log(factor)
        if name == "smile":
            amount = (factor - 1) * float(mean[index] + usual[index] * std[index])
        traits[index] = usual[index] + amount / std[index]
    traits = traits.clamp(-LARGEST, LARGEST)
    return torch.cat([traits, torch.ones(1)])[None].to(people.mean.device)


def fitted(windows: Tensor, attitudes: Tensor, fps: float) -> People:
    """What listeners' windows [M, T, 56], of ``attitudes`` [M], say of the people in them.

    What the halves of a window have in common is the person's, the rest the moment's.
    """
    traits = traits_of(windows, fps)
    mean, std = traits.mean(dim=0), traits.std(dim=0).clamp(min=0.05)
    first, second = (traits_of(half, fps) for half in windows.chunk(2, dim=1))
    first, second = first - first.mean(dim=0), second - second.mean(dim=0)
    shared = (first * second).mean(dim=0).clamp(min=0)
    usual = torch.zeros(len(ATTITUDES), len(TRAITS), device=mean.device)
    for attitude in range(1, len(ATTITUDES)):
        these = traits[attitudes == attitude]
        if len(these):
            usual[attitude] = (these.mean(dim=0) - mean) / std
    return People(mean, std, (shared.sqrt() / std).clamp(LEAST_SPREAD, 1), usual)
