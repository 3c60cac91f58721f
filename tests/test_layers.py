"""The layers of pyproject.toml: an import of a higher room is refused."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
PYPROJECT = (REPOSITORY / "pyproject.toml").read_text()


def _lint(folder: Path, module: str, line: str) -> subprocess.CompletedProcess[str]:
    """Check the contract of this repository on empty rooms, where only ``module`` has a line."""
    contract = tomllib.loads(PYPROJECT)["tool"]["importlinter"]["contracts"][0]
    rooms = " ".join(contract["layers"]).replace("|", " ").replace(":", " ").split()
    for room in {*rooms, "dimcli", "renderers", "weights"}:
        file = folder.joinpath(*room.split("."), "__init__.py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    folder.joinpath(*module.split("."), "__init__.py").write_text(f"{line}\n")
    (folder / "pyproject.toml").write_text(PYPROJECT[PYPROJECT.index("[tool.importlinter]") :])
    code = "from importlinter.cli import lint_imports_command as main; main(['--no-cache'])"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_arrow_up_is_refused_and_an_arrow_down_is_not(tmp_path):
    down = _lint(tmp_path / "down", "dimcli.jobs", "import dimcli.core")
    assert down.returncode == 0, down.stdout + down.stderr
    up = _lint(tmp_path / "up", "dimcli.core", "import dimcli.jobs")
    assert up.returncode == 1, up.stdout + up.stderr
    assert "dimcli.core is not allowed to import dimcli.jobs" in up.stdout


def test_the_ways_through_the_house_are_short_and_their_files_there():
    text = (REPOSITORY / "dimcli" / "README.md").read_text()
    ways = dict(re.findall(r"\*\*([\w-]+):\*\* (.*?)\.\n", text, re.DOTALL))
    files = {way: re.findall(r"`(\S+\.py)`", words) for way, words in ways.items()}
    assert len(files["generate-listener"]) == len(set(files["generate-listener"])) <= 10
    assert len(files["eval"]) == len(set(files["eval"])) <= 12
    assert files.keys() == {"generate-listener", "train", "finetune", "eval"}
    for file in (file for way in files.values() for file in way):
        assert (REPOSITORY / "dimcli" / file).is_file(), file
