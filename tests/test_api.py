"""The public Python API, as README and the notebook show it."""

import json
import re
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

import dimcli
from dimcli import media

REPOSITORY = Path(__file__).parent.parent


def test_importing_dimcli_imports_no_torch_and_no_opencv():
    code = "import sys, dimcli; print([m for m in ('torch', 'cv2', 'numpy') if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_every_public_name_can_be_imported_and_an_unknown_one_is_refused():
    for name in dimcli.__all__:
        assert getattr(dimcli, name) is not None
    assert set(dir(dimcli)) == set(dimcli.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        dimcli.no_such_name  # noqa: B018


@pytest.mark.slow
def test_the_readmes_example_runs_and_has_at_most_15_lines(
    examples, short_speaker, tmp_path, monkeypatch
):
    readme = (REPOSITORY / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 15
    (tmp_path / "examples").mkdir()
    for file in (short_speaker, examples / "listener.png"):
        shutil.copy(file, tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(compile(code, "README.md", "exec"), found)
    assert len(found["reaction"]) == len(found["motion"])
    assert found["first"].dtype == np.uint8
    assert found["first"].shape[2] == 3
    assert dimcli.Motion.load("listener.npz").fps == found["motion"].fps
    assert Path("listener.mp4").stat().st_size > 10_000


@pytest.mark.slow
def test_the_readmes_stream_answers_frame_by_frame(short_speaker):
    readme = (REPOSITORY / "README.md").read_text()
    (code,) = re.findall(r"```py\n(.*?)```", readme, re.DOTALL)
    pictures = list(islice(media.read_frames(short_speaker), 16))
    sound = media.read_audio(short_speaker, 16000)
    given = [(i / 25, each, sound[640 * i : 640 * (i + 1)]) for i, each in enumerate(pictures)]
    counts: list[int] = []
    code += "    told.append(len(frames))\n"
    names = {"camera_and_microphone": lambda: given, "told": counts}
    exec(compile(code, "README.md", "exec"), names)
    assert counts == [0] * 7 + [1] * 9


@pytest.mark.slow
def test_the_notebook_runs_and_is_kept_without_outputs(examples, short_speaker, tmp_path):
    path = REPOSITORY / "examples" / "listener.ipynb"
    cells = json.loads(path.read_text())["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    for file in (short_speaker, examples / "listener.png"):
        shutil.copy(file, tmp_path)
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    assert "(256, " in str(notebook.cells[-1].outputs) or ", 256, 3)" in str(notebook.cells[-1])
