"""Vector quantisation with a learned codebook (van den Oord et al. 2017, the paper's section 3.2).

The codebook learns by the gradient of equation 2. Codes that nothing uses are moved onto current
latents. Axes: B batch, N steps, D code width, K codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dimcli.core import distributed
from dimcli.models.dim.losses import codebook_loss


@dataclass(frozen=True)
class Quantized:
    """What a quantiser gives back.

    ``codes`` long [B, N]; ``vectors`` [B, N, D], straight-through: values of the codebook, gradient
    of the latents; ``loss`` equation 2; ``perplexity`` exp of the entropy of code use, 1..K.
    """

    codes: Tensor
    vectors: Tensor
    loss: Tensor
    perplexity: Tensor


class Quantizer(nn.Module):
    """A codebook of ``size`` vectors of width ``dim``."""

    idle: Tensor

    def __init__(self, size: int, dim: int, beta: float) -> None:
        super().__init__()
        self.beta = beta
        self.codebook = nn.Parameter(torch.empty(size, dim).uniform_(-1 / size, 1 / size))
        self.register_buffer("idle", torch.zeros(size, dtype=torch.long))

    def forward(self, latent: Tensor, mask: Tensor) -> Quantized:
        """Quantise ``latent`` [B, N, D]; only steps of ``mask`` bool [B, N] count in the loss."""
        with torch.no_grad():
            distance = torch.cdist(latent.detach().float().flatten(0, 1), self.codebook.float())
            codes = distance.argmin(dim=-1).view(latent.shape[:-1])
        vectors = self.lookup(codes)
        loss = codebook_loss(latent, vectors, self.beta, mask)
        used = torch.bincount(codes[mask], minlength=len(self.codebook)).float()
        used = distributed.total(used)
        share = used / used.sum().clamp(min=1)
        perplexity = torch.exp(-torch.special.xlogy(share, share).sum())
        if self.training and distributed.part().last:
            self.idle.add_(1).masked_fill_(used > 0, 0)
        return Quantized(codes, latent + (vectors - latent).detach(), loss, perplexity)

    def lookup(self, codes: Tensor) -> Tensor:
        """Codebook vectors of ``codes`` long [...], as [..., D]."""
        return nn.functional.embedding(codes, self.codebook)

    def expected(self, logits: Tensor) -> Tensor:
        """Straight-through vectors of ``logits`` [..., K].

        The value is the likeliest code's vector, the gradient that of the softmax's expected code
        vector: the paper names none for equation 8, and a plain argmax would give none at all.
        """
        soft = self.mean(logits)
        hard = self.lookup(logits.argmax(dim=-1))
        return soft + (hard - soft).detach()

    def mean(self, logits: Tensor) -> Tensor:
        """Mean code vectors [..., D] under the softmax of ``logits`` [..., K]."""
        return logits.softmax(dim=-1) @ self.codebook

    def keep_alive(self, latent: Tensor, step: int, warmup_steps: int, revive_after: int) -> None:
        """After training step ``step`` on ``latent`` [M, D]: k-means at the end of the warm-up, and
        from then on codes that are idle for ``revive_after`` batches (0: never) are revived."""
        if step + 1 == warmup_steps:
            distributed.once_a_step(self.initialise, latent.float())
        elif step >= warmup_steps and revive_after:
            distributed.once_a_step(lambda rows: self.revive(rows, revive_after), latent.float())

    @torch.no_grad()
    def initialise(self, latent: Tensor, rounds: int = 10) -> None:
        """Set the codebook by k-means on ``latent`` [M, D] (Lloyd, started at spread-out rows)."""
        latent = distributed.gather_unequal(latent)
        size = len(self.codebook)
        start = torch.randperm(len(latent), device=latent.device)[:size]
        centres = latent[start]
        if len(centres) < size:  # fewer latents than codes: the rest are jittered copies
            extra = latent[torch.randint(len(latent), (size - len(centres),))]
            centres = torch.cat([centres, extra + 0.01 * torch.randn_like(extra)])
        for _ in range(rounds):
            nearest = torch.cdist(latent, centres).argmin(dim=-1)
            total = torch.zeros_like(centres).index_add_(0, nearest, latent)
            count = torch.bincount(nearest, minlength=size)[:, None]
            centres = torch.where(count > 0, total / count.clamp(min=1), centres)
        self.codebook.copy_(centres)
        self.idle.zero_()

    @torch.no_grad()
    def revive(self, latent: Tensor, after: int) -> int:
        """Move codes idle for ``after`` batches onto random rows of ``latent`` [M, D]."""
        dead = (self.idle >= after).nonzero()[:, 0]
        if len(dead):
            latent = distributed.gather_unequal(latent)
            rows = torch.randint(len(latent), (len(dead),), device=latent.device)
            self.codebook[dead] = latent[rows]
            self.idle[dead] = 0
        return len(dead)
