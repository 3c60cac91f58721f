"""A researcher's own clips, end to end: prepared, the bundled listener fine-tuned, evaluated."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

import dimcli
from dimcli.core.motion import MOTION_DIM
from dimcli.data.store import ClipStore
from dimcli.media import VideoWriter
from tests.cli.conftest import Dim

CLIPS, CLIP_S, FPS = 3, 2.4, 30.0


def listening(seed: int) -> dimcli.Motion:
    """Somebody who leans to one side, smiles a lot and nods all the time."""
    random = np.random.default_rng(seed)
    time = np.arange(round(CLIP_S * FPS)) / FPS
    motion = dimcli.Motion(np.zeros((len(time), MOTION_DIM), np.float32), fps=FPS, space="arkit")
    nod = np.sin(2 * np.pi * random.uniform(1.5, 2.0) * time + random.uniform(0, 6))
    motion.head[:] = np.stack([0.06 * nod, np.full_like(nod, 0.12), np.full_like(nod, 0.08)], 1)
    for name in ("mouthSmileLeft", "mouthSmileRight"):
        motion.column(name)[:] = 0.7 + 0.1 * nod
    return motion


@pytest.fixture(scope="module")
def recordings(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of NAME.speaker.mp4 with NAME.listener.mp4."""
    folder = tmp_path_factory.mktemp("own") / "clips"
    folder.mkdir()
    renderer = dimcli.load_renderer("portrait", reference=examples / "listener.png", size=192)
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    for index in range(CLIPS):
        part = ["-ss", str(index * CLIP_S), "-i", str(examples / "speaker.mp4"), "-t", str(CLIP_S)]
        size = ["-vf", "scale=192:-2", "-r", str(FPS)]
        speaker = folder / f"clip{index}.speaker.mp4"
        subprocess.run([*ffmpeg, *part, *size, str(speaker)], check=True)
        with VideoWriter(folder / f"clip{index}.listener.mp4", fps=FPS) as video:
            for frame in renderer.frames(listening(index)):
                video.write(frame)
    return folder


@pytest.mark.slow
def test_three_commands_end_with_a_listener_nearer_to_ones_own(
    dim: Dim, recordings: Path, tmp_path: Path
) -> None:
    prepared = dim("prepare", "clips", recordings, "-o", "data")
    assert prepared.code == 0, prepared.err
    assert len(ClipStore(tmp_path / "data").records) == CLIPS

    quick = {"steps": 12, "batch_size": 2, "window_s": 2.4, "validation_batches": 1}
    quick |= {"validate_every": 6, "learning_rate": 2e-3}
    settings = [
        word for name, value in quick.items() for word in ("--set", f"training.{name}={value}")
    ]
    tuned = dim(
        *("finetune", "data", "--init", "listener-small", "--preset", "adapt", "-o", "mine"),
        *("--folds", CLIPS, "--device", "cpu", *settings),
    )
    assert tuned.code == 0, tuned.err
    assert "mine is nearer to the true listener than listener-small (FD on 3 clips" in tuned.err
    assert "nods a minute" in tuned.err
    assert "Held out as far as known" in tuned.err
    assert f"training {CLIPS + 1} models ..." in tuned.err
    assert tuned.err.count("  loss: by this the best weights are chosen") == 1
    assert tuned.err.index("  loss: by this") < tuned.err.index("all clips, step 0: loss ")

    scored = dim(
        *("eval", "--data", "data", "--weights", "mine", "--weights", "listener-small", "--folds"),
        *("-o", "scores", "--clips", 1, "--bootstrap", 100),
    )
    assert scored.code == 0, scored.err
    assert "mine is nearer to the true listener than listener-small (FD on 3 clips" in scored.err
    report = Path("scores/report.html").read_text()
    found = json.loads(Path("scores/scores.json").read_text())
    assert "cross-validated in 3 folds, speakers not named: <b>3 clips</b>" in report
    assert "never heard its speaker" not in report + scored.out + tuned.err
    for told in (report, " ".join(scored.out.split()), " ".join(found["notes"])):
        assert "answered by models that have not learnt from it" in told
        assert "Held out as far as known" in told
    ours, theirs = found["methods"]
    for part in ("expression", "pose"):
        assert ours["figures"][part]["fd"]["value"] < theirs["figures"][part]["fd"]["value"]
