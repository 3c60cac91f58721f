"""``dim weights list|show|verify`` and ``dim doctor``: what is here and how to get the rest."""

import json
import re
from pathlib import Path

import pytest

import weights
from dimcli.core import manifest
from dimcli.jobs import doctor
from tests.cli.conftest import Dim
from weights import catalogue
from weights.importing import kinds


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user's folder of their own, with nothing in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("DIM_HOME", str(folder))
    return folder


@pytest.mark.parametrize("command", [("weights", "list"), ("doctor",)])
def test_in_a_pipe_lines_fit_100_columns_and_carry_no_codes(dim: Dim, command: tuple) -> None:
    ended = dim(*command)
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in ended.out
    assert "\N{NO-BREAK SPACE}" not in ended.out


def test_the_list_says_of_each_licensed_file_where_and_how(dim: Dim) -> None:
    text = " ".join(dim("weights", "list").out.split())
    for name, kind in kinds().items():
        assert f"`dim weights import {name} " in text
        assert kind.page in text
        assert re.match(r"https://", kind.page)
    assert "`dim weights fetch hubert`" in text


def test_what_is_imported_is_listed_as_here(dim: Dim, home: Path) -> None:
    (home / kinds()["flame"].target).write_bytes(b"x" * 2_000_000)
    assert "ok  flame  (2.0 MB" in dim("weights", "list").out
    listed = json.loads(dim("weights", "list", "--json").out)["weights"]
    (flame,) = (one for one in listed if one["name"] == "flame")
    assert flame["present"]
    assert flame["size"] == 2_000_000
    assert "here      " in dim("weights", "show", "flame").out


def test_show_names_the_known_ones_when_it_does_not_know(dim: Dim) -> None:
    ended = dim("weights", "show", "flam")
    assert ended.code == 2
    assert "flam: unknown; known: listener-small, " in ended.err


def test_verify_finds_a_file_that_changed_or_went(dim: Dim, home: Path) -> None:
    for name in ("kept", "changed", "gone"):
        (home / name).write_text(name)
    manifest.record(home, [home / name for name in ("kept", "changed", "gone")])
    assert dim("weights", "verify").code == 0
    (home / "changed").write_text("something else")
    (home / "gone").unlink()
    ended = dim("weights", "verify")
    assert ended.code == 2
    assert f"{home / 'changed'}: changed; import or fetch it again" in ended.out
    assert f"{home / 'gone'}: missing" in ended.out
    assert f"{home / 'kept'}: whole" in ended.out
    assert "2 of" in ended.err


def test_a_damaged_bundled_file_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = json.loads(json.dumps(weights.registry()))
    registry["files"]["open_head.npz"]["sha256"] = "0" * 64
    monkeypatch.setattr(weights, "registry", lambda: registry)
    faults = catalogue.verify()
    assert "reinstall the package" in faults["open_head.npz"]
    assert faults["face_landmarker.task"] == ""


def test_doctor_names_what_would_mend_a_broken_part(
    dim: Dim, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> str:
        raise OSError("no such binary")

    monkeypatch.setattr(doctor, "_ffmpeg", lost)
    ended = dim("doctor")
    assert ended.code == 2
    assert re.search(r"!!  ffmpeg +no such binary", ended.out)
    assert "-> pip install --force-reinstall imageio-ffmpeg" in ended.out
    checks = json.loads(dim("doctor", "--json").out)["checks"]
    assert {check["state"] for check in checks} <= {"works", "optional", "broken"}
    assert all(check["fix"] for check in checks if check["state"] != "works")
