"""MeshTalk (Richard et al., ICCV 2021, arXiv 2104.08223) at motion-parameter output.

The first stage makes a space of H categorical latents a frame, of C categories each. Speech and
motion are encoded and fused into them, drawn by Gumbel-softmax; a decoder makes motion of them. The
cross-modality loss exchanges one of the two between samples: from its own speech and another's
motion a sample's mouth must come out, from its own motion and another's speech its upper face. So
what goes with speech is taken from speech, and the rest from motion. As in the released code the
plain reconstruction, and once more that of the eyelids, are added.

In the second an autoregressive model predicts the probability of each from the speech, from all
latents of the frames before and from the frame's latents before it (masked convolutions): p(c) =
prod over t, h of p(c[t, h] | c[<t], c[t, <h], speech). They are drawn one after the other, and
decoded by the first stage's decoder, which stays frozen as its encoders do. Loss: cross-entropy of
the latents that the first stage gives the true motion and its speech.

What differs from the paper: the mouth is the numbers of jaw, lips and cheeks, and the upper face
all others (brows, lids, gaze, smile, head; in a space without names the jaw and all expressions
against the head), where the paper weighs vertices; the data set's features replace the second of
mel spectrogram about each frame, and reach as far; the neutral mesh that tells the paper's decoder
who speaks is an embedding of the style. Weights begin at the rectifiers' scale (arXiv 1502.01852)
and logits at LOGITS times that: begun smaller, the latents of a short training never leave their
mean. The released code's layers hide more than the equation asks for: each keeps a head's own
feature from it, and none reads the last latent of the frames before. Here only the first layer is
strict, and it reads the frames before whole.

Axes: B batch, T frames, H heads, C categories, D features (of each head), A audio features.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core import distributed
from dimcli.core.config import Dropout, Range, Section, Width, require_range
from dimcli.core.motion import MOTION_DIM
from dimcli.data.windows import Batch
from dimcli.models.baseline import (
    SMALL_SPEAKER_TRAINING,
    SPEAKER_INPUTS,
    TABLE_TRAINING,
    TINY_TRAINING,
    BaselineRun,
    Figures,
)
from dimcli.models.config import PRIOR, SampledRun, TrainingConfig
from dimcli.models.dim.losses import code_loss, masked_mean
from dimcli.models.dim.sampling import draw
from dimcli.models.dim.vqvae import mouth_part, part_columns
from dimcli.models.registry import Method, register
from dimcli.models.speaker_baseline import SpeechModel, TwoStageSpeaker

SPEECH_KERNEL = 5
SPEECH_DILATIONS = (1, 2, 3)
"""Of the convolutions over speech: together they reach 12 frames, half a second, to each side."""
SLOPE = 0.2
LOGITS = 3.0


@dataclass(frozen=True)
class MeshTalkConfig(Section, section="meshtalk"):
    """MeshTalk (arXiv 2104.08223): a speaker's categorical latents, one by one, from speech."""

    width: Width = 128
    """Width of the codes of speech and of motion, and of the decoder."""
    heads: Annotated[int, Range(1, 1024)] = 64
    """Categorical latents a frame."""
    categories: Annotated[int, Range(2, 65536)] = 128
    """Categories of each latent."""
    hidden: Width = 64
    """Second stage: width of each head's features."""
    dropout: Dropout = 0.2
    """First stage: dropout in training, in the encoder of the speech."""


