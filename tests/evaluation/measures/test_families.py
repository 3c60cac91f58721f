from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.clip import ClipRecord, Stimulus
from dimcli.data.store import APPROPRIATE, LISTENER_VOICE, ClipStore
from dimcli.data.writer import StoreWriter
from dimcli.evaluation.protocols import evaluate
from dimcli.evaluation.score_table import family_tables
from dimcli.evaluation.scores import TRUTH, Evaluation, FamilyScores
from dimcli.evaluation.writing import to_csv, to_latex
from tests.stores import smooth

FRAMES, CLIPS, WIDTH, MOVING = 240, 12, 4, 8
FOUR = ("listening", "timing", "reaction", "dualtalk")


class Heard:
    """Does what true listeners do with what they heard four frames ago, and nothing else."""

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        values = np.zeros((len(stimulus), 56), np.float32)
        values[4:, :WIDTH] = 0.1 * stimulus.audio[:-4] + 0.001 * seed
        return stimulus.motion(values)


class Still:
    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        return stimulus.motion(np.zeros((len(stimulus), 56), np.float32))


class Copy:
    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        return stimulus.seen


def some(random: np.random.Generator) -> np.ndarray:
    """Motion of the first columns, float32 [FRAMES, 56]."""
    values = smooth(random, FRAMES, 56)
    values[:, MOVING:] = 0.1
    return values


def made(
    folder: Path,
    *,
    clips: int = CLIPS,
    voice: str | None = None,
    notes: dict[str, dict[str, str]] | None = None,
) -> ClipStore:
    """Listeners who do now what their speaker's voice did four frames ago, and move besides."""
    random = np.random.default_rng(0)
    writer = StoreWriter(
        folder, name="made", fps=25, space="arkit", encoder="made", audio_dim=WIDTH
    )
    records = []
    for index in range(clips):
        name = f"made-{index:02d}"
        sound = random.standard_normal((FRAMES, WIDTH)).astype(np.float32)
        listener = some(random)
        listener[4:, :WIDTH] += 0.1 * sound[:-4]
        writer.add(
            name,
            speaker=some(random),
            listener=listener,
            audio=sound,
            notes=(notes or {}).get(name, {} if voice is None else {LISTENER_VOICE: voice}),
        )
        people = (f"speaker {index}", f"listener {index}")
        records.append(ClipRecord(name, name, 0, FRAMES, "test", *people))
    writer.finish(records, {"prepare": "made"})
    return ClipStore(folder)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    store = made(tmp_path_factory.mktemp("families") / "data")
    methods = {"heard": Heard(), "still": Still(), "copy": Copy()}
    return evaluate(store, "test", methods, bootstrap=50, families=FOUR)


def family(evaluation: Evaluation, name: str) -> FamilyScores:
    return next(one for one in evaluation.families if one.name == name)


def test_the_speakers_voice_tells_of_those_who_hear_it_only(evaluation: Evaluation) -> None:
    figures = {
        name: each["expression and pose"]["rdgg"]
        for name, each in family(evaluation, "timing").figures.items()
    }
    assert figures[TRUTH].low > 0.0
    assert figures["heard"].value > figures["copy"].value
    assert abs(figures["copy"].value) < 0.1 * figures[TRUTH].value


def test_a_copy_of_the_speaker_has_the_largest_peak_and_no_offset(evaluation: Evaluation) -> None:
    figures = family(evaluation, "timing").figures
    for part in ("expression", "pose"):
        assert figures["copy"][part]["tlcc_peak"].value == pytest.approx(1.0)
        assert figures["copy"][part]["tlcc_offset"].value == 0.0
        assert figures[TRUTH][part]["tlcc_peak"].value < 0.9


def test_what_stands_still_has_no_figure_of_timing_but_a_reason(evaluation: Evaluation) -> None:
    found = family(evaluation, "timing")
    assert math.isnan(found.figures["still"]["pose"]["tlcc_offset"].value)
    assert math.isnan(found.figures["still"]["expression and pose"]["rdgg"].value)
    told = [note for note in found.notes if note.startswith("–:")]
    assert any("its listeners stand still: R-DGG of still" in note for note in told)
    assert any("no coefficient moves on both sides (in 12 of 12)" in note for note in told)
    table = next(one for one in family_tables(evaluation) if one.family == "timing")
    scale = table.scale("pose", "tlcc_offset")
    assert scale.value(found.figures["still"]["pose"]["tlcc_offset"]) == "–"


def test_a_figure_that_no_sample_has_has_no_spread_either_and_its_reason_is_told_once(
    tmp_path: Path,
) -> None:
    store = made(tmp_path / "data", clips=2)
    families = ("timing", "unils")
    found = evaluate(store, "test", {"still": Still()}, samples=2, bootstrap=0, families=families)
    timing, unils = family_tables(found)
    still = timing.rows[0].figure("pose", "tlcc_offset")
    assert timing.scale("pose", "tlcc_offset").value(still) == "–"
    (told,) = [note for note in timing.notes if "no coefficient moves" in note]
    assert told.endswith("offset frames, TLCC peak of still, expression and of still, pose.")
    assert [row.name for row in unils.rows] == ["still"]  # the truth has none of these figures


def test_every_family_says_what_it_rewards_falsely_and_every_figure_has_a_title(
    evaluation: Evaluation,
) -> None:
    tables = family_tables(evaluation)
    assert [one.family for one in tables] == list(FOUR)
    for table in tables:
        assert any(note.startswith("Rewards falsely: ") for note in table.notes)
        for part in table.parts:
            assert [table.heading(part, name) for name in table.names(part)]
        assert to_latex(table).count("\\begin{") == 2


