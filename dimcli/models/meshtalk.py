"""MeshTalk (Richard et al., ICCV 2021, arXiv 2104.08223) at motion-parameter output.

The first stage (:mod:`dimcli.models.expression_space`) makes a space of H categorical
latents a frame. In the second an autoregressive model tells the chances of each from the speech,
from all latents of the frames before and from the frame's latents before it (masked convolutions):
p(c) = prod over t, h of p(c[t, h] | c[<t], c[t, <h], speech). They are drawn one after the other,
and decoded by the first stage's decoder, which stays frozen as its encoders do. Loss: cross-entropy
of the latents that the first stage gives the true motion and its speech.

What differs from the paper: see the first stage. The released code's layers hide more than the
equation asks for: each keeps a head's own feature from it, and none reads the last latent of the
frames before. Here only the first layer is strict, and it reads the frames before whole.

Axes: B batch, T frames, H heads, C categories, D features (of each head), A audio features.
"""

from __future__ import annotations

from collections import deque

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.data.windows import Batch
from dimcli.models.base import Figures
from dimcli.models.config import RunConfig
from dimcli.models.dim.losses import code_loss, masked_mean
from dimcli.models.draws import draw
from dimcli.models.expression_space import SLOPE, ExpressionSpace, one_hot
from dimcli.models.speech_model import TwoStageSpeaker

DILATIONS = (1, 2, 4, 8)
"""Of the layers that read frames before; together they reach 19 frames back."""


class ContextLayer(nn.Module):
    """A masked convolution: heads before it in its frame, two frames before it, and the speech.

    ``dilation`` is how far apart these two are (0: none are read, nor is the speech). Where
    ``strict``, a head does not read itself.
    """

    mask: Tensor

    def __init__(
        self, heads: int, inputs: int, outputs: int, *, audio: int, dilation: int, strict: bool
    ) -> None:
        super().__init__()
        self.dilation = dilation
        self.own = nn.Linear(heads * inputs, heads * outputs)
        if dilation:
            self.heard = nn.Linear(audio, heads * outputs, bias=False)
            self.before = nn.Linear(2 * heads * inputs, heads * outputs, bias=False)
        order = torch.arange(heads)
        writer, reader = order.repeat_interleave(inputs), order.repeat_interleave(outputs)
        may = writer < reader[:, None] if strict else writer <= reader[:, None]
        self.register_buffer("mask", may.float(), persistent=False)

    def forward(self, context: Tensor, heard: Tensor) -> Tensor:
        """Frames [B, T, H * inputs] and the speech [B, T, A] -> [B, T, H * outputs]."""
        within = F.linear(context, self.own.weight * self.mask, self.own.bias)
        if not self.dilation:
            return within
        frames = context.shape[1]
        one, other = (
            F.pad(context, (0, 0, back, 0))[:, :frames] for back in (1, 1 + self.dilation)
        )
        return within + self.around(one, other, heard)

    def around(self, one: Tensor, other: Tensor, heard: Tensor) -> Tensor:
        """What the two frames before, [..., H * inputs] each, and the speech [..., A] say."""
        return self.before(torch.cat([one, other], dim=-1)) + self.heard(heard)

    def given(self, past: deque[Tensor], heard: Tensor) -> Tensor:
        """The next frame's output [H * outputs] but for what its own heads say: from the ``past``
        frames [H * inputs], the last ``1 + dilation``, and the speech [A]."""
        if not self.dilation:
            return self.own.bias
        return self.own.bias + self.around(past[-1], past[0], heard)


class MeshTalk(TwoStageSpeaker):
    """An autoregressive model of the first stage's latents, given the speech."""

    prior: ExpressionSpace

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config, ExpressionSpace(config))
        settings = config.meshtalk
        heads, hidden, categories = settings.heads, settings.hidden, settings.categories

        def layer(inputs: int, outputs: int, dilation: int, strict: bool = False) -> ContextLayer:
            return ContextLayer(
                heads, inputs, outputs, audio=settings.width, dilation=dilation, strict=strict
            )

        self.context = nn.ModuleList(
            [
                layer(categories, hidden, DILATIONS[0], strict=True),
                *(layer(hidden, hidden, dilation) for dilation in DILATIONS[1:]),
                layer(hidden, categories, 0),
            ]
        )

    @property
    def _context(self) -> list[ContextLayer]:
        return list(self.context)  # type: ignore[arg-type]

    def predict(self, chosen: Tensor, heard: Tensor) -> Tensor:
        """Logits [B, T, H, C] of every latent, from the one-hot ``chosen`` [B, T, H, C] before it
        and the first stage's ``heard`` [B, T, A]."""
        features = chosen.flatten(2)
        for layer in self._context:
            features = _activated(layer, layer(features, heard))
        return features.unflatten(-1, chosen.shape[2:])

    def objective(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Figures]:
        """Cross-entropy of the true latents, given the true ones before each."""
        del step
        audio = self.speech_inputs(batch.audio, generator if training else None)
        with torch.no_grad():
            heard = self.prior.hear(audio, batch.mask)
            seen = self.prior.see(self.standardise_speaker(batch.motion["speaker"]))
            chosen = one_hot(self.prior.logits(seen, heard), None)
        logits, labels = self.predict(chosen, heard), chosen.argmax(dim=-1)
        loss = code_loss(logits, labels, batch.mask)
        hits = masked_mean((logits.argmax(dim=-1) == labels).float(), batch.mask)
        return loss, {"loss": loss, "accuracy": hits}

    def write(self, audio: Tensor, style: Tensor, generator: torch.Generator) -> Tensor:
        """Latent after latent is drawn; then all are decoded."""
        there = torch.ones(audio.shape[:2], dtype=torch.bool, device=audio.device)
        heard = self.prior.hear(audio, there)
        return self.prior.decode(self.sample(heard, generator), style)

    @torch.no_grad()
    def sample(self, heard: Tensor, generator: torch.Generator) -> Tensor:
        """One-hot latents [1, T, H, C] for ``heard`` [1, T, A]."""
        temperature, layers = self.config.generation.temperature, self._context
        heads = self.prior.heads
        read = [layer.own.in_features for layer in layers]
        past = [
            deque([heard.new_zeros(width)] * (1 + layer.dilation))
            for layer, width in zip(layers, read, strict=True)
        ]
        written = [layer.own.weight.unflatten(0, (heads, -1)) for layer in layers]
        frames = []
        for sound in heard[0]:
            given = [  # what each layer knows of a frame before its first latent, [H, outputs]
                layer.given(before, sound).unflatten(0, (heads, -1))
                for layer, before in zip(layers, past, strict=True)
            ]
            frame = [heard.new_zeros(heads, width // heads) for width in read]
            for head in range(heads):  # later heads are still zero, so that no mask is needed
                for index, layer in enumerate(layers):
                    said = written[index][head] @ frame[index].flatten() + given[index][head]
                    if index + 1 < len(layers):
                        frame[index + 1][head] = _activated(layer, said)
                frame[0][head, int(draw(said[None].cpu(), temperature, generator))] = 1.0
            for before, features in zip(past, frame, strict=True):
                before.append(features.flatten())
                before.popleft()
            frames.append(frame[0])
        return torch.stack(frames)[None]


def _activated(layer: ContextLayer, features: Tensor) -> Tensor:
    """Rectified (leaky) after the layers that read the past; the last one is linear."""
    return F.leaky_relu(features, SLOPE) if layer.dilation else features
