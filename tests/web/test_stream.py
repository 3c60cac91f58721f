"""Sessions over the WebSocket, and clients that do not behave."""

import asyncio
import gc
import json
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from dimcli import media
from dimcli.data.gains import FaceSettings
from dimcli.media.probe import probe_video
from dimcli.web import limits, stream
from dimcli.web.messages import jpeg
from dimcli.web.recording import Arrivals, Recording
from tests.web.serving import Client, serving, wait_for

START = {"type": "start", "motion": "binary"}


@contextmanager
def session(client: Client, **start) -> Iterator[ClientConnection]:
    """A session that has begun."""
    with joined(client) as socket:
        say(socket, START | start)
        assert read(socket, "ready")["fps"] == 25
        yield socket


def joined(client: Client, **options) -> ClientConnection:
    address = f"ws://127.0.0.1:{client.address.port}/stream"
    return connect(address, max_size=None, compression=None, **options)


def say(socket: ClientConnection, message: dict) -> None:
    socket.send(json.dumps(message))


def read(socket: ClientConnection, kind: str, seconds: float = 60) -> dict:
    """The next text message of this ``kind``."""
    until = time.monotonic() + seconds
    while True:
        message = socket.recv(timeout=max(0.1, until - time.monotonic()))
        if isinstance(message, str) and (told := json.loads(message))["type"] == kind:
            return told


def frame(socket: ClientConnection, kind: int, seconds: float = 60) -> tuple[int, float, bytes]:
    """Index, time and content of the next binary message of this ``kind``."""
    until = time.monotonic() + seconds
    while True:
        message = socket.recv(timeout=max(0.1, until - time.monotonic()))
        if isinstance(message, bytes) and message[0] == kind:
            _, _, _, index, time_s = struct.unpack("<BBHId", message[:16])
            return index, time_s, message[16:]


def ended(socket: ClientConnection, seconds: float = 60) -> tuple[int, str]:
    """How the server ends a session: code and reason."""
    until = time.monotonic() + seconds
    try:
        while True:
            socket.recv(timeout=max(0.1, until - time.monotonic()))
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return closed.rcvd.code, closed.rcvd.reason


def test_motion_and_pictures_come_while_sound_and_pictures_are_sent(talking, pieces, pictures):
    with session(talking, picture="ben", frames=True, size=128, motion="json") as socket:
        for piece in pieces[:25]:
            socket.send(b"\x01" + piece)
        socket.send(b"\x02" + pictures[0])
        told = read(socket, "motion")
        assert told["time_s"] == told["index"] / 25
        index, time_s, data = frame(socket, 1)
        assert time_s == pytest.approx(index / 25) and data[:3] == b"\xff\xd8\xff"
        say(socket, {"type": "ping", "id": 5})
        assert read(socket, "pong")["id"] == 5
        figures = read(socket, "figures")
        assert figures["latency_s"] >= 0
        assert figures["fps"] > 0
        say(socket, {"type": "settings", "head": 0.0, "attitude": "positive"})
        say(socket, {"type": "stop"})
        assert ended(socket) == (1000, "stopped")


def test_the_rate_that_is_told_is_that_of_the_pictures_that_were_sent(talking, monkeypatch):
    draw, came = stream.Face.draw, []

    def slowly(face, values):
        time.sleep(0.2)
        return draw(face, values)

    monkeypatch.setattr(stream.Face, "draw", slowly)
    with session(talking, picture="ben", frames=True, size=128, motion="json") as socket:
        read(socket, "figures")
        while True:
            message = socket.recv(timeout=60)
            came.append("picture" if isinstance(message, bytes) else json.loads(message)["type"])
            if came[-1] == "figures":
                break
    figures = json.loads(message)
    assert came.count("motion") > 2 * came.count("picture") > 0
    assert figures["fps"] <= came.count("picture") + 1
    assert figures["skipped"] > 0


def test_a_partners_face_that_is_seen_is_told(talking, pictures):
    with session(talking, motion="json") as socket:
        for number in range(400):
            socket.send(b"\x02" + pictures[number % 50])
            if read(socket, "motion")["seen"]:
                return
    pytest.fail("the face in the pictures was not seen")


