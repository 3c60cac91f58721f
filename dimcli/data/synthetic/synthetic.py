"""Synthetic dyads: conversations drawn from a written-down generative model.

The numbers stand in :mod:`dimcli.data.synthetic.rule`, the speaker in
:mod:`dimcli.data.synthetic.speaker_events` and :mod:`dimcli.data.synthetic.speaker_rule`, the
listener in :mod:`dimcli.data.synthetic.listener_rule`. A conversation is a function of (recipe,
seed, index) alone, so a data set can be made in parallel, resumed, or re-made in part, with the
same bytes; and its hidden events can be drawn again later, which is what the oracle does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from dimcli.audio import MEL, mel
from dimcli.core.documents import shortened, whole_number
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats
from dimcli.data.clip import ClipRecord
from dimcli.data.store import DatasetInfo
from dimcli.data.synthetic.listener_rule import listener_motion
from dimcli.data.synthetic.rule import LISTENER_ATTITUDES, ListenerRule, ReactionRule, SpeakerRule
from dimcli.data.synthetic.speaker_events import SpeakerEvents, draw_events
from dimcli.data.synthetic.speaker_rule import speaker_motion, speaker_sound
from dimcli.data.workers import HERE, Engine, each_done
from dimcli.data.writer import StoreWriter, split_conversations

Progress = Callable[[int, int], None]

RECIPE_VERSION = 5
"""Goes up whenever the same seed would give other data."""
_EVENTS, _SPEAKER, _SOUND, _LISTENER = range(4)


@dataclass(frozen=True)
class Recipe:
    """What a synthetic data set is made by.

    ``seed``; ``fps``; ``conversation_s`` seconds a conversation, cut into ``clip_s`` clips. With
    ``reaction``, speakers react to their listeners and a pair shares its style.
    """

    seed: int = 0
    fps: float = 25.0
    conversation_s: float = 60.0
    clip_s: float = 15.0
    reaction: ReactionRule | None = None
    speaker: SpeakerRule = field(default_factory=SpeakerRule)
    listener: ListenerRule = field(default_factory=ListenerRule)
    version: int = RECIPE_VERSION

    def __post_init__(self) -> None:
        if not 5.0 <= self.fps <= 120.0:
            raise InputError(f"fps {self.fps:g}; expected 5 to 120")
        if not 1.0 <= self.clip_s <= self.conversation_s:
            raise InputError(
                f"clip_s {self.clip_s:g}; expected 1 to conversation_s ({self.conversation_s:g})"
            )

    @property
    def frames(self) -> int:
        """Frames a conversation."""
        return round(self.conversation_s * self.fps)

    def fingerprint(self) -> str:
        """A short hash of every number that shapes the data."""
        numbers = asdict(self)
        if self.reaction is None:
            # a recipe from before there were reactions keeps its name
            del numbers["reaction"]
        return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Conversation:
    """One synthetic conversation: events, motions [T, 56], audio features [T, D] and sound."""

    events: SpeakerEvents
    speaker: Floats
    listener: Floats
    audio: Floats
    sound: Floats


def conversation_events(recipe: Recipe, index: int) -> SpeakerEvents:
    """The hidden events of conversation ``index``, drawn again from its seed."""
    random = _random(recipe, index, _EVENTS)
    mutual = (recipe.reaction, recipe.listener) if recipe.reaction else None
    return draw_events(random, recipe.conversation_s, recipe.fps, recipe.speaker, mutual)


def make_conversation(recipe: Recipe, index: int) -> Conversation:
    """Conversation ``index`` of ``recipe``: the same bytes every time."""
    events = conversation_events(recipe, index)
    sound, rate = speaker_sound(events, _random(recipe, index, _SOUND))
    return Conversation(
        events=events,
        speaker=speaker_motion(events, _random(recipe, index, _SPEAKER), recipe.speaker),
        listener=redraw_listener(recipe, index, draw=0),
        audio=mel(sound, rate, recipe.fps, recipe.frames),
        sound=sound,
    )


def redraw_listener(recipe: Recipe, index: int, draw: int) -> Floats:
    """A listener for conversation ``index``: float32 [T, 56].

    ``draw`` 0 is the one in the data set; any other is a fresh draw from the same conditional
    distribution given the speaker's hidden events: the oracle's prediction. Those of a speaker who
    reacts are the reactions too, so that a redrawn listener fits them as well as the true one does.
    """
    events = conversation_events(recipe, index)
    return listener_motion(events, _random(recipe, index, _LISTENER + draw), recipe.listener)


def conversation_name(index: int) -> str:
    """The id of conversation ``index``."""
    return f"synthetic-{index:06d}"


def conversation_index(name: str) -> int:
    """The index of a conversation by its id. Raises InputError for another data set's id."""
    prefix, _, digits = name.rpartition("-")
    number = whole_number(digits)
    if prefix != "synthetic" or number is None:
        raise InputError(
            f"conversation '{shortened(name)}' is not synthetic; the oracle knows only those"
        )
    return number


