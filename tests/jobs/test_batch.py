"""Several inputs in one command: what fails is listed, the rest goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.core.progress import silent
from dimcli.jobs.batch import KINDS, is_batch, options_of, run_all
from dimcli.jobs.generate import Models
from tests.cli.conftest import Dim, dim  # noqa: F401  a fixture
from tests.tracking.test_people import beside

SPEAKER = KINDS["speaker"]


def test_a_folder_and_files_stand_for_a_call_each(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("b.mp4", "a.MOV", "notes.txt", ".hidden.mp4"):
        (folder / name).touch()
    given = {"ref": Path("me.png"), "output": tmp_path, "seed": 3}
    (tmp_path / "c.npz").touch()
    calls = options_of([folder, tmp_path / "c.npz"], given, SPEAKER)
    assert [str(call["output"].name) for call in calls] == [
        *("a-listener.mp4", "b-listener.mp4", "c-listener.mp4")
    ]
    assert all((call["ref"], call["seed"]) == (Path("me.png"), 3) for call in calls)
    assert is_batch([folder], SPEAKER) and not is_batch([Path("c.npz")], SPEAKER)


def test_a_row_of_a_table_says_what_differs(tmp_path: Path) -> None:
    table = tmp_path / "all.csv"
    table.write_text("speaker,ref,output,seed,attitude\na.mp4,me.png,x.mp4,7,positive\nb.mp4,,,,\n")
    first, second = options_of([table], {"ref": Path("you.png"), "seed": 1}, SPEAKER)
    assert first == {
        **{"speaker": tmp_path / "a.mp4", "ref": tmp_path / "me.png"},
        **{"output": tmp_path / "x.mp4", "seed": 7, "attitude": "positive"},
    }
    assert (second["ref"], second["seed"]) == (Path("you.png"), 1)
    assert second["output"] == Path("b-listener.mp4")


def test_a_table_says_whom_to_follow_in_each_video(
    dim: Dim,  # noqa: F811
    short_speaker: Path,
    tmp_path: Path,
) -> None:
    two = beside(tmp_path, short_speaker, 0.9)
    shutil.copy(short_speaker, tmp_path / "one.mp4")
    rows = ("one.mp4,1.npz,,", f"{two.name},2.npz,right,", f'{two.name},3.npz,,"0,0,256,256"')
    (tmp_path / "all.csv").write_text("\n".join(("clip,output,who,region", *rows)))
    ended = dim("extract", "all.csv")
    assert ended.code == 0, ended.err
    left = [Motion.load(tmp_path / f"{n}.npz").meta.get("region", [None])[0] for n in (1, 2, 3)]
    assert left == [None, pytest.approx(256, abs=30), 0]
    (tmp_path / "all.csv").write_text(f"clip,who\n{two.name},me\n")
    assert "expected one of largest, left, right" in dim("extract", "all.csv").err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip\na.mp4\n", "lacks speaker"),
        ("speaker,mood\na.mp4,glad\n", "row 2: column mood; columns: speaker, ref"),
        ("speaker,seed\na.mp4,x\n", "row 2: invalid literal"),
        ("speaker\na.mp4\nb/a.mp4\n", "both would be written to a-listener.mp4"),
    ],
)
def test_a_wrong_table_is_refused_before_any_work(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "all.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=message):
        options_of([table], {}, SPEAKER)


def test_what_fails_is_noted_and_the_rest_goes_on() -> None:
    told: list[str] = []

    def fails(progress: object) -> str:
        raise InputError("no face")

    def surprises(progress: object) -> str:
        raise KeyError("x")

    calls = [("a", fails), ("b", surprises), ("c", lambda progress: "done")]
    batch = run_all(calls, silent, told.append)
    assert batch.done == {"c": "done"} and told == ["done"]
    assert batch.failed == {"a": "no face", "b": "unexpected KeyError: 'x'"}
    assert batch.unexpected


def test_a_model_is_loaded_once() -> None:
    loaded = []

    def load(*_: object, **__: object) -> None:
        loaded.append(1)

    models = Models()
    for _ in range(3):
        models.loading(load, Path("run"), "cpu", False).result()  # type: ignore[arg-type]
    assert loaded == [1]


def test_a_command_does_all_it_can_and_ends_with_2(
    dim: Dim,  # noqa: F811
    short_speaker: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(short_speaker, folder / "good.mp4")
    (folder / "bad.mp4").write_bytes(b"no video")
    ended = dim("extract", "in/good.mp4", "good.npz")
    assert ended.code == 2 and "good.npz: no such file or folder; an output is" in ended.err
    assert not (tmp_path / "good.npz").exists(), "nothing was begun"
    assert "is an address" in dim("extract", "in", "-o", "http://127.0.0.1:9/x").err
    (tmp_path / "out").mkdir()
    ended = dim("extract", "in", "-o", "out", "--json")
    assert ended.code == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.npz"]
    figures = json.loads(ended.out)
    assert [one["path"] for one in figures["done"]] == ["out/good.npz"]
    assert list(figures["failed"]) == ["in/bad.mp4"]
    lines = ended.err.splitlines()
    assert "failed, 1 of 2:" in lines
    assert lines[-1] == "error: 1 of 2 failed, as listed above"
    assert ended.err.count("in/bad.mp4") == 1
    assert dim("extract", "in", "-o", "nowhere").code == 2
