from __future__ import annotations

import json

import pytest

from dimcli.data.store import ClipStore
from tests import corpora


def test_the_table_names_clips_minutes_splits_and_what_was_skipped_and_why(dim, tmp_path):
    rows = corpora.vico_processed(tmp_path / "vico", count=24)
    missing = tmp_path / "vico" / "vico_processed_30fps" / f"{rows[0][1]}.pkl"
    missing.unlink()
    ended = dim("prepare", "vico", "vico", "-o", "data", "--json", "--seed", 3)
    assert ended.code == 0, ended.err
    figures = json.loads(ended.out)
    assert figures["finished"]
    assert sum(figures["clips"].values()) == 23
    assert figures["minutes"]["test"] == pytest.approx(6 * 40 / 30 / 60, abs=1e-3)
    assert figures["skipped"] == [
        {"name": rows[0][1], "reason": f"{missing.relative_to(tmp_path)}: no such pickle file"}
    ]
    lines = ended.err.splitlines()
    assert any(line.split() == ["test", "6", "6", "0.1"] for line in lines)
    assert any(rows[0][1] in line and "no such pickle file" in line for line in lines)
    assert "space flame, audio hubert" in ended.err
    assert lines[-1].startswith("terms: ViCo")


def test_nothing_prepared_is_the_users_fault_and_the_reasons_stand_there(dim, tmp_path):
    rows = corpora.vico_processed(tmp_path / "vico", count=1)
    corpora.write_pickle(
        tmp_path / "vico" / "vico_processed_30fps" / f"{rows[0][1]}.pkl",
        corpora.Bomb(tmp_path / "boom"),
    )
    ended = dim("prepare", "vico", "vico", "-o", "data")
    assert ended.code == 2
    assert "refused" in ended.err
    assert ended.err.splitlines()[-1].startswith("error: data: nothing could be prepared")
    assert not (tmp_path / "boom").exists()
    assert not (tmp_path / "data").exists()


def test_synthetic_speakers_react_when_asked_to(dim, tmp_path):
    made = dim("prepare", "synthetic", "--hours", 0.01, "--reacting", "-o", "data")
    assert made.code == 0, made.err
    assert ClipStore(tmp_path / "data").info.made_by["reacting"] is True


def test_shards_say_what_is_still_to_come(dim, tmp_path):
    corpora.candor_pickles(tmp_path / "candor", conversations=3)
    ended = dim("prepare", "candor", "candor", "-o", "data", "--shard", "1/2")
    assert ended.code == 0, ended.err
    assert "still to come: 2/2" in ended.err
    assert dim("train-vq", "data", "--role", "speaker", "-o", "run").code == 2
    ended = dim("prepare", "candor", "candor", "-o", "data", "--shard", "2/2")
    assert "wrote data: 9 clips" in ended.err
    assert "no synthetic media" in ended.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("vico", "nowhere"), "nowhere: no such folder"),
        (("lm_listener", "."), "has no segments_train.pth"),
        (("l2l", "."), "has no folder 'train' or 'test'"),
        (("candor", "."), "has no conversation"),
        (("clips", "."), "has no videos"),
        (("vico", "vico", "--split", "ood"), "--split ood: expected NAME=train"),
        (("vico", "vico", "--shard", "3/2"), "--shard 3/2"),
    ],
)
def test_bad_input_is_one_line(dim, tmp_path, arguments, line):
    corpora.vico_processed(tmp_path / "vico", count=1)
    ended = dim("prepare", *arguments, "-o", "data")
    assert ended.code == 2
    assert line in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
