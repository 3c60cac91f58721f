"""Presets of the baselines: sizes as published (``paper``), for experiments (``small``, and for
whole tables on one CPU core ``table``), for tests.

``official`` is ``paper``, ``speaker`` is ``small``. Where the papers say nothing the fields'
defaults stand. The small ones train on what DIM's ``small`` trains on, with the same input
treatment and, where there is one, the same VQ-VAE, so that tables compare the methods and not their
surroundings.
"""

from __future__ import annotations

from dataclasses import replace

from dimcli.core.config import require_choice
from dimcli.models.baseline_config import (
    CodeTalkerConfig,
    ELPConfig,
    FaceFormerConfig,
    InputsConfig,
    L2LConfig,
    MeshTalkConfig,
    NearestConfig,
    RLHGConfig,
)
from dimcli.models.config import GenerationConfig, RunConfig, TrainingConfig, VQConfig
from dimcli.models.kinds import PRIOR, SPEAKER_KINDS, TWO_STAGE
from dimcli.models.presets import PRESETS, preset

METHODS = ("dim", "nearest-audio", "nearest-motion", "rlhg", "l2l", "elp", *SPEAKER_KINDS)
"""What `dim train --method` knows."""

_PAPER_INPUTS = InputsConfig(attitudes=True)
_SMALL_INPUTS = InputsConfig(
    speaker_centering=True, clamp_std=4.0, noise_std=0.15, modality_dropout=0.05,
    attitudes=True, attitude_dropout=0.5,
)  # fmt: skip
_PAPER_VQ = VQConfig(
    width=256, layers=12, heads=8, feedforward=384, codebook_size=200, code_dim=256, stride=8,
    reconstruction="l1", standardise=False,
)  # fmt: skip
_SMALL_TRAINING = TrainingConfig(
    steps=1000, batch_size=16, learning_rate=1.5e-3, weight_decay=1e-2, schedule="cosine",
    ramp_steps=100, validate_every=250,
)  # fmt: skip
_TABLE_TRAINING = preset("table", "finetune").training
_TABLE_GENERATION = replace(preset("table", "finetune").generation, steps=1)
_TINY_TRAINING = TrainingConfig(
    steps=30, batch_size=4, window_s=1.28, learning_rate=3e-3, validate_every=10,
    validation_batches=1,
)  # fmt: skip
_TINY_GENERATION = GenerationConfig(window_s=1.28, overlap_s=0.32)

