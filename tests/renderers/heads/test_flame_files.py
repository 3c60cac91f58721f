from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from dimcli.core.errors import InputError
from renderers.heads.flame_files import read_landmarks, read_masks, read_model
from tests.flame_files import flame_arrays, mediapipe_embedding, model_pickle
from tests.pickle_writing import array, call, mapping, name, program, text
from weights.importing import import_file, imported, kinds

Array = np.ndarray[Any, Any]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


VERSIONS = {
    "generic_model.pkl": {"chumpy": ("shapedirs",)},  # 2020
    "female_model.pkl": {"chumpy": ("v_template", "shapedirs", "posedirs", "weights")},  # 2019
    "flame2023.pkl": {"chumpy": ()},
    "flame2023_no_jaw.pkl": {"chumpy": (), "core": "numpy._core"},
}


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_of_the_model_file_gives_the_same_arrays(
    tmp_path: Path, version: str
) -> None:
    arrays = flame_arrays()
    found = read_model(write(tmp_path / version, model_pickle(arrays, **VERSIONS[version])))
    pairs = {
        "template": arrays["v_template"],
        "faces": arrays["f"],
        "shape_basis": arrays["shapedirs"][..., :300],
        "expression_basis": arrays["shapedirs"][..., 300:],
        "pose_basis": arrays["posedirs"],
        "joint_regressor": arrays["J_regressor"],
        "skin_weights": arrays["weights"],
    }
    for key, wanted in pairs.items():
        np.testing.assert_array_equal(found[key], wanted.astype(found[key].dtype))
    assert found["parents"].tolist() == [-1, 0, 1, 1, 1]
    assert {str(values.dtype) for values in found.values()} == {"float32", "int32"}


@pytest.mark.slow
def test_an_imported_model_is_found_and_says_where_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    with pytest.raises(InputError) as missing:
        imported("flame", "--head flame")
    for part in ("--head flame", "flame.is.tue.mpg.de", "generic_model.pkl", "import flame FILE"):
        assert part in str(missing.value)
    file = write(tmp_path / "generic_model.pkl", model_pickle(flame_arrays()))
    path = import_file("flame", file)
    assert path == imported("flame", "--head flame") == tmp_path / "home" / "flame.safetensors"
    with safe_open(path, "numpy") as opened:
        assert opened.metadata()["source"] == "generic_model.pkl"
        assert len(opened.metadata()["source_sha256"]) == 64
    with pytest.raises(InputError, match="--force"):
        import_file("flame", file)
    import_file("flame", file, force=True)


def spoiled(**changes: Array | None) -> dict[str, Array]:
    arrays = {**flame_arrays(), "shapedirs": np.zeros((5023, 3, 400), np.float16), **changes}
    return {key: values for key, values in arrays.items() if values is not None}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": None}, "lacks weights"),
        ({"posedirs": np.zeros((5023, 3, 9))}, r"posedirs has shape \(5023, 3, 9\); expected"),
        ({"v_template": np.full((5023, 3), np.nan)}, "v_template has NaN"),
        ({"f": np.full((9976, 3), 6000, np.uint32)}, "points outside"),
        ({"kintree_table": np.zeros((2, 5), np.uint32)}, "parents"),
        ({"weights": np.zeros((5023, 5))}, "add up"),
        ({"J_regressor": np.zeros((17, 5023))}, r"J_regressor has shape \(17, 5023\)"),
    ],
)
def test_another_model_is_refused_with_what_is_wrong(
    tmp_path: Path, changes: dict[str, Array | None], said: str
) -> None:
    file = write(tmp_path / "model.pkl", model_pickle(spoiled(**changes), chumpy=()))
    with pytest.raises(InputError, match=said) as failure:
        import_file("flame", file, folder=tmp_path / "home")
    assert "model.pkl" in str(failure.value)
    assert not (tmp_path / "home").exists()


def test_a_model_that_would_run_code_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    victim = tmp_path / "made"
    attack = call(name("os", "system"), text(f"touch {victim}"))
    arrays = {key: array(values) for key, values in spoiled(J_regressor=None).items()}
    content = program(mapping({**arrays, "J_regressor": attack}))
    with pytest.raises(InputError, match=r"os\.system"):
        import_file("flame", write(tmp_path / "model.pkl", content), folder=tmp_path)
    assert not victim.exists()


def deca_embedding() -> dict[str, Any]:
    """As in DECA's file: some parts numpy, some torch, one with a leading axis."""
    generator = np.random.default_rng(0)

    def weights(*shape: int) -> Array:
        drawn = generator.random((*shape, 3))
        return drawn / drawn.sum(axis=-1, keepdims=True)

    return {
        "static_lmk_faces_idx": generator.integers(0, 9976, 51),
        "static_lmk_bary_coords": weights(51),
        "dynamic_lmk_faces_idx": torch.from_numpy(generator.integers(0, 9976, (79, 17))),
        "dynamic_lmk_bary_coords": torch.from_numpy(weights(79, 17)).float(),
        "full_lmk_faces_idx": generator.integers(0, 9976, (1, 68)),
        "full_lmk_bary_coords": weights(1, 68),
    }


