"""What each stage minimises: a batch and a generator in, a loss and figures to log out.

Axes: B batch, T frames, N steps, P parts, K codes.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from dimcli.audio import MEL
from dimcli.core import distributed
from dimcli.data.clip import ROLES
from dimcli.data.windows import Batch
from dimcli.models.dim.augment import augmented, hidden_steps, warped_bands, with_unknown
from dimcli.models.dim.dim import DIM, OTHER, DIMOutput, Dyad
from dimcli.models.dim.losses import (
    code_loss,
    contrastive_loss,
    masked_loss,
    masked_mean,
    motion_loss,
    total_loss,
)
from dimcli.models.dim.traits import LARGEST, traits_of
from dimcli.models.dim.vqvae import VQVAE, column_weights
from renderers.heads.regions import CLOSED, lip_gap

Figures = dict[str, Tensor]

GAP = 0.05
"""The gap between the lips of people who talk deviates from its mean by so much."""


def vq_objective(
    model: VQVAE, batch: Batch, role: str, quantize: bool = True
) -> tuple[Tensor, Figures, list[Tensor]]:
    """Equation 3 on one role's motion; also the latents, to revive dead codes with.

    ``loss``, which validation compares, is the reconstruction alone: the codebook term grows and
    shrinks with the scale of the latents.
    """
    motion = model.standardise(batch.motion[role])
    result = model(motion, batch.mask, quantize)
    mask = model.step_mask(batch.mask)
    figures = {
        "loss": result.reconstruction,
        "total": result.loss,
        "perplexity": result.perplexity,
    }
    return result.loss, figures, [latent.detach()[mask] for latent in result.latents]


def random_mask(present: Tensor, share: Tensor, generator: torch.Generator) -> Tensor:
    """Mask a ``share`` [B] of each row's steps at random: bool [B, N], true where masked.

    ``present`` bool [B, N] is false at padding, which is never chosen.
    """
    order = distributed.uniform(*present.shape, generator=generator).to(present.device)
    order = order.masked_fill(~present, 2.0).argsort(dim=1).argsort(dim=1)
    count = (present.sum(dim=1) * share.to(present.device)).round()
    return (order < count[:, None]) & present


def standardised(model: DIM, batch: Batch, generator: torch.Generator | None = None) -> Dyad:
    """The model's view of a batch. With a ``generator`` (training), with the augmentations."""
    motion = {role: model.standardise_motion(batch.motion[role], role) for role in ROLES}
    audio = model.standardise_audio(batch.audio)
    attitude, style, traits = batch.attitude, batch.style, None
    targets = {}
    codes = {}
    with torch.no_grad():
        for role in model.vq:
            targets[role] = model.vqvae(role).standardise(batch.motion[role])
            codes[role] = model.vqvae(role).encode(targets[role], batch.mask)
        if model.config.dim.targets == "motion":
            targets = {role: model.motion_target(batch.motion[role], role) for role in ROLES}
    if generator is not None:
        config = model.config.dim
        motion["speaker"], audio = augmented(
            motion["speaker"],
            audio,
            generator,
            noise_std=config.noise_std,
            modality_dropout=config.modality_dropout,
        )
        attitude = with_unknown(attitude, config.attitude_dropout, generator)
        if config.band_warp and model.config.data.audio_encoder.startswith(MEL.name):
            audio = warped_bands(audio, config.band_warp, generator)
        if config.styles and style is not None:
            style = with_unknown(style, config.style_dropout, generator)
        if model.config.trait_conditioned:
            traits = _seen_traits(model, batch.motion["listener"], generator)
    return Dyad(motion, audio, batch.mask, attitude, codes, targets, style, traits)


def _seen_traits(model: DIM, listener: Tensor, generator: torch.Generator) -> Tensor:
    """What windows [B, T, 56] show of their listeners' traits, some of it hidden: [B, 5]."""
    shown = (traits_of(listener, model.fps) - model.trait_mean) / model.trait_std
    hidden = distributed.uniform(len(listener), 1, generator=generator).to(shown)
    known = (hidden >= model.config.dim.trait_dropout).to(shown)
    return torch.cat([shown.clamp(-LARGEST, LARGEST), torch.ones_like(known)], dim=1) * known


