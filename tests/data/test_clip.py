from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.clip import Stimulus
from tests.stores import make_store


def test_a_stimulus_holds_everything_of_a_clip_but_its_listener(tmp_path: Path) -> None:
    store = make_store(tmp_path / "data")
    clip = store.load(store.clips("test")[0], 10, 50)
    stimulus = clip.stimulus()
    assert stimulus.speaker is clip.speaker
    assert stimulus.audio is clip.speaker_audio
    assert (stimulus.id, stimulus.first_frame, len(stimulus)) == ("made-5", 10, 40)
    assert stimulus.attitude == clip.record.attitude == "positive"
    motions = [field.name for field in fields(Stimulus) if "Motion" in str(field.type)]
    assert motions == ["speaker"]
    for field in fields(Stimulus):
        assert getattr(stimulus, field.name) is not clip.listener


def test_who_generates_a_speaker_sees_no_motion(tmp_path: Path) -> None:
    store = make_store(tmp_path / "data")
    stimulus = store.load(store.clips("test")[0]).stimulus("speaker")
    assert stimulus.speaker is None
    with pytest.raises(InputError, match="made-5: has no motion"):
        _ = stimulus.seen


def test_the_same_stimulus_comes_from_any_listener(tmp_path: Path) -> None:
    store = make_store(tmp_path / "data")
    clip = store.load(store.clips("test")[0])
    other = replace(clip, listener=Motion(np.zeros((60, 56)), fps=25.0, space="arkit"))
    assert clip.stimulus() == other.stimulus()


def test_an_answer_has_the_rate_and_space_of_its_stimulus(tmp_path: Path) -> None:
    store = make_store(tmp_path / "data")
    stimulus = store.load(store.clips("test")[0]).stimulus()
    answer = stimulus.motion(np.zeros((60, 56), np.float32))
    assert (answer.fps, answer.space, len(answer)) == (25.0, "arkit", 60)
    with pytest.raises(InputError, match="56"):
        stimulus.motion(np.zeros((60, 55), np.float32))


def test_features_that_are_called_mel_and_are_not_say_nothing_of_speech(tmp_path: Path) -> None:
    for dim, says in ((5, False), (32, True)):
        store = make_store(tmp_path / str(dim), audio_dim=dim)
        assert (store.load(store.records[0]).activity is not None) is says
