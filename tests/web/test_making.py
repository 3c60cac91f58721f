"""The queue of videos: jobs one at a time, in processes that a cancel ends, kept on disk."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from dimcli.media.probe import probe_video
from dimcli.web import limits
from dimcli.web.shelf import Shelf
from tests.web.serving import serving, wait_for

WORKER = """
import json, pathlib, subprocess, sys, time
asked = json.load(sys.stdin)
words = pathlib.Path(asked["source"]).read_text().split()
print(json.dumps({"stage": "tracking", "done": 1, "total": 2}), flush=True)
output = pathlib.Path(asked["output"])
if words[0] == "hang":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    pathlib.Path(words[1]).write_text(str(child.pid))
    output.with_name("half.part").mkdir()
    time.sleep(60)
if words[0] == "babble":
    print("a library's own words", flush=True)
if words[0] == "fail":
    print(json.dumps({"error": asked["source"] + ": shows no face"}), flush=True)
elif words[0] == "make":
    output.write_bytes(bytes(range(256)))
    print(json.dumps({"remarks": ["note"], "duration_s": 1.5, "taken_s": 1.0}), flush=True)
"""
"""A worker that does what the first word of its source says, at once."""


@pytest.fixture
def client(tmp_path):
    with serving(tmp_path / "videos", worker=(sys.executable, "-c", WORKER)) as client:
        yield client


def add(client, tmp_path: Path, words: str, **options) -> str:
    source = tmp_path / "talk.mp4"
    source.write_text(words)
    asked = {"kind": "listener", "title": "talk.mp4", "source": client.upload(source)}
    answer = client.ask("POST", "/api/videos", asked | {"picture": "ada", "options": options})
    assert answer.status == 201, answer.body
    return answer.json["id"]


def entry(client, name: str) -> dict:
    return next(video for video in client.videos() if video["id"] == name)


def hang(client, tmp_path: Path) -> tuple[str, int]:
    """A job that never ends, and the process that its worker started."""
    pid = tmp_path / "pid"
    name = add(client, tmp_path, f"hang {pid}")
    return name, int(wait_for(lambda: pid.exists() and pid.read_text()))


def runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    return False


def test_a_job_becomes_a_video_that_is_sent_in_ranges_and_its_inputs_go(client, tmp_path):
    name = add(client, tmp_path, "make", attitude="positive", seed=3)
    wait_for(lambda: entry(client, name)["state"] == "done")
    made = entry(client, name)
    assert (made["remarks"], made["duration_s"]) == (["note"], 1.5)
    path = f"/api/videos/{name}/video.mp4"
    part = client.ask("GET", path, Range="bytes=10-12")
    assert (part.status, part.body) == (206, bytes([10, 11, 12]))
    kept = client.ask("GET", f"{path}?download=1").headers["content-disposition"]
    assert kept == 'attachment; filename="talk-listener.mp4"'
    folder = tmp_path / "videos"
    assert {path.name for path in (folder / name).iterdir()} == {"entry.json", "video.mp4"}
    assert not list((folder / "uploads").iterdir())


def test_a_cancelled_job_ends_its_processes_and_leaves_nothing_and_the_next_begins(
    client, tmp_path
):
    name, child = hang(client, tmp_path)
    later = add(client, tmp_path, "make")
    assert entry(client, name)["state"] == "running"
    assert entry(client, name)["stage"] == "tracking"
    assert entry(client, later)["state"] == "waiting"
    assert client.ask("DELETE", f"/api/videos/{name}").status == 204
    wait_for(lambda: not runs(child))  # a killed process takes a moment to end
    assert not (tmp_path / "videos" / name).exists()
    wait_for(lambda: entry(client, later)["state"] == "done")
    assert [video["id"] for video in client.videos()] == [later]
    assert client.ask("DELETE", f"/api/videos/{name}").status == 404


@pytest.mark.parametrize(("words", "why"), [("fail", "talk.mp4: shows no face"), ("x", "ended")])
def test_a_job_that_fails_says_why_and_the_server_goes_on(client, tmp_path, words, why):
    name = add(client, tmp_path, words)
    wait_for(lambda: entry(client, name)["state"] == "failed")
    (said,) = entry(client, name)["remarks"]
    assert why in said and str(tmp_path) not in said
    assert {path.name for path in (tmp_path / "videos" / name).iterdir()} == {"entry.json"}
    assert client.ask("GET", f"/api/videos/{name}/video.mp4").status == 404
    name = add(client, tmp_path, "make")
    wait_for(lambda: entry(client, name)["state"] == "done")


def test_the_queue_survives_the_server_and_a_job_that_was_begun_begins_anew(tmp_path):
    worker = (sys.executable, "-c", WORKER)
    with serving(tmp_path / "videos", worker=worker) as client:
        begun, child = hang(client, tmp_path)
        waiting = add(client, tmp_path, "make")
    wait_for(lambda: not runs(child))
    (tmp_path / "videos" / begun / "source.mp4").write_text("make")
    with serving(tmp_path / "videos", worker=worker) as client:
        assert [video["id"] for video in client.videos()] == [begun, waiting]
        wait_for(lambda: all(video["state"] == "done" for video in client.videos()))


def test_uploads_may_be_on_another_disk(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "left.mp4").touch()
    (tmp_path / "videos" / "uploads").symlink_to(tmp_path / "disk")
    Shelf(tmp_path / "videos").open()
    assert (tmp_path / "videos" / "uploads").is_dir() and not list((tmp_path / "disk").iterdir())


def test_files_that_are_not_ours_are_left_alone(tmp_path):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "entry.json").write_text('{"id": "holiday"}')
    (tmp_path / "notes.txt").write_text("mine")
    shelf = Shelf(tmp_path)
    shelf.open()
    assert not shelf.entries
    assert {path.name for path in tmp_path.iterdir()} == {"holiday", "notes.txt", "uploads"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "not JSON"),
        (b"[1]", "no JSON object"),
        (b"[" * 5000, "nested too deep"),
        (b" " * (limits.REQUEST_BYTES + 1), "larger than"),
        ({"kind": "dyad"}, "expected one of listener, speaker"),
        ({"kind": ["listener"]}, "expected texts"),
        ({"kind": "listener", "options": {"weights": "/etc"}}, "expected some of attitude"),
        ({"kind": "listener", "options": {"seed": True}}, "seed: expected 0 to"),
        ({"kind": "listener", "options": {"style": 1}}, "expected words"),
        ({"kind": "listener", "options": {"head": 9}}, "head 9: expected 0 to 2"),
        ({"kind": "speaker", "options": {"blinks": "1"}}, "blinks: expected a number"),
        ({"kind": "listener", "source": "../../entry.json"}, "is not here"),
        ({"kind": "listener", "source": "", "picture": "ada"}, "is not here"),
        ({"kind": "listener", "source": "a" * 5000, "picture": "ada"}, "is not here"),
        ({"kind": "listener", "source": "a.mp4", "picture": "a.mp4"}, "one file for both"),
        ({"kind": "listener", "title": "\ud800"}, "not Unicode"),
        ({"kind": "listener", "source": "\udfff.mp4"}, "not Unicode"),
    ],
)
def test_a_request_that_makes_no_sense_is_told_why(client, tmp_path, body, why):
    answer = client.ask("POST", "/api/videos", body)
    assert answer.status == 400
    assert why in answer.json["error"]
    assert not client.videos()


def test_an_upload_that_is_too_large_or_too_slow_leaves_nothing(client, tmp_path, monkeypatch):
    uploads = tmp_path / "videos" / "uploads"
    monkeypatch.setattr(limits, "UPLOAD_BYTES", 1000)
    answer = client.ask("POST", "/api/uploads?name=a.mp4", bytes(2000))
    assert (answer.status, "is larger than" in answer.json["error"]) == (400, True)
    monkeypatch.setattr(limits, "UNREAD_S", 0.2)
    answer = client.ask("POST", "/api/uploads?name=a.mp4", b"x", Content_Length="10")
    assert (answer.status, "too slowly" in answer.json["error"]) == (400, True)
    answer = client.ask("POST", "/api/uploads?name=no/ending", b"x")
    assert (answer.status, "no ending" in answer.json["error"]) == (400, True)
    assert not list(uploads.iterdir())


def test_a_request_that_stops_is_told_and_a_video_that_is_gone_is_missing(
    client, tmp_path, monkeypatch
):
    name = add(client, tmp_path, "make")
    wait_for(lambda: entry(client, name)["state"] == "done")
    client.site.shelf.video(name).unlink()
    assert client.ask("GET", f"/api/videos/{name}/video.mp4").status == 404
    monkeypatch.setattr(limits, "UNREAD_S", 0.2)
    answer = client.ask("POST", "/api/videos", b"{", Content_Length="10")
    assert (answer.status, "too slowly" in answer.json["error"]) == (400, True)


def test_a_full_disk_is_told_leaves_nothing_and_ends_no_queue(client, tmp_path, monkeypatch):
    folder = tmp_path / "videos"
    kept = client.site.shelf._keep
    written: list[str] = []

    def full_after(number: int) -> None:
        def keep(entry):
            written.append(entry.state)
            if len(written) > number:
                client.site.shelf.entries[entry.id] = entry
                raise OSError(28, "No space left on device", str(folder))
            kept(entry)

        written.clear()
        monkeypatch.setattr(client.site.shelf, "_keep", keep)

    source = tmp_path / "talk.mp4"
    source.write_text("make")
    full_after(0)
    asked = {"kind": "listener", "source": client.upload(source), "picture": "ada"}
    answer = client.ask("POST", "/api/videos", asked)
    assert answer.status == 400
    assert answer.json["error"] == "the server cannot keep it: No space left on device"
    assert not client.videos() and {path.name for path in folder.iterdir()} == {"uploads"}
    full_after(1)  # it is asked for, and nothing can be written when its turn comes
    name = add(client, tmp_path, "make")
    wait_for(lambda: entry(client, name)["state"] == "failed")
    assert "No space left" in entry(client, name)["remarks"][0]
    assert {path.name for path in (folder / name).iterdir()} == {"entry.json"}
    monkeypatch.setattr(client.site.shelf, "_keep", kept)
    name = add(client, tmp_path, "make")
    wait_for(lambda: entry(client, name)["state"] == "done")


def test_a_worker_that_says_what_nobody_understands_fails_and_the_next_begins(client, tmp_path):
    name = add(client, tmp_path, "babble")
    wait_for(lambda: entry(client, name)["state"] == "failed")
    name = add(client, tmp_path, "make")
    wait_for(lambda: entry(client, name)["state"] == "done")


def test_uploads_that_nobody_uses_make_room(client, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "UPLOADS", 3)
    source = tmp_path / "a.wav"
    source.write_bytes(b"x")
    names = []
    for second in range(5):
        names.append(client.upload(source))
        os.utime(tmp_path / "videos" / "uploads" / names[-1], (second, second))
    assert {path.name for path in (tmp_path / "videos" / "uploads").iterdir()} == set(names[-3:])


def test_no_more_than_so_many_jobs_wait(client, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "WAITING", 1)
    hang(client, tmp_path)
    add(client, tmp_path, "make")
    asked = {"kind": "listener", "source": client.upload(tmp_path / "talk.mp4"), "picture": "ada"}
    answer = client.ask("POST", "/api/videos", asked)
    assert (answer.status, "1 jobs are waiting" in answer.json["error"]) == (400, True)


@pytest.mark.slow
def test_the_real_worker_makes_a_talking_face_and_refuses_what_is_no_sound(tmp_path):
    voice = tmp_path / "voice.wav"
    wavfile.write(voice, 16000, np.zeros(8000, np.int16))
    with serving(tmp_path / "videos") as client:
        for name in ("voice.wav", "no.wav"):
            source = tmp_path / name
            source.write_bytes(voice.read_bytes() if name == "voice.wav" else b"no sound")
            asked = {"kind": "speaker", "title": name, "source": client.upload(source)}
            asked["options"] = {"head": 0.5, "blinks": 0}
            assert client.ask("POST", "/api/videos", asked | {"picture": "ben"}).status == 201
        wait_for(lambda: {v["state"] for v in client.videos()} <= {"done", "failed"}, 240)
        made, refused = client.videos()
        assert made["state"] == "done", made
        assert refused["state"] == "failed"
        assert "not a video or sound that ffmpeg can read" in refused["remarks"][0]
        path = client.site.shelf.video(made["id"])
        assert abs(probe_video(path).duration_s - 0.5) < 0.1
        assert b"synthetic: generated by dim" in path.read_bytes()