def write_synthetic(
    out: Path,
    *,
    hours: float | None = None,
    conversations: int | None = None,
    recipe: Recipe | None = None,
    engine: Engine = HERE,
    progress: Progress | None = None,
) -> DatasetInfo:
    """Make a synthetic data set of ``hours`` or of a number of ``conversations`` in ``out``.

    Interrupted, it goes on where it stopped: conversations that are there and were made by the
    same recipe are kept. ``progress(done, total)`` is called as conversations finish. Raises
    InputError if ``out`` holds data of another recipe.
    """
    recipe = recipe or Recipe()
    count = _count(hours, conversations, recipe)
    writer = StoreWriter(
        out, name="synthetic", fps=recipe.fps, space="arkit", encoder=MEL.name, audio_dim=MEL.dim
    )
    attitudes: dict[int, str] = {}
    for index in range(count):
        notes = writer.notes(conversation_name(index))
        if notes is None:
            continue
        if notes.get("recipe") != recipe.fingerprint():
            raise InputError(
                f"{out}: holds conversations of another recipe or seed; name an empty folder"
            )
        attitudes[index] = notes["attitude"]
    todo = [index for index in range(count) if index not in attitudes]
    calls = [(_make_one, (writer, recipe, index)) for index in todo]
    with closing(each_done(calls, engine)) as results:
        for done, (index, attitude) in enumerate(results, start=1):
            attitudes[index] = attitude
            if progress:
                progress(count - len(todo) + done, count)
    records = _records(recipe, attitudes)
    made_by = {
        "prepare": "synthetic",
        "seed": recipe.seed,
        "conversation_s": recipe.conversation_s,
        "clip_s": recipe.clip_s,
        "recipe_version": recipe.version,
        "recipe": recipe.fingerprint(),
    }
    if recipe.reaction:
        made_by["reacting"] = True
    return writer.finish(records, made_by)


def _count(hours: float | None, conversations: int | None, recipe: Recipe) -> int:
    if (hours is None) == (conversations is None):
        raise InputError("give hours or conversations, one of them")
    count = conversations if hours is None else round(hours * 3600.0 / recipe.conversation_s)
    if not count or count < 1:
        raise InputError(
            f"nothing to make: at least one conversation of {recipe.conversation_s:g} s is needed"
        )
    return count


def _make_one(writer: StoreWriter, recipe: Recipe, index: int) -> tuple[int, str]:
    made = make_conversation(recipe, index)
    attitude = LISTENER_ATTITUDES[made.events.attitude]
    writer.add(
        conversation_name(index),
        speaker=made.speaker,
        listener=made.listener,
        audio=made.audio,
        notes={"recipe": recipe.fingerprint(), "attitude": attitude},
    )
    return index, attitude


def _records(recipe: Recipe, attitudes: dict[int, str]) -> list[ClipRecord]:
    names = {index: conversation_name(index) for index in sorted(attitudes)}
    splits = split_conversations(list(names.values()), recipe.seed)
    length = round(recipe.clip_s * recipe.fps)
    return [
        ClipRecord(
            id=f"{name}-{start:05d}",
            conversation=name,
            start=start,
            stop=start + length,
            split=splits[name],
            speaker=f"speaker-{index:06d}",
            listener=f"listener-{index:06d}",
            attitude=attitudes[index],
        )
        for index, name in names.items()
        for start in range(0, recipe.frames - length + 1, length)
    ]


def _random(recipe: Recipe, index: int, stream: int) -> np.random.Generator:
    """Independent streams for what is drawn, so that changing one part leaves the others."""
    return np.random.default_rng([recipe.seed, index, stream])
