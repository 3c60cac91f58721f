import json
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.clip import Stimulus
from dimcli.data.corpora.dualtalk import dualtalk
from dimcli.data.corpora.preparing import prepare
from dimcli.data.corpora.si184 import si184
from dimcli.evaluation.measures.families import FAMILIES
from dimcli.evaluation.predictions import identity, store_predictions, stored_predictions
from dimcli.evaluation.score_table import Row, ScoreTable
from dimcli.evaluation.scores import Figure
from dimcli.evaluation.writing import to_markdown
from dimcli.jobs import paper_tables
from dimcli.jobs.paper_tables import run_table
from dimcli.jobs.table_plan import (
    FROM_CODES,
    ONE_PASS,
    PAPERS_OBJECTIVE,
    TABLES,
    Plan,
    TableOptions,
    table_plan,
)
from dimcli.jobs.table_training import Trained
from dimcli.models.registry import methods
from dimcli.models.simple import MirrorPredictor
from tests import corpora
from tests.stores import make_store


@pytest.mark.parametrize("table", TABLES)
def test_every_row_of_a_table_can_be_made_and_has_the_papers_label(table: str) -> None:
    plan = table_plan(table, "vico")
    known = set(methods())
    assert {entry.method for entry in plan.entries} <= known
    labels = [entry.label for entry in plan.entries]
    assert plan.reference in labels
    rows = plan.published.rows
    if plan.family:
        assert labels == [entry.label for entry in table_plan("1", "vico").entries]
        columns = set(FAMILIES[plan.family].columns)
        assert all(set(each) <= columns for row in rows for each in row.figures.values())
        return
    more = {"4": {FROM_CODES}, "3": {ONE_PASS}, "supplement": {ONE_PASS}}
    more |= {name: {ONE_PASS, PAPERS_OBJECTIVE} for name in ("1", "2")}
    assert set(labels) == {row.name for row in rows} - {"ground truth"} | more[table]
    for row in rows:
        for figures in row.figures.values():
            assert set(figures) <= set(plan.columns)


def test_published_numbers_are_the_papers() -> None:
    published = table_plan("1", "vico").published
    ours = next(row for row in published.rows if row.name == "DIM-Listener†")
    assert published.title == "Published: Table 1 of the paper, ViCo"
    assert ours.figures["expression"]["fd"].value == 23.88
    assert ours.figures["pose"]["rpcc"].value == 0.03
    rows = table_plan("3", "lm_listener").published.rows
    assert rows[0].figures["expression"]["fd"].value == 12.94
    rows = table_plan("supplement", "vico").published.rows
    assert rows[1].figures["pose"]["mse"].value == 0.02
    rows = table_plan("4", "biwi").published.rows
    assert rows[-1].figures["FLAME"]["lve"].value == 3.86e-4
    rows = table_plan("dualtalk", "dualtalk").published.rows
    timar = next(row for row in rows if row.name == "TIMAR (OOD)").figures
    assert timar["EXP"]["fd"].value == 20.23 and timar["POSE"]["mse"].value == 0.0218
    rows = table_plan("si184", "si184").published.rows
    deaf = next(row for row in rows if row.name == "FLOAT").figures
    assert deaf["expression, listening"]["p_fd"].value == 34.09
    assert deaf["pose"]["var_pooled"].value == pytest.approx(0.00811)
    # 5.03 of at most log2(40): of one histogram over all clips, as the released code has it
    rows = table_plan("1", "vico").published.rows
    truth = next(row for row in rows if row.name == "ground truth").figures["expression"]
    assert truth["sid_pooled"].value == 5.03 and "sid" not in truth


def test_speakers_alone_are_not_pre_trained_on_and_the_table_says_so() -> None:
    plan = table_plan("4", "biwi")
    assert (plan.role, plan.reference) == ("speaker", "DIM-Speaker†")
    alone = plan.without(["DIM-Speaker†"], "why")
    assert (alone.reference, alone.notes) == (FROM_CODES, ("why",))
    assert [entry.label for entry in alone.entries] == [
        "MeshTalk", "FaceFormer", "CodeTalker", FROM_CODES,
    ]  # fmt: skip


