"""CodeTalker's first stage (Xing et al., CVPR 2023, arXiv 2301.02379, section 3.2): a VQ-VAE.

A frame of motion becomes ``components`` codes of one shared codebook (the paper's H face components
at temporal unit P = 1, its best setting). Encoder and decoder are a convolution over time with
instance norm each, then a transformer that reads the whole window. Loss: mean absolute error of the
motion, codebook and commitment terms.

What differs from the paper: motion is the 56 numbers, standardised, instead of vertices less a
template; ``warmup_steps`` and ``revive_after``, which DIM's VQ-VAE has too, keep the codebook alive
in short trainings (0 for the paper's).

Axes: B batch, T frames, D features, F = components * code width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core.motion import MOTION_DIM
from dimcli.data.windows import Batch
from dimcli.models.base import Figures
from dimcli.models.config import RunConfig
from dimcli.models.dim.layers import Transformer, sinusoidal_positions
from dimcli.models.dim.losses import reconstruction_loss
from dimcli.models.dim.quantizer import Quantized, Quantizer
from dimcli.models.speech_model import SpeechModel

KERNEL = 5
SLOPE = 0.2
"""Of the leaky rectifiers, as in the released code."""


class TemporalConvolution(nn.Module):
    """Convolution over time that replicates the ends, leaky rectifier, instance norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(
            width, width, KERNEL, padding=KERNEL // 2, padding_mode="replicate"
        )

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Features [B, T, D] -> [B, T, D]; padding (``present`` bool [B, T] false, at the end) is
        to the last frame before it what the end of a clip is."""
        count = present.sum(dim=1, keepdim=True)
        frame = torch.arange(features.shape[1], device=features.device)
        source = frame.minimum((count - 1).clamp(min=0))
        held = features.gather(1, source[..., None].expand_as(features))
        mixed = F.leaky_relu(self.convolution(held.mT).mT, SLOPE)
        weight = present[..., None].to(mixed.dtype)
        mean = (mixed * weight).sum(dim=1, keepdim=True) / count[..., None].clamp(min=1)
        spread = ((mixed - mean).square() * weight).sum(dim=1, keepdim=True)
        return (mixed - mean) / (spread / count[..., None].clamp(min=1) + 1e-5).sqrt()


class MotionPrior(SpeechModel):
    """Motion -> codes -> motion."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        settings = config.codetalker
        width, self.components = settings.prior_width, settings.components

        def transformer() -> Transformer:
            return Transformer(
                width,
                layers=settings.prior_layers,
                heads=settings.prior_heads,
                feedforward=settings.prior_feedforward,
            )

        self.features = settings.components * settings.code_dim
        self.embed = nn.Linear(MOTION_DIM, width)
        self.squash = TemporalConvolution(width)
        self.encoder = transformer()
        self.to_codes = nn.Linear(width, self.features)
        self.quantizer = Quantizer(settings.codebook_size, settings.code_dim, settings.commitment)
        self.from_codes = nn.Linear(self.features, width)
        self.expand = TemporalConvolution(width)
        self.decoder = transformer()
        self.to_motion = nn.Linear(width, MOTION_DIM, bias=False)

    def encode(self, motion: Tensor, present: Tensor) -> Tensor:
        """Standardised motion [B, T, 56] -> features [B, T, F] that are not quantised yet."""
        features = self.squash(F.leaky_relu(self.embed(motion), SLOPE), present)
        features = features + sinusoidal_positions(features.shape[1], features.shape[2], features)
        return self.to_codes(self.encoder(features, present))

    def quantise(self, features: Tensor, present: Tensor) -> Quantized:
        """Features [B, T, F] -> their components' nearest codes long [B, T, components] and those
        codes' vectors [B, T, F], straight-through."""
        parts = features.unflatten(2, (self.components, -1)).flatten(1, 2)
        found = self.quantizer(parts, present.repeat_interleave(self.components, dim=1))
        return Quantized(
            codes=found.codes.unflatten(1, (-1, self.components)),
            vectors=found.vectors.unflatten(1, (-1, self.components)).flatten(2),
            loss=found.loss,
            perplexity=found.perplexity,
        )

    def decode(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Code vectors [B, T, F] -> standardised motion [B, T, 56]."""
        features = self.expand(self.from_codes(vectors), present)
        features = features + sinusoidal_positions(features.shape[1], features.shape[2], features)
        return self.to_motion(self.decoder(features, present))

    def objective(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Figures]:
        """Motion and codebook terms; ``loss``, which validation compares, is the motion's alone."""
        del generator
        settings = self.config.codetalker
        motion = self.standardise_speaker(batch.motion["speaker"])
        latent = self.encode(motion, batch.mask)
        quantised = self.quantise(latent, batch.mask)
        coded = step >= settings.warmup_steps
        written = self.decode(quantised.vectors if coded else latent, batch.mask)
        ones = motion.new_ones(MOTION_DIM)
        error = reconstruction_loss(motion, written, batch.mask, ones, "l1")
        if training:
            self._keep_alive(latent.detach()[batch.mask].unflatten(1, (self.components, -1)), step)
        figures = {"loss": error, "perplexity": quantised.perplexity}
        return (error + quantised.loss if coded else error), figures

    def _keep_alive(self, latent: Tensor, step: int) -> None:
        settings, rows = self.config.codetalker, latent.flatten(0, 1)
        if step + 1 == settings.warmup_steps:
            self.quantizer.initialise(rows)
        elif step >= settings.warmup_steps and settings.revive_after:
            self.quantizer.revive(rows, settings.revive_after)
