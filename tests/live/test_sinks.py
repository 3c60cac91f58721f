"""Packets are read back here by parsers of their own, written from what the protocols say."""

import csv
import json
import math
import socket
import struct
import sys
import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dimcli.core import limits
from dimcli.core.errors import InputError, MissingDependencyError
from dimcli.core.motion import (
    ARKIT_EXPRESSIONS,
    EXPRESSION,
    HEAD,
    JAW_OPEN_RAD,
    JAW_PITCH,
    MOTION_DIM,
    Motion,
    expression_index,
)
from dimcli.live import sinks
from dimcli.live.session import LiveFrame

FPS = 25.0
FIRST, LAST = "eyeBlinkLeft", "noseSneerRight"


def frame_at(index: int) -> LiveFrame:
    """A frame whose every number is another, and other in each frame."""
    random = np.random.default_rng(index)
    values = np.zeros(MOTION_DIM, np.float32)
    values[HEAD] = random.uniform(-0.4, 0.4, 3)
    values[JAW_PITCH] = random.uniform(0, JAW_OPEN_RAD)
    values[EXPRESSION] = random.uniform(0, 1, len(ARKIT_EXPRESSIONS))
    return LiveFrame(index, index / FPS, values, index % 2 == 0, index % 3 != 0)


class Reader:
    """Big-endian numbers and texts off the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: str):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values if len(values) > 1 else values[0]

    @property
    def left(self) -> int:
        return len(self.data) - self.at


def read_live_link(packet: bytes) -> dict:
    reader = Reader(packet)
    found = {"version": reader.take("B")}
    for name in ("device", "subject"):
        found[name] = bytes(reader.take(f"{reader.take('i')}B")).decode()
    found["time"] = reader.take("ifii")
    found["count"] = reader.take("B")
    found["values"] = reader.take(f"{found['count']}f")
    assert reader.left == 0
    return found


def read_osc(packet: bytes) -> list[tuple[str, list]]:
    """The messages of an OSC bundle, or the message that a packet is."""
    if packet[:8] == b"#bundle\0":
        assert packet[8:16] == struct.pack(">Q", 1)  # at once
        reader, messages = Reader(packet), []
        reader.at = 16
        while reader.left:
            length = reader.take("i")
            messages += read_osc(reader.data[reader.at : reader.at + length])
            reader.at += length
        return messages
    assert len(packet) % 4 == 0
    address, rest = osc_text(packet)
    types, rest = osc_text(rest)
    assert types[0] == ","
    values, reader = [], Reader(rest)
    for kind in types[1:]:
        if kind == "s":
            text, rest = osc_text(reader.data[reader.at :])
            reader.at = len(reader.data) - len(rest)
            values.append(text)
        else:
            values.append(reader.take({"i": "i", "f": "f"}[kind]))
    assert reader.left == 0
    return [(address, values)]


def osc_text(data: bytes) -> tuple[str, bytes]:
    end = data.index(0)
    padded = 4 * (end // 4 + 1)
    assert not any(data[end:padded])
    return data[:end].decode("ascii"), data[padded:]


def axes_of_yaw_pitch_roll(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Where a turned head's axes point: [3, 3], a column each, turned by yaw, then pitch and roll
    about axes that turn along."""

    def about(axis: int, angle: float) -> np.ndarray:
        one, other = (axis + 1) % 3, (axis + 2) % 3
        matrix = np.eye(3)
        matrix[[one, other], [one, other]] = math.cos(angle)
        matrix[other, one], matrix[one, other] = math.sin(angle), -math.sin(angle)
        return matrix

    return about(1, yaw) @ about(0, pitch) @ about(2, roll)


