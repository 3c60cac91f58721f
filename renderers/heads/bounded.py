"""Least squares with bounds, many small problems at once."""

from __future__ import annotations

import torch
from torch import Tensor

_STEPS = (1.0, 0.5, 0.25, 0.1, 0.03, 0.01)
_ROUNDS = 60
_TOLERANCE = 1e-6


def bounded_least_squares(normal: Tensor, right: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Minimise ``x H x / 2 - g x`` with ``lower <= x <= upper``, by projected Newton steps.

    ``normal`` H [N, C, C], positive definite (a ridge makes it so), ``right`` g [N, C], bounds [C]
    or [N, C]; the result is [N, C], in float64. Unknowns that sit on a bound and would go beyond
    stay; the others take the best part of a Newton step, cut to the bounds (Bertsekas 1982).
    """
    normal, right = normal.double(), right.double()
    lower, upper = (bound.double().expand_as(right) for bound in (lower, upper))
    found = torch.linalg.solve(normal, right[..., None]).squeeze(-1).clamp(lower, upper)
    steps = torch.tensor((0.0, *_STEPS)).to(right)[:, None, None]
    for _ in range(_ROUNDS):
        slope = (normal @ found[..., None]).squeeze(-1) - right
        stuck = ((found <= lower) & (slope > 0)) | ((found >= upper) & (slope < 0))
        free = (~stuck).to(slope)
        held = normal * free[:, :, None] * free[:, None, :] + torch.diag_embed(1 - free)
        step = torch.linalg.solve(held, (slope * free)[..., None]).squeeze(-1)
        tried = (found - steps * step).clamp(lower, upper)
        bent = (normal @ tried[..., None]).squeeze(-1)
        costs = (tried * (bent / 2 - right)).sum(-1)
        best = tried.gather(0, costs.argmin(0)[None, :, None].expand(1, -1, tried.shape[2]))[0]
        change = float((best - found).abs().max())
        found = best
        if change < _TOLERANCE:
            break
    return found
