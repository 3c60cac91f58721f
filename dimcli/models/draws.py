"""Drawing codes from what a model says of their chances.

Axes: K codes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def draw(
    logits: Tensor, temperature: float, generator: torch.Generator, *, top_p: float = 1.0
) -> Tensor:
    """Codes [...] drawn from ``logits`` [..., K]; the likeliest at temperature 0.

    With ``top_p`` below 1, out of the likeliest that together have that chance (nucleus sampling,
    arXiv 1904.09751).
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    chances = (logits / temperature).softmax(dim=-1)
    if top_p < 1:
        ranked, order = chances.sort(dim=-1, descending=True)
        before = F.pad(ranked.cumsum(dim=-1)[..., :-1], (1, 0))
        kept = ranked * (before < top_p)
        chances = torch.zeros_like(chances).scatter(-1, order, kept)
    flat = torch.multinomial(chances.flatten(0, -2), 1, generator=generator)
    return flat.view(logits.shape[:-1])