def _masked_term(
    model: DIM, role: str, dyad: Dyad, predicted: DIMOutput, masked: Tensor, *, figures: Figures
) -> Tensor:
    """Equations 8 and 9 for one role over the ``masked`` steps (bool [B, N]).

    What the model predicts is logits, or motion (the second term of 9 is then all).
    """
    output = predicted.logits[role]
    if model.config.dim.targets == "motion":
        loss = _regression_term(model, role, dyad, output, masked)
        figures[f"{role}_motion"] = loss
        return loss
    if model.expects_mouth:
        return _speaking_term(model, role, dyad, predicted, masked, figures=figures)
    return _code_term(model, role, dyad, output, masked, figures=figures)


def _regression_term(model: DIM, role: str, dyad: Dyad, motion: Tensor, masked: Tensor) -> Tensor:
    """The second term of equation 9 where motion [B, T, 56] itself is predicted, with the columns
    weighed, and a velocity term added, as the VQ-VAE's loss would have it."""
    config = model.config
    target = dyad.targets[role]
    weights = target.new_ones(target.shape[-1])
    if config.vq.parts != "whole":
        weights = column_weights(config.data.space).to(target)
    frames = masked.repeat_interleave(config.vq.stride, dim=1)
    return motion_loss(target, motion, frames, weights, config.vq)


def _code_term(
    model: DIM, role: str, dyad: Dyad, logits: Tensor, masked: Tensor, *, figures: Figures
) -> Tensor:
    """Equations 8 and 9 for one role whose codes are predicted."""
    config, vq = model.config.dim, model.vqvae(role)
    codes = dyad.codes[role]
    code = code_loss(logits, codes, masked)
    motion = anchor = code.new_zeros(())
    some = distributed.spread_rows(len(codes), config.motion_share).to(codes.device)
    target, there = dyad.targets[role][some], dyad.mask[some]
    steps, chosen = vq.step_mask(there), masked[some]
    true_vectors = vq.vectors(codes[some])
    if config.motion_weight:
        expected = [
            part.quantizer.expected(logits[some][:, :, index])
            for index, part in enumerate(vq.part_modules)
        ]
        vectors = torch.where(chosen[..., None, None], torch.stack(expected, dim=2), true_vectors)
        frames = chosen.repeat_interleave(model.config.vq.stride, dim=1)
        motion = vq.motion_loss(target, vq.decode(vectors, steps), frames)
    if config.anchor_weight and not config.freeze_vq_decoder:
        anchor = vq.motion_loss(target, vq.decode(true_vectors, steps), there)
        figures[f"{role}_anchor"] = anchor
    loss = masked_loss(code, motion, config.motion_weight) + config.anchor_weight * anchor
    figures[f"{role}_code"] = code
    figures[f"{role}_motion"] = motion
    return loss


def _speaking_term(
    model: DIM, role: str, dyad: Dyad, predicted: DIMOutput, masked: Tensor, *, figures: Figures
) -> Tensor:
    """Equation 9 where the mouth is expected and the other parts are sampled (``dim.mouth``).

    The mouth's codes are never shown, so all its steps count; the motion term is the mouth's alone:
    of what is sampled, an expectation would be learned that nothing uses. The gap between the lips
    (``dim.lips_weight``) is part of that term: it is what people see of it.
    """
    config, vq = model.config, model.vqvae(role)
    codes, logits, mouth = dyad.codes[role], predicted.logits[role], model.mouth
    sampled = [index for index in range(model.parts) if index != mouth]
    steps = model.step_mask(dyad.mask)
    code = code_loss(logits[:, :, mouth : mouth + 1], codes[:, :, mouth : mouth + 1], steps)
    figures[f"{role}_mouth_code"] = code
    if sampled:
        others = code_loss(logits[:, :, sampled], codes[:, :, sampled], masked)
        figures[f"{role}_code"] = others
        code = (code + len(sampled) * others) / model.parts
    motion = code.new_zeros(())
    if not config.dim.motion_weight:
        return code
    made = model.expected_mouth(logits, predicted.residual.get(role), steps)
    motion = vq.motion_loss(dyad.targets[role], made, dyad.mask, mouth)
    figures[f"{role}_motion"] = motion
    if config.dim.lips_weight and config.data.space == "arkit":
        gap = lip_term(model, role, dyad, made)
        figures[f"{role}_lips"] = gap
        motion = motion + config.dim.lips_weight * gap
    return masked_loss(code, motion, config.dim.motion_weight)


