"""Archives of arrays whose headers lie."""

from __future__ import annotations

import io
import json
import os
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dimcli.audio.features import AudioFeatures
from dimcli.core.arrays import read_archive, read_array
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Motion


def motion_file(path: Path, **arrays: object) -> Path:
    whole = {
        "values": np.zeros((4, MOTION_DIM), np.float32),
        "fps": np.float64(25),
        "space": np.array("arkit"),
    }
    np.savez(path, **(whole | arrays))
    return path


def with_header(path: Path, text: str, content: bytes = b"") -> Path:
    """A motion file whose values have this header."""
    header = text.encode().ljust(117) + b"\n"
    part = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content
    motion_file(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (parts | {"values.npy": part}).items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 56)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-4, 56)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (4, 56)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': " + "(" * 60,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 56)}",
    ],
)
def test_a_header_that_is_none_or_fits_nothing_is_an_error_of_the_file(tmp_path, text):
    with pytest.raises(InputError, match=r"motion.npz: not a motion file; make one"):
        Motion.load(with_header(tmp_path / "motion.npz", text))


@pytest.mark.parametrize("shape", [(2_000_000, 56), (10**9, 56)])
def test_values_that_inflate_to_gigabytes_are_refused_before_they_do(tmp_path, shape):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"its arrays take more than 300 MB"):
        Motion.load(with_header(tmp_path / "motion.npz", text, bytes(50_000_000)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ('{"a": ' * 100_000, "nested"),
        (json.dumps({"a": "b" * 10_000_000}), "ordinary length"),
        ("[]", "not a JSON object"),
    ],
)
def test_meta_beyond_its_limits_is_an_error_of_the_file(tmp_path, meta, words):
    with pytest.raises(InputError, match=f"motion.npz: motion meta.* {words}"):
        Motion.load(motion_file(tmp_path / "motion.npz", meta=np.array(meta)))


def test_a_space_of_a_million_letters_makes_a_short_line(tmp_path):
    with pytest.raises(InputError) as error:
        Motion.load(motion_file(tmp_path / "motion.npz", space=np.array("x" * 1_000_000)))
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_ordinary_file_is_refused_and_not_waited_for(tmp_path, kind):
    path = tmp_path / "a.npz"
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    for reading in (Motion.load, AudioFeatures.load, lambda path: read_array(path, "x")):
        with pytest.raises(InputError, match=f"is a {kind}"):
            reading(path)


def test_an_array_that_holds_less_than_it_says_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    out = io.BytesIO()
    np.save(out, np.zeros((1000, 3), np.float32))
    path.write_bytes(out.getvalue()[:-1])
    with pytest.raises(InputError, match="not a whole"):
        read_array(path, "x")
    path.write_bytes(out.getvalue().replace(b"(1000, 3)", b"(10**9,3)"))
    with pytest.raises(InputError, match="not a whole"):
        read_array(path, "x")


def test_an_archive_of_very_many_members_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = b"x"
    data = bytearray(path.read_bytes())
    data[-11:-7] = (2**31).to_bytes(4, "little")  # the size of the list of members
    path.write_bytes(data)
    with pytest.raises(InputError, match="not a x file"):
        read_archive(path, "x")
