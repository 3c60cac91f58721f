"""MeshTalk's first stage (Richard et al., ICCV 2021, arXiv 2104.08223): a categorical space.

Speech and motion are encoded and fused into ``heads`` categorical latents of ``categories`` each,
drawn by Gumbel-softmax; a decoder makes motion of them. The cross-modality loss exchanges one of
the two between samples: from its own speech and another's motion a sample's mouth must come out,
from its own motion and another's speech its upper face. So what goes with speech is taken from
speech, and the rest from motion. As in the released code the plain reconstruction, and once more
that of the eyelids, are added.

What differs from the paper: the mouth is the numbers of jaw, lips and cheeks, and the upper face
all others (brows, lids, gaze, smile, head; in a space without names the jaw and all expressions
against the head), where the paper weighs vertices; the data set's features replace the second of
mel spectrogram about each frame, and reach as far; the neutral mesh that tells the paper's decoder
who speaks is an embedding of the style. Weights begin at the rectifiers' scale (arXiv 1502.01852)
and logits at LOGITS times that: begun smaller, the latents of a short training never leave their
mean.

Axes: B batch, T frames, D features, H heads, C categories, A audio features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core import distributed
from dimcli.core.motion import MOTION_DIM
from dimcli.data.windows import Batch
from dimcli.models.base import Figures
from dimcli.models.config import RunConfig
from dimcli.models.dim.losses import masked_mean
from dimcli.models.dim.vqvae import mouth_part, part_columns
from dimcli.models.speech_model import SpeechModel

KERNEL = 5
DILATIONS = (1, 2, 3)
"""Of the convolutions over speech: together they reach 12 frames, half a second, to each side."""
SLOPE = 0.2
LOGITS = 3.0


class AudioEncoder(nn.Module):
    """Dilated convolutions over speech, each added to what it reads."""

    def __init__(self, audio_dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.listen = nn.Linear(audio_dim, width)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, width, KERNEL, dilation=dilation, padding=KERNEL // 2 * dilation)
            for dilation in DILATIONS
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

    mouth: Tensor
    upper: Tensor
    eyelids: Tensor

    def __init__(self, config: RunConfig) -> None:
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
        del step
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
    whole = distributed.gather_batch(features).roll(shift, dims=0)
    return whole[distributed.own_rows(len(whole))]
