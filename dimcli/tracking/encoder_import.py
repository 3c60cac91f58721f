"""``dim weights import emoca|deca|smirk``: an encoder alone, out of a file with much else."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from dimcli.core.files import atomic_output
from dimcli.tracking.encoders import load_encoder


def import_emoca(checkpoint: Path, folder: Path) -> Path:
    """Convert EMOCA's checkpoint or model folder into ``folder``; the file that was written."""
    return _import("emoca", checkpoint, folder)


def import_deca(checkpoint: Path, folder: Path) -> Path:
    """Convert ``deca_model.tar`` into ``folder``; the file that was written."""
    return _import("deca", checkpoint, folder)


def import_smirk(checkpoint: Path, folder: Path) -> Path:
    """Convert ``SMIRK_em1.pt`` into ``folder``; the file that was written."""
    return _import("smirk", checkpoint, folder)


def _import(tracker: str, checkpoint: Path, folder: Path) -> Path:
    encoder = load_encoder(tracker, checkpoint, device="cpu")
    target = folder / f"{tracker}.safetensors"
    with atomic_output(target, force=True) as temporary:
        save_file(encoder.state_dict(), temporary)
    return target
