"""Ablations and modes of DIM by name: what each leaves out, and which settings say so.

Everything else stays as the preset has it, so a name is a difference to the whole method. Those of
the paper's Table 3 and of its supplement's Table 1 are all here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dimcli.core.config import require_choice
from dimcli.core.motion import MOTION_DIM
from dimcli.data.clip import ROLES


@dataclass(frozen=True)
class Ablation:
    """One difference to the whole method.

    ``what`` it is and where the paper has it (``source``). ``model`` are settings of pre-training
    and fine-tuning both, so that the pre-training of the whole method can't be used; ``vq`` those
    of VQ-VAEs of its own; ``finetuning`` settings of fine-tuning alone. ``pretraining`` false
    leaves pre-training out. ``roles`` are those whom it can generate.
    """

    what: str
    source: str
    model: Mapping[str, Any] = field(default_factory=dict)
    finetuning: Mapping[str, Any] = field(default_factory=dict)
    vq: Mapping[str, Any] = field(default_factory=dict)
    pretraining: bool = True
    roles: tuple[str, ...] = ("listener",)

    @property
    def own_pretraining(self) -> bool:
        """Whether it is pre-trained, and otherwise than the whole method."""
        return self.pretraining and bool(self.model or self.vq)

    @property
    def codes(self) -> bool:
        """Whether it needs VQ-VAEs."""
        return self.model.get("dim.targets") != "motion"


ONLINE = "online"
PAPER_RECIPE = "paper-recipe"
_TABLE_3 = "Table 3"
_SUPPLEMENT = "supplement, Table 1"

ABLATIONS: dict[str, Ablation] = {
    "none": Ablation("the whole method", _TABLE_3, roles=ROLES),
    "no-vq": Ablation(
        "motion is predicted directly, by regression, instead of codes",
        _TABLE_3,
        model={
            "dim.targets": "motion",
            "dim.speaker_inputs": "motion",
            "dim.listener_inputs": "motion",
            "dim.visible_targets": False,
            "dim.code_geometry": False,
            "dim.decoder": "parallel",
        },
        finetuning={"dim.listener_visible": "none", "generation.steps": 1},
    ),
    "no-pretraining": Ablation(
        "fine-tuned from scratch, without dyadic pre-training",
        _TABLE_3,
        pretraining=False,
        roles=ROLES,
    ),
    "frozen-decoder": Ablation(
        "the VQ decoders stay as the VQ-VAEs' training left them",
        _TABLE_3,
        model={"dim.freeze_vq_decoder": True},
        roles=ROLES,
    ),
    "no-contrast": Ablation(
        "pre-trained without the contrastive loss",
        _TABLE_3,
        model={"dim.contrastive_weight": 0.0},
        roles=ROLES,
    ),
    "one-branch": Ablation(
        "no listener branch: only the speaker is encoded and only the listener predicted, "
        "which leaves nothing to contrast",
        _TABLE_3,
        model={"dim.branches": "speaker", "dim.contrastive_weight": 0.0},
    ),
    "motion-only": Ablation(
        "the speaker's voice is all zeros in fine-tuning and generation (V)",
        _SUPPLEMENT,
        finetuning={"dim.modalities": "motion"},
    ),
    "audio-only": Ablation(
        "the speaker's face and head are all zeros in fine-tuning and generation (A)",
        _SUPPLEMENT,
        finetuning={"dim.modalities": "audio"},
    ),
    ONLINE: Ablation(
        "causal masks in fine-tuning, on the pre-trained weights; generates as a stream",
        _SUPPLEMENT,
        finetuning={"dim.causal": True, "vq.causal": True},
    ),
    PAPER_RECIPE: Ablation(
        "the paper's own objective: a code a frame for the whole face, motion as input, all of the "
        "target masked, sums for equations 3 and 9, one pass",
        "sections 3.2 and 3.3",
        vq={
            **dict.fromkeys(("vq.local_kernel", "vq.frame_kernel"), 0),
            "vq.parts": "whole",
            "vq.stride": 1,
            "vq.velocity_weight": 0.0,
            "vq.code_dim": 16,
            "vq.codebook_weight": 16 / MOTION_DIM,
        },
        model={
            **dict.fromkeys(("dim.local_kernel", "dim.anchor_weight", "dim.noise_std"), 0),
            "dim.listener_inputs": "motion",
            "dim.visible_targets": False,
            "dim.code_geometry": False,
            "dim.attitudes": False,
            "dim.modality_dropout": 0.0,
            "dim.contrastive_weight": 1.0,
            "dim.motion_weight": float(MOTION_DIM),
            "dim.motion_share": 1.0,
        },
        finetuning={"dim.listener_visible": "none", "generation.steps": 1},
    ),
    "autoregressive": Ablation(
        "the decoder predicts one step after another, each from those before it",
        "the released code",
        model={"dim.decoder": "autoregressive", "dim.visible_targets": False},
        finetuning={"dim.listener_visible": "none"},
    ),
}


def ablation(name: str | None, role: str = "listener") -> Ablation:
    """The ablation of that name; the whole method for None. InputError lists those of ``role``."""
    known = tuple(name for name, each in ABLATIONS.items() if role in each.roles)
    require_choice("--ablation", name or "none", known)
    return ABLATIONS[name or "none"]
