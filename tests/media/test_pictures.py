"""Reading pictures."""

import contextlib
from pathlib import Path

import cv2
import numpy as np
import pytest

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
