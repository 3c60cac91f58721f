"""A small synthetic corpus that no shipped weights have learnt from, made when first asked for."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from dimcli.data.store import HEADER, ClipStore
from dimcli.data.synthetic import Recipe, write_synthetic
from dimcli.progress import Progress, silent

HELD_OUT = Recipe(seed=20261122, conversation_s=15.0, clip_s=15.0)
"""One clip a conversation, so that clips are independent of each other. The shipped listener
learnt from seed 1."""
CONVERSATIONS = 240


def cache_folder() -> Path:
    """Where files lie that can be made again: in ``$DIM_HOME``, else this system's cache folder."""
    chosen = os.environ.get("DIM_HOME")
    if chosen:
        return Path(chosen).expanduser() / "cache"
    return platformdirs.user_cache_path("dim", appauthor=False)


def held_out_synthetic(
    recipe: Recipe = HELD_OUT,
    conversations: int = CONVERSATIONS,
    *,
    folder: Path | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> ClipStore:
    """The data set of ``recipe``, made in ``folder`` (the cache) unless it is there already."""
    folder = folder or cache_folder() / f"synthetic-{recipe.fingerprint()}-{conversations}"
    if not (folder / HEADER).is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_synthetic(
            folder,
            conversations=conversations,
            recipe=recipe,
            workers=workers,
            progress=lambda done, total: progress("drawing held-out dyads", done, total),
        )
    return ClipStore(folder)
