"""VQ-VAE of one role's motion (the paper's section 3.2).

Motion is split by column into parts that each have an encoder, a codebook and a decoder: one part
with all 56 columns in the paper, six in the shipped model, because a nod, a glance, a blink and a
smile come independently, and one codebook for their product would need the product of their sizes.

Axes: B batch, T frames, N steps (T / stride), D features, P parts, K codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core.motion import ARKIT_EXPRESSIONS, JAW, MOTION_DIM, NUM_POSE, expression_index
from dimcli.models.dim.config import VQConfig
from dimcli.models.dim.layers import Transformer, sinusoidal_positions
from dimcli.models.dim.losses import motion_loss, vq_loss
from dimcli.models.dim.quantizer import Quantizer

STD_FLOOR_RAD = 0.01
STD_FLOOR_EXPRESSION = 0.03


def floored(std: Tensor) -> Tensor:
    """Standard deviations [56], those of columns that hardly move raised to a floor."""
    floor = torch.full_like(std, STD_FLOOR_EXPRESSION)
    floor[:NUM_POSE] = STD_FLOOR_RAD
    return std.maximum(floor)


_WITH_SMILES = ("mouthSmile", "mouthFrown", "cheek", "noseSneer")


def part_columns(parts: str, space: str) -> dict[str, list[int]]:
    """Columns of the motion that each part holds, by name; together every column once."""
    if parts == "whole":
        return {"whole": list(range(MOTION_DIM))}
    if space != "arkit":  # components of other spaces have no names to split by
        return {"nod": [0], "turn": [1, 2], "face": list(range(3, MOTION_DIM))}
    columns: dict[str, list[int]] = {
        "nod": [0], "turn": [1, 2], "lids": [], "gaze": [], "mouth": [3, 4, 5], "brows": []
    }  # fmt: skip
    if parts == "speech":
        columns["smile"] = []
    for name in ARKIT_EXPRESSIONS:
        part = "mouth"  # with cheeks and nose, which move with a smile
        if name.startswith("eyeLook") and not name.startswith("eyeLookDown"):
            part = "gaze"
        elif name.startswith("eye"):  # trackers see a look down and a squint in every blink
            part = "lids"
        elif name.startswith("brow"):
            part = "brows"
        elif parts == "speech" and name.startswith(_WITH_SMILES):
            part = "smile"
        columns[part].append(expression_index(name))
    return columns


def mouth_part(parts: str, space: str) -> int:
    """Index of the part that holds the jaw."""
    held = [JAW.start in columns for columns in part_columns(parts, space).values()]
    return held.index(True)


def column_weights(space: str) -> Tensor:
    """Weights [56] of the standardised columns in the loss of several parts.

    Blinks and smiles are what people see of a listener and are a few columns among many.
    """
    weights = torch.ones(MOTION_DIM)
    if space == "arkit":
        for name in ("eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight"):
            weights[expression_index(name)] = 4.0
        weights[3] = 2.0
    return weights


class PartVQVAE(nn.Module):
    """Encoder, codebook and decoder of some of the columns."""

    def __init__(self, columns: int, config: VQConfig) -> None:
        super().__init__()
        self.stride = config.stride

        def transformer(causal: bool) -> Transformer:
            return Transformer(
                config.width,
                layers=config.layers,
                heads=config.heads,
                feedforward=config.feedforward,
                dropout=config.dropout,
                local_kernel=config.local_kernel,
                causal=causal,
            )

        self.embed = nn.Linear(columns * config.stride, config.width)
        self.encoder = transformer(causal=False)
        self.to_code = nn.Linear(config.width, config.code_dim)
        self.quantizer = Quantizer(config.codebook_size, config.code_dim, config.commitment)
        self.from_code = nn.Linear(config.code_dim, config.width)
        self.decoder = transformer(config.causal)
        frame_width = config.width // 2 if config.frame_kernel else columns
        self.to_frames = nn.Linear(config.width, config.stride * frame_width)
        kernel = config.frame_kernel
        self.padding = (kernel - 1, 0) if config.causal else (kernel // 2, kernel // 2)
        self.smooth = nn.ModuleList(
            [nn.Conv1d(frame_width, frame_width, kernel), nn.Conv1d(frame_width, columns, kernel)]
            if kernel
            else []
        )

    def encode(self, motion: Tensor, mask: Tensor) -> Tensor:
        """Motion [B, T, C] -> latents [B, N, D]; ``mask`` bool [B, N], false at padding."""
        features = self.embed(motion.unflatten(1, (-1, self.stride)).flatten(2))
        features = features + sinusoidal_positions(features.shape[1], features.shape[2], features)
        return self.to_code(self.encoder(features, mask))

    def decode(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Code vectors [B, N, D] -> motion [B, T, C]."""
        features = self.from_code(vectors)
        features = features + sinusoidal_positions(features.shape[1], features.shape[2], features)
        features = self.to_frames(self.decoder(features, mask))
        frames = features.unflatten(2, (self.stride, -1)).flatten(1, 2).mT
        there = mask.repeat_interleave(self.stride, dim=1)[:, None]
        for index, convolution in enumerate(self.smooth):
            readable = (F.gelu(frames) if index else frames) * there
            frames = convolution(F.pad(readable, self.padding))
        return frames.mT


