from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.data.corpora.dualtalk import dualtalk
from dimcli.data.corpora.preparing import prepare
from dimcli.data.store import ClipStore
from tests import corpora

PAIRS = ["abc_sub_video_0", "abc_sub_video_1_2", "x_y_sub_video_3"]


def test_each_pair_is_two_conversations_in_which_each_listens_once(tmp_path: Path) -> None:
    corpora.dualtalk(tmp_path / "src", PAIRS)
    prepared = prepare(dualtalk(tmp_path / "src"), tmp_path / "data")
    assert prepared.clips == {"train": 0, "val": 0, "test": 6} and not prepared.skipped
    store = ClipStore(tmp_path / "data")
    info = store.info
    assert (info.fps, info.space, info.audio_encoder) == (25, "flame", "mel")
    by_id = {record.id: store.load(record) for record in store.clips("test")}
    for index, pair in enumerate(PAIRS):
        for speaker in (1, 2):
            clip = by_id[f"test-{pair}-{speaker}"]
            want = [corpora.moving(50, 25.0, seed=10 * index + p) for p in (speaker, 3 - speaker)]
            np.testing.assert_allclose(clip.speaker.values, want[0], atol=1e-6)
            np.testing.assert_allclose(clip.listener.values, want[1], atol=1e-6)
            video = pair.split("_sub_video_")[0]
            assert clip.record.speaker == f"{video}-{speaker}"
    voices = [by_id[f"test-{PAIRS[0]}-{speaker}"].speaker_audio for speaker in (1, 2)]
    assert voices[0].any() and not np.allclose(*voices)


def test_the_listeners_voice_is_known_where_their_sound_is_there(tmp_path: Path) -> None:
    corpora.dualtalk(tmp_path / "src", PAIRS[:2])
    talks, silent = (tmp_path / "src" / "test" / f"{pair}_speaker1.wav" for pair in PAIRS[:2])
    corpora.tone(talks, 2.0, hertz=(180.0, 0.0))  # in the first and the third half second
    silent.unlink()
    prepare(dualtalk(tmp_path / "src"), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    records = {record.id: record for record in store.clips("test")}
    voice = store.listener_voice(records[f"test-{PAIRS[0]}-2"])
    assert voice is not None
    assert voice[1:12].all() and voice[26:37].all()
    assert not voice[15:24].any() and not voice[40:].any()
    assert store.listener_voice(records[f"test-{PAIRS[1]}-2"]) is None


def test_val_is_taken_from_train_by_video_and_ood_only_where_asked(tmp_path: Path) -> None:
    names = [f"v{video}_sub_video_{part}" for video in range(8) for part in range(2)]
    corpora.dualtalk(tmp_path / "src", names, "train", frames=10)
    corpora.dualtalk(tmp_path / "src", ["o_sub_video_0"], "ood", frames=10)
    corpus = dualtalk(tmp_path / "src", audio="none")
    assert any("left out the folder ood" in remark for remark in corpus.remarks)
    splits: dict[str, set[str]] = {}
    for job in corpus.jobs:
        splits.setdefault(job.split, set()).add(job.conversation.split("_sub")[0])
    assert splits["val"] and not splits["val"] & splits["train"] and len(corpus.jobs) == 32
    with_ood = dualtalk(tmp_path / "src", audio="none", split_names={"ood": "test"})
    assert sum(job.split == "test" for job in with_ood.jobs) == 2


def test_planted_faults_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    names = [f"v_sub_video_{number}" for number in range(8)]
    source = tmp_path / "src"
    corpora.dualtalk(source, names)
    at = source / "test"
    values = corpora.moving(50, 25.0)
    faults = {
        0: ("lacks pose", {"exp": values[:, 6:]}),
        1: ("exp has shape (50, 49)", {"exp": values[:, 7:], "pose": values[:, :6]}),
        2: ("expected the same", {"exp": values[:40, 6:], "pose": values[:, :6]}),
        3: ("NaN or infinite", {"exp": values[:, 6:], "pose": values[:, :6] * np.nan}),
        4: ("lengths differ", {"exp": values[:20, 6:], "pose": values[:20, :6]}),
    }
    for number, (_, arrays) in faults.items():
        np.savez(at / f"{names[number]}_speaker1.npz", **arrays)
    (at / f"{names[5]}_speaker1.npz").write_bytes(b"PK nothing")
    (at / f"{names[6]}_speaker2.npz").unlink()
    prepared = prepare(dualtalk(source), tmp_path / "data")
    assert prepared.clips["test"] == 2
    reasons = {skip.name: skip.reason for skip in prepared.skipped}
    for number, (said, _) in faults.items():
        both = [reasons[f"test-{names[number]}-{speaker}"] for speaker in (1, 2)]
        assert all(said in reason for reason in both)
    assert "not a DualTalk file" in reasons[f"test-{names[5]}-1"]
    assert f"has no {names[6]}_speaker2.npz" in reasons[f"test-{names[6]}"]


def test_an_empty_folder_and_one_of_something_else_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no folder 'train', 'test' or 'ood'"):
        dualtalk(tmp_path)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.npz").write_bytes(b"x")
    with pytest.raises(InputError, match="no pair of"):
        dualtalk(tmp_path)
