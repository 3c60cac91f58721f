"""Studies: balanced orders, answers that anybody may have written, figures that tell the truth."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError, MissingDependencyError
from dimcli.evaluation import study_scores
from dimcli.evaluation.study import (
    PAIRS,
    RATING,
    Answers,
    Study,
    kept_answers,
    new_study,
    read_answers,
    read_study,
    sessions,
    williams,
)
from dimcli.evaluation.study_scores import AVERAGE, OVERALL, score_study
from tests.study_results import complete_results

METHODS = ("DIM", "ELP", "L2L", "RLHG")


def made(mode: str = RATING, methods=METHODS, videos: int = 8, seed: int = 0) -> Study:
    stimuli = [f"video-{number}" for number in range(1, videos + 1)]
    return new_study(methods, stimuli, title="T", mode=mode, checks=2, seed=seed)


@pytest.mark.parametrize("count", [2, 3, 4, 7, 8])
def test_a_williams_design_balances_places_and_neighbours(count):
    rows = williams(count)
    for place in zip(*rows, strict=True):
        assert set(Counter(place).values()) == {len(rows) // count}
    behind = Counter(pair for row in rows for pair in pairwise(row))
    assert len(behind) == count * (count - 1) and len(set(behind.values())) == 1


def test_orders_of_200_participants_are_balanced():
    study = made()
    seen, behind, asked = Counter(), Counter(), Counter()
    for session in sessions(study)[:200]:
        real = [(question, shown) for question, shown in session if shown]
        own = Counter()
        for at, (question, shown) in enumerate(real):
            assert sorted(shown) == sorted(study.questions[question])
            asked[question, at] += 1
            methods = [study.videos[name][1] for name in shown]
            own.update((method, place) for place, method in enumerate(methods))
            seen.update((question, method, place) for place, method in enumerate(methods))
            behind.update((question, *pair) for pair in pairwise(methods))
        assert set(own.values()) == {2}  # within a participant, too: 8 questions, 4 places
    assert set(asked.values()) == {200 // 8} and len(asked) == 8 * 8
    assert set(seen.values()) == {200 // 4} and len(seen) == 8 * 4 * 4
    assert set(behind.values()) == {50} and len(behind) == 8 * 12


def test_orders_of_pairs_are_balanced_and_the_seed_decides_them():
    study = made(PAIRS)
    first, asked = Counter(), Counter()
    for session in sessions(study)[:192]:
        real = [(question, shown) for question, shown in session if shown]
        asked.update((question, at) for at, (question, _) in enumerate(real))
        first.update(shown for _, shown in real)
    assert len(study.questions) == 8 * 6
    assert set(asked.values()) == {192 // 48} and set(first.values()) == {96}
    assert sessions(study, 3) == sessions(made(PAIRS), 3)
    assert sessions(made(seed=1), 3) != sessions(made(), 3)


def test_checks_stand_apart_and_away_from_the_ends():
    for session in sessions(made()):
        places = [at for at, (_, shown) in enumerate(session) if not shown]
        assert len(places) == 2 and places[1] - places[0] > 1 and places[0] > 0


def raters(study: Study, people: int, effects: dict[str, float], seed: int) -> list[Answers]:
    """Answers of people who differ, about videos that differ, of methods that are ``effects``
    apart; each person and each video likes some methods better than others do."""
    rng = np.random.default_rng(seed)
    methods, stimuli = list(study.methods), list(study.stimuli)
    of_video = rng.normal(0, 0.3, (len(stimuli), len(methods)))
    given = []
    for person in range(1, people + 1):
        liking = rng.normal(0, 0.6) + rng.normal(0, 0.4, len(methods))

        def rate(stimulus, method, criterion, liking=liking):
            at = methods.index(method)
            noise = rng.normal(0, 0.8)
            return (
                2.5 + effects[method] + liking[at] + of_video[stimuli.index(stimulus), at] + noise
            )

        given.append(taken(study, complete_results(study, person, rate)))
    return given


def taken(study: Study, content: dict) -> Answers:
    """Answers as the reader gives them, without a file."""
    rows = {one["question"]: one for one in content["answers"] if one["shown"]}
    answers = {}
    for question, one in rows.items():
        shown, answer = one["shown"], one["answer"]
        if study.mode == PAIRS:
            answer = {name: [int(side == at) for side in answer] for at, name in enumerate(shown)}
        answers[question] = {name: tuple(scores) for name, scores in answer.items()}
    shown = {question: tuple(one["shown"]) for question, one in rows.items()}
    return Answers(Path("x"), content["participant"], content["session"], answers, shown, (), ())


PREFERENCE = {"DIM": 0.9, "ELP": -0.9, "L2L": 0.3, "RLHG": -0.3}


@pytest.mark.parametrize("mode", [RATING, PAIRS])
def test_a_known_preference_is_recovered(mode):
    study = made(mode)
    scores = score_study(study, raters(study, 24, PREFERENCE, seed=1), resamples=300)
    averages = {row.name: row.figures[OVERALL][AVERAGE] for row in scores.table.rows}
    ranked = sorted(averages, key=lambda name: -averages[name].value)
    assert ranked == ["DIM", "L2L", "RLHG", "ELP"]
    assert scores.table.best(OVERALL, AVERAGE) == {"DIM"}
    for one in scores.differences[OVERALL]:
        expected = PREFERENCE[one.method] - PREFERENCE[one.other]
        if abs(expected) > 1:
            assert one.value * expected > 0 and one.p < 0.05 and one.low * one.high > 0
        if mode == RATING:
            assert one.low < expected < one.high
    for name, effect in PREFERENCE.items() if mode == RATING else ():
        assert averages[name].low < 2.5 + effect < averages[name].high
    assert all(0.1 < alpha < 0.9 for alpha in scores.agreement.values())


def alarms(p_of) -> int:
    """How often 200 studies of two methods that are alike find them different at 5 %."""
    return sum(p_of(np.random.default_rng(seed)) < 0.05 for seed in range(200))


@pytest.mark.slow
def test_ratings_raise_false_alarms_at_their_nominal_rate():
    def p_of(rng):
        spread = [rng.normal(0, scale, size) for scale, size in ((0.4, (9, 1)), (0.3, (1, 5)))]
        values = np.rint(rng.normal(2.5, 1, (2, 9, 5)) + np.array([[[0]], [[1]]]) * sum(spread))
        estimate = study_scores._mixed(values[1] - values[0])
        return study_scores._difference(("A", "B"), estimate, 1).p

    assert 2 <= alarms(p_of) <= 20  # of 200, by chance in 99.9 % of such tests


@pytest.mark.slow
def test_pairs_raise_false_alarms_at_their_nominal_rate():
    study = made(PAIRS, ("A", "B"), 10)
    shown = [(study.questions[f"q{one}"], f"q{one}") for one in range(1, 11)]

    def p_of(rng):
        liking = rng.normal(0, 0.4, (12, 1)) + rng.normal(0, 0.3, (1, 10))
        first = rng.logistic(0, 1, (12, 10)) < liking
        given = [
            Answers(
                Path("x"),
                str(person),
                1,
                {
                    question: dict(zip(names, [(int(won),), (int(not won),)], strict=True))
                    for (names, question), won in zip(shown, row, strict=True)
                },
                {
                    question: names[:: (-1) ** (person + at)]
                    for at, (names, question) in enumerate(shown)
                },
                (),
                (),
            )
            for person, row in enumerate(first)
        ]
        (estimate,) = study_scores._bradley_terry(study, given, [0]).values()
        return study_scores._difference(("A", "B"), estimate, 1).p

    assert 2 <= alarms(p_of) <= 20


def test_bounds_hold_together_for_all_pairs_of_methods():
    study = made(methods=("A", "B"), videos=4)
    alone = score_study(study, raters(study, 8, {"A": 0.2, "B": 0}, 3), resamples=0)
    (one,) = alone.differences[OVERALL]
    several = study_scores._difference(("A", "B"), study_scores._Estimate(1.0, 0.5, 10.0), 6)
    single = study_scores._difference(("A", "B"), study_scores._Estimate(1.0, 0.5, 10.0), 1)
    assert several.high - several.low > single.high - single.low
    assert several.p == pytest.approx(6 * single.p)
    assert (one.low < 0 < one.high) == (one.p > 0.05)
    assert alone.table.rows[0].figures[OVERALL][AVERAGE].low is None


def test_the_mixed_model_is_the_two_way_analysis_of_variance():
    rng = np.random.default_rng(0)
    people, videos = 9, 5
    values = rng.normal(0, 1, (people, 1)) + rng.normal(0, 1, (1, videos))
    values = values + rng.normal(0.5, 1, (people, videos))
    estimate = study_scores._mixed(values)
    rest = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    residual = (rest**2).sum() / ((people - 1) * (videos - 1))
    variance = values.mean(1).var(ddof=1) / people + values.mean(0).var(ddof=1) / videos
    variance -= residual / values.size
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.error == pytest.approx(np.sqrt(variance), rel=1e-4)
    assert videos - 1 < estimate.freedom < people * videos


def test_answers_that_are_all_alike_have_no_bounds():
    study = made(methods=("A", "B"), videos=3)
    given = [
        taken(study, complete_results(study, person, lambda s, m, c: 4 if m == "A" else 1))
        for person in range(1, 5)
    ]
    (one,) = score_study(study, given, resamples=10).differences[OVERALL]
    assert (one.value, one.low, one.p) == (3, None, None)
    pairs = made(PAIRS, ("A", "B"), 3)
    given = [
        taken(pairs, complete_results(pairs, p, lambda s, m, c: m == "A")) for p in range(1, 5)
    ]
    scores = score_study(pairs, given, resamples=10)
    assert scores.differences[OVERALL][0].value is None
    assert scores.table.rows[0].figures[OVERALL][AVERAGE].value == 1
    assert "one side won every comparison" in " ".join(scores.difference_table.notes)


def test_agreement_is_one_where_all_agree_and_about_zero_where_nobody_does():
    alpha = study_scores._alpha
    assert alpha(np.tile([0.0, 3.0, 5.0], (4, 1))) == pytest.approx(1)
    noise = np.random.default_rng(0).integers(0, 6, (50, 200)).astype(float)
    assert abs(alpha(noise)) < 0.02
    assert alpha(np.ones((3, 4))) is None and alpha(np.ones((1, 4))) is None
    # Krippendorff 2011, by hand: raters (1, 2, 3) and (1, 3, 3)
    pairs = [(1, 1), (2, 3), (3, 3)]
    observed = sum(2 * (a - b) ** 2 for a, b in pairs) / 6
    every = [one for pair in pairs for one in pair]
    expected = sum((a - b) ** 2 for a in every for b in every) / 30
    assert alpha(np.array(pairs, float).T) == pytest.approx(1 - observed / expected)


def test_without_the_library_the_model_is_refused_and_the_table_is_not(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "statsmodels.genmod", None)
    study = made(methods=("A", "B"), videos=3)
    given = raters(study, 3, {"A": 0, "B": 0}, 0)
    with pytest.raises(MissingDependencyError, match=r"\[study\].*--no-model"):
        score_study(study, given)
    assert score_study(study, given, model=False, resamples=5).differences is None


@pytest.fixture
def files(tmp_path):
    """A study, its key as read back, and what writes a results file."""
    study = made(methods=("A", "B"), videos=2)
    key = tmp_path / "key.json"
    key.write_text(study.as_json())
    assert read_study(key) == study

    def write(change=None, person=1):
        content = complete_results(study, person)
        if change:
            content = change(content) or content
        path = tmp_path / f"r{len(list(tmp_path.iterdir()))}.json"
        path.write_text(json.dumps(content))
        return path

    return study, write


def answered(content, at=0, **facts):
    real = [one for one in content["answers"] if one["shown"]]
    real[at].update(facts)


FAULTS = {
    "another study": (lambda c: c.update(study="0" * 16), "is of another study"),
    "no results": (lambda c: {"format": "x"}, "not a results file"),
    "a list": (lambda c: [c], "not a results file"),
    "another version": (lambda c: c.update(version=2), "version 2; expected 1"),
    "a formula": (lambda c: c.update(participant="=1+1"), "is no name"),
    "no session": (lambda c: c.update(session=0), "session 0"),
    "a true session": (lambda c: c.update(session=True), "session True"),
    "no answers": (lambda c: c.update(answers={}), "no list of answers"),
    "an unknown question": (lambda c: c["answers"].append({"question": "q99"}), "is unknown"),
    "a list for a name": (lambda c: c["answers"].append({"question": []}), "is unknown"),
    "twice": (lambda c: c["answers"].append(c["answers"][0]), "answered twice"),
    "other videos": (lambda c: answered(c, shown=["a", "b"]), "other videos"),
    "nested videos": (lambda c: answered(c, shown=[[], {}]), "other videos"),
    "no rating": (lambda c: answered(c, answer={}), "does not rate"),
    "too high": (
        lambda c: answered(c, answer={n: [3, 6] for n in c["answers"][-1]["shown"]}),
        "does not rate|0 to 5",
    ),
    "a number with a point": (
        lambda c: [answered(c, at, answer={n: [3.0, 1] for n in one["shown"]})
                   for at, one in enumerate(o for o in c["answers"] if o["shown"])] and None,
        "0 to 5",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_is_none_of_this_studys_is_refused_by_name(files, fault):
    study, write = files
    change, said = FAULTS[fault]
    path = write(change)
    with pytest.raises(InputError, match=said) as told:
        read_answers(path, study)
    assert str(told.value).startswith(str(path))


def test_who_is_excluded_is_listed_with_the_reason(files):
    study, write = files
    wrong = {name: [5 - one for one in asked] for name, asked in study.checks.items()}

    def failing(content):
        for one in content["answers"]:
            if one["question"] in wrong:
                one["answer"] = wrong[one["question"]]

    paths = [
        write(),
        write(failing, person=2),
        write(lambda c: c["answers"].pop() and None, person=3),
        write(),
        write(person=4),
    ]
    kept, excluded = kept_answers([read_answers(path, study) for path in paths])
    assert [one.participant for one in kept] == ["p1", "p4"]
    assert [one.path for one in excluded] == paths[1:4]
    reasons = [one.reason for one in excluded]
    assert reasons[0] == "failed attention checks: check1, check2"
    assert reasons[1].startswith("incomplete: 1 unanswered")
    assert reasons[2] == f"a second file of this participant; {paths[0]} counts"


@pytest.mark.parametrize(
    "change",
    [
        {"videos": {"x": ["video-1", "A"]}},
        {"videos": {"x": [["video-1"], "A"]}},
        {"methods": ["A"]},
        {"stimuli": ["A"] * 100},
        {"mode": "x"},
        {"questions": {"q1": ["x"]}},
        {"checks": {"check1": ["x"]}},
        {"title": None},
        {"criteria": []},
        {"format": "x"},
    ],
    ids=str,
)
def test_a_damaged_key_is_refused(tmp_path, change):
    path = tmp_path / "key.json"
    path.write_text(json.dumps(json.loads(made().as_json()) | change))
    with pytest.raises(InputError, match=r"key\.json: "):
        read_study(path)


def test_names_of_videos_tell_nothing_and_one_method_is_no_study():
    study = made()
    assert all(len(name) == 10 and int(name, 16) >= 0 for name in study.videos)
    assert list(study.videos) == sorted(study.videos)  # no order of methods in the folder
    assert replace(study, seed=1) != made(seed=1)
    with pytest.raises(InputError, match="2 to 12"):
        made(methods=("A",))
    with pytest.raises(InputError, match="at most 400"):
        made(PAIRS, videos=100)
