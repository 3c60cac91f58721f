from pathlib import Path

import numpy as np
import pytest
import torch

from dimcli.data.clip import ATTITUDES, ClipRecord
from dimcli.data.store import ClipStore
from dimcli.data.windows import WindowSampler, rest, statistics
from dimcli.data.writer import StoreWriter
from tests.stores import FPS, make_store, smooth


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return make_store(tmp_path_factory.mktemp("data") / "made")


def sampler(
    store: ClipStore, frames: int = 32, seed: int = 0, centre: bool = False
) -> WindowSampler:
    return WindowSampler(
        store, "train", frames=frames, batch_size=4, stride=4, centre_speaker=centre, seed=seed
    )


def test_a_batch_is_the_same_whenever_it_is_drawn(store: ClipStore) -> None:
    first, again = sampler(store), sampler(store)
    again.batch(0)
    for name in ("audio", "mask", "attitude"):
        assert torch.equal(getattr(first.batch(5), name), getattr(again.batch(5), name))
    assert not torch.equal(first.batch(5).audio, first.batch(6).audio)
    assert not torch.equal(first.batch(5).audio, sampler(store, seed=1).batch(5).audio)


def test_windows_are_cut_from_one_place_of_both_roles_and_the_audio(store: ClipStore) -> None:
    batch = sampler(store).batch(0)
    clips = [store.load(record) for record in store.clips("train")]
    for row in range(4):
        places = [
            (clip, start)
            for clip in clips
            for start in range(len(clip) - 31)
            if np.array_equal(clip.speaker_audio[start : start + 32], batch.audio[row].numpy())
        ]
        assert len(places) == 1
        clip, start = places[0]
        for role, motion in batch.motion.items():
            wanted = clip.motion(role).values[start : start + 32]
            assert np.array_equal(motion[row].numpy(), wanted)
        assert ATTITUDES[int(batch.attitude[row])] == clip.attitude


def test_batches_of_like_lengths_hold_whole_clips_and_little_else(tmp_path: Path) -> None:
    lengths = [20 + 7 * index for index in range(24)]
    writer = StoreWriter(
        tmp_path / "data", name="made", fps=FPS, space="arkit", encoder="mel", audio_dim=5
    )
    records = []
    for index, length in enumerate(lengths):
        values = np.full((length, 56), index / 100, np.float32)
        audio = np.full((length, 5), index, np.float32)
        writer.add(f"c{index}", speaker=values, listener=values, audio=audio, notes={})
        records.append(ClipRecord(f"c{index}", f"c{index}", 0, length, "train", "a", "b"))
    writer.finish(records, {"prepare": "test"})
    drawn = WindowSampler(
        ClipStore(tmp_path / "data"), "train", frames=160, batch_size=2, stride=4,
        centre_speaker=False, seed=0, bucketing=True,
    )  # fmt: skip
    times = np.zeros(len(lengths))
    for index in range(400):
        batch = drawn.batch(index)
        clips = batch.audio[:, 0, 0].int().tolist()
        frames = [min(lengths[clip], 160) for clip in clips]
        assert batch.mask.sum(dim=1).tolist() == [count // 4 * 4 for count in frames]
        assert batch.audio.shape[1] == min(-(-max(frames) // 4) * 4, 160)
        assert max(clips) - min(clips) < 8
        times[clips] += 1
    assert times.min() > 10 and times.max() < 60


def test_clips_shorter_than_a_window_are_padded_and_the_mask_says_so(store: ClipStore) -> None:
    batch = sampler(store, frames=100).batch(0)
    assert batch.audio.shape == (4, 100, 5)
    assert batch.mask.sum(dim=1).tolist() == [60] * 4
    assert torch.equal(batch.motion["speaker"][:, 59], batch.motion["speaker"][:, 99])


def test_centring_takes_the_clips_own_rest_off_the_speaker_only(store: ClipStore) -> None:
    plain, centred = sampler(store).batch(2), sampler(store, centre=True).batch(2)
    rests = [rest(store.load(record).speaker.values) for record in store.clips("train")]
    for row in range(4):
        taken = (plain.motion["speaker"] - centred.motion["speaker"])[row, 0].numpy()
        assert any(np.allclose(taken, each, atol=1e-6) for each in rests)
    assert torch.equal(plain.motion["listener"], centred.motion["listener"])


def test_statistics_are_those_of_the_windows(store: ClipStore) -> None:
    windows = sampler(store)
    found = statistics(windows, batches=3)
    rows = torch.cat([windows.batch(i).motion["listener"].flatten(0, 1) for i in range(3)])
    assert torch.allclose(found.mean["listener"], rows.mean(dim=0), atol=1e-5)
    assert torch.allclose(found.std["listener"], rows.std(dim=0, unbiased=False), atol=1e-4)


def test_clips_are_drawn_in_proportion_to_their_lengths_as_numpy_draws_them(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(0)
    writer = StoreWriter(
        tmp_path / "data", name="made", fps=FPS, space="arkit", encoder="mel", audio_dim=1
    )
    lengths = (8, 40, 16, 120)
    records = []
    for index, frames in enumerate(lengths):
        motion = smooth(random, frames, 56)
        # the sound says which clip it is
        sound = np.full((frames, 1), index, np.float32)
        writer.add(f"c{index}", speaker=motion, listener=motion, audio=sound, notes={})
        records.append(ClipRecord(f"c{index}", f"c{index}", 0, frames, "train", "a", "b"))
    writer.finish(records, {})
    windows = sampler(ClipStore(tmp_path / "data"), frames=8)
    shares = np.array(lengths) / sum(lengths)
    for index in range(20):
        wanted = np.random.default_rng([0, index]).choice(4, 4, p=shares)
        assert windows.batch(index).audio[:, 0, 0].tolist() == wanted.tolist()