def test_stored_predictions_are_the_predictors_and_of_nothing_else(tmp_path: Path) -> None:
    store = make_store(tmp_path / "data")
    path = tmp_path / "kept.safetensors"
    origin = identity(store, None, "mirror")
    assert stored_predictions(path, origin) is None
    clips = store.clips("test")
    store_predictions(path, MirrorPredictor(), store, clips, seeds=range(2), origin=origin)
    found = stored_predictions(path, origin)
    assert found is not None
    stimulus = store.load(store.clips("test")[0]).stimulus()
    expected = MirrorPredictor().predict(stimulus, 1)
    assert np.array_equal(found.predict(stimulus, 1).values, expected.values)
    with pytest.raises(InputError, match="no answer to made-5 with seed 2"):
        found.predict(stimulus, 2)
    assert stored_predictions(path, identity(store, None, "random")) is None


def test_predictions_are_of_a_runs_settings_as_they_are(tmp_path: Path) -> None:
    store, run = make_store(tmp_path / "data"), tmp_path / "run"
    run.mkdir()
    (run / "model.safetensors").write_bytes(b"weights")
    (run / "config.yaml").write_text("generation: {temperature: 0.9}\n")
    before = identity(store, run, "dim")
    assert identity(store, run, "dim") == before
    (run / "config.yaml").write_text("generation: {temperature: 0.7}\n")
    assert identity(store, run, "dim") != before


def test_a_score_table_as_markdown_has_intervals_and_marks_the_best() -> None:
    rows = tuple(
        Row(name, {"expression": {"fd": Figure(value, None, value - 0.1, value + 0.1)}})
        for name, value in (("ours", 1.0), ("theirs", 2.0))
    )
    text = to_markdown(ScoreTable("Scores", rows, ("fd",)))
    assert "| ours | **1.00** [0.90, 1.10] |" in text
    assert "| theirs | 2.00 [1.90, 2.10] |" in text


def test_several_trainings_answer_with_the_seeds_that_they_have_alone(tmp_path: Path) -> None:
    whole = TableOptions("1", "synthetic", tmp_path / "made", trainings=3, samples=2, seed=5)
    apart = [whole.training(number) for number in range(3)]
    assert [(one.output, one.seed) for one in apart] == [
        (tmp_path / "made", 5),
        (tmp_path / "made" / "seed-6", 6),
        (tmp_path / "made" / "seed-7", 7),
    ]
    asked: list[tuple[int, int]] = []

    class Remembers:
        def __init__(self, number: int) -> None:
            self.number = number

        def predict(self, stimulus: Stimulus, seed: int) -> Motion:
            asked.append((self.number, seed))
            return stimulus.speaker

    trained = Trained(tuple(map(Remembers, range(3))), samples=2, seed=5)
    store = make_store(tmp_path / "data")
    stimulus = store.load(store.clips("test")[0]).stimulus()
    for seed in range(5, 11):
        trained.predict(stimulus, seed)
    assert asked == [(0, 5), (0, 6), (1, 6), (1, 7), (2, 7), (2, 8)]


@pytest.mark.parametrize("corpus", ["dualtalk", "si184"])
def test_another_benchmarks_table_has_its_figures_and_what_it_published(
    dim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: str
) -> None:
    def untrained(table: str, dataset: str) -> Plan:
        plan = table_plan(table, dataset)
        return plan.without([one.label for one in plan.entries if one.label != "Random"], "")

    monkeypatch.setattr(paper_tables, "table_plan", untrained)
    more: tuple[str, ...] = ()
    if corpus == "dualtalk":
        corpora.dualtalk(tmp_path / "src", [f"{n}_sub_video_0" for n in "ab"], "train", 120)
        corpora.dualtalk(tmp_path / "src", [f"{n}_sub_video_0" for n in "cd"], frames=120)
        source = dualtalk(tmp_path / "src", audio="none")
    else:
        corpora.si184(tmp_path / "src", frames=120)
        source = si184(tmp_path / "src", audio="none")
        other = make_store(tmp_path / "before", space="flame", encoder="none", audio_dim=1)
        more = ("--pretrain-data", str(other.root))
    prepare(source, tmp_path / "data")
    command = ("table", corpus, "--dataset", corpus, "--data", "data", "--clips", 0, "-o")
    ended = dim(*command, "made", *more)
    assert ended.code == 0, ended.err
    text = (tmp_path / "made" / f"table-{corpus}" / "table.md").read_text()
    assert "Published:" in text
    if corpus == "dualtalk":
        assert "| JAW | FD↓" in text and "TIMAR (test)" in text
    else:
        assert "| expression, listening | P-FD↓" in text and "All rows are trained on" in text
        refused = dim(*command, "other")
        assert refused.code == 2 and "name with --pretrain-data" in refused.err


