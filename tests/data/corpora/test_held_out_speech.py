"""The takes that are shipped to score speakers on: what they are, and what ``dim eval`` makes of
them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import weights
from dimcli.audio import SAMPLE_RATE
from dimcli.cli.app import app
from dimcli.data.corpora.held_out import FITTED, SPEECH, VOICE_KINDS, held_out_speech
from dimcli.data.store import ClipStore
from dimcli.data.synthetic.phones import Phone, read_textgrid
from dimcli.data.synthetic.spoken import closures_of
from dimcli.evaluation.lips import closure_hits, lip_opening
from dimcli.media import read_audio
from examples.recipes.build_held_out_speech import LENGTH_S, TRAINED, VOICES, taken_names
from examples.recipes.build_speech import HELD_OUT, build, espeak_name

pytestmark = pytest.mark.slow

FOLDER = weights.path(SPEECH)
TAKES = sorted(FOLDER.glob("*.ogg"))
STEP_S = 0.005


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def store(home: Path) -> ClipStore:
    return held_out_speech(folder=home / "faces")


def loudness(sound: np.ndarray) -> np.ndarray:
    """Level every STEP_S, dB."""
    hop = round(STEP_S * SAMPLE_RATE)
    power = np.square(sound[: len(sound) // hop * hop].reshape(-1, hop)).mean(axis=1)
    return 10 * np.log10(power + 1e-7)


def spoken_at(phones: list[Phone], steps: int, shift: int = 0) -> np.ndarray:
    """Whether somebody speaks, every STEP_S; ``shift`` steps late."""
    mask = np.zeros(steps, bool)
    for phone in phones:
        if phone.symbol:
            mask[round(phone.start / STEP_S) : round(phone.end / STEP_S)] = True
    return np.roll(mask, shift)


def test_the_set_is_small_and_no_voice_of_it_is_one_to_train_on() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_000_000
    assert len(TAKES) == 2 * VOICES
    taken = taken_names(TRAINED)
    for path in TAKES:
        kind, voice = path.stem.split("-")
        assert int(voice) >= HELD_OUT
        assert kind in ("natural", "espeak")
        if kind == "espeak":
            assert espeak_name(np.random.default_rng([1, int(voice)])) not in taken


def test_training_speech_ends_before_the_held_out_voices(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="voice 9000 is held out"):
        build("espeak", tmp_path, 1.0, (HELD_OUT, 10_000), tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_take_is_as_long_as_its_textgrid_and_speaks_where_that_says() -> None:
    shifts = range(-12, 13)
    agreement = np.zeros(len(shifts))
    for path in TAKES:
        phones = read_textgrid(path.with_suffix(".TextGrid"))
        sound = read_audio(path, SAMPLE_RATE)
        seconds, level = len(sound) / SAMPLE_RATE, loudness(sound)
        assert phones[-1].end == pytest.approx(seconds, abs=2e-4)
        assert LENGTH_S[0] <= seconds <= LENGTH_S[1]
        said = spoken_at(phones, len(level))
        assert level[said].mean() - level[~said].mean() > 25
        agreement += [
            np.corrcoef(level, spoken_at(phones, len(level), shift))[0, 1] for shift in shifts
        ]
    # words fade in and out within 30 ms; one frame is 40
    assert abs(shifts[int(agreement.argmax())] * STEP_S) <= 0.015


def test_all_but_the_fitted_voices_are_the_test_and_lips_close_where_it_says(
    store: ClipStore,
) -> None:
    voices = {split: {clip.speaker for clip in store.clips(split)} for split in ("train", "test")}
    assert voices["train"] == set(FITTED)
    assert len(voices["test"]) == len(TAKES) - len(FITTED)
    assert store.info.made_by["kinds"] == VOICE_KINDS
    closures = 0
    for record in store.clips("test"):
        shut = closures_of(store, record)
        opening = lip_opening(store.load(record).speaker)
        assert closure_hits(opening, shut, store.info.fps) == 1.0
        closures += len(shut)
    assert closures > 100


def test_the_faces_are_made_once(store: ClipStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dimcli.data.corpora.held_out.prepare", None)
    assert held_out_speech(folder=store.root).records == store.records


def test_dim_eval_scores_speakers_without_any_data_of_the_users(
    store: ClipStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dimcli.jobs.evaluate.held_out_speech", lambda **_: store)
    command = ["eval", "--dataset", "synthetic", "--task", "speaker", "--bootstrap", "0"]
    done = CliRunner().invoke(app, [*command, "--baseline", "loudness", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["clips"] == len(TAKES) - len(FITTED)
    (method,) = found["methods"]
    loud = method["figures"]
    assert set(loud) == {"open head", "lips", *(f"lips, {kind}" for kind in VOICE_KINDS)}
    assert loud["open head"]["lve"]["value"] > 0
    kinds = [loud[f"lips, {kind}"]["lip_correlation"]["value"] for kind in VOICE_KINDS]
    assert min(kinds) <= loud["lips"]["lip_correlation"]["value"] <= max(kinds)
