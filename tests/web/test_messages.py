"""What a client says is read strictly, and refused with a reason."""

import io
import json
import struct

import numpy as np
import pytest
from PIL import Image

from dimcli.core.motion import ARKIT_EXPRESSIONS, MOTION_DIM, expression_index
from dimcli.data.gains import FaceSettings
from dimcli.live.session import LiveFrame
from dimcli.web import limits
from dimcli.web.messages import (
    MOVED,
    NAMES,
    PACKED,
    Allowance,
    RefusedError,
    Start,
    motion_text,
    packed,
    read_jpeg,
    read_samples,
    read_settings,
    read_start,
    read_text,
)

FACES = ("ada", "ben")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("\0\ufffd", "not JSON"),
        ("[]", "a JSON object with a type"),
        ('{"type": 1}', "a JSON object with a type"),
        ("[" * 3000, "nested too deep"),
        (json.dumps({"type": "x" * limits.TEXT_BYTES}), "a text of more than"),
    ],
)
def test_a_text_that_is_no_message_is_refused(text, why):
    with pytest.raises(RefusedError, match=why):
        read_text(text)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"picture": "../ada"}, "picture: expected one of ada, ben"),
        ({"picture": ["ada"]}, "picture"),
        ({"frames": "yes"}, "frames: expected true or false"),
        ({"motion": "xml"}, "motion: expected json, binary or none"),
        ({"size": 5000}, "size: expected 128 to 768"),
        ({"size": True}, "size"),
        ({"seed": -1}, "seed"),
        (
            {"weights": "x"},
            "weights: unknown; known: picture, frames, .*, seed, attitude, head, smile",
        ),
        ({"attitude": "angry"}, "attitude is 'angry'; expected one of"),
        ({"attitude": ["positive"]}, "attitude"),
        ({"head": 9}, "head 9: expected 0 to 2"),
        ({"head": float("nan")}, "head"),
        ({"blinks": "1"}, "blinks: expected a number"),
    ],
)
def test_a_start_that_makes_no_sense_is_refused_in_one_short_line(said, why):
    with pytest.raises(RefusedError, match=why) as refused:
        read_start({"type": "start"} | said, FACES)
    assert len(refused.value.reason.encode()) <= 123


def test_a_start_says_what_is_wanted_and_settings_change_what_they_name():
    said = {"type": "start", "picture": "ben", "frames": True, "size": 256, "head": 0.5}
    start = read_start(said, FACES)
    assert start == Start("ben", True, size=256, settings=FaceSettings(head=0.5))
    changed = read_settings({"type": "settings", "attitude": "positive"}, start.settings)
    assert changed == FaceSettings(head=0.5, attitude="positive")


def test_sound_is_little_endian_16_bits():
    samples = read_samples(struct.pack("<3h", 0, 16384, -32768))
    assert samples.tolist() == [0, 0.5, -1]
    with pytest.raises(RefusedError, match="odd number of bytes"):
        read_samples(b"abc")


def coded(width: int, height: int, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 10, 10)).save(file, kind)
    return file.getvalue()


def test_a_picture_is_a_whole_jpeg_of_a_sensible_size():
    picture = read_jpeg(coded(40, 30))
    assert picture.shape == (30, 40, 3) and picture[0, 0, 0] > 180 > picture[0, 0, 2]
    for wrong in (b"", b"\xff\xd8\xff", coded(40, 30)[:300], coded(40, 30, "PNG")):
        with pytest.raises(RefusedError, match="no whole JPEG"):
            read_jpeg(wrong)


@pytest.mark.parametrize("side", [10_000, 65_000])  # Pillow warns of the former
@pytest.mark.filterwarnings("error")
def test_a_small_file_of_a_huge_picture_is_refused_before_it_is_decoded(side):
    small = bytearray(coded(40, 30))
    at = small.index(b"\xff\xc0") + 5
    small[at : at + 4] = struct.pack(">HH", side, side)
    with pytest.raises(RefusedError, match="million pixels"):
        read_jpeg(bytes(small))


def test_a_jpeg_that_would_be_decoded_for_minutes_is_refused():
    whole = coded(40, 30)
    scan = whole[whole.index(b"\xff\xda") : -2]
    with pytest.raises(RefusedError, match="more than 500 scans"):
        read_jpeg(whole[:-2] + scan * 500 + whole[-2:])


def test_motion_goes_out_with_names_and_units():
    values = np.zeros(MOTION_DIM, np.float32)
    values[:4] = 0.1, -0.2, 0.3, 0.2
    values[expression_index("mouthSmileLeft")] = 0.7
    frame = LiveFrame(7, 0.28, values, True, False)
    said = json.loads(json.dumps(motion_text(frame)))
    assert (said["index"], said["time_s"], said["speaking"], said["seen"]) == (7, 0.28, True, False)
    assert said["head_rad"] == [0.1, -0.2, 0.3]
    assert said["arkit"].keys() == {*ARKIT_EXPRESSIONS, "jawOpen"}
    assert (said["arkit"]["jawOpen"], said["arkit"]["mouthSmileLeft"]) == (0.5, 0.7)
    data = packed(MOVED, frame, values.tobytes())
    assert PACKED.unpack(data[:16]) == (MOVED, 1, 0, 7, 0.28)
    numbers = dict(zip(NAMES, struct.unpack("<56f", data[16:]), strict=True))
    assert numbers["headYaw"] == pytest.approx(-0.2)
    assert numbers["mouthSmileLeft"] == pytest.approx(0.7)


def test_an_allowance_is_spent_and_comes_back():
    now = [0.0]
    may = Allowance(10, 5, lambda: now[0])
    assert may.take(5) and not may.take(1)
    now[0] = 0.1
    assert may.take(1) and not may.take(1)
    now[0] = 100.0
    assert may.take(5) and not may.take(0.1)
