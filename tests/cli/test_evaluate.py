from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Dim
from tests.stores import make_split


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_split(tmp_path_factory.mktemp("made") / "data", clips=6).root


BASELINES = ("--baseline", "random", "--baseline", "mean")


def test_the_table_fits_a_hundred_plain_columns(dim: Dim, data: Path) -> None:
    ended = dim("eval", "--data", data, *BASELINES, "--samples", 2)
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in ended.out
    assert any(line.split()[:1] == ["random"] and "±" in line for line in lines)
    assert "made, test split, 6 clips: expression" in lines
    assert "Differences to random: pose" in lines
    assert ended.err.splitlines()[-1].startswith("evaluated 2 methods on 6 clips")


def test_json_alone_is_on_standard_output(dim: Dim, data: Path) -> None:
    ended = dim("eval", "--data", data, *BASELINES, "--json")
    found = json.loads(ended.out)
    assert [method["name"] for method in found["methods"]] == ["random", "mean"]
    assert found["methods"][1]["figures"]["pose"]["sid"]["value"] == 0.0
    assert found["truth"]["expression"]["var"]["value"] > 0.0
    assert (found["protocol"], found["samples"], found["resamples"]) == ("paper", 1, 1000)


def test_a_folder_gets_every_file_and_is_not_overwritten(dim: Dim, data: Path) -> None:
    command = ("eval", "--data", data, "--baseline", "mean", "-o", "out", "--clips", 0)
    assert dim(*command).code == 0
    names = {"scores.json", "scores.csv", "scores.tex", "report.html"}
    assert {path.name for path in Path("out").iterdir()} == names
    rows = list(csv.DictReader(Path("out/scores.csv").read_text().splitlines()))
    assert {row["figure"] for row in rows if row["row"] == "mean"} >= {"fd", "p_fd", "rpcc"}
    again = dim(*command)
    assert again.code == 2
    assert "already exists; pass --force" in again.err
    assert dim(*command, "--force").code == 0


def test_the_official_protocol_says_that_it_chose_by_the_truth(dim: Dim, data: Path) -> None:
    ended = dim(
        *("eval", "--data", data, "--baseline", "random", "--protocol", "official"),
        *("--samples", 2, "--report", "report.html", "--clips", 0),
    )
    assert ended.code == 0, ended.err
    assert "the best of 2 draws a clip, CHOSEN BY ITS DISTANCE TO THE TRUTH" in " ".join(
        ended.out.split()
    )
    page = Path("report.html").read_text()
    assert "best of 2 draws, chosen by the truth" in page
    assert "entropy of one histogram over the frames of all clips together" in page


def test_a_label_names_a_method(dim: Dim, data: Path) -> None:
    ended = dim("eval", "--data", data, "--weights", "Theirs=random", "--json")
    assert [method["name"] for method in json.loads(ended.out)["methods"]] == ["Theirs"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset", "vico"), "--data: needed for vico"),
        (("--dataset", "vico", "--data", "DATA"), "was prepared from 'made', not 'vico'"),
        (("--data", "nowhere", *BASELINES), "nowhere: not a data set"),
        (("--data", "DATA", "--reacting"), "--reacting: is of dyads drawn for this command"),
        (("--dataset", "synthetic", "--task", "speaker", "--reacting"), "held-out speech has none"),
        (("--data", "DATA", "--weights", "nobody"), "nobody: neither a run directory nor"),
        (
            ("--data", "DATA", "--baseline", "mean", "--baseline", "mean"),
            "two methods are called 'mean'; write LABEL=mean for one",
        ),
        (("--data", "DATA", "--baseline", "oracle"), "the oracle knows only synthetic dyads"),
        (("--data", "DATA", *BASELINES, "--split", "val"), "the val split is empty"),
        (("--data", "DATA", *BASELINES, "--csv", "a.txt"), "name it a.csv"),
        (("--data", "DATA", *BASELINES, "--report", "no/r.html"), "does not exist; make it first"),
        (("--data", "DATA", *BASELINES, "--reference", "L2L"), "reference 'L2L' is not evaluated"),
    ],
)
def test_a_mistake_ends_with_one_line_that_says_it(
    dim: Dim, data: Path, arguments: tuple[str, ...], message: str
) -> None:
    ended = dim("eval", *(data if one == "DATA" else one for one in arguments))
    assert ended.code == 2
    line = ended.err.splitlines()[-1]
    assert line.startswith("error: ") and message in line
    assert "Traceback" not in ended.err


def test_a_folder_is_made_with_all_files_or_not_at_all(dim: Dim, data: Path) -> None:
    (data / "clips.jsonl").rename(data / "kept")
    try:
        assert dim("eval", "--data", data, "--baseline", "mean", "-o", "out").code == 2
    finally:
        (data / "kept").rename(data / "clips.jsonl")
    assert dim("eval", "--data", data, *BASELINES, "-o", "out", "--csv", "no/a.csv").code == 2
    assert not Path("out").exists()


def test_a_report_is_written_of_sound_that_is_not_ours(
    dim: Dim, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features that are called mel have as many columns as somebody gave them."""
    monkeypatch.setattr("sys.argv", ["dim", "bytes\udcff"])
    ended = dim("eval", "--data", data, "--baseline", "mean", "-o", "bytes\udcff", "--clips", 1)
    assert ended.code == 0, ended.err
    assert "bytes\\udcff" in Path("bytes\udcff/report.html").read_text()


def test_measures_are_printed_with_what_they_reward_falsely_and_what_is_missing(
    dim: Dim, data: Path
) -> None:
    ended = dim("eval", "--data", data, "--baseline", "mean", "--measures", "timing", "--json")
    (family,) = json.loads(ended.out)["families"]
    assert family["name"] == "timing"
    assert family["figures"]["mean"]["pose"]["tlcc_peak"]["value"] is None
    ended = dim("eval", "--data", data, "--baseline", "mean", "--measures", "timing")
    text = " ".join(ended.out.split())
    assert "Rewards falsely: the peak is largest for a copy of the speaker" in text
    assert "moves on both sides (in 6 of 6): offset frames, TLCC peak of mean, expression" in text
    assert max(map(len, ended.out.splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--measures", "x"), "--measures x: unknown; known: paper, listening, timing"),
        (("--measures", "all", "--protocol", "official"), "is of listeners, one prediction"),
    ],
)
def test_measures_that_are_not_there_are_told(
    dim: Dim, data: Path, arguments: tuple[str, ...], message: str
) -> None:
    ended = dim("eval", "--data", data, "--baseline", "mean", *arguments)
    assert ended.code == 2
    assert message in ended.err.splitlines()[-1]


@pytest.mark.slow
def test_other_processes_predict_what_this_one_would(dim: Dim, data: Path) -> None:
    command = ("eval", "--data", data, "--baseline", "mean", "--bootstrap", 0, "--json")
    here = json.loads(dim(*command).out)
    ended = dim(*command, "--workers", 2)
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == here


def test_who_predicts_is_checked_before_anything_else(dim: Dim) -> None:
    ended = dim("eval", "--data", "nowhere", "--engine", "dask")
    assert ended.code == 2
    assert "--scheduler: missing" in ended.err