_RLHG = {
    "paper": RunConfig(
        inputs=_PAPER_INPUTS,
        training=TrainingConfig(  # clips of 90 frames; batches of 4 on each of 4 processes
            batch_size=16, window_s=3.6, learning_rate=2e-3, weight_decay=0.05
        ),
    ),
    "small": RunConfig(
        inputs=_SMALL_INPUTS,
        rlhg=RLHGConfig(fusion=256, hidden=256, dropout=0.0),
        training=replace(_SMALL_TRAINING, window_s=3.6),
    ),
    "table": RunConfig(
        inputs=_SMALL_INPUTS, rlhg=RLHGConfig(fusion=160, hidden=160), training=_TABLE_TRAINING
    ),
    "tiny": RunConfig(
        inputs=_SMALL_INPUTS,
        rlhg=RLHGConfig(fusion=16, hidden=16, dropout=0.0),
        training=_TINY_TRAINING,
    ),
}
_L2L = {
    "paper": RunConfig(
        vq=_PAPER_VQ,
        training=TrainingConfig(window_s=2.56, learning_rate=1e-4, ramp_steps=4000),
        generation=GenerationConfig(temperature=0.7, window_s=2.56, overlap_s=1.28),
    ),
    "small": RunConfig(
        vq=preset("small", "train-vq").vq,
        inputs=replace(_SMALL_INPUTS, attitudes=False),
        l2l=L2LConfig(
            width=144, speaker_layers=2, layers=3, heads=6, feedforward=384, dropout=0.0, top_p=1.0
        ),
        training=_SMALL_TRAINING,
        generation=GenerationConfig(temperature=0.9, overlap_s=1.28),
    ),
    "table": RunConfig(
        vq=preset("table", "train-vq").vq,
        inputs=replace(_SMALL_INPUTS, attitudes=False),
        l2l=L2LConfig(
            width=96, speaker_layers=1, layers=2, heads=4, feedforward=192, dropout=0.0, top_p=1.0
        ),
        training=_TABLE_TRAINING,
        generation=_TABLE_GENERATION,
    ),
    "tiny": RunConfig(
        vq=preset("tiny", "train-vq").vq,
        inputs=replace(_SMALL_INPUTS, attitudes=False),
        l2l=L2LConfig(width=16, speaker_layers=1, layers=1, heads=2, feedforward=32, dropout=0.0),
        training=_TINY_TRAINING,
        generation=_TINY_GENERATION,
    ),
}
_ELP = {
    "paper": RunConfig(  # pieces of 64 frames
        vq=replace(_PAPER_VQ, layers=4, parts="face"),
        inputs=_PAPER_INPUTS,
        training=TrainingConfig(window_s=2.56, learning_rate=1e-4),
        generation=GenerationConfig(window_s=2.56, overlap_s=0.64),
    ),
    "small": RunConfig(
        vq=preset("small", "train-vq").vq,
        inputs=_SMALL_INPUTS,
        elp=ELPConfig(width=144, layers=3, heads=6, feedforward=384, dropout=0.0),
        training=_SMALL_TRAINING,
        generation=GenerationConfig(temperature=0.9, overlap_s=1.28),
    ),
    "table": RunConfig(
        vq=preset("table", "train-vq").vq,
        inputs=_SMALL_INPUTS,
        elp=ELPConfig(width=96, layers=2, heads=4, feedforward=192, dropout=0.0),
        training=_TABLE_TRAINING,
        generation=_TABLE_GENERATION,
    ),
    "tiny": RunConfig(
        vq=preset("tiny", "train-vq").vq,
        inputs=_SMALL_INPUTS,
        elp=ELPConfig(width=16, layers=1, heads=2, feedforward=32, dropout=0.0),
        training=_TINY_TRAINING,
        generation=_TINY_GENERATION,
    ),
}

_SPEAKER_INPUTS = InputsConfig(clamp_std=4.0, noise_std=0.15)
_FACEFORMER = {
    "paper": RunConfig(  # one clip a step; BIWI's are 4.7 s long on average
        training=TrainingConfig(batch_size=1, window_s=4.7, learning_rate=1e-4, weight_decay=0.0),
    ),
    "small": RunConfig(
        inputs=_SPEAKER_INPUTS,
        faceformer=FaceFormerConfig(dropout=0.0),
        training=replace(_SMALL_TRAINING, window_s=2.56),
    ),
    "table": RunConfig(
        inputs=_SPEAKER_INPUTS,
        faceformer=FaceFormerConfig(width=96, dropout=0.0),
        training=replace(_TABLE_TRAINING, window_s=2.56),
    ),
    "tiny": RunConfig(
        inputs=_SPEAKER_INPUTS,
        faceformer=FaceFormerConfig(width=16, encoder_layers=1, heads=2, period=5, dropout=0.0),
        training=_TINY_TRAINING,
    ),
}

