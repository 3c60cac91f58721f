"""Files that the pickle tests read: values as they are, and a Lightning checkpoint by hand."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import torch

from tests.pickle_writing import array, call, group, mapping, name, new, number, program, text

CSC_STATE = {
    "_shape": group(number(2), number(3)),
    "maxprint": number(50),
    "data": array(np.array([1.0, 2.0, 3.0])),
    "indices": array(np.array([0, 1, 1], np.int32)),
    "indptr": array(np.array([0, 1, 2, 3], np.int32)),
}
MATRIX = [[1, 0, 0], [0, 2, 3]]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def saved(path: Path, value: object, protocol: int = 4) -> Path:
    return write(path, pickle.dumps(value, protocol))


SETTINGS = new(
    name("omegaconf.dictconfig", "DictConfig"),
    mapping(
        {
            "_content": mapping({"lr": number(3)}),
            "ref_type": name("typing", "Any"),
            "element_type": name("__builtin__", "long"),
            "resolver_cache": call(name("collections", "defaultdict"), name("__builtin__", "dict")),
        }
    ),
)


def lightning(path: Path, settings: bytes = SETTINGS) -> Path:
    """A zip checkpoint with one tensor and a settings object whose package isn't installed."""
    storage = group(text("storage"), name("torch", "FloatStorage"), *map(text, ["0", "cuda:0"]))
    storage = storage[:-1] + number(6) + b"t"
    arguments = [storage + b"Q", number(0), group(number(2), number(3))]
    arguments += [group(number(3), number(1)), b"\x89", b"}"]
    tensor = call(name("torch._utils", "_rebuild_tensor_v2"), *arguments)
    content = mapping(
        {"state_dict": mapping({"deca.w": tensor}), "hyper_parameters": settings,
         "callbacks": b"}" + name("pytorch_lightning.callbacks", "ModelCheckpoint") + b"}s"}
    )  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program(content))
        archive.writestr("archive/data/0", np.arange(6, dtype=np.float32).tobytes())
    return path


def lists_of_dicts() -> list[dict[str, object]]:
    generator = np.random.default_rng(0)
    return [
        {
            "p0_exp": generator.normal(size=(5, 50)).astype(np.float32),
            "tensor": torch.arange(12.0).reshape(3, 4).T,
            "fname": "a.mp4",
            "before_words": [{"text": "so", "start": 0.5, "end": np.float64(0.75)}],
        }
    ]
