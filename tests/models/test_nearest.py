from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dimcli.core.config import with_overrides
from dimcli.core.tensors import stream_tensors
from dimcli.data.store import ClipStore, data_config
from dimcli.models.nearest import Nearest
from dimcli.models.registry import method
from tests.stores import make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return make_store(tmp_path_factory.mktemp("made") / "data", frames=62)


def fit(store: ClipStore, by: str, **settings: object) -> Nearest:
    config = with_overrides(method(f"nearest-{by}").preset("paper"), settings)
    return Nearest.fit(store, replace(config, data=data_config(store)))


@pytest.mark.parametrize("by", ["audio", "motion"])
def test_a_speaker_of_the_training_data_gets_their_own_listener(store: ClipStore, by: str) -> None:
    model = fit(store, by, **{"nearest.segment_s": 0.8})
    for record in store.clips("train"):
        clip = store.load(record)
        audio, speaker = torch.from_numpy(clip.speaker_audio), torch.from_numpy(clip.speaker.values)
        mute = torch.zeros_like(audio) if by == "motion" else audio
        still = torch.zeros_like(speaker) if by == "audio" else speaker
        answer = model.respond(still[:60], mute[:60])
        np.testing.assert_allclose(answer, clip.listener.values[:60], atol=1e-3)


@pytest.mark.parametrize("by", ["audio", "motion"])
def test_the_nearest_stretch_is_what_a_plain_search_finds(store: ClipStore, by: str) -> None:
    model = fit(store, by, **{"nearest.segment_s": 0.64, "nearest.fade_s": 0.0})
    clip = store.load(store.clips("test")[0], 0, 16)
    answer = model.respond(
        torch.from_numpy(clip.speaker.values), torch.from_numpy(clip.speaker_audio)
    )

    def described(values: np.ndarray, audio: np.ndarray) -> np.ndarray:
        chosen = audio if by == "audio" else values
        means = chosen[: len(chosen) // 4 * 4].reshape(-1, 4, chosen.shape[1]).mean(axis=1)
        return (means - model.mean.numpy()) / model.std.numpy()

    wanted = described(clip.speaker.values, clip.speaker_audio)
    best: tuple[float, np.ndarray] = (np.inf, np.zeros(0))
    for record in store.clips("train"):
        other = store.load(record)
        steps = described(other.speaker.values, other.speaker_audio)
        for start in range(len(steps) - 3):  # never past the end of its clip
            distance = float(((steps[start : start + 4] - wanted) ** 2).sum())
            if distance < best[0]:
                best = (distance, other.listener.values[4 * start : 4 * start + 16])
    np.testing.assert_allclose(answer, best[1], atol=1e-3)


@pytest.mark.parametrize("by", ["audio", "motion"])
def test_a_search_in_blocks_finds_what_a_search_of_all_does(
    store: ClipStore, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = store.load(store.clips("test")[0])
    inputs = torch.from_numpy(clip.speaker.values), torch.from_numpy(clip.speaker_audio)
    whole = fit(store, by, **{"nearest.segment_s": 0.64})
    answer = whole.respond(*inputs)
    monkeypatch.setattr("dimcli.models.nearest._BLOCK", 7)
    model = fit(store, by, **{"nearest.segment_s": 0.64})
    torch.testing.assert_close(model.std, whole.std)
    assert torch.equal(model.respond(*inputs), answer)
    stream_tensors(model.state_dict(), tmp_path / "model.safetensors")
    kept = Nearest.load(model.config, tmp_path / "model.safetensors")
    assert torch.equal(kept.respond(*inputs), answer)


def test_speakers_longer_than_any_training_clip_are_answered_whole(store: ClipStore) -> None:
    model = fit(store, "motion", **{"nearest.segment_s": 10.0})
    speaker = torch.from_numpy(np.tile(store.load(store.clips("test")[0]).speaker.values, (9, 1)))
    answer = model.respond(speaker, torch.zeros(len(speaker), 5))
    assert answer.shape == speaker.shape
    assert bool(torch.isfinite(answer).all())


def test_what_a_run_keeps_gives_the_same_answers(store: ClipStore) -> None:
    model = fit(store, "audio")
    again = Nearest(model.config, dict(model.state_dict()))
    clip = store.load(store.clips("test")[0])
    inputs = torch.from_numpy(clip.speaker.values), torch.from_numpy(clip.speaker_audio)
    assert torch.equal(model.respond(*inputs), again.respond(*inputs))
