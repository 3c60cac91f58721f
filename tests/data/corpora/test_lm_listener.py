from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dimcli.core.errors import InputError
from dimcli.data.corpora.lm_listener import lm_listener
from dimcli.data.corpora.preparing import prepare
from dimcli.data.store import ClipStore
from tests import corpora


def test_segments_come_with_the_corpus_splits_and_p0_listens(tmp_path: Path) -> None:
    root = tmp_path / "trevor"
    corpora.lm_listener(root)
    prepared = prepare(lm_listener(root), tmp_path / "data")
    assert prepared.clips == {"train": 4, "val": 2, "test": 2}
    assert prepared.conversations == {"train": 2, "val": 1, "test": 1}
    store = ClipStore(tmp_path / "data")
    info = store.info
    assert (info.fps, info.space, info.audio_encoder, info.audio_dim) == (30, "flame", "none", 1)
    assert any("no sound" in remark for remark in prepared.remarks)
    for index, record in enumerate(store.clips("train")):
        clip = store.load(record)
        np.testing.assert_array_equal(clip.listener.values, corpora.moving(40, seed=10 * index))
        np.testing.assert_array_equal(clip.speaker.values, corpora.moving(40, seed=10 * index + 1))
        assert not clip.speaker_audio.any()
        assert (record.listener, record.speaker) == ("trevor", f"guest_{index // 2}.mp4")


def test_features_in_the_segments_are_taken_and_stay_in_time(tmp_path: Path) -> None:
    root = tmp_path / "trevor"
    root.mkdir()
    segments = [corpora.lm_segment(0, 60) | {"hubert_feat": corpora.heard(100)}]
    torch.save(segments, root / "segments_train.pth")
    prepare(lm_listener(root), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    assert (store.info.audio_encoder, store.info.audio_dim) == ("hubert", 768)
    clip = store.load(store.records[0])
    wanted = np.sin(np.arange(60)[2:-2, None] / 30 + np.arange(768))
    np.testing.assert_allclose(clip.speaker_audio[2:-2], wanted, atol=0.01)


def test_a_folder_of_sounds_is_cut_at_the_segments_times(tmp_path: Path) -> None:
    root = tmp_path / "trevor"
    root.mkdir()
    # half a second of buzzing and half a second of silence in turn
    corpora.tone(tmp_path / "sounds" / "guest_a.wav", 6.0, hertz=(180.0, 0.0))
    segments = [corpora.lm_segment(index, 30) for index in (1, 2)]
    segments[1]["split_start_frame"] = 75
    torch.save(segments, root / "segments_train.pth")
    corpus = lm_listener(root, sounds=tmp_path / "sounds")
    prepare(corpus, tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    assert store.info.audio_encoder == "mel"
    loud = [store.load(record).speaker_audio[:, 29] > 0.5 for record in store.records]
    # at 1.0 s the buzz begins, at 2.5 s the silence
    assert loud[0][2:13].all() and not loud[0][18:28].any()
    assert not loud[1][3:13].any() and loud[1][18:28].all()


def test_every_planted_fault_of_segments_is_named_and_survived(tmp_path: Path) -> None:
    root = tmp_path / "trevor"
    corpora.lm_listener(root, sizes=(8, 2, 2))
    segments = [corpora.lm_segment(index) for index in range(8)]
    segments[0]["p1_exp"] = segments[0]["p1_exp"][:30]
    segments[1] |= {key: segments[1][key][:20] for key in ("p0_exp", "p0_pose")}
    segments[2]["p0_pose"][3, 2] = np.nan
    del segments[3]["p1_pose"]
    segments[4] = corpora.lm_segment(4, 12)
    segments[5]["p0_exp"] = np.zeros((40, 53), np.float32)
    torch.save(segments, root / "segments_train.pth")
    torch.save([corpora.Bomb(tmp_path / "boom")], root / "segments_val.pth")
    prepared = prepare(lm_listener(root), tmp_path / "data")
    said = {skip.name: skip.reason for skip in prepared.skipped}
    for index, words in enumerate(
        (
            "p1_pose has 40 frames, p1_exp 30", "20 frames of the listener", "NaN",
            "lacks p1_pose", "12 frames; expected at least 24", "shape (40, 53)",
        )
    ):  # fmt: skip
        assert words in said.pop(f"segments_train[{index}]"), index
    assert "refused" in said.pop("segments_val.pth")
    assert not said
    assert prepared.clips == {"train": 2, "val": 0, "test": 2}
    assert not (tmp_path / "boom").exists()


def test_the_folder_above_names_the_listeners(tmp_path: Path) -> None:
    corpora.lm_listener(tmp_path / "dataset" / "trevor")
    with pytest.raises(InputError, match=r"segments_train\.pth.*one of its folders trevor"):
        lm_listener(tmp_path / "dataset")
