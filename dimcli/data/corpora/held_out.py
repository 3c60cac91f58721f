"""Small corpora that no shipped weights have learnt from, made when first asked for.

For listeners, synthetic dyads. For speakers, the takes of ``weights/held-out-speech``: voices that
no training speech has, with a face by the same rule as in training
(:mod:`dimcli.data.synthetic.spoken`) and the sound as it is.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import platformdirs

import weights
from dimcli.core.progress import Progress, silent
from dimcli.data.corpora.preparing import prepare
from dimcli.data.store import HEADER, ClipStore
from dimcli.data.synthetic.rule import ReactionRule
from dimcli.data.synthetic.spoken import KINDS, SpokenOptions, spoken
from dimcli.data.synthetic.synthetic import Recipe, write_synthetic
from dimcli.data.workers import HERE, Engine

HELD_OUT = Recipe(seed=20261122, conversation_s=15.0, clip_s=15.0)
"""One clip a conversation, so that clips are independent of each other. The shipped listener
learnt from seed 1."""
REACTING = replace(HELD_OUT, reaction=ReactionRule())
"""The same with speakers who react to their listeners."""
CONVERSATIONS = 240

SPEECH = "held-out-speech"
SPEECH_OPTIONS = SpokenOptions(change=False, rest_share=0.0, seed=20261122)
VOICE_KINDS = {"natural voices": "natural-*", "eSpeak voices": "espeak-*"}
FITTED = ("natural-9000", "natural-9001", "espeak-9000", "espeak-9001")
"""Voices that methods which need no training take their means from; the others are the test."""


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
    engine: Engine = HERE,
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
            engine=engine,
            progress=lambda done, total: progress("drawing held-out dyads", done, total),
        )
    return ClipStore(folder)


def held_out_speech(
    source: Path | None = None,
    *,
    folder: Path | None = None,
    engine: Engine = HERE,
    progress: Progress = silent,
) -> ClipStore:
    """Talking faces for the takes in ``source`` (those that are shipped), made in ``folder`` (the
    cache) unless they are there already.
    """
    source = source or weights.path(SPEECH)
    corpus = spoken(source, SPEECH_OPTIONS)
    jobs = [
        replace(job, split="train" if job.conversation.startswith(FITTED) else "test")
        for job in corpus.jobs
    ]
    corpus = replace(corpus, jobs=jobs, choices={**corpus.choices, KINDS: VOICE_KINDS})
    content = weights.digest(source)[:16]
    folder = folder or cache_folder() / f"speech-{content}-{corpus.recipe()}"
    if not (folder / HEADER).is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        prepare(
            corpus,
            folder,
            engine=engine,
            progress=lambda _, done, total: progress("making held-out faces", done, total),
        )
    return ClipStore(folder)