def test_the_agents_voice_is_spoken_from_the_time_that_is_told_until_it_is_hushed(talking, pieces):
    with session(talking, motion="json") as socket:
        read(socket, "motion")
        socket.send(b"\x03" + b"".join(pieces))
        time_s = read(socket, "voice")["time_s"]
        while not (told := read(socket, "motion"))["speaking"]:
            pass
        assert told["time_s"] >= time_s - 0.2
        say(socket, {"type": "hush"})
        silent_s = read(socket, "hushed")["time_s"]
        assert told["time_s"] <= silent_s
        while (told := read(socket, "motion"))["time_s"] < silent_s or told["speaking"]:
            assert told["time_s"] < silent_s + 1.0  # it closes its mouth and listens


def test_a_recording_has_the_camera_the_face_and_the_sound_and_only_then_anything_is_kept(
    talking, pieces, pictures
):
    folder = talking.site.shelf.folder
    before = {path.name for path in folder.iterdir()}
    with session(talking, picture="ada", frames=True, size=128, motion="none") as socket:
        socket.send(b"\x01" + pieces[0])
        socket.send(b"\x02" + pictures[0])
        frame(socket, 1)
        assert {path.name for path in folder.iterdir()} == before
        say(socket, {"type": "record", "on": True, "camera": True})
        name = read(socket, "recording")["id"]
        first = frame(socket, 1)[1]
        until = time.monotonic() + 60
        sent = 0
        while (last := frame(socket, 1)[1]) < first + 1.5 and time.monotonic() < until:
            for piece in pieces[sent : sent + 2]:
                socket.send(b"\x01" + piece)
            socket.send(b"\x02" + pictures[sent // 2 % 50])
            sent += 2
        say(socket, {"type": "record", "on": False})
        told = read(socket, "recording")
        assert told["on"] is False and told["id"] == name
        assert 0.5 < told["duration_s"] < last + 1
    video = talking.site.shelf.video(name)
    info = probe_video(video)
    assert (info.height, info.width > 2 * 128) == (128, True)
    assert b"synthetic: generated by dim" in video.read_bytes()
    heard = media.read_audio(video, 16000)
    assert abs(len(heard) / 16000 - info.duration_s) < 0.08 and np.abs(heard).max() > 0.01
    listed = next(each for each in talking.videos() if each["id"] == name)
    assert (listed["kind"], listed["state"]) == ("recording", "done")


def test_a_recording_is_whole_although_its_session_ends_while_it_is_written(
    make_session, tmp_path, monkeypatch
):
    written, finish = threading.Event(), Recording.finish

    def slowly(recording):
        assert written.wait(60)
        return finish(recording)

    monkeypatch.setattr(Recording, "finish", slowly)
    with serving(tmp_path, make_session=make_session) as client:
        names = []
        for politely in (True, False):
            with session(client, picture="ada", frames=True, size=128, motion="none") as socket:
                say(socket, {"type": "record", "on": True})
                names.append(read(socket, "recording")["id"])
                frame(socket, 1)
                frame(socket, 1)
                say(socket, {"type": "record", "on": False})
                say(socket, {"type": "ping", "id": 1})
                read(socket, "pong")  # it still listens
                if politely:
                    say(socket, {"type": "stop"})
                    ended(socket)
            wait_for(lambda: client.site.room.sessions == 0)
        assert {each["state"] for each in client.videos()} == {"running"}
        written.set()
    # the server, too, has ended
    for name in names:
        assert json.loads((tmp_path / name / "entry.json").read_bytes())["state"] == "done"
        assert probe_video(tmp_path / name / "video.mp4").duration_s > 0


def test_the_python_client_of_the_documentation_prints_the_answer_to_all_of_a_sound(
    make_session, examples, sound, tmp_path
):
    def slowly(settings, seed):  # a client that does not wait for it loses the end of its sound
        time.sleep(1.5)
        return make_session(settings, seed)

    (code,) = re.findall(
        r"```python\n(.*?)```", (examples / "stream-api.md").read_text(), re.DOTALL
    )
    assert len(code.splitlines()) <= 35
    voice = tmp_path / "voice.wav"
    wavfile.write(voice, 16000, (sound[:16000] * 32767).astype(np.int16))
    printed: list[str] = []

    names = {"__name__": "client", "print": printed.append}
    exec(code.replace("asyncio.run(main(*sys.argv[1:]))", ""), names)
    with serving(tmp_path / "videos", make_session=slowly) as client:
        asyncio.run(names["main"](str(voice), f"ws://127.0.0.1:{client.address.port}/stream"))
    times = [float(line.split()[0]) for line in printed]
    assert times == pytest.approx(np.arange(len(times)) / 25, abs=0.006)
    assert times[-1] >= 0.96  # the last frame that began while the second was heard


def test_pieces_that_come_late_follow_each_other_and_a_gap_is_a_gap():
    arrivals, piece = Arrivals(), np.zeros(320, np.float32)
    assert arrivals.placed(piece, 5.0)[1] == 5.0
    assert arrivals.placed(piece, 5.05)[1] == pytest.approx(5.02)
    samples, end_s = arrivals.placed(piece, 5.03)  # it cannot have ended later than it came
    assert end_s == pytest.approx(5.03) and len(samples) == 160
    assert arrivals.placed(piece, 9.0)[1] == 9.0


def test_without_a_picture_there_is_motion_and_nothing_is_drawn(talking):
    with session(talking) as socket:
        index, time_s, data = frame(socket, 2)
        values = np.frombuffer(data, np.float32)
        assert values.shape == (56,) and np.isfinite(values).all()
        assert time_s == index / 25
        say(socket, {"type": "record", "on": True})
        assert ended(socket)[1] == "record: this session draws no frames"


def test_an_own_picture_is_drawn_and_one_without_a_face_is_told(talking, examples):
    grey = jpeg(np.full((200, 200, 3), 128, np.uint8))
    with joined(talking) as socket:
        socket.send(b"\x04" + grey)
        say(socket, START | {"frames": True, "size": 128})
        code, reason = ended(socket)
        assert (code, "no face can be seen" in reason) == (1008, True)
    with joined(talking) as socket:
        socket.send(b"\x04" + (examples / "listener.png").read_bytes())
        say(socket, START | {"frames": True, "size": 128, "motion": "none"})
        ready = read(socket, "ready")
        assert (ready["width"], ready["height"]) == (128, 128)
        socket.send(b"\x04" + grey)
        assert "no face can be seen" in read(socket, "note")["text"]
        frame(socket, 1)  # the face before goes on


WRONG_BEFORE = [
    ("{", 1003, "not JSON"),
    (json.dumps({"type": "settings"}), 1008, "has not begun"),
    (json.dumps(START | {"picture": "eve"}), 1008, "picture: expected one of"),
    (json.dumps(START | {"frames": True}), 1008, "send a face"),
    (b"\x01ab", 1008, "has not begun"),
    ("x" * (limits.TEXT_BYTES + 1), 1008, "a text of more than"),
    (b"\x02" * (limits.MESSAGE_BYTES + 1), 1009, "more than 8 MB"),
]


@pytest.mark.parametrize(("sent", "code", "why"), WRONG_BEFORE, ids=[w[2] for w in WRONG_BEFORE])
def test_a_client_that_begins_wrongly_is_told_why(talking, sent, code, why):
    with joined(talking) as socket:
        with suppress(ConnectionClosed):
            socket.send(sent)
        told, reason = ended(socket)
        assert (told, why in reason) == (code, True), reason


def test_others_go_on_while_clients_misbehave_and_each_is_told_why(
    talking, make_session, pictures, monkeypatch
):
    random = np.random.default_rng(0)
    second = bytes(2 * limits.SOUND_RATE)
    wrong = {
        "known: 1 sound": [b"\x63" + random.bytes(100)],
        "no whole JPEG": [b"\x02" + random.bytes(3000)],
        "a picture of more than": [b"\x02" + bytes(limits.PICTURE_BYTES + 1)],
        "odd number of bytes": [b"\x01abc"],
        "sound comes faster than": [b"\x01" + second] * 30,
        "messages a second": [b"\x01"] * 1000,
        "MB a second": [b"\x02" + pictures[0] + bytes(900_000)] * 30,
        "of voice ahead": [b"\x03" + second] * 60,
        "dance: unknown": [json.dumps({"type": "dance"})],
        "begun already": [json.dumps(START)],
    }
    monkeypatch.setattr(stream, "OUTGOING", 10_000)  # however busy the machine is, nothing is left
    with session(talking, seed=3) as good:
        # a busy machine takes in a flood more slowly than it is allowed to come
        monkeypatch.setattr(limits, "MESSAGES_A_SECOND", 10.0)
        monkeypatch.setattr(limits, "BYTES_A_SECOND", 1e5)
        monkeypatch.setattr(limits, "VOICE_AT_ONCE_S", 5.0)
        with reading(good, 2) as frames:
            for why, sent in wrong.items():
                before = len(frames)
                with session(talking) as bad:
                    with suppress(ConnectionClosed):
                        for each in sent:
                            bad.send(each)
                    code, reason = ended(bad)
                    assert why in reason and code in (1003, 1008), (why, code, reason)
                wait_for(partial(lambda count: len(frames) > count, before))
        assert read(good, "figures")["skipped"] == 0
    # every frame came, in order, the same as if it had been alone
    alone = make_session(FaceSettings(), 3).finish(len(frames))
    assert [index for index, _, _ in frames] == list(range(len(frames)))
    assert [data for _, _, data in frames] == [each.values.tobytes() for each in alone]


@contextmanager
def reading(socket: ClientConnection, kind: int) -> Iterator[list[tuple[int, float, bytes]]]:
    """The binary messages of this ``kind`` that come meanwhile."""
    found: list[tuple[int, float, bytes]] = []
    over = threading.Event()

    def read_on() -> None:
        while not over.is_set():
            found.append(frame(socket, kind))

    reader = threading.Thread(target=read_on)
    reader.start()
    try:
        yield found
    finally:
        over.set()
        reader.join()


def test_fifty_clients_that_come_and_go_leave_nothing(talking):
    def come_and_go(number: int) -> None:
        address = ("127.0.0.1", talking.address.port)
        if number % 3 == 0:  # never says goodbye
            raw = socket.create_connection(address)
            raw.sendall(
                b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            raw.recv(50)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.close()
            return
        with joined(talking) as client:
            if number % 3 == 1:
                client.send(b"\x04x")

    room = talking.site.room
    for number in range(10):
        come_and_go(number)
    wait_for(lambda: room.sessions == 0)
    gc.collect()
    before = memory(), descriptors()
    for number in range(50):
        come_and_go(number)
    wait_for(lambda: room.sessions == 0)
    gc.collect()
    wait_for(lambda: descriptors() <= before[1] + 3)
    assert memory() < before[0] + 20e6
    with session(talking) as client:
        frame(client, 2)


def memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_more_than_so_many_sessions_at_once(talking, monkeypatch):
    wait_for(lambda: talking.site.room.sessions == 0)
    monkeypatch.setattr(limits, "SESSIONS", 1)
    with joined(talking) as first, joined(talking) as second:
        assert ended(second) == (1013, "1 sessions go on already; try again later")
        say(first, START)
        read(first, "ready")
    wait_for(lambda: talking.site.room.sessions == 0)


def test_a_client_that_says_nothing_or_stays_for_too_long_is_ended(talking, monkeypatch):
    monkeypatch.setattr(limits, "START_S", 0.2)
    with joined(talking) as socket:
        assert "no start message" in ended(socket)[1]
    monkeypatch.setattr(limits, "START_S", 15.0)
    monkeypatch.setattr(limits, "SESSION_S", 0.3)
    with joined(talking) as socket:
        assert "the session lasted" in ended(socket)[1]


@pytest.mark.slow
def test_a_client_that_does_not_read_is_ended(talking, monkeypatch):
    monkeypatch.setattr(limits, "UNREAD_S", 0.5)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", talking.address.port))
    with joined(talking, sock=raw, max_queue=1) as client:
        say(client, START | {"picture": "ada", "frames": True, "size": 768, "motion": "json"})
        wait_for(lambda: talking.site.room.sessions == 0, 120)


def test_a_foreign_page_and_a_wrong_token_open_no_session(talking, make_session, tmp_path):
    with pytest.raises(InvalidStatus) as refused:
        joined(talking, origin="http://evil.example")
    assert refused.value.response.status_code == 403
    assert b"may not use this server" in refused.value.response.body
    with serving(tmp_path, host="0.0.0.0", make_session=make_session) as client:
        with pytest.raises(InvalidStatus) as refused:
            joined(client)
        assert refused.value.response.status_code == 401
        assert b"a token is needed" in refused.value.response.body
        bearer = {"Authorization": f"Bearer {client.address.token}"}
        with joined(client, additional_headers=bearer) as socket:
            say(socket, START)
            read(socket, "ready")
