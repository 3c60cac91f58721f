"""What the pickle reader gives back."""

from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from dimcli.core.errors import InputError
from dimcli.pickles import read_npy, read_pickle, read_torch
from dimcli.pickles.stubs import Record
from tests.pickle_writing import array, group, mapping, name, new, number, old_new, program
from tests.pickles.files import CSC_STATE, MATRIX, SETTINGS, lightning, lists_of_dicts, saved, write


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_plain_values_and_arrays_come_back_at_every_protocol(tmp_path: Path, protocol: int) -> None:
    generator = np.random.default_rng(0)
    shared = generator.normal(size=(3, 4)).astype(np.float32)
    value = {
        "array": shared,
        "again": [shared],
        "fortran": np.asfortranarray(generator.normal(size=(5, 2))),
        "big endian": np.arange(4, dtype=">i4"),
        "text": np.array(["a", "bcd"]),
        "empty": np.zeros((0, 3)),
        "scalar": np.float64(1.5),
        "objects": np.array([{"x": 1}, [shared], None], dtype=object),
        "nested": (1, 2.5, "ü", b"raw", True, None, {3, 4}, frozenset([5]), bytearray(b"ab")),
        "ordered": OrderedDict(a=1, b=2),
        "default": defaultdict(list, a=[1]),
        "complex": 1 + 2j,
    }
    found = read_pickle(saved(tmp_path / "plain.pkl", value, protocol))
    assert list(found) == list(value)
    for key in ("array", "fortran", "big endian", "text", "empty"):
        np.testing.assert_array_equal(found[key], value[key])
        assert found[key].dtype == value[key].dtype.newbyteorder("=")
    assert found["again"][0] is found["array"]
    found["array"][0, 0] = 7  # writable, and not a view of the file
    assert found["objects"][0] == {"x": 1}
    assert found["objects"][1][0] is found["array"]
    assert found["nested"] == value["nested"]
    assert found["scalar"] == 1.5
    assert found["complex"] == 1 + 2j
    assert type(found["ordered"]) is dict
    assert list(found["ordered"]) == ["a", "b"]
    assert found["default"] == {"a": [1]}


