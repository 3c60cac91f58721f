"""VOCASET's two layouts to the letter, small, on a made-up FLAME."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.data.corpora.preparing import prepare
from dimcli.data.corpora.scans import RESIDUAL, ScanMesh, true_regions
from dimcli.data.corpora.vocaset import SUBJECTS, vocaset
from dimcli.data.store import ClipStore
from renderers.heads.flame import FlameHead
from tests.corpora import Bomb
from tests.flame_files import flame_arrays, landmark_places, model_pickle
from tests.scan_files import flame_speech, write_raw_vocaset, write_vocaset
from weights.importing import import_file

pytestmark = pytest.mark.slow

FRAMES = 24
NAMES = [
    f"{SUBJECTS['train'][0]}_sentence01",
    f"{SUBJECTS['val'][0]}_sentence21",
    f"{SUBJECTS['test'][0]}_sentence40",
    f"{SUBJECTS['test'][0]}_sentence03",  # in no split
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user folder with a made-up FLAME and masks."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "generic_model.pkl").write_bytes(model_pickle(flame_arrays()))
    middle = landmark_places((13, 14)).mean(axis=0)
    away = np.linalg.norm(flame_arrays()["v_template"][:3931] - middle, axis=1)
    mouth = np.argsort(away)[:60]
    masks = {
        "face": np.arange(0, 3931, 16),
        "lips": mouth,
        "forehead": np.arange(300, 380),
        "eye_region": np.arange(370, 420),
    }
    (folder / "FLAME_masks.pkl").write_bytes(pickle.dumps(masks, protocol=2))
    import_file("flame", folder / "generic_model.pkl", folder=folder)
    import_file("flame-masks", folder / "FLAME_masks.pkl", folder=folder)
    return folder


@pytest.fixture(scope="module")
def flame(home: Path) -> FlameHead:
    return FlameHead.load(home / "flame.safetensors")


def check_store(folder: Path, tolerance: float) -> None:
    store = ClipStore(folder)
    assert (store.info.fps, store.info.space) == (30, "flame")
    assert {record.id: record.split for record in store.records} == {
        NAMES[0]: "train",
        NAMES[1]: "val",
        NAMES[2]: "test",
    }
    mesh = ScanMesh.load(folder)
    assert mesh is not None
    assert (len(mesh.lips), len(mesh.upper)) == (60, 120)
    regions = mesh.of_motion()
    for record in store.records:
        assert record.style == record.id.rpartition("_")[0]
        clip = store.load(record)
        truth = flame_speech(NAMES.index(record.id), FRAMES)[::2]
        assert len(clip) == len(truth)
        assert np.abs(clip.speaker.values[:, 3] - truth[:, 3]).max() < 0.03
        assert not clip.speaker.values[:, :3].any()
        assert float(json.loads(store.facts(record.conversation)[RESIDUAL])) < tolerance
        true = true_regions(store, record)
        assert (true is None) == (record.split == "train")
        if true is not None:
            made = regions.moved(clip.speaker.values)
            assert np.abs(made.lips - true.lips).max() < 0.002
            assert np.abs(true.lips).max() > 0.004


def test_faceformers_layout_arrives_at_30_frames_with_fitted_motion(
    home: Path, flame: FlameHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIM_HOME", str(home))
    write_vocaset(tmp_path / "vocaset", flame, NAMES, frames=FRAMES)
    prepared = prepare(vocaset(tmp_path / "vocaset", tmp_path / "data"), tmp_path / "data")
    assert not prepared.skipped
    check_store(tmp_path / "data", 0.5)

    # one that was thinned out already is known by its sound's length
    path = tmp_path / "vocaset" / "vertices_npy" / f"{NAMES[0]}.npy"
    np.save(path, np.load(path)[::2])
    prepare(vocaset(tmp_path / "vocaset", tmp_path / "thinned"), tmp_path / "thinned")
    both = [ClipStore(tmp_path / name) for name in ("data", "thinned")]
    one, other = (store.load(store.clips("train")[0]).speaker.values for store in both)
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_owners_layout_gives_the_same(
    home: Path, flame: FlameHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIM_HOME", str(home))
    write_raw_vocaset(tmp_path / "raw", flame, NAMES, frames=FRAMES)
    prepare(vocaset(tmp_path / "raw", tmp_path / "data"), tmp_path / "data")
    check_store(tmp_path / "data", 0.5)
    (tmp_path / "raw" / "subj_seq_to_idx.pkl").write_bytes(
        pickle.dumps({NAMES[0].rpartition("_")[0]: {"sentence01": {0: 10**6}}})
    )
    prepared = prepare(vocaset(tmp_path / "raw", tmp_path / "wrong"), tmp_path / "wrong")
    assert "rows outside of data_verts.npy's" in prepared.skipped[0].reason
    (tmp_path / "raw" / "raw_audio_fixed.pkl").unlink()
    with pytest.raises(InputError, match=r"lacks raw_audio_fixed\.pkl"):
        vocaset(tmp_path / "raw", tmp_path / "wrong")


def test_faults_are_named_and_survived(
    home: Path, flame: FlameHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIM_HOME", str(home))
    root = tmp_path / "vocaset"
    subject = NAMES[0].rpartition("_")[0]
    names = [f"{subject}_sentence{number:02d}" for number in range(1, 5)]
    write_vocaset(root, flame, names, frames=12)
    (root / "wav" / f"{names[0]}.wav").unlink()
    np.save(root / "vertices_npy" / f"{names[1]}.npy", np.full((12, 15069), np.nan, np.float32))
    np.save(root / "vertices_npy" / f"{names[2]}.npy", np.zeros((90, 15069), np.float32))
    prepared = prepare(vocaset(root, tmp_path / "data"), tmp_path / "data")
    reasons = {skip.name: skip.reason for skip in prepared.skipped}
    assert "lacks wav/" in reasons.pop(names[0])
    assert "NaN or infinite vertices in 6 of 6 frames" in reasons.pop(names[1])
    assert "lengths differ" in reasons.pop(names[2])
    assert not reasons and prepared.clips["train"] == 1

    (root / "templates.pkl").write_bytes(pickle.dumps(Bomb(tmp_path / "bang")))
    prepared = prepare(vocaset(root, tmp_path / "hostile"), tmp_path / "hostile")
    assert all("refused" in skip.reason for skip in prepared.skipped if "lacks" not in skip.reason)
    assert not (tmp_path / "bang").exists()


def test_without_flame_the_error_says_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "nobody"))
    with pytest.raises(InputError, match=r"VOCASET's motion needs flame.*dim weights import flame"):
        vocaset(tmp_path, tmp_path / "data")
