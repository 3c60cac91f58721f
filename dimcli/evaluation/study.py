"""A rating study (the paper's supplement C): its questions, whose turn is when, and its answers.

Participants see videos under letters. Which method made which is in the study's key alone, which
they do not get; files, questions and results carry drawn names. The order of the questions and of
the videos in each is a balanced design: over participants numbered in turn, every method stands
equally often at every place and behind every other (Williams 1949), and every question is asked
equally often at every place. Methods and questions are given other letters after each round of the
design, so that no order can be guessed from an earlier one.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from dimcli.core.documents import parse_json, read_json, read_text, shortened
from dimcli.core.errors import InputError
from dimcli.evaluation.scores import Array

KEY_FORMAT, RESULTS_FORMAT, VERSION = "dim-study", "dim-study-results", 1
RATING, PAIRS = "rating", "pairs"
HIGHEST = 5
"""Of the scale, which begins at 0."""
SESSIONS = 240
"""Orders that a page knows: divisible by the length of most designs; later participants begin
again."""
MOST_METHODS, MOST_QUESTIONS, MOST_CRITERIA = 12, 400, 10
_RESULT_BYTES = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
"""A participant's: nothing that a spreadsheet would take for a formula."""


@dataclass(frozen=True)
class Criterion:
    """What is judged: its ``name`` in tables, and what participants are asked."""

    name: str
    rated: str
    compared: str
    low: str
    high: str


CRITERIA = (
    Criterion(
        "feedback",
        "Does the listener react fittingly to the speaker? Think of nods, smiles and looks, and "
        "of whether they come at the right moment.",
        "Which listener reacts more fittingly to the speaker?",
        "not at all",
        "very well",
    ),
    Criterion(
        "movement",
        "Do head and face move in varied ways, and without jerks?",
        "Whose head and face move in more varied ways, and with fewer jerks?",
        "still or jerky",
        "varied and smooth",
    ),
)
"""The two of the paper's supplement C, in words of ours."""


@dataclass(frozen=True)
class Study:
    """A study as its key holds it.

    ``videos`` gives of each drawn name the stimulus and the method; ``questions`` the drawn names
    that are shown together: all of a stimulus' (``rating``), or two of them (``pairs``). ``checks``
    are attention checks: the answer that each asks for, one a criterion (a score, or 0 for the
    first video and 1 for the second).
    """

    id: str
    title: str
    mode: str
    seed: int
    methods: tuple[str, ...]
    stimuli: tuple[str, ...]
    videos: dict[str, tuple[str, str]]
    questions: dict[str, tuple[str, ...]]
    checks: dict[str, tuple[int, ...]]
    criteria: tuple[str, ...] = tuple(each.name for each in CRITERIA)

    def as_json(self) -> str:
        """The text of the key's file."""
        return json.dumps({"format": KEY_FORMAT, "version": VERSION, **asdict(self)}, indent=1)


def new_study(
    methods: Sequence[str], stimuli: Sequence[str], *, title: str, mode: str, checks: int, seed: int
) -> Study:
    """A study of every method on every stimulus; the same arguments give the same names.

    Raises InputError for fewer than two methods or too many of anything.
    """
    if not 2 <= len(methods) <= MOST_METHODS:
        raise InputError(f"{len(methods)} methods; a study compares 2 to {MOST_METHODS}")
    groups = len(stimuli) * (math.comb(len(methods), 2) if mode == PAIRS else 1)
    if groups > MOST_QUESTIONS:
        raise InputError(f"{groups} questions; expected at most {MOST_QUESTIONS}: fewer videos")
    facts = json.dumps([list(methods), list(stimuli), title, mode, checks, seed])
    digest = hashlib.sha256(facts.encode()).hexdigest()
    rng = np.random.default_rng(int(digest, 16))
    places = [(stimulus, method) for stimulus in stimuli for method in methods]
    names = _drawn_names(len(places), rng)
    videos = dict(sorted(zip(names, places, strict=True)))
    by_place = {place: name for name, place in videos.items()}
    shown = [
        tuple(by_place[stimulus, method] for method in group)
        for stimulus in stimuli
        for group in (combinations(methods, 2) if mode == PAIRS else [methods])
    ]
    top = HIGHEST if mode == RATING else 1
    return Study(
        id=digest[:16],
        title=title,
        mode=mode,
        seed=seed,
        methods=tuple(methods),
        stimuli=tuple(stimuli),
        videos=videos,
        questions={f"q{number}": names for number, names in enumerate(shown, start=1)},
        checks={
            f"check{number}": tuple(int(one) for one in rng.integers(0, top + 1, len(CRITERIA)))
            for number in range(1, checks + 1)
        },
    )


