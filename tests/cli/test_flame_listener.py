"""The main job in the paper's own space: a licensed tracker, HuBERT and FLAME, all made up."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dimcli.audio import load_encoder
from dimcli.core.config import with_overrides
from dimcli.core.motion import Motion
from dimcli.media import VideoWriter
from dimcli.models.dim.config import preset
from dimcli.models.dim.dim import DIM
from renderers.mesh.mesh import MeshRenderer
from tests.answers import write_run
from tests.audio.test_hubert import WIDTH, small_model
from tests.cli.conftest import Dim
from tests.flame_files import flame_arrays, model_pickle
from tests.tracking.encoder_files import smirk_file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    load_encoder.cache_clear()
    return tmp_path / "home"


@pytest.fixture
def speaker(tmp_path: Path) -> Path:
    """Ten frames of the open head, which nobody owns."""
    motion = np.zeros((10, 56), np.float32)
    motion[:, 1] = np.linspace(-0.1, 0.1, 10)
    with VideoWriter(tmp_path / "speaker.mp4", fps=25) as writer:
        for frame in MeshRenderer(size=256).render(motion):
            writer.write(frame)
    return tmp_path / "speaker.mp4"


def flame_run(folder: Path, encoder: str) -> Path:
    """An untrained listener in the flame space that hears with ``encoder``."""
    settings = {
        "data.space": "flame",
        "data.audio_encoder": encoder,
        "data.audio_dim": 1 if encoder == "none" else WIDTH,
        "dim.outputs": "listener",
    }
    config = with_overrides(preset("tiny", "finetune"), settings)
    write_run(config, DIM(config), folder)
    return folder


@pytest.mark.slow
def test_a_listener_in_the_flame_space_from_a_clip_to_a_mesh_video(
    dim: Dim, home: Path, speaker: Path, tmp_path: Path
) -> None:
    small_model().save_pretrained(tmp_path / "small")
    run = flame_run(tmp_path / "run", f"hubert:{tmp_path / 'small'}")
    smirk_file(tmp_path / "SMIRK_em1.pt")
    (tmp_path / "generic_model.pkl").write_bytes(model_pickle(flame_arrays()))
    assert dim("weights", "import", "flame", "generic_model.pkl").code == 0

    generate = ("generate-listener", speaker, "--weights", run, "--size", 96, "-o", "out.mp4")
    ended = dim(*generate, "--renderer", "mesh")
    assert ended.code == 2
    assert "--tracker emoca needs emoca" in ended.err
    ended = dim(*generate, "--renderer", "mesh", "--tracker", "landmarks")
    assert ended.code == 2
    assert "measures in the 'arkit' space" in ended.err
    ended = dim(*generate, "--ref", tmp_path / "no.png", "--tracker", "smirk")
    assert ended.code == 2
    smirk = ("--tracker", "smirk", "--checkpoint", "SMIRK_em1.pt", "--save-motion", "kept.npz")
    ended = dim(*generate, "--renderer", "mesh", *smirk)
    assert ended.code == 0, ended.err
    assert cv2.VideoCapture("out.mp4").get(cv2.CAP_PROP_FRAME_COUNT) == 10
    kept = Motion.load(Path("kept.npz"))
    assert (kept.space, len(kept)) == ("flame", 10)


def test_a_tracker_of_the_flame_space_does_not_serve_an_arkit_listener(
    dim: Dim, home: Path, speaker: Path
) -> None:
    ended = dim("generate-listener", speaker, "--renderer", "mesh", "--tracker", "smirk")
    assert ended.code == 2
    assert "--tracker smirk: measures in the 'flame' space" in ended.err


def test_pictures_need_flame_to_be_moved_by_flame_motion_and_the_detour_is_named(
    dim: Dim, home: Path, speaker: Path, examples: Path, tmp_path: Path
) -> None:
    run = flame_run(tmp_path / "run", "none")
    smirk_file(tmp_path / "SMIRK_em1.pt")
    smirk = ("--tracker", "smirk", "--checkpoint", "SMIRK_em1.pt")
    ended = dim(
        *("generate-listener", speaker, "--weights", run, *smirk, "-o", "out.mp4"),
        *("--ref", examples / "listener.png"),
    )
    assert ended.code == 2
    assert "`dim weights import flame generic_model.pkl` converts it on the way" in ended.err
    assert "--renderer mesh" in ended.err and len(ended.err.splitlines()) == 1
    assert not Path("out.mp4").exists()
