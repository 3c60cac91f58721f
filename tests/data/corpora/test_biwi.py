"""BIWI's layout to the letter, small; see also test_vocaset."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.corpora.biwi import NUM_VERTICES, biwi, read_emoca_biwi
from dimcli.data.corpora.preparing import prepare
from dimcli.data.corpora.scans import RESIDUAL, ScanMesh, true_regions
from dimcli.data.store import ClipStore
from tests.corpora import Bomb, moving
from tests.scan_files import BIWI_FRAMES, biwi_truth, write_biwi

TRAIN = ["F2_e01", "F2_e02", "F3_e01", "F3_e32", "M3_e05", "M4_e09"]
NAMES = [*TRAIN, "F2_e33", "F2_e37", "M5_e40", "F1_e37", "F1_e12"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("biwi")
    write_biwi(folder, NAMES, untracked=("M5_e40",))
    return folder


def linked(source: Path, target: Path) -> Path:
    """A copy of the corpus whose files can be spoilt one by one."""
    return Path(shutil.copytree(source, target, copy_function=lambda a, b: Path(b).symlink_to(a)))


def spoil(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def test_clips_arrive_with_faceformers_splits_motion_styles_and_true_vertices(
    source: Path, tmp_path: Path
) -> None:
    prepared = prepare(biwi(source, tmp_path / "data"), tmp_path / "data")
    assert not prepared.skipped
    store = ClipStore(tmp_path / "data")
    assert (store.info.fps, store.info.space, store.info.audio_encoder) == (25, "flame", "mel4")
    splits = {record.id: record.split for record in store.records}
    assert splits == dict.fromkeys(TRAIN, "train") | {
        "F2_e33": "val",
        "F2_e37": "test",
        "M5_e40": "test",
    }
    assert {record.style for record in store.records} == {"F2", "F3", "M3", "M4", "M5"}
    mesh = ScanMesh.load(tmp_path / "data")
    assert mesh is not None and mesh.converter is not None
    assert mesh.converter.explained > 0.98
    assert any("explains" in remark for remark in prepared.remarks)
    assert any("1 clips without tracked" in remark for remark in prepared.remarks)
    for record in store.records:
        clip = store.load(record)
        values, moved = biwi_truth(NAMES.index(record.id), BIWI_FRAMES)
        truth = true_regions(store, record)
        assert (truth is None) == (record.split == "train")
        if record.id != "M5_e40":
            np.testing.assert_array_equal(clip.speaker.values, values)
        assert not clip.listener.values.any()
        assert float(json.loads(store.facts(record.conversation)[RESIDUAL])) < 0.05
        if truth is not None:
            np.testing.assert_allclose(truth.lips, moved[:, 100:160], rtol=1e-3, atol=1e-6)
            np.testing.assert_allclose(truth.upper, moved[:, 9000:9100], rtol=1e-3, atol=1e-6)
            found = mesh.of_motion().moved(clip.speaker.values)
            left = np.square(found.lips - truth.lips).sum() / np.square(truth.lips).sum()
            assert left < 0.05
    # a second run finds everything there, and the same map
    before = (tmp_path / "data" / "vertices.safetensors").read_bytes()
    again = prepare(biwi(source, tmp_path / "data"), tmp_path / "data")
    assert again.clips == prepared.clips
    assert (tmp_path / "data" / "vertices.safetensors").read_bytes() == before


def test_the_other_eight_subjects_are_test_b(source: Path, tmp_path: Path) -> None:
    jobs = {test: biwi(source, tmp_path / "data", test=test).jobs for test in ("b", "both")}
    tested = {
        test: {job.conversation for job in found if job.split == "test"}
        for test, found in jobs.items()
    }
    assert tested == {"b": {"F1_e37"}, "both": {"F1_e37", "F2_e37", "M5_e40"}}


def test_planted_faults_are_named_and_survived(source: Path, tmp_path: Path) -> None:
    root = linked(source, tmp_path / "biwi")
    (root / "wav" / "F2_e01.wav").unlink()
    (root / "vertices_npy" / "F2_e02.npy").unlink()
    vertices = np.load(source / "vertices_npy" / "F3_e01.npy")
    vertices[7, 3] = np.nan
    broken = root / "vertices_npy" / "F3_e01.npy"
    broken.unlink()
    np.save(broken, vertices)
    short = root / "vertices_npy" / "F3_e32.npy"
    content = short.read_bytes()
    spoil(short, content[: len(content) // 2])
    spoil(root / "wav" / "M3_e05.wav", (root / "wav" / "M3_e05.wav").read_bytes()[:200])
    spoil(root / "emoca_biwi" / "F2_e33.pkl", pickle.dumps(Bomb(tmp_path / "bang")))
    other = root / "vertices_npy" / "F2_e37.npy"
    other.unlink()
    np.save(other, np.zeros((14, 5023 * 3), np.float32))
    write_biwi(tmp_path / "more", ["M4_e10", "M4_e11"])
    for name in ("M4_e10", "M4_e11"):
        for folder, suffix in (("wav", "wav"), ("vertices_npy", "npy"), ("emoca_biwi", "pkl")):
            shutil.copy(tmp_path / "more" / folder / f"{name}.{suffix}", root / folder)

    prepared = prepare(biwi(root, tmp_path / "data"), tmp_path / "data")
    reasons = {skip.name: skip.reason for skip in prepared.skipped}
    assert not (tmp_path / "bang").exists()
    for name, words in {
        "F2_e01": "lacks wav/F2_e01.wav",
        "F2_e02": "lacks vertices_npy/F2_e02.npy",
        "F3_e01": "NaN or infinite vertices in 1 of 14 frames",
        "F3_e32": "not a whole .npy",
        "M3_e05": "the file is cut short",
        "F2_e33": "F2_e33.pkl: refused",
        "F2_e37": f"expected numbers (frames, {NUM_VERTICES * 3})",
    }.items():
        assert words in reasons.pop(name)
    assert not reasons
    assert prepared.clips["train"] == 3 and prepared.clips["test"] == 1


def test_hostile_and_wrong_templates_end_in_one_line(source: Path, tmp_path: Path) -> None:
    root = linked(source, tmp_path / "biwi")
    spoil(root / "templates.pkl", pickle.dumps(Bomb(tmp_path / "bang")))
    with pytest.raises(InputError, match=r"templates\.pkl: refused"):
        biwi(root, tmp_path / "data")
    assert not (tmp_path / "bang").exists()
    spoil(root / "templates.pkl", pickle.dumps({"F2": np.zeros((5023, 3))}))
    with pytest.raises(InputError, match=r"F2 has shape .*; expected \(23370, 3\)"):
        biwi(root, tmp_path / "data")


def test_without_motion_the_error_says_what_is_needed(source: Path, tmp_path: Path) -> None:
    root = linked(source, tmp_path / "biwi")
    shutil.rmtree(root / "emoca_biwi")
    with pytest.raises(InputError, match=r"emoca_biwi/<SUBJ>_eNN\.pkl .* or motion/"):
        biwi(root, tmp_path / "data")
    with pytest.raises(InputError, match="no such folder"):
        biwi(root / "elsewhere", tmp_path / "data")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no sentence"):
        biwi(tmp_path / "empty", tmp_path / "data")


def test_motion_of_dim_extract_serves_in_its_own_space(source: Path, tmp_path: Path) -> None:
    root = linked(source, tmp_path / "biwi")
    shutil.rmtree(root / "emoca_biwi")
    (root / "motion").mkdir()
    for name in TRAIN:
        values, _ = biwi_truth(NAMES.index(name), BIWI_FRAMES)
        Motion(values, fps=25.0, space="arkit").save(root / "motion" / f"{name}.npz")
    corpus = biwi(root, tmp_path / "data")
    assert corpus.space == "arkit"
    (tmp_path / "data").rename(tmp_path / "unused")
    with pytest.raises(InputError, match="has no motion"):
        biwi(root, tmp_path / "data", source="emoca")


def test_frames_that_emoca_missed_come_from_their_neighbours(tmp_path: Path) -> None:
    values = moving(20, 25.0)
    frames = {f"frame_{t:03d}": {"exp": values[t, 6:], "pose": values[t, :6]} for t in range(20)}
    del frames["frame_005"]
    path = tmp_path / "F2_e01.pkl"
    path.write_bytes(pickle.dumps(frames))
    motion = read_emoca_biwi(path)
    assert len(motion) == 20 and motion.valid.sum() == 19
    np.testing.assert_allclose(motion.values[5, 6:], (values[4, 6:] + values[6, 6:]) / 2, atol=1e-5)
    path.write_bytes(pickle.dumps({"frame_000": {"exp": np.zeros(10), "pose": np.zeros(6)}}))
    with pytest.raises(InputError, match="exp 10 long"):
        read_emoca_biwi(path)
    for other in ([1, 2], {f"frame_{'9' * 5000}": frames["frame_000"]}):
        path.write_bytes(pickle.dumps(other))
        with pytest.raises(InputError, match="frame_NNN"):
            read_emoca_biwi(path)
