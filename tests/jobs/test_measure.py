from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.synthetic.signals import add_nod
from dimcli.jobs.measure import MeasureOptions, measure_behaviour


def motion_with_nods(path: Path, count: int) -> None:
    pitch = np.zeros(750)
    for nod in range(count):
        add_nod(pitch, 25.0, 2.0 + 5.0 * nod, size=3.0, hz=2.2, cycles=2, decay=0.9)
    values = np.zeros((750, 56), np.float32)
    values[:, 0] = np.radians(pitch)
    path.parent.mkdir(exist_ok=True)
    Motion(values, fps=25.0).save(path)


def test_folders_of_motion_are_rows_with_intervals(tmp_path: Path) -> None:
    for folder, counts in (("lively", (4, 5)), ("calm", (1, 1))):
        for index, count in enumerate(counts):
            motion_with_nods(tmp_path / folder / f"{index}.npz", count)
    found = measure_behaviour(
        MeasureOptions([tmp_path / "lively", tmp_path / "calm"], csv=tmp_path / "a.csv")
    )
    lively, calm = (row.figures["head"]["nods_a_minute"] for row in found.table.rows)
    assert (lively.value, lively.low, lively.high) == (9.0, 8.0, 10.0)
    assert (calm.value, calm.low, calm.high) == (2.0, 2.0, 2.0)
    assert found.clips == {"lively": 2, "calm": 2}
    assert (tmp_path / "a.csv").read_text().count("nods_a_minute") == 2
    # without a speaker nothing is known of answers, and no empty table says so
    assert "answers to the speaker" in found.table.parts
    assert "answers to the speaker" not in found.table.shown_parts
    assert "head" in found.table.shown_parts


def test_what_cannot_be_measured_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("x")
    flame = tmp_path / "flame.npz"
    Motion(np.zeros((100, 56), np.float32), fps=25.0, space="flame").save(flame)
    short = tmp_path / "short.npz"
    Motion(np.zeros((20, 56), np.float32), fps=25.0).save(short)
    slow = tmp_path / "slow.npz"
    Motion(np.zeros((20, 56), np.float32), fps=1.0).save(slow)
    for path, why in (
        (tmp_path / "empty", "holds no video and no motion file"),
        (tmp_path / "a.txt", "expected a video"),
        (tmp_path / "none", "no such file or folder"),
        (flame, "motion is in the 'flame' space"),
        (slow, "1 frames a second; behaviour needs 5"),
        (short, "0.8 s long; behaviour needs 2 s"),
    ):
        with pytest.raises(InputError, match=why):
            measure_behaviour(MeasureOptions([path]))