@dataclass(frozen=True)
class Reconstruction:
    """A VQ-VAE's output: ``motion`` standardised [B, T, 56], ``codes`` long [B, N, P], the losses
    and the mean ``perplexity`` of the parts; ``latents`` P of [B, N, D].
    """

    motion: Tensor
    codes: Tensor
    loss: Tensor
    reconstruction: Tensor
    perplexity: Tensor
    latents: list[Tensor]


class VQVAE(nn.Module):
    """The VQ-VAE of one role. Motion goes in and out standardised; see :meth:`standardise`."""

    mean: Tensor
    std: Tensor
    weights: Tensor
    from_parts: Tensor

    def __init__(self, config: VQConfig, space: str) -> None:
        super().__init__()
        self.config = config
        self.columns = part_columns(config.parts, space)
        self.parts = nn.ModuleDict(
            {name: PartVQVAE(len(columns), config) for name, columns in self.columns.items()}
        )
        self.register_buffer("mean", torch.zeros(MOTION_DIM))
        self.register_buffer("std", torch.ones(MOTION_DIM))
        weights = torch.ones(MOTION_DIM) if config.parts == "whole" else column_weights(space)
        self.register_buffer("weights", weights, persistent=False)
        order = torch.tensor([column for part in self.columns.values() for column in part])
        self.register_buffer("from_parts", order.argsort(), persistent=False)

    @property
    def part_modules(self) -> list[PartVQVAE]:
        """The parts, in order."""
        return list(self.parts.values())  # type: ignore[arg-type]

    def fit_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set mean and std [56] of the training data; stds are floored, or left at 1 (config)."""
        if not self.config.standardise:
            return
        self.mean.copy_(mean)
        self.std.copy_(floored(std))

    def standardise(self, motion: Tensor) -> Tensor:
        """Motion [..., 56] in its units -> in standard deviations of the training data."""
        return (motion - self.mean) / self.std

    def unstandardise(self, motion: Tensor) -> Tensor:
        """The inverse of :meth:`standardise`."""
        return motion * self.std + self.mean

    def step_mask(self, frame_mask: Tensor) -> Tensor:
        """Steps all of whose frames are there: bool [B, T] -> [B, N]."""
        return frame_mask.unflatten(1, (-1, self.config.stride)).all(dim=-1)

    def forward(self, motion: Tensor, frame_mask: Tensor, quantize: bool = True) -> Reconstruction:
        """Standardised motion [B, T, 56] through the bottleneck; ``frame_mask`` bool [B, T].

        ``quantize`` false skips the codebooks (warm-up).
        """
        mask = self.step_mask(frame_mask)
        decoded, codes, latents, losses, perplexities = [], [], [], [], []
        for part, columns in zip(self.part_modules, self.columns.values(), strict=True):
            latent = part.encode(motion[..., columns], mask)
            quantized = part.quantizer(latent, mask)
            vectors = quantized.vectors if quantize else latent
            decoded.append(part.decode(vectors, mask))
            codes.append(quantized.codes)
            latents.append(latent)
            losses.append(quantized.loss)
            perplexities.append(quantized.perplexity)
        prediction = torch.cat(decoded, dim=-1)[..., self.from_parts]
        reconstruction = self.motion_loss(motion, prediction, frame_mask)
        codebook = torch.stack(losses).mean() if quantize else motion.new_zeros(())
        return Reconstruction(
            motion=prediction,
            codes=torch.stack(codes, dim=-1),
            loss=vq_loss(reconstruction, codebook, self.config.codebook_weight),
            reconstruction=reconstruction,
            perplexity=torch.stack(perplexities).mean(),
            latents=latents,
        )

    def motion_loss(
        self, motion: Tensor, prediction: Tensor, mask: Tensor, part: int | None = None
    ) -> Tensor:
        """Equation 1 (and the velocity term) of standardised motion [B, T, 56], mask [B, T]; of a
        ``part`` alone, where ``prediction`` [B, T, C] is its columns."""
        weights = self.weights
        if part is not None:
            columns = list(self.columns.values())[part]
            motion, weights = motion[..., columns], weights[columns]
        return motion_loss(motion, prediction, mask, weights, self.config)

    def encode(self, motion: Tensor, frame_mask: Tensor) -> Tensor:
        """Standardised motion [B, T, 56] -> codes long [B, N, P], the same at any precision."""
        mask = self.step_mask(frame_mask)
        codes = []
        with torch.autocast(motion.device.type, enabled=False):
            for part, columns in zip(self.part_modules, self.columns.values(), strict=True):
                codes.append(part.quantizer(part.encode(motion[..., columns], mask), mask).codes)
        return torch.stack(codes, dim=-1)

    def vectors(self, codes: Tensor) -> Tensor:
        """Code vectors of codes long [B, N, P], as [B, N, P, D]."""
        parts = enumerate(self.part_modules)
        return torch.stack([part.quantizer.lookup(codes[..., i]) for i, part in parts], dim=-2)

    def decode(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Code vectors [B, N, P, D] -> standardised motion [B, T, 56]; ``mask`` bool [B, N]."""
        parts = enumerate(self.part_modules)
        decoded = [part.decode(vectors[..., i, :], mask) for i, part in parts]
        return torch.cat(decoded, dim=-1)[..., self.from_parts]

    def frozen_parts(self) -> list[nn.Module]:
        """Encoders and codebooks: what stays frozen once the dyadic model trains."""
        return [
            module
            for part in self.part_modules
            for module in (part.embed, part.encoder, part.to_code, part.quantizer)
        ]
