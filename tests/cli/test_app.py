"""The command line as a whole: help, versions, and what is imported for them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dimcli import __version__
from dimcli.cli.app import app
from dimcli.models.names import ADAPT, PRESETS
from dimcli.training.ablations import ABLATIONS

COMMANDS = [command.name for command in app.registered_commands]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_a_first_sentence(dim, command):
    ended = dim(command, "--help")
    assert ended.code == 0
    assert "Usage:" in ended.out
    assert "--help" in ended.out


def test_the_version_is_printed(dim):
    assert dim("--version").out.strip() == f"dim {__version__}"


def test_help_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'cv2', 'scipy', 'ai_edge_litert'}"
    code = f"import sys, dimcli.cli.app; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_garbage_is_hardly_looked_for_while_libraries_are_imported():
    code = """
import gc
from dimcli.cli import main
try:
    main()
finally:
    import torch
    print(sum(each["collections"] for each in gc.get_stats()))
"""
    command = [sys.executable, "-c", code, "eval", "--data", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert int(done.stdout) < 100  # with Python's own threshold 450


def test_without_arguments_the_commands_are_listed(dim):
    ended = dim()
    assert ended.code == 2
    assert "generate-listener" in ended.err
    assert "error:" not in ended.err
    assert len(ended.err.splitlines()) > 10


def test_closed_output_streams_do_no_harm(tmp_path):
    command = f"{sys.executable} -m dimcli extract nowhere.mp4 2>&- >&-"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, check=False)
    assert done.returncode == 2


INTERRUPTED_TWICE = """
import os, signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, of whoever runs the tests, is inherited
from dimcli.cli import app, main
def work(**_):
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(5)
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        print("cleaned up")
app.app = work
main([])
"""


INTERRUPTED_IN_A_DESTRUCTOR = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # may be ignored, in the background
from dimcli.cli import app, main
class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
def work(**_):
    Dying()
    time.sleep(5)
    print("not interrupted")
app.app = work
main([])
"""


@pytest.mark.skipif(os.name == "nt", reason="signals work otherwise on Windows")
@pytest.mark.parametrize(
    ("program", "printed"),
    [(INTERRUPTED_TWICE, "cleaned up\n"), (INTERRUPTED_IN_A_DESTRUCTOR, "")],
    ids=["a second time, while it cleans up", "where Python loses exceptions"],
)
def test_an_interruption_ends_the_command_and_not_its_cleaning_up(program, printed):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (130, printed)
    assert done.stderr == "error: interrupted; nothing half-written was left\n"


def run_in_shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command.format(dim=f'{sys.executable} -m dimcli')}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(os.name == "nt", reason="bash")
@pytest.mark.parametrize(
    "command",
    [
        "{dim} weights list | head -1",
        "{dim} weights list >&- 2>&- <&-",
        pytest.param(
            "{dim} weights list 2>/dev/full",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full"),
        ),
    ],
)
def test_streams_that_end_early_do_no_harm(command):
    ended = run_in_shell(command)
    assert ended.returncode == 0
    assert ended.stderr == ""


def test_a_terminal_that_lacks_a_character_shows_another():
    ended = run_in_shell("{dim} weights list", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert ended.returncode == 0
    assert ended.stdout.isascii()


def test_an_error_stays_short_whatever_it_quotes(dim):
    ended = dim("render", "a" * 5000 + ".npz", "-o", "out.mp4", "--renderer", "mesh")
    assert ended.code == 2
    assert len(ended.err.strip().splitlines()) == 1
    assert len(ended.err) < 330


def test_too_little_memory_is_one_line(monkeypatch, capsys):
    import torch

    from dimcli.cli import app, main

    for error in (
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ):

        def fails(error: Exception = error, **_: object) -> None:
            raise error

        monkeypatch.setattr(app, "app", fails)
        with pytest.raises(SystemExit) as ended:
            main([])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith("error: there is not enough memory")
        assert len(said.splitlines()) == 1


def test_what_libraries_warn_of_is_shown_to_those_who_ask():
    program = (
        "import sys, warnings, dimcli.cli as cli; sys.argv = ['dim', '--version']\n"
        "try: cli.main()\n"
        "finally: warnings.warn('overflow')"
    )
    for options, shown in (((), False), (("-W", "default"), True)):
        ended = subprocess.run(
            [sys.executable, *options, "-c", program], capture_output=True, text=True, check=True
        )
        assert ("overflow" in ended.stderr) == shown


def test_every_command_is_listed_once_with_its_whole_first_sentence(dim):
    from dimcli.cli.app import GROUPS

    listed = dim("--help").out.split("--help ")[1]
    names = [name for group in GROUPS.values() for name in group]
    assert len(names) == len(set(names))
    assert set(names) == set(click_names())
    rows = [line for line in listed.splitlines() if line.startswith("  ")][1:]
    assert [line.split()[0] for line in rows[-len(names) :]] == names
    assert "..." not in listed


def click_names():
    import typer

    from dimcli.cli.app import app

    return typer.main.get_command(app).commands


@pytest.mark.parametrize("names", [[*PRESETS, *PRESETS.values(), ADAPT], list(ABLATIONS)])
def test_help_says_what_presets_are_for_and_lists_ablations(dim, names):
    shown = " ".join(dim("train", "--help").out.split())
    assert [name for name in names if name not in shown] == []
