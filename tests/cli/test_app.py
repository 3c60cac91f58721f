"""The command line as a whole: help, versions, and what is imported for them."""

import subprocess
import sys

import pytest

from dimcli import __version__
from dimcli.cli import app

COMMANDS = [command.callback.__name__.replace("_", "-") for command in app.registered_commands]


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
    code = f"import sys, dimcli.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_arguments_the_commands_are_listed(dim):
    ended = dim()
    assert "generate-listener" in ended.out + ended.err