def test_files_hold_no_nan(evaluation: Evaluation) -> None:
    content = json.dumps(evaluation.as_dict(), allow_nan=False)
    assert '"families"' in content
    assert "nan" not in to_csv(*family_tables(evaluation))


def test_without_families_nothing_is_said_of_them(tmp_path: Path) -> None:
    found = evaluate(made(tmp_path / "data", clips=1), "test", {"still": Still()}, bootstrap=0)
    assert "families" not in found.as_dict()


def test_the_truth_is_its_own_reaction(tmp_path: Path) -> None:
    store = made(tmp_path / "data", clips=2)

    class Known:
        def predict(self, stimulus: Stimulus, seed: int) -> Motion:
            record = next(one for one in store.records if one.id == stimulus.id)
            return store.load(record).listener

    names = ("reaction", "dualtalk", "listening", "unils")
    found = evaluate(store, "test", {"known": Known()}, bootstrap=0, samples=2, families=names)
    pose = family(found, "reaction").figures["known"]["pose"]
    assert pose["fr_corr"].value == pytest.approx(2.0, rel=1e-3)
    assert (pose["fr_dist"].value, pose["fr_div"].value) == (0.0, 0.0)
    for name in ("fd", "p_fd", "mse", "rpcc_clip"):
        assert family(found, "dualtalk").figures["known"]["JAW"][name].value == pytest.approx(0)
        assert family(found, "listening").figures["known"]["pose"][name].value == pytest.approx(0)
    for name in ("lve_mm", "mhd_mm", "fdd_mm", "pdd", "jdd"):
        assert family(found, "unils").figures["known"]["open head"][name].value == 0.0


def test_a_reaction_of_another_that_is_appropriate_counts_as_the_truth_does(tmp_path: Path) -> None:
    suits = {"made-00": [["made-01", "listener"], ["gone", "listener"]], "made-01": []}
    notes = {name: {APPROPRIATE: json.dumps(others)} for name, others in suits.items()}
    store = made(tmp_path / "data", clips=2, notes=notes)

    class Others:
        def predict(self, stimulus: Stimulus, seed: int) -> Motion:
            other = next(one for one in store.records if one.id != stimulus.id)
            return store.load(other).listener

    found = evaluate(store, "test", {"other": Others()}, bootstrap=0, families=("reaction",))
    scores = family(found, "reaction")
    pose = scores.figures["other"]["pose"]
    assert 0.45 < pose["fr_corr"].value < 0.75  # 1 where it suits, about 0 where it does not
    alone = made(tmp_path / "alone", clips=2)
    strict = evaluate(alone, "test", {"other": Others()}, bootstrap=0, families=("reaction",))
    far = family(strict, "reaction").figures["other"]["pose"]
    assert pose["fr_dist"].value == pytest.approx(far["fr_dist"].value / 2, rel=0.2)
    assert any("1 to 2, the true one among them" in note for note in scores.notes)


@pytest.mark.parametrize("text", ["{}", "[[1]]", '[["a", "nobody"]]', "x"])
def test_a_damaged_set_of_reactions_is_told(tmp_path: Path, text: str) -> None:
    store = made(tmp_path / "data", clips=1, notes={"made-00": {APPROPRIATE: text}})
    if text == "{}":
        assert store.appropriate(store.records[0]) == []
        return
    with pytest.raises(InputError, match="appropriate is not"):
        store.appropriate(store.records[0])


def test_intervals_of_a_family_cover_trainings_too(tmp_path: Path) -> None:
    store = made(tmp_path / "data", clips=4)

    class Trained:
        def predict(self, stimulus: Stimulus, seed: int) -> Motion:
            still = np.zeros((len(stimulus), 56), np.float32)
            return stimulus.motion(still + (0.0, 3.0)[seed])

    def width(trainings: int) -> float:
        found = evaluate(
            store, "test", {"it": Trained()}, samples=2, trainings=trainings, families=["unils"]
        )
        figure = family(found, "unils").figures["it"]["open head"]["mhd_mm"]
        assert figure.low is not None and figure.high is not None
        return figure.high - figure.low

    assert width(2) > 2 * width(1)


def test_frames_in_which_the_listener_talks_are_left_out(tmp_path: Path) -> None:
    store = made(tmp_path / "data", clips=2, voice="[[2.0, 4.02]]")
    talks = store.listener_voice(store.records[0])
    assert np.flatnonzero(talks).tolist() == list(range(50, 101))

    class QuietWhereHeTalks:
        """The truth, but for the frames of talking."""

        def predict(self, stimulus: Stimulus, seed: int) -> Motion:
            record = next(one for one in store.records if one.id == stimulus.id)
            values = store.load(record).listener.values.copy()
            values[store.listener_voice(record)] = 0.0
            return stimulus.motion(values)

    found = evaluate(
        store, "test", {"quiet": QuietWhereHeTalks()}, bootstrap=0, families=("listening", "unils")
    )
    figures = family(found, "listening").figures["quiet"]
    assert figures["pose"]["mse"].value > 0.001
    assert figures["pose, listening"]["mse"].value == 0.0
    figures = family(found, "unils").figures["quiet"]
    assert figures["open head, listening"]["mhd_mm"].value == 0.0
    assert figures["open head, speaking"]["mhd_mm"].value > 1.0


@pytest.mark.parametrize("text", ["{}", "[[1]]", "[[NaN, 1]]", "x", "[[1e999, 2]]"])
def test_a_damaged_voice_is_told(tmp_path: Path, text: str) -> None:
    store = made(tmp_path / "data", clips=1, voice=text)
    with pytest.raises(InputError, match="listener_voice is not"):
        store.listener_voice(store.records[0])