@dataclass(frozen=True)
class MeshTalkRun(BaselineRun, SampledRun):
    """A run of MeshTalk."""

    kind: str = "meshtalk"
    meshtalk: MeshTalkConfig = field(default_factory=MeshTalkConfig)
    """The method's own settings."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stage == PRIOR:  # it learns from exchanging samples
            require_range("training.batch_size", self.training.batch_size, 2, 65536)


class AudioEncoder(nn.Module):
    """Dilated convolutions over speech, each added to what it reads."""

    def __init__(self, audio_dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.listen = nn.Linear(audio_dim, width)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(
                width,
                width,
                SPEECH_KERNEL,
                dilation=dilation,
                padding=SPEECH_KERNEL // 2 * dilation,
            )
            for dilation in SPEECH_DILATIONS
        )
        self.dropout = nn.Dropout(dropout)
        self.code = nn.Linear(width, width)

    def forward(self, audio: Tensor, present: Tensor) -> Tensor:
        """Audio [B, T, A] -> [B, T, D]; ``present`` bool [B, T] is false at padding."""
        there = present[..., None].to(audio.dtype)
        heard = F.leaky_relu(self.listen(audio), SLOPE) * there
        for convolution in self.convolutions:
            more = self.dropout(F.leaky_relu(convolution(heard.mT).mT, SLOPE))
            heard = (heard + more) / 2 * there
        return self.code(heard)


class ExpressionSpace(SpeechModel):
    """Speech and motion -> categories -> motion."""

    config: MeshTalkRun

    mouth: Tensor
    upper: Tensor
    eyelids: Tensor

    def __init__(self, config: MeshTalkRun) -> None:
        super().__init__(config)
        settings = config.meshtalk
        width, self.heads, self.categories = settings.width, settings.heads, settings.categories
        self.choices = settings.heads * settings.categories
        self.hear = AudioEncoder(config.data.audio_dim, width, settings.dropout)
        self.look = nn.Sequential(
            nn.Linear(MOTION_DIM, 2 * width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(2 * width, width),
            nn.LeakyReLU(SLOPE),
        )
        self.over_time = nn.LSTM(width, width, batch_first=True)
        self.expression = nn.Linear(width, width)
        self.fuse = nn.Sequential(
            nn.Linear(2 * width, 2 * width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(2 * width, 2 * width),
            nn.LeakyReLU(SLOPE),
        )
        self.to_logits = nn.Linear(2 * width, self.choices)
        self.style = nn.Embedding(len(self.styles), width)
        self.enter = nn.Linear(self.choices + width, width)
        self.move = nn.LSTM(width, width, num_layers=2, batch_first=True)
        self.to_motion = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(2 * width, 4 * width),
            nn.LeakyReLU(SLOPE),
        )
        self.read_out = nn.Linear(4 * width, MOTION_DIM)
        self._begin()
        parts = part_columns("speech", config.data.space)
        mouth = list(parts.values())[mouth_part("speech", config.data.space)]
        upper = [column for column in range(MOTION_DIM) if column not in mouth]
        for name, columns in (("mouth", mouth), ("upper", upper), ("eyelids", parts.get("lids"))):
            found = torch.tensor(columns or [], dtype=torch.long)
            self.register_buffer(name, found, persistent=False)

    @torch.no_grad()
    def _begin(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv1d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LSTM):
                for name, weight in module.named_parameters():
                    if name.startswith("weight_ih"):
                        nn.init.xavier_uniform_(weight, gain=2.0)
                    elif name.startswith("weight_hh"):
                        nn.init.orthogonal_(weight)
        self.to_logits.weight.mul_(LOGITS)
        self.read_out.weight.mul_(0.1)  # the first answer is about the mean

    def see(self, motion: Tensor) -> Tensor:
        """Standardised motion [B, T, 56] -> its code [B, T, D]; a frame reads none after it."""
        return self.expression(self.over_time(self.look(motion))[0])

    def logits(self, seen: Tensor, heard: Tensor) -> Tensor:
        """Codes of motion and speech, [B, T, D] both -> logits [B, T, H, C]."""
        fused = self.to_logits(self.fuse(torch.cat([seen, heard], dim=-1)))
        return fused.unflatten(-1, (self.heads, self.categories))

    def decode(self, chosen: Tensor, style: Tensor) -> Tensor:
        """One-hot categories [B, T, H, C] and style long [B] -> standardised motion [B, T, 56]."""
        who = self.style(style)[:, None].expand(-1, chosen.shape[1], -1)
        entered = F.leaky_relu(self.enter(torch.cat([chosen.flatten(2), who], dim=-1)), SLOPE)
        return self.read_out(self.to_motion(self.move(entered)[0]))

    def objective(
        self, batch: Batch, step: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Figures]:
        """Reconstruction, eyelids and cross-modality; validation draws nothing."""
        own, style = generator if training else None, self.style_inputs(batch)
        target = self.standardise_speaker(batch.motion["speaker"])
        seen = self.see(target)
        heard = self.hear(self.speech_inputs(batch.audio, own), batch.mask)
        shift = int(torch.randint(1, self.config.training.batch_size, (), generator=generator))

        pairs = ((seen, heard), (exchanged(seen, shift), heard), (seen, exchanged(heard, shift)))
        chosen = torch.cat([one_hot(self.logits(*pair), own) for pair in pairs])
        made = self.decode(chosen, style.repeat(len(pairs)))
        plain, from_speech, from_motion = (
            (one - target).square() for one in made.chunk(len(pairs))
        )
        from_speech, from_motion = from_speech[..., self.mouth], from_motion[..., self.upper]
        motion = masked_mean(plain, batch.mask)
        crossed = masked_mean(from_speech, batch.mask) + masked_mean(from_motion, batch.mask)
        loss = motion + crossed
        if len(self.eyelids):
            loss = loss + masked_mean(plain[..., self.eyelids], batch.mask)
        return loss, {"loss": loss, "motion": motion, "crossed": crossed}


def one_hot(logits: Tensor, generator: torch.Generator | None) -> Tensor:
    """Categories of ``logits`` [B, ..., C] as one-hot [B, ..., C], with the softmax's gradient.

    Drawn with Gumbel noise (arXiv 1611.01144, temperature 1), or without a ``generator`` the
    likeliest.
    """
    if generator is not None:
        uniform = distributed.uniform(*logits.shape, generator=generator).clamp(1e-7, 1 - 1e-7)
        logits = logits - (-uniform.log()).log().to(logits)
    soft = logits.softmax(dim=-1)
    hard = F.one_hot(soft.argmax(dim=-1), soft.shape[-1]).to(soft)
    return hard + soft - soft.detach()


def exchanged(features: Tensor, shift: int) -> Tensor:
    """``features`` [B, T, D] of the sample ``shift`` rows before, in the batch of all processes."""
    distributed.require_one_part("meshtalk's prior")
    whole = distributed.gather_batch(features).roll(shift, dims=0)
    return whole[distributed.process_rows(len(whole))]


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

    config: MeshTalkRun

    prior: ExpressionSpace

    def __init__(self, config: MeshTalkRun) -> None:
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


PRESETS = {
    "paper": MeshTalkRun(  # sizes of the paper, training of the released code
        training=TrainingConfig(
            steps=50_000, batch_size=8, window_s=1.28, learning_rate=1e-4, weight_decay=0.001
        ),
    ),
    "small": MeshTalkRun(
        inputs=SPEAKER_INPUTS,
        meshtalk=MeshTalkConfig(heads=16, categories=32, hidden=16, dropout=0.0),
        training=replace(SMALL_SPEAKER_TRAINING, window_s=2.56, learning_rate=2e-3),
    ),
    "table": MeshTalkRun(
        inputs=SPEAKER_INPUTS,
        meshtalk=MeshTalkConfig(width=96, heads=8, categories=32, hidden=16, dropout=0.0),
        training=TABLE_TRAINING,
    ),
    "tiny": MeshTalkRun(
        inputs=SPEAKER_INPUTS,
        meshtalk=MeshTalkConfig(width=16, heads=4, categories=8, hidden=4, dropout=0.0),
        training=TINY_TRAINING,
    ),
}

register(Method("meshtalk", ("speaker",), presets=PRESETS, build=MeshTalk, prior=ExpressionSpace))
