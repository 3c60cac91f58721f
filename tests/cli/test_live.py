"""``dim live`` on the shipped clip, at its own speed."""

import json
import socket
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest

from dimcli.cli import live as command
from dimcli.core.errors import InputError
from dimcli.core.motion import HEAD, Motion
from tests.cli.test_bad_input import refused
from tests.tracking.test_people import beside
from tests.web.test_line import free_port


@pytest.fixture
def unreal():
    """A socket that listens as Unreal would."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(0.2)
        yield listening


@pytest.mark.slow
def test_a_clip_goes_to_unreal_and_to_a_file_frame_by_frame(dim, unreal, short_speaker, tmp_path):
    ended = dim(
        *("live", "--from", short_speaker, "--to", "livelink", "--port", unreal.getsockname()[1]),
        *("--to", "file", "-o", "face.npz", "--head", 0, "--seconds", 1, "--json"),
    )
    assert ended.code == 0, ended.err
    figures = json.loads(ended.out)
    assert figures["frames"] == 25
    assert figures["latency_s"] > 0.1
    assert figures["lost"] == 0
    assert ended.err.startswith("loading listener-live ...\n")
    assert "listening to speaker.mp4; Ctrl-C ends it" in ended.err
    motion = Motion.load(tmp_path / "face.npz")
    assert len(motion) == 25
    assert not motion.values[:, HEAD].any()
    packets = [unreal.recv(65535) for _ in range(25)]
    numbers = [struct.unpack_from(">i", packet, 1 + 4 + 36 + 4 + 3)[0] for packet in packets]
    assert numbers == list(range(25))
    sent = np.array([struct.unpack(">61f", packet[-244:]) for packet in packets])
    assert np.allclose(sent[:, 0], motion.column("eyeBlinkLeft"), atol=1e-6)


@pytest.mark.slow
def test_a_picture_is_drawn_into_a_video_and_ctrl_c_ends_it_whole(
    dim, short_speaker, examples, tmp_path, monkeypatch
):
    from dimcli import media
    from dimcli.jobs import live

    drawn, send, source = threading.Event(), live._Wire.send, live.sources.Source

    def sent(wire, frame, picture):
        send(wire, frame, picture)
        if picture is not None:
            drawn.set()

    def interrupted(name, give, length_s):
        def until(now_s, face):
            if drawn.is_set():
                raise KeyboardInterrupt
            give(now_s, face)

        return source(name, until, length_s)

    monkeypatch.setattr(live._Wire, "send", sent)
    monkeypatch.setattr(live.sources, "Source", interrupted)
    ended = dim(
        *("live", "--from", short_speaker, "--to", "file", "-o", "face.mp4", "--size", 128),
        *("--ref", examples / "listener.png"),
    )
    assert ended.code == 0, ended.err
    assert "ended by Ctrl-C" in ended.err
    frames = sum(1 for _ in media.read_frames(tmp_path / "face.mp4", fps=25))
    assert 1 <= frames < 50
    assert f"{frames} frames in" in ended.err


@pytest.mark.slow
def test_the_face_says_an_agents_voice_and_the_video_has_it(dim, short_speaker, examples, tmp_path):
    from dimcli import media

    ended = dim(
        *("live", "--from", short_speaker, "--voice", examples / "speaker.mp4", "--to", "file"),
        *("-o", "face.mp4", "--size", 128, "--ref", examples / "listener.png", "--seconds", 1.5),
    )
    assert ended.code == 0, ended.err
    assert "saying what comes from speaker.mp4" in ended.err
    both = media.read_audio(tmp_path / "face.mp4", 16000)
    alone = media.read_audio(short_speaker, 16000)[: len(both)]
    assert len(both) == pytest.approx(24000, abs=700)
    assert np.abs(both[: len(alone)] - alone).max() > 0.05


@pytest.mark.slow
def test_a_program_talks_to_the_face_over_a_websocket(dim, short_speaker, tmp_path, monkeypatch):
    from websockets.sync.client import connect

    from dimcli import media
    from dimcli.web import line

    heard, told = line._Line.give, []
    voice = (media.read_audio(short_speaker, 16000)[:24000] * 32767).astype("<i2").tobytes()

    def talk() -> None:
        with connect(f"ws://127.0.0.1:{port}/stream") as socket:
            socket.send(b"\x01" + voice)
            socket.send(b"\x03" + voice)
            told.append(json.loads(socket.recv(timeout=60)))

    def given(self, now_s, face):
        heard(self, now_s, face)
        if talking.ident is None:
            talking.start()
        if told and now_s > told[0]["time_s"] + 1.5:
            raise KeyboardInterrupt

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    talking = threading.Thread(target=talk)
    monkeypatch.setattr(line._Line, "give", given)
    ended = dim("live", "--from", f"ws:{port}", "--to", "file", "-o", "face.jsonl")
    talking.join()
    assert ended.code == 0, ended.err
    assert f"listening to ws://127.0.0.1:{port}/stream" in ended.err
    rows = [json.loads(row) for row in (tmp_path / "face.jsonl").read_text().splitlines()]
    spoken = [row["time_s"] for row in rows if row["speaking"]]
    assert told[0]["type"] == "voice"
    assert spoken[0] < told[0]["time_s"] + 0.5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--to", "sound"), "--to sound: plays what the agent says"),
        (("--to", "osc", "--voice", "nowhere.wav"), "nowhere.wav: no such"),
        (("--to", "osc", "--voice", "ws:99999"), "ws:99999: expected a port"),
        (("--to", "osc", "--voice", "ws:" + "9" * 5000), "9: expected a port"),
        (("--to", "x"), "--to x: expected some of livelink, vmc, osc, camera, sound, file"),
        (("--to", "osc", "--to", "osc"), "--to: name each once"),
        (("--to", "osc", "--to", "vmc", "--port", 9), "--port: is of one --to"),
        (("--to", "file"), "--to file and --output go together"),
        (("--to", "osc", "-o", "a.npz"), "--to file and --output go together"),
        (("--to", "camera"), "--ref: a camera and an mp4 show a face"),
        (("--to", "osc", "--ref", "a.jpg"), "--ref: only --to camera"),
        (("--to", "osc", "--weights", "listener-small"), "causal masks"),
        (("--to", "file", "-o", "a.txt"), "a live face is written as .npz"),
        (("-o", "a.txt"), "a live face is written as .npz"),
        (("--to", "osc", "-o", "a.npz"), "--to file and --output go together"),
        (("--to", "osc", "--host", "no.such.host.invalid"), "no such host"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(dim, short_speaker, options, told, tmp_path):
    refused(dim("live", "--from", short_speaker, *options), told)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def nothing_heavy(monkeypatch):
    """Loading a model fails the test."""
    from dimcli.models import checkpoint

    def load(*_):
        raise AssertionError("models were loaded")

    monkeypatch.setattr(checkpoint, "load_dim", load)


def test_of_two_people_one_is_chosen_before_a_model_is_loaded(
    dim, short_speaker, tmp_path, nothing_heavy
):
    two = beside(tmp_path, short_speaker, 0.9)
    asked = ("live", "--from", two, "--to", "osc")
    refused(dim(*asked), "2 faces of similar size", "--speaker left, right or largest")
    refused(dim(*asked, "--region", "500,0,64,64"), "leaves the picture")
    refused(dim(*asked, "--region", "0,0,256,256", "--speaker", "left"), "give one of them")
    refused(dim("live", "--from", "mic", "--to", "osc", "--speaker", "left"), "mic is not a video")


def test_the_chosen_person_is_watched(dim, short_speaker, tmp_path, monkeypatch):
    from dimcli.jobs import live

    opened = []

    def watched(name, camera, area):
        opened.append(area)
        raise InputError("enough")

    monkeypatch.setattr(live.sources, "opened", watched)
    two = beside(tmp_path, short_speaker, 0.9)
    for chosen in (("--speaker", "right"), ("--region", "256,0,256,256")):
        refused(dim("live", "--from", two, "--to", "osc", *chosen), "enough")
    found, said = opened
    assert said == (256, 0, 256, 256)
    assert found[0] == pytest.approx(256, abs=30) and found[0] + found[2] == 512


def test_what_is_named_is_checked_before_a_model_is_loaded(
    dim, short_speaker, tmp_path, nothing_heavy
):
    from PIL import Image

    (tmp_path / "a.txt").write_text("no sound")
    Image.new("RGB", (64, 64)).save(tmp_path / "grey.png")
    picture = ("-o", "a.mp4", "--ref", "grey.png")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for options, told in (
            (("--from", "a.txt", "--to", "osc"), "a.txt"),
            (("--from", short_speaker, "--to", "osc", "--voice", "a.txt"), "a.txt"),
            (("--from", f"ws:{taken.getsockname()[1]}", "--to", "osc"), "cannot be used"),
            (("--from", "mic", "--to", "osc"), "--from: "),
            (("--from", short_speaker, "--to", "osc", "--weights", "nobody"), "nobody"),
            (
                ("--from", short_speaker, "--to", "file", *picture),
                "grey.png",
            ),
            (
                (*("--from", f"ws:{free_port()}", "--to", "file"), *picture),
                "grey.png",
            ),
        ):
            refused(dim("live", *options), told)


def test_checks_do_not_wait_for_the_library_of_models():
    lazy = "import sys, dimcli.jobs.live, dimcli.web.line, dimcli.web.server"
    subprocess.run([sys.executable, "-c", f"{lazy}; assert 'torch' not in sys.modules"], check=True)


def test_a_clip_that_is_not_there_and_a_command_without_one_are_told(dim):
    refused(dim("live", "--from", "nowhere.mp4", "--to", "osc"), "no such")
    refused(dim("live", "--to", "osc"), "dim live --from camera --to livelink")
    refused(dim("live", "--from", "mic"), "--to: say where the face goes", "livelink, vmc, osc")


def test_figures_are_told_as_people_read_them(capsys):
    from dimcli.jobs.live import LiveResult

    document = command.report_live(LiveResult(250, 10.2, 25.0, 0.3, 0.34, 2, 3, None))
    told = capsys.readouterr().err
    assert "250 frames in 10.2 s: 25.0 frames a second, each 300 ms after what it answers" in told
    assert "2 not drawn in time, 3 packets lost" in told
    assert document["latency_95_s"] == 0.34