@pytest.fixture
def program():
    """A socket of a program that listens, and its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        yield listening


def sent(kind: str, program: socket.socket, frame: LiveFrame) -> list[bytes]:
    """The packets that a frame is sent as."""
    with sinks.network(kind, "127.0.0.1", program.getsockname()[1], FPS, "dim") as sink:
        sink.send(frame, None)
    packets = []
    program.settimeout(0.2)
    while True:
        try:
            packets.append(program.recv(65535))
        except TimeoutError:
            return packets


def test_a_live_link_packet_holds_every_field(program) -> None:
    frame = frame_at(7)
    (packet,) = sent("livelink", program, frame)
    found = read_live_link(packet)
    assert found["version"] == 6
    assert len(found["device"]) == 36
    assert found["subject"] == "dim"
    assert found["time"] == (7, 0.0, 25, 1)
    assert found["count"] == 61
    values = found["values"]
    shape = dict(zip(sinks.arkit_names(), values, strict=False))
    for name in ARKIT_EXPRESSIONS:
        assert math.isclose(shape[name], frame.values[expression_index(name)], abs_tol=1e-6), name
    assert math.isclose(shape["jawOpen"], frame.values[JAW_PITCH] / JAW_OPEN_RAD, abs_tol=1e-6)
    assert shape["tongueOut"] == 0
    assert values[0] == shape[FIRST]
    assert values[50] == shape[LAST]
    turned = axes_of_yaw_pitch_roll(*values[52:55])
    assert np.allclose(turned, Rotation.from_rotvec(frame.values[HEAD]).as_matrix(), atol=1e-6)
    assert np.abs(values[55:]).max() < 0.6  # both eyes, which turn by what eyeLook says
    assert np.abs(values[55:57]).min() > 0


def test_turns_have_the_signs_that_each_protocol_says() -> None:
    for axis, (yaw, pitch, roll), unity in (
        (0, (0, 0.2, 0), (math.sin(0.1), 0, 0)),  # chin down
        (1, (0.2, 0, 0), (0, -math.sin(0.1), 0)),  # nose to the subject's left
        (2, (0, 0, 0.2), (0, 0, -math.sin(0.1))),
    ):
        values = np.zeros(MOTION_DIM, np.float32)
        values[axis] = 0.2
        frame = LiveFrame(0, 0.0, values, False, True)
        packet = sinks.live_link_packet(frame, FPS, device="phone")
        assert np.allclose(read_live_link(packet)["values"][52:55], (yaw, pitch, roll), atol=1e-6)
        assert np.allclose(sinks.unity_turn(values[HEAD]), (*unity, math.cos(0.1)), atol=1e-6)


def test_a_rate_that_is_no_whole_number_is_a_fraction() -> None:
    packet = sinks.live_link_packet(frame_at(0), 30000 / 1001, device="phone")
    assert read_live_link(packet)["time"][2:] == (30000, 1001)


def test_vmc_has_the_state_the_bones_and_all_shapes_and_applies_them_last(program) -> None:
    frame = frame_at(4)
    packets = sent("vmc", program, frame)
    assert max(map(len, packets)) <= sinks.BUNDLE_BYTES
    messages = [message for packet in packets for message in read_osc(packet)]
    assert messages[0] == ("/VMC/Ext/OK", [1, 3, 0, 1])
    assert messages[1][0] == "/VMC/Ext/T"
    assert math.isclose(messages[1][1][0], frame.time_s, abs_tol=1e-6)
    assert messages[-1] == ("/VMC/Ext/Blend/Apply", [])
    bones = {values[0]: values[1:] for name, values in messages if name == "/VMC/Ext/Bone/Pos"}
    assert set(bones) == {"Neck", "Head"}
    assert all(len(values) == 7 and values[:3] == [0, 0, 0] for values in bones.values())
    whole = Rotation.from_quat(bones["Neck"][3:]) * Rotation.from_quat(bones["Head"][3:])
    mirror = np.diag([-1, 1, 1])
    turned = Rotation.from_rotvec(frame.values[HEAD]).as_matrix()
    assert np.allclose(whole.as_matrix(), mirror @ turned @ mirror, atol=1e-6)
    shape = dict(values for name, values in messages if name == "/VMC/Ext/Blend/Val")
    assert len(shape) == 52
    for name in ARKIT_EXPRESSIONS:
        value = shape[name[0].upper() + name[1:]]
        assert math.isclose(value, frame.values[expression_index(name)], abs_tol=1e-6), name
    assert math.isclose(shape["JawOpen"], frame.values[JAW_PITCH] / JAW_OPEN_RAD, abs_tol=1e-6)


def test_osc_has_every_number_under_its_name_and_ends_with_the_frame(program) -> None:
    frame = frame_at(6)
    packets = sent("osc", program, frame)
    assert max(map(len, packets)) <= sinks.BUNDLE_BYTES
    messages = [message for packet in packets for message in read_osc(packet)]
    assert messages[-1][0] == "/dim/frame"
    index, time_s, speaking, seen = messages[-1][1]
    assert (index, speaking, seen) == (6, 1, 0)
    assert math.isclose(time_s, frame.time_s, abs_tol=1e-6)
    found = dict(messages)
    assert np.allclose(found["/dim/head"], frame.values[HEAD], atol=1e-6)
    assert sum(name.startswith("/dim/face/") for name in found) == 52
    for name in ARKIT_EXPRESSIONS:
        value = frame.values[expression_index(name)]
        assert math.isclose(found[f"/dim/face/{name}"][0], value, abs_tol=1e-6), name


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_rows_hold_every_frame(tmp_path, suffix) -> None:
    path = tmp_path / f"face{suffix}"
    frames = [frame_at(index) for index in range(5)]
    with sinks.file(path, FPS, None, force=False) as sink:
        for frame in frames:
            sink.send(frame, None)
        assert not path.exists()
    with path.open() as file:
        rows = list(csv.DictReader(file)) if suffix == ".csv" else [json.loads(r) for r in file]
    assert len(rows) == 5
    for row, frame in zip(rows, frames, strict=True):
        assert int(row["index"]) == frame.index
        assert (bool(int(row["speaking"])), bool(int(row["seen"]))) == (frame.speaking, frame.seen)
        head = [float(row[f"head_{axis}_rad"]) for axis in "xyz"]
        assert np.allclose(head, frame.values[HEAD], atol=1e-6)
        smile = frame.values[expression_index("mouthSmileLeft")]
        assert math.isclose(float(row["mouthSmileLeft"]), smile, abs_tol=1e-5)


def test_a_motion_file_holds_every_frame(tmp_path) -> None:
    with sinks.file(tmp_path / "a.npz", FPS, None, force=False) as sink:
        for index in range(5):
            sink.send(frame_at(index), None)
    motion = Motion.load(tmp_path / "a.npz")
    assert motion.fps == FPS
    assert np.array_equal(motion.values, np.stack([frame_at(i).values for i in range(5)]))


def test_a_motion_file_ends_where_motion_may_not_be_longer(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(limits, "MOTION_FRAMES", 3)
    with sinks.file(tmp_path / "a.npz", FPS, None, force=False) as sink:
        for index in range(5):
            sink.send(frame_at(index), None)
    assert len(Motion.load(tmp_path / "a.npz")) == 3


def test_files_of_other_kinds_and_those_that_exist_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"a live face is written as \.npz"):
        sinks.file(tmp_path / "a.txt", FPS, None, force=False)
    (tmp_path / "a.csv").touch()
    with pytest.raises(InputError, match="already exists; pass --force"):
        sinks.file(tmp_path / "a.csv", FPS, None, force=False)


def test_a_host_that_is_not_there_is_told() -> None:
    with (
        pytest.raises(InputError, match=r"--host no\.such\.host\.invalid: no such host"),
        sinks.network("osc", "no.such.host.invalid", 9000, FPS, "dim"),
    ):
        pass


def test_what_is_not_installed_is_told_with_the_line_that_installs_it(monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(MissingDependencyError, match="pip install pyvirtualcam"), sinks.camera(FPS):
        pass


def test_a_video_holds_frames_that_were_not_drawn_and_has_both_voices(tmp_path) -> None:
    from scipy.io import wavfile

    from dimcli import media

    clip, path = tmp_path / "clip.wav", tmp_path / "face.mp4"
    partner = np.zeros(32000, np.float32)
    partner[:8000] = 0.5 * np.sin(np.arange(8000) * 0.3)
    wavfile.write(clip, 16000, partner)
    said = 0.5 * np.sin(np.arange(640) * 0.3).astype(np.float32)
    with sinks.file(path, FPS, clip, speaks=True, force=False) as sink:
        for index in range(50):
            voice = said if 25 <= index < 40 else None
            frame = LiveFrame(index, index / FPS, np.zeros(56, np.float32), False, True, voice)
            drawn = index % 5 == 0
            sink.send(frame, np.full((32, 32, 3), 4 * index, np.uint8) if drawn else None)
    shown = np.stack(list(media.read_frames(path, fps=FPS))).mean(axis=(1, 2, 3)) / 4
    assert np.abs(shown - np.arange(50) // 5 * 5).max() < 2
    loud = np.abs(media.read_audio(path, 16000)[:32000]).reshape(50, 640).max(axis=1) > 0.2
    assert loud[:12].all() and not loud[14:24].any()
    assert loud[26:39].all() and not loud[42:].any()


def test_the_track_that_was_chosen_is_the_clip_s_and_not_that_of_our_own_sound(tmp_path) -> None:
    from dimcli import media
    from dimcli.media.probe import chosen_track
    from tests.media.clips import make

    clip, path = tmp_path / "clip.mkv", tmp_path / "face.mp4"
    tracks = ("-f", "lavfi", "-i", "anullsrc=d=1", "-f", "lavfi", "-i", "sine=300:duration=1")
    make(clip, *tracks, "-map", "0", "-map", "1")
    with media.audio_track(2):
        with sinks.file(path, FPS, clip, speaks=True, force=False) as sink:
            for index in range(25):
                sink.send(frame_at(index), np.zeros((32, 32, 3), np.uint8))
        assert chosen_track() == 2
    assert np.abs(media.read_audio(path, 16000)).max() > 0.05


def test_a_loudspeaker_plays_what_is_said_in_its_place_and_silence_between(monkeypatch) -> None:
    class Loudspeaker:
        PortAudioError = RuntimeError

        def OutputStream(self, rate, *, channels, dtype, callback):  # noqa: N802
            assert (rate, channels, dtype) == (16000, 1, "float32")
            self.play = callback
            return self

        def __enter__(self):
            return self

        def __exit__(self, *raised) -> None:
            self.ended = True

    device = Loudspeaker()
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    played = np.zeros((640 * 12, 1), np.float32)
    with sinks.loudspeaker(FPS) as sink:
        for index in range(10):
            said = np.full(640, 0.5, np.float32) if 4 <= index < 6 else None
            sink.send(
                LiveFrame(index, index / FPS, np.zeros(56, np.float32), True, True, said), None
            )
            device.play(played[640 * index : 640 * index + 640], 640, None, None)
        device.play(played[6400:], 1280, None, None)
        rest = np.ones((640, 1), np.float32)
        device.play(rest, 640, None, None)
    assert device.ended
    heard = np.flatnonzero(played[:, 0])
    assert (heard[0], heard[-1]) == (round((4 / FPS + sinks.STEADY_S) * 16000), 6 * 640 + 1279)
    assert not rest.any()
    broken = Loudspeaker()
    broken.OutputStream = lambda *_, **__: (_ for _ in ()).throw(RuntimeError("none"))
    monkeypatch.setitem(sys.modules, "sounddevice", broken)
    with pytest.raises(InputError, match="no loudspeaker"), sinks.loudspeaker(FPS):
        pass


def test_a_virtual_camera_shows_each_picture(monkeypatch) -> None:
    import sys
    import types

    shown, opened = [], []

    class Camera:
        def __init__(self, **how) -> None:
            opened.append(how)

        def __enter__(self):
            return self

        def __exit__(self, *raised) -> None:
            opened.append("closed")

        def send(self, picture) -> None:
            shown.append(picture)

    monkeypatch.setitem(sys.modules, "pyvirtualcam", types.SimpleNamespace(Camera=Camera))
    picture = np.zeros((48, 64, 3), np.uint8)
    with sinks.camera(FPS) as sink:
        assert sink.pictures
        sink.send(frame_at(0), picture)
        sink.send(frame_at(1), picture)
    assert opened == [{"width": 64, "height": 48, "fps": FPS}, "closed"]
    assert len(shown) == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["livelink", "vmc"])
def test_ten_minutes_of_frames_are_all_sent_and_can_be_read(kind, monkeypatch) -> None:
    """At 25 frames a second by a clock that jumps; the wire is a list a frame."""
    wire: list[list[bytes]] = []

    class Wire(socket.socket):
        def sendto(self, packet, address):
            wire[-1].append(packet)
            return len(packet)

    monkeypatch.setattr(sinks.socket, "socket", Wire)
    seconds, began = 10 * 60, time.process_time()
    few = [frame_at(index) for index in range(10)]
    with sinks.network(kind, "127.0.0.1", 9, FPS, "dim") as sink:
        for index in range(seconds * 25):
            wire.append([])
            values = few[index % 10].values
            sink.send(LiveFrame(index, index / FPS, values, False, True), None)
    assert sink.lost == 0
    assert (time.process_time() - began) / len(wire) < 0.1 / FPS  # of the time that a frame has
    if kind == "livelink":
        numbers = [read_live_link(packet)["time"] for packets in wire for packet in packets]
        assert numbers == [(index, 0.0, 25, 1) for index in range(seconds * 25)]
        return
    assert {len(packets) for packets in wire} == {len(wire[0])}
    for second in range(seconds):
        messages = [message for packet in wire[second * 25] for message in read_osc(packet)]
        (values,) = [values for name, values in messages if name == "/VMC/Ext/T"]
        assert math.isclose(values[0], second, abs_tol=1e-4)
        assert sum(name == "/VMC/Ext/Blend/Val" for name, _ in messages) == 52