def lip_term(model: DIM, role: str, dyad: Dyad, mouth: Tensor) -> Tensor:
    """Squared error of the gap between the lips and of its change from frame to frame, in units of
    GAP: ``mouth`` [B, T, C], standardised, against the true motion."""
    vq, truth = model.vqvae(role), dyad.targets[role]
    made = truth.clone()
    made[..., model.mouth_columns] = mouth
    wanted, found = (
        lip_gap(vq.unstandardise(motion).flatten(0, 1)).view(dyad.mask.shape)
        for motion in (truth, made)
    )
    weight = 1 + model.config.dim.closed_weight * (wanted < CLOSED)
    error = (found - wanted) / GAP
    moved = error.diff(dim=1).square() * weight[:, 1:]
    there = dyad.mask
    return masked_mean(error.square() * weight, there) + masked_mean(
        moved, there[:, 1:] & there[:, :-1]
    )


def pretrain_objective(
    model: DIM, batch: Batch, generator: torch.Generator, augment: bool
) -> tuple[Tensor, Figures]:
    """Equation 10: both roles masked independently."""
    config = model.config.dim
    dyad = standardised(model, batch, generator if augment else None)
    present = model.step_mask(dyad.mask)
    share = torch.full((len(present),), config.mask_ratio)
    masked = {role: random_mask(present, share, generator) for role in ROLES}
    output = model(dyad, {role: ~masked[role] for role in ROLES})
    figures: Figures = {}
    terms = dict.fromkeys(ROLES, batch.audio.new_zeros(()))
    for role in output.logits:
        terms[role] = _masked_term(model, role, dyad, output, masked[role], figures=figures)
    contrast = batch.audio.new_zeros(())
    if config.contrastive_weight:
        contrast = contrastive_loss(
            output.pooled["speaker"],
            output.pooled["listener"],
            config.temperature,
            config.symmetric,
        )
    figures["contrastive"] = contrast
    loss = total_loss(
        contrast,
        terms["speaker"],
        terms["listener"],
        config.contrastive_weight,
        config.masked_weight,
    )
    figures["loss"] = loss
    return loss, figures


def finetune_objective(
    model: DIM, batch: Batch, role: str, generator: torch.Generator, augment: bool
) -> tuple[Tensor, Figures]:
    """Equation 9 for ``role``, which is masked (all of it, in the paper); the other is visible.

    In the speaker task the listener is masked too: only the speech is given (DIM-Speaker).
    """
    dyad = standardised(model, batch, generator if augment else None)
    present = model.step_mask(dyad.mask)
    if augment and model.config.dim.face_dropout:
        unseen = hidden_steps(present, model.config.dim.face_dropout, generator)
        dyad = replace(dyad, unseen=unseen)
    if augment and model.previous is not None and model.config.dim.history_dropout:
        forgotten = hidden_steps(present, model.config.dim.history_dropout, generator)
        dyad = replace(dyad, forgotten=forgotten)
    share = torch.ones(len(present))
    if model.config.dim.listener_visible == "uniform":
        share = (distributed.uniform(len(present), generator=generator) * 4 / 3).clamp(max=1)
    masked = random_mask(present, share, generator)
    output = model(dyad, {role: ~masked, OTHER[role]: model.partner_seen(role, dyad)})
    figures: Figures = {}
    loss = _masked_term(model, role, dyad, output, masked, figures=figures)
    figures["loss"] = loss
    return loss, figures
