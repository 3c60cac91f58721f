from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from dimcli.core.errors import InputError
from dimcli.data.conversations import ConversationReader, conversation_path


def write(root: Path, **arrays: np.ndarray) -> Path:
    path = conversation_path(root, "a")
    path.parent.mkdir(exist_ok=True)
    save_file(arrays, path, metadata={"notes": json.dumps({"clips": "x" * 500})})
    return path


def values(frames: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, width)).astype(np.float32)


def test_rows_are_those_that_the_files_own_library_reads(tmp_path: Path) -> None:
    speaker, audio = values(30, 56), values(30, 7, 1)
    write(tmp_path, speaker=speaker, audio=audio, more=values(3, 2))
    reader = ConversationReader(tmp_path, {"speaker": 56, "audio": 7})
    rows = reader.rows("a", 5, 21)
    np.testing.assert_array_equal(rows["speaker"], speaker[5:21])
    np.testing.assert_array_equal(rows["audio"], audio[5:21])
    assert set(reader.rows("a", 0, 30, keys=("audio",))) == {"audio"}


def test_a_file_that_was_written_again_is_looked_at_again(tmp_path: Path) -> None:
    write(tmp_path, speaker=values(30, 56))
    reader = ConversationReader(tmp_path, {"speaker": 56})
    reader.rows("a", 0, 3)
    later = values(50, 56, 1)
    write(tmp_path, another=values(9, 3), speaker=later)
    np.testing.assert_array_equal(reader.rows("a", 40, 50)["speaker"], later[40:])


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "no header"),
        (b"\xff" * 64, "no header"),
        ((20).to_bytes(8, "little") + b"x" * 20, "header is broken"),
        ((2).to_bytes(8, "little") + b"{}", "header does not fit"),
        ((2).to_bytes(8, "little") + b"[]", "header is broken"),
        (
            (65).to_bytes(8, "little")
            + b'{"speaker":{"dtype":["F32"],"shape":[0,56],"data_offsets":[0,0]}}',
            "header is broken",
        ),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, line: str) -> None:
    write(tmp_path, speaker=values(3, 56)).write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.safetensors: .*{line}.*prepare it again"):
        ConversationReader(tmp_path, {"speaker": 56}).rows("a", 0, 1)


def test_numbers_of_another_type_or_width_are_refused(tmp_path: Path) -> None:
    write(tmp_path, speaker=values(3, 56).astype(np.float64))
    reader = ConversationReader(tmp_path, {"speaker": 56})
    with pytest.raises(InputError, match="does not fit"):
        reader.rows("a", 0, 1)
    write(tmp_path, speaker=values(3, 50))
    with pytest.raises(InputError, match=r"shape \(3, 50\); expected \(frames, 56\)"):
        reader.rows("a", 0, 1)