_CODETALKER = {
    "paper": RunConfig(  # sizes for BIWI; one clip a step, of 4.7 s on average
        training=TrainingConfig(batch_size=1, window_s=4.7, learning_rate=1e-4, weight_decay=0.002),
    ),
    "small": RunConfig(
        inputs=_SPEAKER_INPUTS,
        codetalker=CodeTalkerConfig(
            prior_width=96, prior_layers=2, prior_heads=4, prior_feedforward=192, code_dim=16,
            warmup_steps=120, revive_after=100, width=128, layers=3, dropout=0.0, own_past=0.75,
        ),
        training=replace(_SMALL_TRAINING, window_s=2.56),
        generation=GenerationConfig(window_s=2.56, overlap_s=0.64),
    ),
    "table": RunConfig(
        inputs=_SPEAKER_INPUTS,
        codetalker=CodeTalkerConfig(
            prior_width=64, prior_layers=1, prior_heads=4, prior_feedforward=128, code_dim=16,
            warmup_steps=100, revive_after=100, width=96, layers=2, dropout=0.0, own_past=0.75,
        ),
        training=replace(_TABLE_TRAINING, window_s=2.56),
        generation=GenerationConfig(window_s=2.56, overlap_s=0.64),
    ),
    "tiny": RunConfig(
        inputs=_SPEAKER_INPUTS,
        codetalker=CodeTalkerConfig(
            prior_width=16, prior_layers=1, prior_heads=2, prior_feedforward=32, components=4,
            codebook_size=16, code_dim=4, warmup_steps=5, revive_after=10, width=16,
            encoder_layers=1, layers=2, heads=2, period=5, dropout=0.0,
        ),
        training=_TINY_TRAINING,
        generation=_TINY_GENERATION,
    ),
}  # fmt: skip
_MESHTALK = {
    "paper": RunConfig(  # sizes of the paper, training of the released code
        training=TrainingConfig(
            steps=50_000, batch_size=8, window_s=1.28, learning_rate=1e-4, weight_decay=0.001
        ),
    ),
    "small": RunConfig(
        inputs=_SPEAKER_INPUTS,
        meshtalk=MeshTalkConfig(heads=16, categories=32, hidden=16, dropout=0.0),
        training=replace(_SMALL_TRAINING, window_s=2.56, learning_rate=2e-3),
    ),
    "table": RunConfig(
        inputs=_SPEAKER_INPUTS,
        meshtalk=MeshTalkConfig(width=96, heads=8, categories=32, hidden=16, dropout=0.0),
        training=replace(_TABLE_TRAINING, window_s=2.56),
    ),
    "tiny": RunConfig(
        inputs=_SPEAKER_INPUTS,
        meshtalk=MeshTalkConfig(width=16, heads=4, categories=8, hidden=4, dropout=0.0),
        training=_TINY_TRAINING,
    ),
}


def _nearest(by: str) -> dict[str, RunConfig]:
    found = RunConfig(nearest=NearestConfig(by=by))
    centred = replace(found, inputs=InputsConfig(speaker_centering=True))
    return {"paper": found, "small": centred, "table": centred, "tiny": centred}


_PRESETS = {
    "nearest-audio": _nearest("audio"),
    "nearest-motion": _nearest("motion"),
    "rlhg": _RLHG,
    "l2l": _L2L,
    "elp": _ELP,
    "faceformer": _FACEFORMER,
    "codetalker": _CODETALKER,
    "meshtalk": _MESHTALK,
}


def baseline_preset(name: str, method: str) -> RunConfig:
    """A baseline's configuration. Raises InputError that lists the presets, or the methods."""
    require_choice("--method", method, tuple(_PRESETS))
    require_choice("preset", name, PRESETS)
    found = _PRESETS[method][{"official": "paper", "speaker": "small"}.get(name, name)]
    return replace(found, kind=method.partition("-")[0], stage="train", preset=name)


def prior_preset(name: str, method: str) -> RunConfig:
    """The configuration of a two-stage method's first stage, which trains for as long as DIM's
    VQ-VAE where the paper's sizes are not asked for."""
    require_choice("--method", method, TWO_STAGE)
    config = replace(baseline_preset(name, method), stage=PRIOR)
    if name in ("paper", "official"):
        return config
    steps = preset(name, "train-vq").training.steps
    return replace(config, training=replace(config.training, steps=steps))
