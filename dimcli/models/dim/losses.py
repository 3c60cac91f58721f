"""The paper's equations 1-3, 5, 9 and 10 as pure functions.

Where the paper sums or takes squared norms over frames and features, these take means over the
frames that count, so that the weights mean the same at every window length and batch size. In a
training whose batch is computed in shares (:mod:`dimcli.core.distributed`) the frames that count
are those of the whole batch: each share's figure is its part of the sum, scaled so that the
figures' mean over the shares is the loss. Losses are computed in float32 at any precision.

Axes: B batch, T frames, N steps, D features, K codes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dimcli.core import distributed
from dimcli.models.dim.config import VQConfig


def _wide(values: Tensor) -> Tensor:
    """``values`` in float32 at least."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``values`` [B, T, ...] over the entries where ``mask`` bool [B, T] is true."""
    values = _wide(values)
    weight = mask.to(values.dtype).reshape(*mask.shape, *([1] * (values.dim() - 2)))
    count = distributed.total(weight.sum()).clamp(min=1) * values.shape[2:].numel()
    return (values * weight).sum() * distributed.shares() / count


def reconstruction_loss(
    motion: Tensor, prediction: Tensor, mask: Tensor, weights: Tensor, kind: str = "l2"
) -> Tensor:
    """Equation 1: distance of ``motion`` and ``prediction`` [B, T, D] where ``mask`` [B, T].

    ``weights`` [D] weigh the columns (ones for the paper); ``kind`` is ``l2`` (the paper) or
    ``l1`` (the released code).
    """
    error = motion - prediction
    return masked_mean((error.square() if kind == "l2" else error.abs()) * weights, mask)


def velocity_loss(motion: Tensor, prediction: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """Equation 1 on frame-to-frame differences of [B, T, D]; ours, keeps motion smooth."""
    error = (motion - prediction).diff(dim=1).square() * weights
    return masked_mean(error, mask[:, 1:] & mask[:, :-1])


def motion_loss(
    motion: Tensor, prediction: Tensor, mask: Tensor, weights: Tensor, config: VQConfig
) -> Tensor:
    """:func:`reconstruction_loss` and :func:`velocity_loss` as a VQ-VAE's ``config`` has them."""
    loss = reconstruction_loss(motion, prediction, mask, weights, config.reconstruction)
    if config.velocity_weight:
        velocity = velocity_loss(motion, prediction, mask, weights)
        loss = loss + config.velocity_weight * velocity
    return loss


def codebook_loss(latent: Tensor, code_vectors: Tensor, beta: float, mask: Tensor) -> Tensor:
    """Equation 2: codebook term plus ``beta`` times the commitment term.

    ``latent`` is the encoder's output and ``code_vectors`` the nearest codes, both [B, N, D].
    """
    codebook = (latent.detach() - code_vectors).square()
    commitment = (code_vectors.detach() - latent).square()
    return masked_mean(codebook + beta * commitment, mask)


def vq_loss(reconstruction: Tensor, codebook: Tensor, gamma: float) -> Tensor:
    """Equation 3: reconstruction plus ``gamma`` times the codebook loss."""
    return reconstruction + gamma * codebook


def contrastive_loss(
    speaker: Tensor, listener: Tensor, temperature: float, symmetric: bool = False
) -> Tensor:
    """Equation 5 (InfoNCE): match row i of ``speaker`` [B, D] with row i of ``listener`` [B, D].

    ``symmetric`` averages with the loss that matches listeners to speakers. Rows are matched among
    those of all shares.
    """
    speaker, listener = (distributed.gather_batch(rows) for rows in (speaker, listener))
    with torch.autocast(speaker.device.type, enabled=False):
        similarity = _wide(speaker) @ _wide(listener).T / temperature
    target = torch.arange(len(speaker), device=speaker.device)
    loss = F.cross_entropy(similarity, target)
    if symmetric:
        loss = (loss + F.cross_entropy(similarity.T, target)) / 2
    return loss


def code_loss(logits: Tensor, codes: Tensor, mask: Tensor) -> Tensor:
    """Equation 9, first term: cross-entropy of ``logits`` [B, N, P, K] with ``codes`` [B, N, P]
    over the masked steps (``mask`` bool [B, N]); P is the number of codes a step.
    """
    entropy = F.cross_entropy(_wide(logits).flatten(0, 2), codes.flatten(), reduction="none")
    return masked_mean(entropy.view(codes.shape), mask)


def masked_loss(code: Tensor, motion: Tensor, motion_weight: float) -> Tensor:
    """Equation 9: code term plus the (weighted) motion term."""
    return code + motion_weight * motion


def total_loss(
    contrastive: Tensor, speaker: Tensor, listener: Tensor, lambda_1: float, lambda_2: float
) -> Tensor:
    """Equation 10: ``lambda_1`` contrastive + ``lambda_2`` (speaker + listener)."""
    return lambda_1 * contrastive + lambda_2 * (speaker + listener)