@pytest.mark.slow
def test_a_whole_table_is_made_by_one_command_and_only_once(
    dim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(paper_tables._SYNTHETIC_HOURS, "tiny", 0.05)
    command = (
        *("table", "1", "--dataset", "synthetic", "--preset", "tiny", "-o", "made"),
        *("--set", "training.steps=2", "--set", "training.validate_every=2"),
        *("--clips", 0, "--bootstrap", 20, "--device", "cpu", "--json"),
    )
    ended = dim(*command)
    assert ended.code == 0, ended.err
    names = [method["name"] for method in json.loads(ended.out)["methods"]]
    assert names == [entry.label for entry in table_plan("1", "synthetic").entries]
    folder = tmp_path / "made"
    table = (folder / "table-1" / "table.md").read_text()
    assert "DIM-Listener†" in table
    assert "23.88" in table, "the published numbers stand beside"
    files = {path.name for path in (folder / "table-1").iterdir()}
    assert files == {"scores.json", "scores.csv", "scores.tex", "table.md", "report.html"}

    runs = {path: path.stat().st_mtime_ns for path in folder.glob("runs/**/*") if path.is_file()}
    scores = (folder / "table-1" / "scores.json").read_bytes()
    again = dim(*command)
    assert again.code == 0, again.err
    assert {path: path.stat().st_mtime_ns for path in runs} == runs, "nothing is trained again"
    assert (folder / "table-1" / "scores.json").read_bytes() == scores

    ended = dim("table", "3", *command[2:], "--trainings", 2)
    assert ended.code == 0, ended.err
    assert {path: path.stat().st_mtime_ns for path in runs} == runs, "the first is there"
    assert (folder / "seed-1" / "runs" / "dim" / "model.safetensors").is_file()
    text = (folder / "table-3" / "table.md").read_text()
    assert "bootstrap over 2 trainings and over clips" in text
    assert "±: standard deviation over 2 samples a clip of 2 trainings" in text

    ended = dim(*command, "--conversations", 3)
    assert ended.code == 2
    assert "its runs were made with conversations 0, not 3" in ended.err


def test_what_a_table_needs_is_asked_for_in_one_line(dim, tmp_path: Path) -> None:
    ended = dim("table", "1", "--dataset", "synthetic")
    assert ended.code == 2
    assert "-o" in ended.err and len(ended.err.splitlines()) == 1
    ended = dim("table", "5", "--dataset", "synthetic", "-o", "made")
    assert ended.code == 2
    assert "'1', '2', '3', '4', 'supplement'" in ended.err
    ended = dim("table", "3", "--dataset", "vico", "-o", "made")
    assert ended.code == 2
    assert "--data" in ended.err
    ended = dim("table", "3", "--dataset", "vico", "--data", "d", "--reacting", "-o", "made")
    assert "no --data; `dim prepare synthetic --reacting`" in ended.err
    assert not (tmp_path / "made").exists()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: is a file; expected a folder"):
        run_table(TableOptions("1", "synthetic", tmp_path / "file" / "made"))


def test_the_old_flag_names_the_command_that_took_its_place(dim) -> None:
    for words in (("--table", "1"), ("--table=1",)):
        ended = dim("eval", *words, "--dataset", "synthetic", "--preset", "tiny", "-o", "made")
        assert ended.code == 2
        (line,) = ended.err.splitlines()
        assert "dim table 1|2|3|4|supplement --dataset DATASET -o FOLDER" in line
