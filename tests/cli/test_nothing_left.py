"""Real commands that fail leave the folder as it was, and what others write follows the umask."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.motion import MOTION_DIM, Motion
from dimcli.data.store import STATISTICS
from tests.cli.conftest import Dim
from tests.core.test_full_disk import small_disk
from tests.corpora import ffmpeg
from tests.flame_files import mediapipe_embedding
from tests.media.test_faults import spoil_packets
from tests.stores import make_store

TINY = ("--preset", "tiny", "--steps", "1", "--device", "cpu", "--set", "training.batch_size=2")
SMALL = ("--renderer", "mesh", "--size", "64", "-o", "out.mp4")
DYADS = ("prepare", "synthetic", "--hours", "0.01", "-o", "data")
VQ = ("train-vq", "store", "--role", "listener", *TINY, "-o", "run")
SCORES = ("eval", "--baseline", "mean", "--bootstrap", "10", "-o", "scores", "--data")


@pytest.fixture
def folder(tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Valid inputs, and some whose fault is found late."""
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    make_store(tmp_path / "store", frames=24)
    shutil.copytree(tmp_path / "store", tmp_path / "broken")
    (tmp_path / "broken" / "conversations" / "made-5.safetensors").write_bytes(b"x")
    source = ("-t", "0.4", "-i", examples / "speaker.mp4")
    ffmpeg(*source, "-vf", "scale=160:160", "-c:a", "flac", tmp_path / "damaged.mkv")
    spoil_packets(tmp_path / "damaged.mkv", 0.6)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "one.mp4").write_bytes(b"no clip")
    Motion(np.zeros((10, MOTION_DIM), np.float32), fps=25).save(tmp_path / "motion.npz")
    np.savez(tmp_path / "embedding.npz", **mediapipe_embedding())
    return tmp_path


def listing(folder: Path) -> dict[str, int]:
    """Files and when they were written, without what is kept beside a data set."""
    files = (path for path in folder.rglob("*") if not path.is_dir())
    return {str(path): path.lstat().st_mtime_ns for path in files if path.name != STATISTICS}


def folders(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_dir()}


@pytest.mark.parametrize(
    "words",
    [
        ("prepare", "clips", "clips", "-o", "data"),
        (*SCORES, "broken"),
        ("table", "3", "--dataset", "synthetic", "--data", "broken", *TINY[:2], "-o", "tables"),
        ("visualize", "motion.npz", "--audio", "damaged.mkv", "--size", "64", "-o", "out.mp4"),
        ("generate-speaker", "damaged.mkv", *SMALL),
        ("generate-listener", "damaged.mkv", *SMALL),
        ("weights", "import", "flame-masks", "embedding.npz"),
    ],
    ids=" ".join,
)
def test_an_input_whose_fault_is_found_late_leaves_nothing(
    dim: Dim, folder: Path, words: tuple[str, ...]
) -> None:
    before = listing(folder), folders(folder)
    ended = dim(*words)
    assert ended.code == 2, ended.err
    assert sum(line.startswith("error: ") for line in ended.err.splitlines()) == 1
    assert (listing(folder), folders(folder)) == before


@pytest.mark.parametrize(
    "words",
    [
        DYADS,
        VQ,
        (*SCORES, "store"),
        ("visualize", "motion.npz", "--size", "96", "-o", "out.mp4"),
        ("export", "motion.npz", "-o", "out.glb"),
        ("weights", "import", "flame-landmarks", "embedding.npz"),
    ],
    ids=" ".join,
)
def test_a_full_disk_leaves_nothing(dim: Dim, folder: Path, words: tuple[str, ...]) -> None:
    before = listing(folder), folders(folder)
    with small_disk(1000):
        ended = dim(*words)
    assert ended.code == 2, ended.err
    assert "cannot be written" in ended.err
    assert (listing(folder), folders(folder)) == before


def test_everything_that_is_written_follows_the_umask(dim: Dim, folder: Path) -> None:
    before = {*listing(folder)} | {str(path) for path in folders(folder)}
    umask = os.umask(0o027)
    try:
        for words in (
            VQ,
            (*SCORES, "store"),
            ("visualize", "motion.npz", "--size", "64", "-o", "out.mp4"),
            ("export", "motion.npz", "-o", "out.glb"),
            ("weights", "import", "flame-landmarks", "embedding.npz"),
        ):
            assert dim(*words).code == 0
    finally:
        os.umask(umask)
    made = [path for path in folder.rglob("*") if str(path) not in before]
    assert len(made) > 8
    for path in made:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o750 if path.is_dir() else 0o640), path
