"""Reading pictures."""

import base64
import contextlib
import sys
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dimcli import media
from dimcli.core.errors import InputError


def test_a_picture_is_turned_as_its_camera_says(tmp_path):
    path = tmp_path / "turned.jpg"
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[:, :10] = 255
    encoded = cv2.imencode(".jpg", picture)[1].tobytes()
    # an EXIF block that says "turn by 90 degrees" (orientation 6), put after the start marker
    orientation = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01" + orientation + b"\x00\x00\x00\x00"
    block = b"Exif\x00\x00" + tiff
    path.write_bytes(
        encoded[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + encoded[2:]
    )
    upright = media.read_picture(path)
    assert upright.shape == (30, 20, 3)
    assert upright[:8].min() > 200
    assert upright[12:].max() < 50


def test_transparent_parts_of_a_picture_are_white(tmp_path):
    path = tmp_path / "in.png"
    picture = np.zeros((4, 4, 4), np.uint8)
    picture[:2] = (10, 20, 30, 255)
    cv2.imwrite(str(path), picture)
    seen = media.read_picture(path)
    assert (seen[0, 0] == (30, 20, 10)).all()
    assert (seen[3, 3] == 255).all()


@pytest.mark.parametrize("pixels", [np.zeros((6, 5), np.uint8), np.zeros((6, 5, 3), np.uint16)])
def test_gray_and_deep_pictures_become_rgb(tmp_path, pixels):
    path = tmp_path / "in.png"
    cv2.imwrite(str(path), pixels)
    picture = media.read_picture(path)
    assert picture.shape == (6, 5, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_what_is_not_a_picture_gets_one_line_that_names_it(tmp_path: Path, content: bytes):
    path = tmp_path / "in.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"in\.jpg: .*expected"):
        media.read_picture(path)


def test_a_broken_picture_makes_no_library_talk(tmp_path, capfd):
    path = tmp_path / "in.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    content = bytearray(cv2.imencode(".png", noise)[1].tobytes())
    content[2000:2010] = bytes(10)
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        media.read_picture(path)
    assert capfd.readouterr().err == ""


HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAaFtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAA"
    "AAAAAAAAADRpbG9jAAAAAERAAAIAAQAAAAABxQABAAAAAAAAADEAAgAAAAAB9gABAAAAAAAAACQAAAA4aWluZgAAAAAA"
    "AgAAABVpbmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAAA4GlwcnAAAADA"
    "aXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAr"
    "QgEBA3AAAAMAkAAAAwAAAwAeoDCBBZbqSSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABNjb2xybmNseAAB"
    "AA0ABoAAAAAUaXNwZQAAAAAAAABgAAAAQAAAABBwaXhpAAAAAAMICAgAAAAJaXJvdAMAAAAYaXBtYQAAAAAAAAABAAEF"
    "gQIDBIUAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAF1tZGF0AAAALSgBrwngITl1X//93W/vf5Bif/80nFnnn7gw"
    "of/a383/jWCPVf0//oZwvon3gAAAAAZFeGlmAABNTQAqAAAACAABARIAAwAAAAEABgAAAAAAAA=="
)
"""96x64 pixels, the left third blue and the rest skin, to be shown turned by 90 degrees."""


def test_a_heic_picture_is_read_upright(tmp_path):
    pytest.importorskip("pi_heif", reason="reading HEIC needs pi-heif")
    path = tmp_path / "in.HEIC"
    path.write_bytes(HEIC)
    picture = media.read_picture(path)
    assert picture.shape == (96, 64, 3)
    assert np.abs(picture[8].mean(0) - (20, 60, 180)).max() < 5
    assert np.abs(picture[80].mean(0) - (200, 120, 90)).max() < 5


def test_a_heic_picture_without_its_library_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    path = tmp_path / "in.heic"
    path.write_bytes(HEIC)
    with pytest.raises(InputError, match=r"in\.heic.*HEIC.*pip install .*\[heic\]"):
        media.read_picture(path)


# Columns: the primaries in the profile connection space (D50), as the profiles of Apple and Adobe
# state them.
SRGB = [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
WIDE = {
    "Display P3": (
        [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]],
        None,
    ),
    "Adobe RGB": (
        [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]],
        2.19921875,
    ),
}


