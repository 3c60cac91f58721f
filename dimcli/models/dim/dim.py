"""Dyadic interaction modelling (the paper's section 3.3, equations 4-9): one model, two tasks.

Pre-training masks both roles; listener generation masks the listener and shows the speaker; speaker
generation the other way round. These are mask settings of the one class here. So are the ablations
of the paper's Table 3 (:mod:`dimcli.training.ablations`): ``dim.targets`` motion predicts the
motion itself, ``dim.branches`` speaker has no listener branch.

A model step is what one code stands for: ``stride`` frames (1 in the paper). Where the paper leaves
the joint encoder open, this is how it works. The paper concatenates the roles' visible frames as if
they were the same frames, though they are masked independently. Here every feature stays at its
time. A step where one role is masked gets that role's trainable ``absent`` token beside the other
role's feature; a step where both are masked is left out. After the split, a role's masked steps get
its mask token, plus the joint feature of the step where the other role is visible there. So
whatever is visible of the target reaches its prediction, also in listener generation, where the
decoder reads the speaker's half only: the joint encoder has mixed both into it.

Axes: B batch, T frames, N steps (T / stride), D features, P parts (codes a step), K codes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM
from dimcli.data.clip import ATTITUDES, ROLES
from dimcli.models.dim.config import DIMRun
from dimcli.models.dim.layers import Transformer, audio_encoder, sinusoidal_positions
from dimcli.models.dim.traits import TRAITS, People
from dimcli.models.dim.vqvae import VQVAE, mouth_part, part_columns

OTHER = {"speaker": "listener", "listener": "speaker"}


@dataclass(frozen=True)
class Dyad:
    """A batch of dyads, standardised (see :meth:`DIM.standardise_motion`).

    ``style`` long [B], index into :attr:`DIM.styles`, and ``traits`` [B, 5], the listener's
    (:func:`dimcli.models.dim.traits.told`); None: unknown. The rest:

    ``unseen`` bool [B, N]: the steps at which nothing is seen of the speaker's face; None: nowhere.
    ``forgotten`` bool [B, N]: the steps whose codes an autoregressive decoder is not shown
    afterwards (``dim.history_dropout``, ``generation.history_weight``); None: nowhere.

    ``motion`` by role, [B, T, 56], what the role encoders read; ``audio`` [B, T, A], the speaker's;
    ``mask`` bool [B, T], false at padding; ``attitude`` long [B], index into ``ATTITUDES``;
    ``codes`` long [B, N, P] by role, where they are known (frozen VQ encoders' output, or sampled);
    ``targets`` by role, [B, T, 56], in training: the true motion as the VQ-VAE standardises it.
    """

    motion: dict[str, Tensor]
    audio: Tensor
    mask: Tensor
    attitude: Tensor
    codes: dict[str, Tensor] = field(default_factory=dict)
    targets: dict[str, Tensor] = field(default_factory=dict)
    style: Tensor | None = None
    traits: Tensor | None = None
    unseen: Tensor | None = None
    forgotten: Tensor | None = None


@dataclass(frozen=True)
class DIMOutput:
    """``logits`` [B, N, P, K] of each predicted role (with ``dim.targets`` motion: standardised
    motion [B, T, 56]); ``pooled`` [B, D]: each encoded role's visible features averaged over time
    and scaled to unit length (the x of equation 5); ``residual`` [B, T, C] of each role with one
    (``dim.mouth_residual``): what is added to its expected mouth, standardised.
    """

    logits: dict[str, Tensor]
    pooled: dict[str, Tensor]
    residual: dict[str, Tensor] = field(default_factory=dict)


class DIM(nn.Module):
    """Role encoders, joint encoder, joint decoder and the frozen VQ-VAEs they predict codes of."""

    audio_mean: Tensor
    audio_std: Tensor
    motion_mean: Tensor
    motion_std: Tensor
    fed_parts: Tensor
    trait_mean: Tensor
    trait_std: Tensor
    trait_spread: Tensor
    trait_usual: Tensor

    def __init__(self, config: DIMRun) -> None:
        super().__init__()
        self.config = config
        dim, vq = config.dim, config.vq
        if config.data.audio_dim < 1:
            raise InputError(f"data.audio_dim is {config.data.audio_dim}; expected at least 1")
        self.inputs = {"speaker": dim.speaker_inputs, "listener": dim.listener_inputs}
        self.branches = ROLES if dim.branches == "two" else ("speaker",)
        predicted = dim.output_roles if dim.targets == "codes" else ()
        self.vq = nn.ModuleDict(
            {
                role: VQVAE(vq, config.data.space)
                for role in ROLES
                if role in predicted or (role in self.branches and self.inputs[role] == "codes")
            }
        )
        self.parts = parts = len(part_columns(vq.parts, config.data.space))
        width = dim.width
        decoder_width = width + (dim.audio_width or width)

        def transformer(size: int, layers: int, causal: bool = dim.causal) -> Transformer:
            return Transformer(
                size,
                layers=layers,
                heads=dim.heads,
                feedforward=dim.feedforward,
                dropout=dim.dropout,
                local_kernel=dim.local_kernel,
                causal=causal,
            )

        input_width = {"motion": vq.stride * MOTION_DIM, "codes": parts * vq.code_dim}
        self.embed = nn.ModuleDict(
            {role: nn.Linear(input_width[self.inputs[role]], width) for role in self.branches}
        )
        self.encoder = nn.ModuleDict(
            {role: transformer(width, dim.role_layers) for role in self.branches}
        )
        joint_width = 2 * width if dim.joint == "feature" else width
        self.joint = transformer(joint_width, dim.joint_layers)

        def tokens(size: int) -> nn.ParameterDict:
            return nn.ParameterDict(
                {role: nn.Parameter(torch.randn(size) * 0.02) for role in ROLES}
            )

        self.role_token = tokens(width)
        self.absent_token = tokens(width)
        self.mask_token = tokens(width)
        self.decoder_role_token = tokens(width)
        self.audio = audio_encoder(config, decoder_width - width)
        autoregressive = dim.decoder == "autoregressive"
        self.decoder = transformer(decoder_width, dim.decoder_layers, autoregressive or dim.causal)
        code_width = parts * vq.code_dim

        def per_output(inputs: int, outputs: int) -> nn.ModuleDict:
            return nn.ModuleDict({role: nn.Linear(inputs, outputs) for role in dim.output_roles})

        scores = parts * vq.codebook_size if dim.targets == "codes" else vq.stride * MOTION_DIM
        self.heads = per_output(decoder_width, scores)
        self.target = per_output(code_width + 1, decoder_width) if dim.visible_targets else None
        geometry = parts * (vq.code_dim + 1)
        self.geometry = per_output(decoder_width, geometry) if dim.code_geometry else None
        self.attitude = nn.Embedding(len(ATTITUDES), decoder_width) if dim.attitudes else None
        if self.attitude is not None:
            nn.init.zeros_(self.attitude.weight)
        self.traits: nn.Linear | None = None
        if config.trait_conditioned:
            self.traits = nn.Linear(len(TRAITS) + 1, decoder_width, bias=False)
            nn.init.zeros_(self.traits.weight)
            for name in ("mean", "spread"):
                self.register_buffer(f"trait_{name}", torch.zeros(len(TRAITS)))
            self.register_buffer("trait_std", torch.ones(len(TRAITS)))
            self.register_buffer("trait_usual", torch.zeros(len(ATTITUDES), len(TRAITS)))
        self.style = nn.Embedding(len(self.styles), decoder_width) if dim.styles else None
        if self.style is not None:
            nn.init.zeros_(self.style.weight)
        fed = torch.ones(parts, 1)
        if self.expects_mouth:
            fed[self.mouth] = 0.0
        self.register_buffer("fed_parts", fed, persistent=False)
        self.residual: nn.Linear | None = None
        if self.expects_mouth and dim.mouth_residual:
            columns = len(self.mouth_columns)
            self.residual = nn.Linear(decoder_width, vq.stride * columns)
            nn.init.zeros_(self.residual.weight)
            nn.init.zeros_(self.residual.bias)
        self.previous = nn.Linear(code_width, decoder_width) if autoregressive else None
        self.start = nn.Parameter(torch.zeros(decoder_width)) if autoregressive else None
        self.register_buffer("audio_mean", torch.zeros(config.data.audio_dim))
        self.register_buffer("audio_std", torch.ones(config.data.audio_dim))
        self.register_buffer("motion_mean", torch.zeros(len(ROLES), MOTION_DIM))
        self.register_buffer("motion_std", torch.ones(len(ROLES), MOTION_DIM))
        self.freeze()

    @property
    def fps(self) -> float:
        """Frames a second of the motion that goes in and comes out."""
        return self.config.data.fps

    @property
    def styles(self) -> tuple[str, ...]:
        """The ways of speaking that the model knows, the unknown one first."""
        return self.config.data.style_names

    @property
    def expects_mouth(self) -> bool:
        """Whether the mouth is decoded from expected code vectors (``dim.mouth``)."""
        dim = self.config.dim
        return dim.mouth == "expected" and dim.outputs == "speaker" and dim.targets == "codes"

    @property
    def mouth(self) -> int:
        """Index of the part that holds the jaw."""
        return mouth_part(self.config.vq.parts, self.config.data.space)

    @property
    def mouth_columns(self) -> list[int]:
        """The C columns of motion that the mouth's part holds."""
        return list(part_columns(self.config.vq.parts, self.config.data.space).values())[self.mouth]

    # -- what is frozen -----------------------------------------------------------------------

    def vqvae(self, role: str) -> VQVAE:
        """The VQ-VAE of ``role``."""
        return self.vq[role]  # type: ignore[return-value]

    def freeze(self) -> None:
        """Freeze the VQ encoders and codebooks; the VQ decoders train (unless the config says)."""
        for module in self._frozen():
            module.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        if self.config.dim.freeze_vq_decoder:
            return list(self.vq.values())
        return [module for role in self.vq for module in self.vqvae(role).frozen_parts()]

    def train(self, mode: bool = True) -> DIM:
        """Training mode, but frozen parts stay in eval: no dropout, no count of idle codes."""
        super().train(mode)
        for module in self._frozen():
            module.eval()
        return self

    # -- inputs -------------------------------------------------------------------------------

    @property
    def people(self) -> People:
        """The listeners of the training data, in a model that is told their traits."""
        return People(self.trait_mean, self.trait_std, self.trait_spread, self.trait_usual)

    def standardise_motion(self, motion: Tensor, role: str) -> Tensor:
        """Motion [..., 56] of ``role`` in its units -> standardised and clamped (config)."""
        return self._clamp(self.motion_target(motion, role))

    def motion_target(self, motion: Tensor, role: str) -> Tensor:
        """Motion [..., 56] in its units -> as ``dim.targets`` motion predicts it: standardised."""
        index = ROLES.index(role)
        return (motion - self.motion_mean[index]) / self.motion_std[index]

    def unstandardise_listener(self, motion: Tensor) -> Tensor:
        """The inverse of :meth:`motion_target` for the listener."""
        index = ROLES.index("listener")
        return motion * self.motion_std[index] + self.motion_mean[index]

    def standardise_audio(self, audio: Tensor) -> Tensor:
        """Audio features [..., A] -> standardised and clamped (config)."""
        return self._clamp((audio - self.audio_mean) / self.audio_std)

    def _clamp(self, features: Tensor) -> Tensor:
        limit = self.config.dim.clamp_std
        return features.clamp(-limit, limit) if limit else features

    def step_mask(self, frame_mask: Tensor) -> Tensor:
        """Steps all of whose frames are there: bool [B, T] -> [B, N]."""
        return frame_mask.unflatten(1, (-1, self.config.vq.stride)).all(dim=-1)

    def partner_seen(self, role: str, dyad: Dyad) -> Tensor:
        """The steps, bool [B, N], at which ``role``, who is generated, sees the other: a listener
        wherever there is a face, a speaker (whose listener is not given) never."""
        present = self.step_mask(dyad.mask)
        if role == "speaker":
            return torch.zeros_like(present)
        return present if dyad.unseen is None else present & ~dyad.unseen

    # -- the model ----------------------------------------------------------------------------

    def encode_role(self, role: str, dyad: Dyad, visible: Tensor) -> Tensor:
        """Equation 4 and the role's encoder: features [B, N, D]; only ``visible`` [B, N] read."""
        hidden = role not in self.branches
        if torch.is_inference_mode_enabled():  # in training the encoder has a gradient, if zero
            hidden |= not visible.any()
        if hidden:  # what stands where this role is not visible replaces it
            return self.absent_token[role].expand(*visible.shape, -1)
        if self.inputs[role] == "codes":
            features = self._fed_vectors(role, dyad)
        else:
            features = dyad.motion[role].unflatten(1, (-1, self.config.vq.stride)).flatten(2)
        if role == "speaker" and self.config.dim.modalities == "audio":
            features = torch.zeros_like(features)
        features = self.embed[role](features) + self.role_token[role]
        features = features + sinusoidal_positions(features.shape[1], features.shape[2], features)
        return self._transformer(role).of_visible(features * visible[..., None], visible)

    def _transformer(self, role: str) -> Transformer:
        return self.encoder[role]  # type: ignore[return-value]

    def _fed_vectors(self, role: str, dyad: Dyad) -> Tensor:
        """Code vectors [B, N, P D] of ``role`` as inputs; zero in a part that is never shown."""
        return (self.vqvae(role).vectors(dyad.codes[role]) * self.fed_parts).flatten(2)

    def join(self, features: dict[str, Tensor], visible: dict[str, Tensor]) -> dict[str, Tensor]:
        """Equation 6 and the padding with mask tokens: features by role [B, N, D] -> the same."""
        visible = {
            role: visible[role] if role in self.branches else torch.zeros_like(visible[role])
            for role in ROLES
        }
        steps, width = features["speaker"].shape[1:]
        positions = sinusoidal_positions(steps, width, features["speaker"])
        seen = visible["speaker"] | visible["listener"]
        placed = [
            torch.where(visible[role][..., None], features[role], self.absent_token[role])
            + positions
            for role in ROLES
        ]
        if self.config.dim.joint == "feature":
            joint = self.joint.of_visible(torch.cat(placed, dim=-1), seen)
            halves = dict(zip(ROLES, joint.split(width, dim=-1), strict=True))
            kept = dict.fromkeys(ROLES, seen)
        else:
            both = torch.cat([visible[role] for role in ROLES], dim=1)
            joint = self.joint.of_visible(torch.cat(placed, dim=1), both)
            halves = dict(zip(ROLES, joint.split(steps, dim=1), strict=True))
            kept = visible
        return {
            role: halves[role] * kept[role][..., None]
            + self.mask_token[role] * ~visible[role][..., None]
            for role in ROLES
        }

    def decode(
        self,
        role: str,
        joint: dict[str, Tensor],
        dyad: Dyad,
        visible: Tensor,
        steps: Tensor | None = None,
    ) -> Tensor:
        """Equation 7: logits [B, N, P, K] of ``role`` from the other role's features and audio.

        With ``dim.targets`` motion it is the role's standardised motion, [B, T, 56].

        ``visible`` bool [B, N]: which of ``role``'s own codes may be read (``visible_targets``).
        ``steps`` long [M]: the steps to score, where not all are; the result is [B, M, P, K].
        """
        return self.scores(role, self.decoded(role, joint, dyad, visible, steps))

    def decoded(
        self,
        role: str,
        joint: dict[str, Tensor],
        dyad: Dyad,
        visible: Tensor,
        steps: Tensor | None = None,
    ) -> Tensor:
        """The joint decoder's features [B, N, D'] (or [B, M, D']); see :meth:`decode`."""
        features = self.decoder_inputs(role, joint, dyad, visible)
        if self.start is not None:
            after = self.after(role, dyad.codes[role][:, :-1])
            if dyad.forgotten is not None:
                after = after.masked_fill(dyad.forgotten[:, :-1, None], 0.0)
            features = features + torch.cat([self.start.expand(len(after), 1, -1), after], dim=1)
        features = self.decoder(features, self.step_mask(dyad.mask))
        return features if steps is None else features[:, steps]

    def after(self, role: str, codes: Tensor) -> Tensor:
        """What the steps after ``codes`` long [B, N, P] read of them, [B, N, D'], where
        ``dim.decoder`` is autoregressive."""
        if self.previous is None:
            raise ValueError("the decoder is not autoregressive")
        return self.previous(self.vqvae(role).vectors(codes).flatten(2))

    def decoder_inputs(
        self, role: str, joint: dict[str, Tensor], dyad: Dyad, visible: Tensor
    ) -> Tensor:
        """What goes into the joint decoder, [B, N, D'], but for the codes before each step."""
        other = OTHER[role]
        features = joint[other] + self.decoder_role_token[other]
        features = features + sinusoidal_positions(features.shape[1], features.shape[2], features)
        sound = dyad.audio
        if self.config.dim.modalities == "motion":
            sound = torch.zeros_like(sound)
        features = torch.cat([features, self.audio(sound, dyad.mask)], dim=-1)
        if self.attitude is not None and role == "listener":
            features = features + self.attitude(dyad.attitude)[:, None]
        if self.traits is not None and role == "listener" and dyad.traits is not None:
            features = features + self.traits(dyad.traits)[:, None]
        if self.style is not None and role == "speaker":
            style = torch.zeros_like(dyad.attitude) if dyad.style is None else dyad.style
            features = features + self.style(style)[:, None]
        if self.target is not None:
            seen = visible[..., None].to(features.dtype)
            codes = self._fed_vectors(role, dyad)
            features = features + self.target[role](torch.cat([codes * seen, seen], dim=-1))
        return features

    def scores(self, role: str, features: Tensor) -> Tensor:
        """Logits (or motion) of ``role`` from the joint decoder's features; see :meth:`decode`."""
        if self.config.dim.targets == "motion":
            motion: Tensor = self.heads[role](features)
            return motion.unflatten(2, (self.config.vq.stride, -1)).flatten(1, 2)
        logits = self.heads[role](features).unflatten(-1, (self.parts, -1))
        if self.geometry is not None:
            scores = self.geometry[role](features).unflatten(-1, (self.parts, -1))
            logits = logits + torch.einsum("bnpf,pkf->bnpk", scores, self._code_features(role))
        return logits

    def _code_features(self, role: str) -> Tensor:
        """What ``code_geometry`` knows of each code, [P, K, D + 1]: its standardised vector and
        squared length, so that linear scores of them are the log of any round Gaussian."""
        books = torch.stack([part.quantizer.codebook for part in self.vqvae(role).part_modules])
        spread = books.std(dim=1, keepdim=True).mean(dim=-1, keepdim=True)
        vectors = (books - books.mean(dim=1, keepdim=True)) / spread.clamp(min=1e-6)
        squares = vectors.square().mean(dim=-1, keepdim=True)
        return torch.cat([vectors, squares], dim=-1)

    def forward(self, dyad: Dyad, visible: dict[str, Tensor]) -> DIMOutput:
        """Predict every output role's codes from what is ``visible`` (bool [B, N] by role)."""
        present = self.step_mask(dyad.mask)
        visible = {role: visible[role] & present for role in ROLES}
        features = {role: self.encode_role(role, dyad, visible[role]) for role in ROLES}
        joint = self.join(features, visible)
        decoded = {
            role: self.decoded(role, joint, dyad, visible[role])
            for role in self.config.dim.output_roles
        }
        logits = {role: self.scores(role, features) for role, features in decoded.items()}
        added = self.mouth_residual(decoded["speaker"]) if "speaker" in decoded else None
        pooled = {}
        for role in self.branches:
            weight = visible[role][..., None].to(features[role].dtype)
            mean = (features[role] * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
            pooled[role] = F.normalize(mean, dim=-1)
        return DIMOutput(logits, pooled, {} if added is None else {"speaker": added})

    def mouth_residual(self, features: Tensor) -> Tensor | None:
        """What ``dim.mouth_residual`` adds to the expected mouth, [B, T, C]; None without it."""
        if self.residual is None:
            return None
        added: Tensor = self.residual(features)
        return added.unflatten(2, (self.config.vq.stride, -1)).flatten(1, 2)

    def expected_mouth(self, logits: Tensor, residual: Tensor | None, mask: Tensor) -> Tensor:
        """The speaker's mouth from expected code vectors, standardised [B, T, C].

        ``logits`` [B, N, P, K]; ``residual`` [B, T, C], what is added; ``mask`` bool [B, N].
        """
        part = self.vqvae("speaker").part_modules[self.mouth]
        mouth = part.decode(part.quantizer.mean(logits[:, :, self.mouth]), mask)
        return mouth if residual is None else mouth + residual
