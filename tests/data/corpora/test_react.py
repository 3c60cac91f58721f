from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.corpora.preparing import prepare
from dimcli.data.corpora.react import react
from dimcli.data.corpora.sources import MotionPlan
from dimcli.data.store import ClipStore
from tests import corpora

CLIPS = ["NoXI/065/x/1", "NoXI/065/x/2", "RECOLA/g1/x/1"]


def plan(folder: Path) -> MotionPlan:
    return MotionPlan.choose(None, None, folder)


def test_pairs_of_the_table_come_with_their_split_motion_and_sound(tmp_path: Path) -> None:
    corpora.react(tmp_path / "src", tmp_path / "motion", CLIPS)
    answer = tmp_path / "src" / "train" / "Audio_files" / "NoXI" / "065" / "novice" / "2.wav"
    corpora.tone(answer, 2.0, hertz=(180.0, 0.0))
    prepared = prepare(react(tmp_path / "src", motion=plan(tmp_path / "motion")), tmp_path / "data")
    assert prepared.clips == {"train": 3, "val": 0, "test": 0}
    store = ClipStore(tmp_path / "data")
    assert (store.info.fps, store.info.space, store.info.audio_encoder) == (25, "flame", "mel")
    for record in store.clips("train"):
        index = [f"train-{c.replace('/x/', '/novice/').replace('/', '-')}" for c in CLIPS].index(
            record.id
        )
        clip = store.load(record)
        for motion, seed in ((clip.speaker, 2 * index), (clip.listener, 2 * index + 1)):
            np.testing.assert_allclose(motion.values, corpora.moving(50, 25.0, seed), atol=1e-6)
        assert record.speaker.endswith("-expert") and record.listener.endswith("-novice")
        assert clip.speaker_audio.any()
        voice = store.listener_voice(record)
        assert voice is not None and voice.any() == (index == 1)


def test_the_matrix_says_whose_reactions_suit_a_speaker_too(tmp_path: Path) -> None:
    source, motion = tmp_path / "src", tmp_path / "motion"
    corpora.react(source, motion, CLIPS)
    suits = np.eye(6, dtype=np.int64)  # the three pairs, then with roles swapped
    suits[0, [2, 3, 4]] = 1
    np.save(source / "neighbour_emotion_train.npy", suits)
    prepare(react(source, motion=plan(motion)), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    names = [f"train-{c.replace('/x/', '/novice/').replace('/', '-')}" for c in CLIPS]
    by_id = {record.id: record for record in store.records}
    found = [(record.id, role) for record, role in store.appropriate(by_id[names[0]])]
    assert found == [(names[2], "listener"), (names[0], "speaker"), (names[1], "speaker")]
    assert store.appropriate(by_id[names[1]]) == []
    np.save(source / "neighbour_emotion_train.npy", suits[:5])
    with pytest.raises(InputError, match=r"has shape \(5, 6\); expected \(6, 6\) numbers"):
        react(source, motion=plan(motion))


def test_planted_faults_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    source, motion = tmp_path / "src", tmp_path / "motion"
    corpora.react(source, motion, CLIPS)
    (motion / "train-NoXI-065-novice-1.npz").unlink()
    (source / "train" / "Audio_files" / "NoXI" / "065" / "expert" / "2.wav").unlink()
    with (source / "train.csv").open("a") as file:
        file.write("9,../../etc/passwd,NoXI/065/novice/1\n")
    (source / "val").mkdir()
    prepared = prepare(react(source, motion=plan(motion)), tmp_path / "data")
    reasons = {skip.name: skip.reason for skip in prepared.skipped}
    assert reasons["train.csv: row 5"] == "a path leads out of the folder"
    assert "there is no val.csv" in reasons["val"]
    assert "no such motion file" in reasons["train-NoXI%2F065%2Fnovice%2F1"]
    assert any("2.wav: no such sound file" in reason for reason in reasons.values())
    assert prepared.clips["train"] == 1


def test_of_mars_the_partner_has_the_same_name_in_the_other_role(tmp_path: Path) -> None:
    source, motion = tmp_path / "src", tmp_path / "motion"
    motion.mkdir()
    for split, names in {"train": ("a", "b"), "test": ("c",)}.items():
        (source / split / "facial-attributes").mkdir(parents=True)
        for index, name in enumerate(names):
            for seed, role in enumerate(("speaker", "listener")):
                video = source / split / "face-video" / role / "session0" / f"Camera-{name}.mp4"
                video.parent.mkdir(parents=True, exist_ok=True)
                video.write_bytes(b"not looked at, as its motion is there")
                values = corpora.moving(30, 30.0, 2 * index + seed)
                known = Motion(values, fps=30.0, space="flame")
                known.save(motion / f"{split}-{role}-session0-Camera-{name}.npz")
    (source / "train" / "face-video" / "speaker" / "session0" / "Camera-b.mp4").unlink()
    prepared = prepare(react(source, motion=plan(motion)), tmp_path / "data")
    assert prepared.clips == {"train": 1, "val": 0, "test": 1}
    assert [skip.reason for skip in prepared.skipped] == ["its speaker has no video"]
    store = ClipStore(tmp_path / "data")
    (record,) = store.clips("train")
    assert store.appropriate(record) == []
    assert (record.speaker, record.listener) == ("speaker-session0", "listener-session0")
    assert ClipStore(tmp_path / "data").info.fps == 30


def test_of_mars_all_listeners_of_a_session_are_appropriate_and_nine_are_drawn(
    tmp_path: Path,
) -> None:
    source, motion = tmp_path / "src", tmp_path / "motion"
    motion.mkdir()
    (source / "val" / "facial-attributes").mkdir(parents=True)
    for index in range(15):
        session = f"session{index // 12}"
        for seed, role in enumerate(("speaker", "listener")):
            video = source / "val" / "video" / role / session / f"Camera-{index}.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            video.touch()
            values = corpora.moving(30, 30.0, 2 * index + seed)
            Motion(values, fps=30.0, space="flame").save(
                motion / f"val-{role}-{session}-Camera-{index}.npz"
            )
    prepare(react(source, motion=plan(motion)), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    for record in store.clips("val"):
        others = [other for other, role in store.appropriate(record) if role == "listener"]
        assert len(others) == (9 if record.listener.endswith("session0") else 2)
        assert record not in others and {o.listener for o in others} == {record.listener}


def test_what_is_neither_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no pair of videos of REACT"):
        react(tmp_path)
    (tmp_path / "train" / "facial-attributes").mkdir(parents=True)
    with pytest.raises(InputError, match="no kind of it holds videos"):
        react(tmp_path)
