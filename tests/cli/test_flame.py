"""``dim weights import flame``, ``dim visualize --head`` and ``dim convert`` on a made-up FLAME."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from dimcli.core.motion import MOTION_DIM, Motion
from tests.cli.conftest import Dim
from tests.flame_files import flame_arrays, mediapipe_embedding, model_pickle
from tests.pickle_writing import program
from weights.importing import kinds


@pytest.fixture(scope="module")
def licensed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the owners' files, made up."""
    folder = tmp_path_factory.mktemp("licensed")
    (folder / "generic_model.pkl").write_bytes(model_pickle(flame_arrays()))
    np.savez(folder / "mediapipe_landmark_embedding.npz", **mediapipe_embedding())
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty user folder."""
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def flame_motion(path: Path, space: str = "flame") -> Path:
    values = np.zeros((5, MOTION_DIM), np.float32)
    values[:, 1] = np.linspace(-0.3, 0.3, 5)
    values[:, 3] = np.linspace(0, 0.3, 5)
    Motion(values, fps=25, space=space).save(path)
    return path


def test_a_flame_motion_without_the_flame_file_says_how_to_get_it(dim: Dim, home: Path) -> None:
    motion = flame_motion(Path("motion.npz"))
    for arguments in (("visualize", motion), ("convert", motion, "--to", "arkit")):
        ended = dim(*arguments)
        assert ended.code == 2
        for part in ("flame.is.tue.mpg.de", "generic_model.pkl", "dim weights import flame FILE"):
            assert part in ended.err
        assert len(ended.err.strip().splitlines()) == 1
    assert not list(Path().glob("*.mp4"))


def test_an_imported_flame_shows_flame_motion(dim: Dim, home: Path, licensed: Path) -> None:
    ended = dim("weights", "import", "flame", licensed / "generic_model.pkl")
    assert ended.code == 0
    assert "imported" in ended.err
    assert str(home / "flame.safetensors") in ended.err
    again = dim("weights", "import", "flame", licensed / "generic_model.pkl")
    assert again.code == 2
    assert "--force" in again.err
    motion = flame_motion(Path("motion.npz"))
    assert dim("visualize", motion, "-o", "out.mp4", "--size", "96").code == 0
    reader = cv2.VideoCapture("out.mp4")
    assert reader.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    middle = reader.read()[1][30:60, 40:56].astype(int)
    assert middle.mean() > 100  # clay, in the light
    for head, space in (("open", "flame"), ("flame", "arkit")):
        motion = flame_motion(Path(f"{space}.npz"), space)
        ended = dim("visualize", motion, "--head", head)
        assert ended.code == 2
        assert "dim convert" in ended.err


def test_a_persons_shape_shows_in_the_picture(dim: Dim, home: Path, licensed: Path) -> None:
    assert dim("weights", "import", "flame", licensed / "generic_model.pkl").code == 0
    values = np.zeros((1, MOTION_DIM), np.float32)
    pictures = []
    for amount in (0, 4):
        shape = np.array([0, amount, 0], np.float32)
        Motion(values, fps=25, space="flame", shape=shape).save(Path(f"{amount}.npz"))
        assert dim("visualize", f"{amount}.npz", "--size", "96").code == 0
        pictures.append(cv2.VideoCapture(f"{amount}.mp4").read()[1].astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() > 40


def test_a_file_that_is_no_flame_model_is_refused(dim: Dim, home: Path) -> None:
    Path("model.pkl").write_bytes(b"\x80\x02}.")
    ended = dim("weights", "import", "flame", "model.pkl")
    assert ended.code == 2
    assert "model.pkl" in ended.err
    assert "v_template" in ended.err


@pytest.mark.slow
def test_convert_goes_there_and_back_and_reports_the_residual(
    dim: Dim, home: Path, licensed: Path
) -> None:
    assert dim("weights", "import", "flame", licensed / "generic_model.pkl").code == 0
    landmarks = licensed / "mediapipe_landmark_embedding.npz"
    assert dim("weights", "import", "flame-landmarks", landmarks).code == 0
    motion = flame_motion(Path("motion.npz"), "arkit")
    ended = dim("convert", motion, "--to", "flame", "--json")
    assert ended.code == 0
    assert "mm from the original's" in ended.err
    assert "flame-landmarks" not in ended.err
    figures = json.loads(ended.out)
    assert figures["path"] == "motion-flame.npz"
    assert figures["residual_mm"] < 0.5 * figures["moved_mm"]
    assert Motion.load(Path("motion-flame.npz")).space == "flame"
    assert dim("convert", "motion-flame.npz", "--to", "arkit", "-o", "back.npz").code == 0
    back = Motion.load(Path("back.npz"))
    np.testing.assert_allclose(back.jaw, Motion.load(motion).jaw, atol=0.05)
    assert dim("export", "motion-flame.npz", "-o", "out.csv").code == 0
    header, first = Path("out.csv").read_text().splitlines()[:2]
    assert "JawOpen" in header
    assert len(first.split(",")) == len(header.split(","))
    again = dim("convert", motion, "--to", "flame")
    assert again.code == 2
    assert "--force" in again.err
    same = dim("convert", motion, "--to", "arkit", "-o", "same.npz")
    assert same.code == 2
    assert "already" in same.err


@pytest.mark.parametrize("kind", ["flame", "flame-masks", "vgg19"])
def test_a_file_that_would_be_hashed_for_ever_is_one_line(dim: Dim, home: Path, kind: str) -> None:
    nested = program(b"}N" + b"\x85" * 100_000 + b"Ns")
    Path("deep.pkl").write_bytes(nested)
    ended = dim("weights", "import", kind, "deep.pkl")
    assert ended.code == 2
    assert "deep.pkl: refused, as it has keys of type nested tuple" in ended.err
    assert len(ended.err.strip().splitlines()) == 1
    assert not home.exists() or not list(home.iterdir())


HOSTILE = {
    "a list in itself": program(b"]\x94h\x00a"),
    "nested 100,000 deep": program(b"]" * 100_000 + b"a" * 99_999),
    "a folder": None,
}


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_or_an_empty_folder_is_one_line(
    dim: Dim, home: Path, kind: str, what: str
) -> None:
    if (content := HOSTILE[what]) is None:
        Path("odd.pkl").mkdir()
    else:
        Path("odd.pkl").write_bytes(content)
    ended = dim("weights", "import", kind, "odd.pkl")
    assert ended.code == 2
    assert "odd.pkl" in ended.err
    assert len(ended.err.strip().splitlines()) == 1
    assert not home.exists() or not list(home.iterdir())