@pytest.mark.parametrize("core", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_python_2_arrays_come_back(tmp_path: Path, core: str) -> None:
    values = np.random.default_rng(0).normal(size=(70, 3))
    for kind in (np.float64, np.float32, np.uint32, np.int64, np.bool_):
        wanted = values.astype(kind)
        found = read_pickle(write(tmp_path / "a.pkl", program(array(wanted, core))))
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == kind


@pytest.mark.parametrize("made", [new, old_new])
@pytest.mark.parametrize("module", ["scipy.sparse.csc", "scipy.sparse._csc"])
def test_sparse_matrices_come_back_as_scipys(tmp_path: Path, made, module: str) -> None:
    content = program(made(name(module, "csc_matrix"), mapping(CSC_STATE)))
    found = read_pickle(write(tmp_path / "sparse.pkl", content))
    assert sparse.issparse(found)
    np.testing.assert_array_equal(found.toarray(), MATRIX)


@pytest.mark.parametrize("kind", [sparse.csc_matrix, sparse.csr_matrix, sparse.csr_array])
def test_sparse_matrices_of_the_installed_scipy_come_back(tmp_path: Path, kind) -> None:
    found = read_pickle(saved(tmp_path / "sparse.pkl", {"J": kind(MATRIX)}))
    np.testing.assert_array_equal(found["J"].toarray(), MATRIX)


def test_a_sparse_matrix_that_points_outside_itself_is_refused(tmp_path: Path) -> None:
    state = {**CSC_STATE, "indices": array(np.array([0, 1, 900], np.int32))}
    content = program(new(name("scipy.sparse.csc", "csc_matrix"), mapping(state)))
    with pytest.raises(InputError, match=r"sparse\.pkl"):
        read_pickle(write(tmp_path / "sparse.pkl", content))


def test_chumpy_arrays_come_back_as_arrays(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 3))
    plain = mapping({"x": array(values), "_dirty_vars": b"]"})
    for made in (new, old_new):
        content = program(made(name("chumpy.ch", "Ch"), plain))
        np.testing.assert_array_equal(read_pickle(write(tmp_path / "ch.pkl", content)), values)
    select = {
        "a": new(name("chumpy.ch", "Ch"), plain),
        "idxs": array(np.array([5, 0, 7])),
        "preferred_shape": group(number(3), number(1)),
    }
    content = program(new(name("chumpy.reordering", "Select"), mapping(select)))
    found = read_pickle(write(tmp_path / "select.pkl", content))
    np.testing.assert_array_equal(found, values.ravel()[[5, 0, 7]][:, None])


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_with_arrays_in_them_come_back(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "segments.pth"
    wanted = lists_of_dicts()
    torch.save(wanted, path, _use_new_zipfile_serialization=zipped)
    found = read_torch(path)
    np.testing.assert_array_equal(found[0]["p0_exp"], wanted[0]["p0_exp"])
    assert torch.equal(found[0]["tensor"], wanted[0]["tensor"])
    assert found[0]["before_words"] == wanted[0]["before_words"]


@pytest.mark.parametrize("zipped", [True, False])
def test_every_kind_of_tensor_comes_back(tmp_path: Path, zipped: bool) -> None:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors = {str(kind): torch.arange(5).to(kind) for kind in (
        *(torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16),
        *(torch.int8, torch.uint8, torch.bool, torch.complex64),
    )}  # fmt: skip
    tensors |= {
        "view": base[1:3, ::2],
        "empty": torch.zeros(0, 4),
        "zero-dimensional": torch.tensor(3.5),
        "expanded": torch.ones(1, 3).expand(4, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "unsigned": torch.tensor([1, 2], dtype=torch.uint16),
    }
    path = tmp_path / "tensors.pt"
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    found = read_torch(path)
    for key, wanted in tensors.items():
        assert found[key].dtype == wanted.dtype, key
        assert torch.equal(found[key], wanted.detach()), key


def test_a_state_dict_loads_into_its_module(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimiser = torch.optim.Adam(module.parameters())
    torch.save(
        {"state_dict": module.state_dict(), "optimizer": optimiser.state_dict(), "epoch": 3},
        tmp_path / "run.pt",
    )
    found = read_torch(tmp_path / "run.pt")
    other = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    other.load_state_dict(found["state_dict"])
    assert torch.equal(other[0].weight, module[0].weight)
    assert found["epoch"] == 3


def test_tensors_in_plain_pickles_and_object_arrays_come_back(tmp_path: Path) -> None:
    value = {"static": np.ones((51, 3)), "dynamic": torch.arange(6).reshape(2, 3)}
    for protocol in (2, 4):
        found = read_pickle(saved(tmp_path / "code.pkl", value, protocol))
        assert torch.equal(found["dynamic"], value["dynamic"])
    np.save(tmp_path / "landmarks.npy", value)
    found = read_npy(tmp_path / "landmarks.npy")
    assert torch.equal(found["dynamic"], value["dynamic"])
    np.testing.assert_array_equal(found["static"], value["static"])


def test_cuda_tensors_come_back_on_the_cpu(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(3)}, tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    content = (tmp_path / "w.pt").read_bytes()
    assert content.count(b"X\x03\x00\x00\x00cpu") == 1
    moved = content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    found = read_torch(write(tmp_path / "cuda.pt", moved))
    assert found["w"].device.type == "cpu"
    assert torch.equal(found["w"], torch.ones(3))


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_files_of_numbers_come_back(tmp_path: Path, version: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(size=(4, 56))
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, values, version)
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), values)


def test_object_arrays_keep_their_shape(tmp_path: Path) -> None:
    values = np.empty((2, 2), object)
    values[:] = [[np.ones(3), "a"], [None, {"x": 1}]]
    np.save(tmp_path / "a.npy", values)
    found = read_npy(tmp_path / "a.npy")
    assert found.shape == (2, 2)
    np.testing.assert_array_equal(found[0, 0], np.ones(3))
    assert found[1, 1] == {"x": 1}


def test_lightning_checkpoints_give_their_weights_and_their_settings_as_records(
    tmp_path: Path,
) -> None:
    found = read_torch(lightning(tmp_path / "last.ckpt"))
    assert torch.equal(found["state_dict"]["deca.w"], torch.arange(6.0).reshape(2, 3))
    settings = found["hyper_parameters"]
    assert isinstance(settings, Record)
    assert settings.name == "omegaconf.dictconfig.DictConfig"
    assert settings.state["_content"] == {"lr": 3}
    assert settings.state["resolver_cache"] == {}


def test_settings_objects_are_not_read_from_plain_pickles(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"omegaconf\.dictconfig\.DictConfig"):
        read_pickle(write(tmp_path / "a.pkl", program(SETTINGS)))
