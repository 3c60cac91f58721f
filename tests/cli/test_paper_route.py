"""The paper's experiment from the corpora to its tables and its video, in the paper's space, by the
commands of examples/research.md and in their order, on corpora and checkpoints in small."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest

from dimcli.core.motion import Motion
from dimcli.data.store import ClipStore
from dimcli.models.checkpoint import load_dim
from dimcli.training.renderer.objective import PRESETS
from tests import corpora, small_corpora
from tests.cli.conftest import Dim
from tests.renderer_clips import SMALL_PAPER

SHORT = ("--preset", "tiny", "--device", "cpu")
STEPS = ("--steps", "2", "--set", "training.validate_every=2", "--set", "training.batch_size=2")
TABLE = (
    *("--set", "training.steps=2", "--set", "training.validate_every=2"),
    *("--set", "training.batch_size=2", "--bootstrap", "20", "--clips", "0"),
)


@pytest.mark.slow
def test_the_papers_experiment_runs_from_corpora_to_tables_and_a_video(
    dim: Dim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: Path
) -> None:
    small_corpora.make(tmp_path)
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    smirk = ("--tracker", "smirk", "--checkpoint", "SMIRK_em1.pt")

    def run(*words: object) -> str:
        ended = dim(*words)
        assert ended.code == 0, ended.err
        return ended.err

    def facts(data: str) -> tuple[float, str, str]:
        info = ClipStore(tmp_path / data).info
        assert all(info.clips[split] for split in ("train", "val", "test")), data
        return info.fps, info.space, info.audio_encoder

    run("weights", "import", "flame", "generic_model.pkl")
    (tmp_path / "tracked").mkdir()
    first, other = small_corpora.PEOPLE
    shown = small_corpora.CONVERSATIONS[0]
    run("extract", f"candor/{shown}/processed/{first}.mp4", *smirk, "-o", "seen.npz")
    for place, name in enumerate(small_corpora.CONVERSATIONS):  # all show the same
        shutil.copyfile("seen.npz", f"tracked/{name}_{first}.npz")
        whole = corpora.moving(round(30 * small_corpora.SECONDS), seed=place)
        Motion(whole, 30.0, "flame").save(Path(f"tracked/{name}_{other}.npz"))
    candor = ("prepare", "candor", "candor", "--motion", "tracked", "--audio", "mel")
    run(*candor, "--min-s", "0.3", "-o", "data-candor")
    run(*candor, "--min-s", "0.3", "--fps", "25", "-o", "data-candor25")
    run("prepare", "vico", "vico", *smirk, "--audio", "mel", "-o", "data-tracked")
    run("prepare", "vico", "vico_emoca", "--audio", "mel", "-o", "data-vico")
    run("prepare", "lm_listener", "trevor", "-o", "data-lm")
    run("prepare", "biwi", "biwi", "--audio", "mel", "-o", "data-biwi")
    assert facts("data-candor") == facts("data-vico") == (30.0, "flame", "mel")
    assert ClipStore(tmp_path / "data-tracked").info.space == "flame"
    assert facts("data-lm") == (30.0, "flame", "none")
    assert facts("data-biwi") == facts("data-candor25") == (25.0, "flame", "mel")

    for role in ("speaker", "listener"):
        run("train-vq", "data-candor", "--role", role, *SHORT, *STEPS, "-o", f"vq-{role}")
    vq = ("--vq-speaker", "vq-speaker", "--vq-listener", "vq-listener")
    run("pretrain", "data-candor", *vq, *SHORT, *STEPS, "-o", "pre")
    run("finetune", "data-vico", "--init", "pre", *SHORT, *STEPS, "-o", "dim")
    said = run("finetune", "data-lm", "--init", "pre", *SHORT, *STEPS, "-o", "dim-lm")
    assert "data-lm has no sound: the model gets zeros" in said
    assert not load_dim(tmp_path / "dim-lm")[0].hears
    for data, dataset, weights in (("vico", "vico", "dim"), ("lm", "lm_listener", "dim-lm")):
        of = ("--dataset", dataset, "--data", f"data-{data}", "--weights", weights)
        run("eval", *of, "--device", "cpu", "--bootstrap", "20", "--csv", f"{data}.csv")

    for number, dataset, data, before in (
        ("1", "vico", "data-vico", "data-candor"),
        ("2", "lm_listener", "data-lm", "data-candor"),
        ("3", "vico", "data-vico", "data-candor"),
        ("4", "biwi", "data-biwi", "data-candor25"),
    ):
        of = ("--dataset", dataset, "--data", data, "--pretrain-data", before)
        run("table", number, *of, *SHORT, *TABLE, "-o", f"tables-{dataset}")
        page = tmp_path / f"tables-{dataset}" / f"table-{number}" / "table.md"
        assert "Published: Table" in page.read_text()

    clip = next((tmp_path / "vico" / "videos").iterdir())
    generate = ("generate-listener", clip, "--weights", "dim", *smirk)
    picture = ("--ref", examples / "listener.png", "--size", 96, "--device", "cpu")
    run(*generate, *picture, "-o", "converted.mp4")
    run("render", "seen.npz", *picture, "-o", "seen.mp4")

    shutil.rmtree(tmp_path / "home")  # no FLAME: what follows draws the motion as it is
    monkeypatch.setitem(PRESETS, "paper", SMALL_PAPER)
    paper = ("--preset", "paper", "--steps", 2, "--device", "cpu")
    run("train-renderer", "listener.mp4", *smirk, *paper, "-o", "face")
    drawn = (*picture, "--renderer", "face")
    run(*generate, *drawn, "-o", "drawn-listener.mp4")
    run("render", "seen.npz", *drawn, "-o", "drawn.mp4")
    for video, frames in (("converted", 12), ("drawn-listener", 12), ("seen", 24), ("drawn", 24)):
        assert cv2.VideoCapture(f"{video}.mp4").get(cv2.CAP_PROP_FRAME_COUNT) == frames
