"""A few hundred of the runs of ``make fuzz``, and that the driver would see what it looks for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.commands import COMMANDS, tree
from tests.fuzz.runs import Plan, faults_of_files, faults_of_text, lay_out, run

REPOSITORY = Path(__file__).parents[2]


def test_every_command_is_called() -> None:
    assert {command.words for command in COMMANDS} == set(tree())


@pytest.mark.slow
def test_three_hundred_mutated_inputs_end_as_they_should(tmp_path: Path) -> None:
    words = (sys.executable, "-m", "tests.fuzz", "--runs", "300", "--seed", "1")
    ended = subprocess.run(
        [*words, "--keep", tmp_path / "kept"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_what_a_command_says_is_judged() -> None:
    assert faults_of_text(2, "", "rendering ...\nerror: a.npz: is a folder\n") == []
    assert faults_of_text(2, "", "") == ["0 lines of error"]
    assert faults_of_text(2, "", "error: a\nerror: b\n") == ["2 lines of error"]
    assert faults_of_text(0, "", "error: a\n") == ["an error with exit 0"]
    assert faults_of_text(0, "", "x.py:3: RuntimeWarning: overflow\n")[0].startswith("noise: ")
    assert faults_of_text(2, "", "error: " + "x" * 400)[0] == "a line of 407 characters"
    assert "ValueError" in faults_of_text(1, "", "Traceback (most recent call last)\nValueError")[0]


def test_what_a_command_leaves_is_judged(tmp_path: Path) -> None:
    plan = Plan(0, [], tmp_path, outputs=["out"])
    made = {"work/out.mp4": (1, 1), "work/a.npz": (1, 1)}
    before = {"work/a.npz": (1, 1)}
    assert faults_of_files(plan, 0, before, made) == []
    assert faults_of_files(plan, 2, before, made) == ["made work/out.mp4"]
    assert faults_of_files(plan, 0, before, {"work/a.npz": (1, 2)}) == ["changed work/a.npz"]
    assert faults_of_files(plan, 0, before, {}) == ["removed work/a.npz"]
    left = {**before, "work/.a-1.part": (0, 0)}
    assert faults_of_files(plan, 0, before, left) == ["left work/.a-1.part"]


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        ("open(canary)", "opened"),
        ("socket.create_connection(('127.0.0.1', 9))", "socket.connect"),
        ("subprocess.run(['true'])", "started 'true'"),
        ("subprocess.Popen(['/usr/bin/sleep', '9'])", "left a process: /usr/bin/sleep 9"),
        ("os.kill(os.getpid(), 9)", "ended by SIGKILL"),
        ("bytearray(2100 << 20)[::4096]", r"took \d+ MB"),
        ("open('x', 'w')", "made work/x"),
        ("1 / 0", "traceback: ZeroDivisionError"),
    ],
)
def test_a_command_that_does_what_it_should_not_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, fault: str
) -> None:
    """A program in the place of the command line."""
    import dimcli.cli

    seeds = tmp_path / "seeds"
    seeds.mkdir()
    (seeds / "clip.mp4").write_bytes(b"secret")
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path / "run", seeds)
    names = {"canary": str(tmp_path / "run" / "canary" / "secret.mp4"), "os": os}
    script = "import socket, subprocess\n" + program

    def instead(arguments: list[str]) -> None:
        exec(script, names)

    monkeypatch.setattr(dimcli.cli, "main", instead)
    faults = in_a_worker(lambda: run(Plan(0, [], tmp_path / "run")).faults)
    assert any(re.match(fault, each) for each in faults), faults


def in_a_worker(work: Callable[[], list[str]]) -> list[str]:
    """What ``work`` returns in a process whose only children are its own."""
    reader, writer = os.pipe()
    if not os.fork():
        os.write(writer, json.dumps(work()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        return json.loads(answer.read())