def icc_profile(matrix: list[list[float]], gamma: float | None) -> bytes:
    """A display profile (ICC.1:2010): ``matrix`` and a ``gamma``, or the curve of sRGB."""

    def fixed(*numbers: float) -> bytes:
        return b"".join(round(number * 65536).to_bytes(4, "big", signed=True) for number in numbers)

    curve = b"para" + bytes(4)
    if gamma is None:
        curve += b"\0\3\0\0" + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    else:
        curve += b"\0\0\0\0" + fixed(gamma)
    text = b"mluc" + bytes(4) + (1).to_bytes(4, "big") + (12).to_bytes(4, "big") + b"enUS"
    text += (2).to_bytes(4, "big") + (28).to_bytes(4, "big") + "x".encode("utf-16-be") + bytes(2)
    tags = {b"desc": text, b"cprt": text, b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249)}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), zip(*matrix, strict=True), strict=True):
        tags[name] = b"XYZ " + bytes(4) + fixed(*column)
    tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    table, body = len(tags).to_bytes(4, "big"), b""
    for name, data in tags.items():
        offset = 128 + 4 + 12 * len(tags) + len(body)
        table += name + offset.to_bytes(4, "big") + len(data).to_bytes(4, "big")
        body += data + bytes(-len(data) % 4)
    size = 128 + len(table) + len(body)
    head = (
        size.to_bytes(4, "big") + bytes(4) + b"\4\x20\0\0" + b"mntrRGB XYZ " + bytes(12) + b"acsp"
    )
    head += bytes(28) + fixed(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + table + body


def linear(encoded):
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encoded(light):
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("name", WIDE)
def test_a_picture_in_a_wide_colour_space_comes_back_in_srgb(tmp_path, name, suffix):
    matrix, gamma = WIDE[name]
    expected = np.random.default_rng(3).integers((150, 90, 70), (230, 170, 150), (6, 8, 3))
    light = linear(expected / 255) @ (np.linalg.inv(matrix) @ SRGB).T
    stored = encoded(light) if gamma is None else light ** (1 / gamma)
    stored = np.kron(np.rint(stored * 255).astype(np.uint8), np.ones((8, 8, 1), np.uint8))
    path = tmp_path / f"wide{suffix}"
    picture = Image.fromarray(stored)
    picture.save(path, icc_profile=icc_profile(matrix, gamma), quality=100, subsampling=0)
    seen = media.read_picture(path)[4::8, 4::8].astype(int)
    assert np.abs(stored[4::8, 4::8] - expected).max() > 10  # or there is nothing to convert
    assert np.abs(seen - expected).max() <= 3


def test_a_damaged_colour_profile_is_as_none(tmp_path):
    path = tmp_path / "in.png"
    Image.new("RGB", (8, 8), (200, 120, 90)).save(path, icc_profile=b"no profile")
    assert (media.read_picture(path) == (200, 120, 90)).all()


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    # stored a bit a pixel, so that the test itself needs little memory
    Image.new("1", (16_000, 16_000)).save(path)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"bomb\.png: has more than 64 million pixels"):
        media.read_picture(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_small_jpeg_that_would_be_decoded_for_hours_is_refused(tmp_path):
    Image.new("L", (4000, 4000), 128).save(tmp_path / "a.jpg", progressive=True)
    whole = (tmp_path / "a.jpg").read_bytes()
    end = whole.rindex(b"\xff\xd9")
    scan = whole[whole.rindex(b"\xff\xda") : end]
    (tmp_path / "a.jpg").write_bytes(whole[:end] + scan * 80_000 + whole[end:])
    with pytest.raises(InputError, match=r"a\.jpg: is a JPEG of more than 500 scans"):
        media.read_picture(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(whole)
    assert media.read_picture(tmp_path / "a.jpg").shape == (4000, 4000, 3)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16"])
def test_a_huge_or_very_long_picture_is_made_smaller(tmp_path, mode):
    path = tmp_path / "long.png"
    picture = Image.new(mode, (9000, 90))
    picture.paste(Image.new(mode, (9000, 45), 65535 if mode == "I;16" else "white"))
    picture.save(path)
    seen = media.read_picture(path)
    assert seen.shape == (41, 4096, 3)
    assert seen[0].min() == 255
    if mode != "RGBA":
        assert seen[-1].max() == 0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F", "YCbCr"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".gif", ".bmp"])
def test_every_kind_of_pixel_becomes_rgb(tmp_path, mode, suffix):
    path = tmp_path / f"in{suffix}"
    try:
        Image.new(mode, (6, 5)).save(path)
    except (OSError, ValueError, KeyError):
        pytest.skip(f"{suffix} does not hold {mode}")
    picture = media.read_picture(path)
    assert (picture.shape, picture.dtype) == ((5, 6, 3), np.uint8)
