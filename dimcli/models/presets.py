"""The presets: the paper's sizes, the released code's, what is shipped (``small`` listeners and
``speaker``), a smaller one for whole tables of methods on one CPU core (``table``), and one for
tests (``tiny``).

``paper`` and ``official`` state what the paper and the released code say; where they say nothing
the fields' defaults stand.
"""

from __future__ import annotations

from dataclasses import replace

from dimcli.core.config import require_choice
from dimcli.models.config import (
    STAGES,
    DIMConfig,
    GenerationConfig,
    RunConfig,
    TrainingConfig,
    VQConfig,
)

_SMALL_VQ = VQConfig(
    width=48, layers=2, heads=4, feedforward=96, dropout=0.0, codebook_size=256, code_dim=16,
    stride=4, parts="face", local_kernel=5, frame_kernel=5, velocity_weight=2.0, warmup_steps=250,
    revive_after=100,
)  # fmt: skip
_SMALL_DIM = DIMConfig(
    width=96, role_layers=2, joint_layers=2, decoder_layers=3, heads=4, feedforward=256,
    dropout=0.0, local_kernel=5, listener_inputs="codes", audio_width=64,
    listener_visible="uniform", contrastive_weight=0.1, motion_weight=0.05, anchor_weight=1.0,
    motion_share=0.25, visible_targets=True, code_geometry=True,
    attitudes=True, speaker_centering=True, clamp_std=4.0, noise_std=0.15, modality_dropout=0.05,
)  # fmt: skip
_TINY_VQ = replace(
    _SMALL_VQ, width=16, layers=1, heads=2, feedforward=32, codebook_size=16, code_dim=4,
    warmup_steps=5, revive_after=10,
)  # fmt: skip
_TINY_DIM = replace(
    _SMALL_DIM, width=16, role_layers=1, joint_layers=1, decoder_layers=1, heads=2,
    feedforward=32, audio_width=16, dropout=0.0,
)  # fmt: skip
_TABLE_VQ = replace(
    _SMALL_VQ, width=32, layers=1, heads=2, feedforward=64, codebook_size=128, warmup_steps=150,
)  # fmt: skip
_TABLE_DIM = replace(
    _SMALL_DIM, width=64, role_layers=1, joint_layers=1, decoder_layers=2, feedforward=128,
    audio_width=32,
)  # fmt: skip
_SPEAKER_VQ = replace(_SMALL_VQ, stride=2, parts="speech", warmup_steps=120)
_SPEAKER_DIM = replace(
    _SMALL_DIM, width=48, role_layers=1, joint_layers=1, decoder_layers=4, feedforward=288,
    audio_width=96, speaker_inputs="codes", listener_inputs="motion", mouth="expected",
    motion_weight=4.0, motion_share=1.0, attitudes=False, styles=True, speaker_centering=False,
    modality_dropout=0.0, band_warp=0.12, audio_kernel=5, mouth_residual=True, lips_weight=1.0,
    closed_weight=2.0,
)  # fmt: skip
_SMALL_STAGES = {
    "train-vq": TrainingConfig(
        steps=1000, batch_size=16, window_s=5.12, learning_rate=2e-3, weight_decay=1e-4,
        schedule="cosine", ramp_steps=100, validate_every=250,
    ),
    "pretrain": TrainingConfig(
        steps=400, batch_size=16, learning_rate=1.5e-3, weight_decay=1e-2, schedule="cosine",
        ramp_steps=100, validate_every=200,
    ),
    "finetune": TrainingConfig(
        steps=3600, batch_size=16, learning_rate=1.5e-3, weight_decay=1e-2, schedule="cosine",
        ramp_steps=100, validate_every=250,
    ),
}  # fmt: skip
_TABLE_STAGES = {
    "train-vq": replace(
        _SMALL_STAGES["train-vq"], steps=500, window_s=2.56, learning_rate=3e-3, ramp_steps=50,
        validate_every=200,
    ),
    "pretrain": replace(
        _SMALL_STAGES["pretrain"], steps=300, window_s=5.12, learning_rate=2e-3, ramp_steps=50,
        validate_every=100,
    ),
    "finetune": replace(
        _SMALL_STAGES["finetune"], steps=600, window_s=5.12, learning_rate=2e-3, ramp_steps=50,
        validate_every=100,
    ),
}  # fmt: skip
_SPEAKER_STAGES = {
    "train-vq": replace(
        _SMALL_STAGES["train-vq"],
        steps=450,
        batch_size=12,
        window_s=2.56,
        validate_every=225,
        validation_batches=4,
    ),
    "pretrain": replace(_SMALL_STAGES["pretrain"], window_s=3.84),
    "finetune": replace(
        _SMALL_STAGES["finetune"],
        steps=12_500,
        window_s=3.84,
        learning_rate=3e-3,
        ramp_steps=300,
        validate_every=500,
        validation_batches=16,
    ),
}
_PAPER_VQ = VQConfig(reconstruction="l2", standardise=False)
_PRESETS: dict[str, tuple[VQConfig, DIMConfig, dict[str, TrainingConfig], GenerationConfig]] = {
    "paper": (_PAPER_VQ, DIMConfig(), dict.fromkeys(STAGES, TrainingConfig()), GenerationConfig()),
    "official": (
        replace(_PAPER_VQ, layers=6, feedforward=1536, reconstruction="l1"),
        DIMConfig(
            role_layers=4, joint_layers=4, decoder_layers=4, heads=12, feedforward=1536,
            joint="time", decoder="autoregressive", audio_width=768, mask_ratio=0.15,
        ),
        dict.fromkeys(STAGES, TrainingConfig(learning_rate=1e-4)),
        GenerationConfig(),
    ),
    "small": (
        _SMALL_VQ,
        _SMALL_DIM,
        _SMALL_STAGES,
        GenerationConfig(steps=6, temperature=0.9, overlap_s=1.28),
    ),
    "speaker": (
        _SPEAKER_VQ,
        _SPEAKER_DIM,
        _SPEAKER_STAGES,
        GenerationConfig(
            steps=6, temperature=0.9, sharpening=0.4, offsets=2, window_s=3.84, overlap_s=0.96
        ),
    ),
    "table": (
        _TABLE_VQ,
        _TABLE_DIM,
        _TABLE_STAGES,
        GenerationConfig(steps=6, temperature=0.9, window_s=5.12, overlap_s=1.28),
    ),
    "tiny": (
        _TINY_VQ,
        _TINY_DIM,
        {
            stage: TrainingConfig(
                steps=30, batch_size=4, window_s=1.28, learning_rate=3e-3, validate_every=10,
                validation_batches=1,
            )
            for stage in STAGES
        },
        GenerationConfig(steps=2, window_s=1.28, overlap_s=0.32),
    ),
}  # fmt: skip
PRESETS = tuple(_PRESETS)
"""Names of the presets."""

PARAMETERS = {
    "paper": (19_151_288, 114_842_096, 95_297_080),
    "official": (21_502_904, 101_143_664, 79_050_424),
    "small": (563_048, 3_138_620, 2_296_174),
    "speaker": (632_128, 2_765_470, 2_471_959),
    "table": (157_432, 823_772, 572_542),
    "tiny": (41_088, 116_812, 70_734),
}
"""Parameters of one role's VQ-VAE, of the pre-trained and of the fine-tuned model (both with the
VQ-VAEs they need), for audio features of width 32."""


def preset(name: str, stage: str, role: str = "listener") -> RunConfig:
    """The run configuration of one stage of a preset. Raises InputError that lists the presets."""
    require_choice("preset", name, PRESETS)
    require_choice("stage", stage, STAGES)
    vq, dim, stages, generation = _PRESETS[name]
    return RunConfig(
        kind="vq" if stage == "train-vq" else "dim",
        stage=stage,
        role=role,
        preset=name,
        vq=vq,
        dim=dim,
        training=stages[stage],
        generation=generation,
    )