def test_landmark_embeddings_of_all_origins_add_up(tmp_path: Path) -> None:
    deca, media = deca_embedding(), mediapipe_embedding()
    np.save(tmp_path / "landmark_embedding.npy", deca)
    np.savez(tmp_path / "mediapipe_landmark_embedding.npz", **media)
    for file in ("landmark_embedding.npy", "mediapipe_landmark_embedding.npz"):
        path = import_file("flame-landmarks", tmp_path / file, folder=tmp_path / "home")
    found = load_file(path)
    np.testing.assert_array_equal(found["static_faces"], deca["static_lmk_faces_idx"])
    np.testing.assert_array_equal(found["dynamic_faces"], deca["dynamic_lmk_faces_idx"].numpy())
    np.testing.assert_array_equal(found["full_faces"], deca["full_lmk_faces_idx"][0])
    np.testing.assert_allclose(found["full_barycentric"], deca["full_lmk_bary_coords"][0])
    np.testing.assert_array_equal(found["mediapipe_faces"], media["lmk_face_idx"])
    np.testing.assert_array_equal(found["mediapipe_indices"], media["landmark_indices"])


def test_ringnets_embeddings_are_told_apart_by_their_shape(tmp_path: Path) -> None:
    deca = deca_embedding()
    static = {
        "lmk_face_idx": array(deca["static_lmk_faces_idx"].astype(np.uint32)),
        "lmk_b_coords": array(deca["static_lmk_bary_coords"]),
    }
    file = write(tmp_path / "flame_static_embedding.pkl", program(mapping(static)))
    assert sorted(read_landmarks(file)) == ["static_barycentric", "static_faces"]
    dynamic = {
        "lmk_face_idx": deca["dynamic_lmk_faces_idx"].numpy(),
        "lmk_b_coords": deca["dynamic_lmk_bary_coords"].numpy(),
    }
    np.save(tmp_path / "flame_dynamic_embedding.npy", dynamic)
    found = read_landmarks(tmp_path / "flame_dynamic_embedding.npy")
    assert found["dynamic_faces"].shape == (79, 17)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("full_lmk_faces_idx", np.full((1, 68), 9976), "outside of the 9976 faces"),
        ("static_lmk_bary_coords", np.ones((51, 3)), "add up to 1"),
        ("static_lmk_faces_idx", np.zeros(50, int), r"shape \(50,\)"),
    ],
)
def test_a_spoiled_embedding_is_refused(tmp_path: Path, key: str, value: Array, said: str) -> None:
    np.save(tmp_path / "e.npy", {**deca_embedding(), key: value})
    with pytest.raises(InputError, match=said):
        read_landmarks(tmp_path / "e.npy")


@pytest.mark.parametrize(
    "indices", [np.array(["a"] * 105), np.full(105, 478), np.full(105, -1), np.zeros((0,), int), 3]
)
def test_spoiled_indices_of_landmarks_are_refused(tmp_path: Path, indices: Array) -> None:
    whole = mediapipe_embedding()
    np.savez(tmp_path / "e.npz", **{**whole, "landmark_indices": indices})
    with pytest.raises(InputError, match=r"e\.npz: landmark_indices"):
        read_landmarks(tmp_path / "e.npz")


def test_other_files_are_no_embedding(tmp_path: Path) -> None:
    np.save(tmp_path / "motion.npy", np.zeros((4, 56)))
    with pytest.raises(InputError, match=r"landmark_embedding\.npy"):
        read_landmarks(tmp_path / "motion.npy")


def test_masks_are_read(tmp_path: Path) -> None:
    masks = {"face": array(np.arange(1787)), "left_eyeball": array(np.arange(3931, 4477))}
    found = read_masks(write(tmp_path / "FLAME_masks.pkl", program(mapping(masks))))
    assert found["left_eyeball"].tolist() == list(range(3931, 4477))
    wrong = {"face": array(np.array([5023]))}
    with pytest.raises(InputError, match="outside"):
        read_masks(write(tmp_path / "wrong.pkl", program(mapping(wrong))))


def test_every_flame_kind_says_how_to_get_it() -> None:
    for kind in ("flame", "flame-landmarks", "flame-masks"):
        assert kinds()[kind].page.startswith("https://")
        assert kinds()[kind].what
        assert kinds()[kind].licence


def test_an_unknown_kind_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="flame-landmarks"):
        import_file("smpl", write(tmp_path / "a", b"x"))
