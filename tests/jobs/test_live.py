"""What ``dim live`` opens, and with which models."""

import time
from contextlib import contextmanager

import av
import numpy as np
import pytest
import torch

from dimcli.core.config import with_overrides
from dimcli.core.errors import InputError
from dimcli.jobs import live
from dimcli.live.sources import Source
from dimcli.models import checkpoint
from dimcli.models.dim.config import preset
from dimcli.models.dim.dim import DIM
from tests.live.conftest import speaker, spread_out  # noqa: F401  a fixture

HALF = np.zeros(8000, np.float32)


@pytest.fixture
def other_rate(monkeypatch, speaker):  # noqa: F811
    """The listener of ``dim live`` makes 30 frames a second, the bundled speaker 25."""
    settings = {"data.audio_dim": 32, "data.audio_encoder": "mel", "dim.outputs": "listener"}
    settings |= {"dim.causal": True, "vq.causal": True, "data.fps": 30.0}
    torch.manual_seed(0)
    listener = spread_out(DIM(with_overrides(preset("tiny", "finetune"), settings)))
    runs = {live.bundled.DEFAULT_SPEAKER: speaker, live.bundled.LIVE_LISTENER: listener}
    monkeypatch.setattr(checkpoint, "load_dim", lambda run, device: (None, runs[run.name]))


def test_a_listener_whom_the_speaker_does_not_fit_listens_until_a_voice_comes(other_rate, tmp_path):
    refused, told = [], []

    def give(now_s, face):
        face.hear(HALF[:320])
        if not refused:
            with pytest.raises(InputError, match="no speaker's weights") as error:
                face.say(HALF)
            refused.append(error)

    @contextmanager
    def websocket(port, heard, said):
        assert (heard, said) == (True, True)
        yield Source("ws", give)

    path = tmp_path / "face.npz"
    how = {"websocket": websocket, "told": told.append, "seconds": 0.4, "device": "cpu"}
    result = live.live("ws", ["file"], output=path, **how)
    assert result.frames == 10 and refused and path.is_file()
    assert any("no voice can be said: the listener makes steps of" in line for line in told)
    with pytest.raises(InputError, match="expected the same rate"):
        live.live("ws", ["file"], output=path, voice="ws", force=True, **how)


def test_a_voice_from_a_file_is_the_only_one(monkeypatch, short_speaker):
    opened = []

    @contextmanager
    def websocket(port, heard, said):
        opened.append((heard, said))
        yield Source("ws", lambda now_s, face: None)

    for source, voice in (("ws", str(short_speaker)), ("ws", "ws"), (str(short_speaker), "ws")):
        with live.ExitStack() as stack:
            live._given(stack, source, voice, 0, websocket)
    assert opened == [(True, False), (True, True), (False, True)]


def test_a_clip_for_a_file_alone_is_drawn_whole_on_a_computer_that_is_too_slow(
    short_speaker, examples, tmp_path, monkeypatch
):
    draw = live.Face.draw

    def slowly(face, values):
        time.sleep(0.1)
        return draw(face, values)

    monkeypatch.setattr(live.Face, "draw", slowly)
    how = {"size": 128, "seconds": 0.8, "device": "cpu"}
    path = tmp_path / "face.mp4"
    result = live.live(str(short_speaker), ["file"], examples / "listener.png", path, **how)
    assert (result.frames, result.undrawn) == (20, 0)
    with av.open(path) as video:
        assert sum(bool(packet.size) for packet in video.demux(video=0)) == 20