def _drawn_names(count: int, rng: np.random.Generator) -> list[str]:
    names: dict[str, None] = {}
    while len(names) < count:
        names[rng.bytes(5).hex()] = None
    return list(names)


def williams(count: int) -> list[list[int]]:
    """A Williams design: rows in which each of ``count`` things stands equally often at each place
    and directly behind each other one. ``count`` rows where it is even, twice as many where odd.
    """
    first = [(i + 1) // 2 if i % 2 else (count - i // 2) % count for i in range(count)]
    rows = [[(one + shift) % count for one in first] for shift in range(count)]
    return rows if count % 2 == 0 else rows + [row[::-1] for row in rows]


def sessions(study: Study, count: int = SESSIONS) -> list[list[tuple[str, tuple[str, ...]]]]:
    """What participants 1 to ``count`` see: questions in order, each with its videos in order.

    An attention check is a question without videos.
    """
    names, methods = list(study.questions), len(study.methods)
    question_orders, video_orders = williams(len(names)), williams(methods)
    pairs = math.comb(methods, 2)
    made = []
    for number in range(count):
        order = _relabelled(question_orders, number, number, study.seed, 1)
        session: list[tuple[str, tuple[str, ...]]] = []
        for index in order:
            shown = study.questions[names[index]]
            if study.mode == PAIRS:
                turned = (number + index // pairs + index % pairs) % 2
                session.append((names[index], shown[::-1] if turned else shown))
            else:
                places = _relabelled(video_orders, number, number + index, study.seed, 2)
                session.append((names[index], tuple(shown[place] for place in places)))
        rng = np.random.default_rng([study.seed, 3, number])
        step = len(names) / max(1, len(study.checks))
        for done, check in enumerate(study.checks):
            at = round(step * (done + rng.uniform(0.3, 0.9)))
            session.insert(min(at, len(names)) + done, (check, ()))
        made.append(session)
    return made


def _relabelled(
    rows: list[list[int]], number: int, turn: int, seed: int, purpose: int
) -> list[int]:
    """The row for ``turn``, with other labels in each round of as many participants as rows."""
    rng = np.random.default_rng([seed, purpose, number // len(rows)])
    labels = rng.permutation(len(rows[0]))
    return [int(labels[one]) for one in rows[turn % len(rows)]]


def read_study(path: Path) -> Study:
    """The study whose key is at ``path``. Raises InputError for anything else."""
    content = read_json(path)
    kept = {name: _plain(content, name, path) for name in ("id", "title", "mode")}
    if content.get("format") != KEY_FORMAT or content.get("version") != VERSION:
        raise InputError(f"{path}: not the key of a study; name the folder of dim study make")
    try:
        study = Study(
            **kept,
            seed=int(content["seed"]),
            methods=_texts(content["methods"]),
            stimuli=_texts(content["stimuli"]),
            videos={name: _place(place) for name, place in content["videos"].items()},
            questions={name: _texts(shown) for name, shown in content["questions"].items()},
            checks={name: tuple(map(int, asked)) for name, asked in content["checks"].items()},
            criteria=_texts(content["criteria"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise InputError(f"{path}: damaged; make the study again") from None
    if not _is_whole(study):
        raise InputError(f"{path}: damaged; make the study again")
    return study


def _is_whole(study: Study) -> bool:
    """Whether every method made a video of every stimulus, and each is asked about."""
    stimuli, methods = set(study.stimuli), set(study.methods)
    count = len(stimuli) * len(methods)
    shown = study.questions.values()
    return (
        study.mode in (RATING, PAIRS)
        and 2 <= len(methods) == len(study.methods) <= MOST_METHODS
        and 0 < len(study.questions) <= MOST_QUESTIONS
        and 0 < len(study.criteria) <= MOST_CRITERIA
        and len(study.videos) == len(set(study.videos.values())) == count
        and all(one in stimuli and other in methods for one, other in study.videos.values())
        and len(stimuli) == len(study.stimuli)
        and {name for names in shown for name in names} == study.videos.keys()
        and all(len({study.videos[name][0] for name in names}) == 1 for names in shown)
        and not (study.mode == PAIRS and any(len(names) != 2 for names in shown))
        and not study.questions.keys() & study.checks.keys()
    )


def _place(value: Any) -> tuple[str, str]:
    stimulus, method = _texts(value)
    return stimulus, method


def _plain(content: Any, name: str, path: Path) -> str:
    value = content.get(name) if isinstance(content, dict) else None
    if not isinstance(value, str) or not value or len(value) > 1000:
        raise InputError(f"{path}: has no {name}; name the folder of dim study make")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise TypeError
    return tuple(values)


@dataclass(frozen=True)
class Answers:
    """One participant's results file.

    ``given`` holds of each answered question the answers by place, int [C] for each criterion: of a
    rating question by drawn name (a score each), of a pair the drawn names that were chosen.
    ``failed`` are attention checks that were answered otherwise than asked, ``open`` the questions
    and checks without an answer.
    """

    path: Path
    participant: str
    session: int
    given: dict[str, dict[str, tuple[int, ...]]]
    shown: dict[str, tuple[str, ...]]
    failed: tuple[str, ...]
    open: tuple[str, ...]


def read_answers(path: Path, study: Study) -> Answers:
    """One results file, which anybody may have written. Raises InputError for what is no results
    file, or one of another study."""
    content = parse_json(read_text(path, "results", _RESULT_BYTES), str(path))
    if not isinstance(content, dict) or content.get("format") != RESULTS_FORMAT:
        raise InputError(f"{path}: not a results file of a study's page")
    if content.get("version") != VERSION:
        raise InputError(f"{path}: version {shortened(content.get('version'))}; expected {VERSION}")
    if content.get("study") != study.id:
        raise InputError(
            f"{path}: is of another study ({shortened(content.get('study'))}, not {study.id})"
        )
    participant, session = content.get("participant"), content.get("session")
    if not isinstance(participant, str) or not _NAME.fullmatch(participant):
        raise InputError(f"{path}: participant '{shortened(participant)}' is no name")
    if type(session) is not int or not 1 <= session <= SESSIONS:
        raise InputError(f"{path}: session {shortened(session)}; expected 1 to {SESSIONS}")
    answers = content.get("answers")
    if not isinstance(answers, list):
        raise InputError(f"{path}: has no list of answers")
    given: dict[str, dict[str, tuple[int, ...]]] = {}
    shown: dict[str, tuple[str, ...]] = {}
    checked: dict[str, tuple[int, ...]] = {}
    for one in answers:
        question = one.get("question") if isinstance(one, dict) else None
        if not isinstance(question, str) or question in given or question in checked:
            raise InputError(f"{path}: question {shortened(question)} is unknown or answered twice")
        if question in study.checks:
            top = HIGHEST if study.mode == RATING else 1
            checked[question] = _scores(one.get("answer"), top, len(study.criteria), path)
        elif question in study.questions:
            names = one.get("shown")
            if (
                not isinstance(names, list)
                or not all(isinstance(name, str) for name in names)
                or sorted(names) != sorted(study.questions[question])
            ):
                raise InputError(f"{path}: {question} was shown with other videos")
            shown[question] = tuple(names)
            given[question] = _answer(one.get("answer"), shown[question], study, path)
        else:
            raise InputError(f"{path}: question {shortened(question)} is unknown or answered twice")
    return Answers(
        path,
        participant,
        session,
        given,
        shown,
        tuple(name for name, asked in study.checks.items() if checked.get(name, asked) != asked),
        tuple(n for n in (*study.questions, *study.checks) if n not in given and n not in checked),
    )


def _answer(
    answer: Any, shown: tuple[str, ...], study: Study, path: Path
) -> dict[str, tuple[int, ...]]:
    """A question's answer by drawn name; of a pair 1 for the chosen one and 0 for the other."""
    count = len(study.criteria)
    if study.mode == PAIRS:
        chosen = _scores(answer, 1, count, path)
        return {name: tuple(int(one == at) for one in chosen) for at, name in enumerate(shown)}
    if not isinstance(answer, dict) or answer.keys() != set(shown):
        raise InputError(f"{path}: an answer does not rate each of the videos that were shown")
    return {name: _scores(scores, HIGHEST, count, path) for name, scores in answer.items()}


def _scores(values: Any, top: int, count: int, path: Path) -> tuple[int, ...]:
    fits = isinstance(values, list) and len(values) == count
    if not fits or not all(type(one) is int and 0 <= one <= top for one in values):
        raise InputError(f"{path}: an answer is not {count} whole numbers from 0 to {top}")
    return tuple(values)


@dataclass(frozen=True)
class Excluded:
    """A results file that does not count, and why."""

    path: Path
    participant: str
    reason: str


def kept_answers(answers: Sequence[Answers]) -> tuple[list[Answers], list[Excluded]]:
    """Those that count, and those that do not: incomplete, a failed attention check, or a second
    file of the same participant."""
    kept: dict[str, Answers] = {}
    excluded = []
    for one in answers:
        reason = ""
        if one.open:
            reason = f"incomplete: {len(one.open)} unanswered, the first {one.open[0]}"
        elif one.failed:
            reason = f"failed attention checks: {', '.join(one.failed)}"
        elif one.participant in kept:
            reason = f"a second file of this participant; {kept[one.participant].path} counts"
        if reason:
            excluded.append(Excluded(one.path, one.participant, reason))
        else:
            kept[one.participant] = one
    return list(kept.values()), excluded


def ratings(study: Study, answers: Sequence[Answers]) -> Array:
    """All answers as numbers: [participants, stimuli, methods, criteria].

    A score from 0 to 5; of pairs the share of its comparisons that a method won.
    """
    stimuli = {name: index for index, name in enumerate(study.stimuli)}
    methods = {name: index for index, name in enumerate(study.methods)}
    shape = (len(answers), len(stimuli), len(methods), len(study.criteria))
    total, asked = np.zeros(shape), np.zeros(shape)
    for person, one in enumerate(answers):
        for answer in one.given.values():
            for name, scores in answer.items():
                stimulus, method = study.videos[name]
                total[person, stimuli[stimulus], methods[method]] += scores
                asked[person, stimuli[stimulus], methods[method]] += 1
    return total / asked


def long_rows(study: Study, answers: Sequence[Answers]) -> list[Mapping[str, Any]]:
    """One row an answer, for other statistics programs."""
    return [
        {
            "participant": one.participant,
            "session": one.session,
            "question": question,
            "stimulus": study.videos[name][0],
            "method": study.videos[name][1],
            "place": one.shown[question].index(name) + 1,
            "criterion": criterion,
            "value": score,
        }
        for one in answers
        for question, answer in one.given.items()
        for name, scores in answer.items()
        for criterion, score in zip(study.criteria, scores, strict=True)
    ]
