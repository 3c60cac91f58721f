from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.data.corpora.l2l import l2l
from dimcli.data.corpora.preparing import prepare
from dimcli.data.store import ClipStore
from tests import corpora


def test_windows_are_put_in_our_order_with_their_own_mel_bands(tmp_path: Path) -> None:
    corpora.l2l(tmp_path / "trevor")
    prepared = prepare(l2l(tmp_path / "trevor"), tmp_path / "data")
    assert prepared.clips == {"train": 6, "val": 2, "test": 8}
    store = ClipStore(tmp_path / "data")
    info = store.info
    assert (info.fps, info.space, info.audio_encoder, info.audio_dim) == (
        30,
        "flame",
        "l2l-mel",
        512,
    )
    for index, record in enumerate(store.clips("test")):
        clip = store.load(record)
        np.testing.assert_array_equal(clip.listener.values, corpora.moving(64, seed=1 + 10 * index))
        np.testing.assert_array_equal(clip.speaker.values, corpora.moving(64, seed=2 + 10 * index))
        wanted = 1 + corpora.heard(256, 120.0, 128, 0.0).reshape(64, 512)
        np.testing.assert_array_equal(clip.speaker_audio, wanted)
    videos = {split: {r.speaker for r in store.clips(split)} for split in ("train", "val")}
    assert not videos["train"] & videos["val"]


def test_at_another_rate_the_bands_stay_in_time(tmp_path: Path) -> None:
    corpora.l2l(tmp_path / "trevor", windows=2)
    prepare(l2l(tmp_path / "trevor", fps=24.0), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    clip = store.load(store.clips("test")[0])
    rows = clip.speaker_audio.reshape(-1, 128)
    wanted = 1 + np.sin(np.arange(len(rows))[:, None] / 96.0 + np.arange(128))
    np.testing.assert_allclose(rows[2:-4], wanted[2:-4], atol=0.01)


def test_sound_that_is_no_power_is_not_called_what_a_clip_is_heard_by(tmp_path: Path) -> None:
    corpora.l2l(tmp_path / "trevor", windows=2)
    assert not l2l(tmp_path / "trevor").remarks
    for split in ("train", "test"):
        path = tmp_path / "trevor" / split / "p1_speak_audio_clean_deca.npy"
        np.save(path, 10 * np.log10(np.load(path) + 1e-3))
    corpus = l2l(tmp_path / "trevor")
    assert (corpus.encoder.name, corpus.encoder.dim) == ("l2l-other", 512)
    assert "no powers of mel bands" in corpus.remarks[0]


def test_one_long_window_and_the_other_side_are_read(tmp_path: Path) -> None:
    corpora.l2l(tmp_path / "fallon", windows=1, frames=100)
    for split in ("train", "test"):
        folder = tmp_path / "fallon" / split
        for path in sorted(folder.iterdir()):
            path.rename(folder / path.name.replace("p0", "pX").replace("p1", "p0"))
        for path in folder.glob("pX*"):
            path.rename(folder / path.name.replace("pX", "p1"))
    corpus = l2l(tmp_path / "fallon")
    assert corpus.settings["side"] == 1
    prepare(corpus, tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    clip = store.load(store.clips("test")[0])
    np.testing.assert_array_equal(clip.listener.values, corpora.moving(100, seed=1))
    with pytest.raises(InputError, match="--side 0"):
        l2l(tmp_path / "fallon", side=0)


def test_every_planted_fault_of_arrays_is_named_and_survived(tmp_path: Path) -> None:
    root = tmp_path / "trevor"
    corpora.l2l(root)
    path = root / "train" / "p0_list_faces_clean_deca.npy"
    faces = np.load(path)
    faces[2, 5, 7] = np.inf
    np.save(path, faces)
    bomb = np.empty(1, object)
    bomb[0] = corpora.Bomb(tmp_path / "boom")
    np.save(root / "test" / "p1_speak_faces_clean_deca.npy", bomb)
    prepared = prepare(l2l(root), tmp_path / "data")
    said = {skip.name: skip.reason for skip in prepared.skipped}
    assert "NaN or infinite values in 1 of 64 rows (first: row 5)" in said.pop("train-000002")
    assert said and all("refused" in reason for reason in said.values())
    assert prepared.clips["train"] + prepared.clips["val"] == 7
    assert not (tmp_path / "boom").exists()


def test_lengths_that_do_not_fit_are_named(tmp_path: Path) -> None:
    root = tmp_path / "trevor"
    corpora.l2l(root)
    path = root / "test" / "p1_speak_audio_clean_deca.npy"
    np.save(path, np.load(path)[:, :200])
    path = root / "train" / "p1_speak_faces_clean_deca.npy"
    np.save(path, np.load(path)[:5])
    prepared = prepare(l2l(root), tmp_path / "data")
    said = {skip.name: skip.reason for skip in prepared.skipped}
    assert any("audio has shape (200, 128); expected (256, 128)" in each for each in said.values())
    assert any("8 windows, the speaker's faces 5" in each for each in said.values())
    assert prepared.info is None
