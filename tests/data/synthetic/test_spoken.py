"""``dim prepare speech``: sounds with TextGrids to a data set of talking faces."""

from __future__ import annotations

import json
import os
import wave
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dimcli.cli.app import app
from dimcli.core.errors import InputError
from dimcli.core.motion import JAW
from dimcli.data.corpora.preparing import prepare
from dimcli.data.store import ClipStore
from dimcli.data.synthetic.phones import Phone
from dimcli.data.synthetic.sound_changes import RATE, Changes, changed, rest_sound, stretched
from dimcli.data.synthetic.speech import Syllables, Voice, synthesise
from dimcli.data.synthetic.spoken import SpokenOptions, closures_of, spoken
from dimcli.evaluation.lips import closure_hits, lip_opening
from examples.recipes.textgrid import write_textgrid
from tests import corpora

SECONDS = 3.0
VOWELS = "ɑɛiɔuɜæo"


def say(path: Path, seed: int) -> None:
    """A sound of syllables, every third with a closed onset, and the TextGrid beside it."""
    random = np.random.default_rng(seed)
    start = (0.3 + 0.25 * np.arange(9)).astype(np.float32)
    vowel = random.integers(0, 8, 9)
    closed = np.arange(9) % 3 == 0
    syllables = Syllables(
        start=start,
        end=start + np.float32(0.24),
        vowel=vowel,
        consonant=np.where(closed, 0, 1),
        stress=random.uniform(0, 1, 9).astype(np.float32),
        pitch=np.full(9, 4, np.float32),
        lips_close=closed,
    )
    voice = Voice.draw(random)
    breaths, laughs = np.zeros(0, np.float32), np.zeros((0, 3), np.float32)
    sound = synthesise(syllables, voice, breaths, laughs, SECONDS, random)
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    phones = []
    for at, letter, shut in zip(start.tolist(), vowel, closed, strict=True):
        phones += [Phone("b" if shut else "s", at, at + 0.08)]
        phones += [Phone(VOWELS[letter], at + 0.08, at + 0.24)]
    write_textgrid(path.with_suffix(".TextGrid"), phones, SECONDS)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("speech")
    for voice in range(4):
        for take in range(2):
            say(root / f"voice{voice}" / f"take{take}.wav", seed=10 * voice + take)
    return root


@pytest.fixture(scope="module")
def data(speech: Path) -> ClipStore:
    out = speech.parent / "made"
    options = ["--versions", "2", "--rest-share", "0.2", "--versions-of", "voice1=3"]
    done = CliRunner().invoke(app, ["prepare", "speech", str(speech), "-o", str(out), *options])
    assert done.exit_code == 0, done.output
    return ClipStore(out)


@pytest.mark.slow
def test_every_version_of_every_file_becomes_a_clip_with_a_style(data: ClipStore) -> None:
    talking = [record for record in data.records if record.speaker != "nobody"]
    assert len(talking) == 3 * 2 * 2 + 2 * 3
    assert {record.speaker for record in talking} == {f"voice{index}" for index in range(4)}
    assert len({record.style for record in talking}) > 2
    assert data.info.audio_encoder == "mel4"
    assert len(data.records) - len(talking) == 4


def test_a_voice_is_in_one_split_only_and_every_split_has_one(data: ClipStore) -> None:
    voices = {
        split: {clip.speaker for clip in data.clips(split)} - {"nobody"}
        for split in ("train", "val", "test")
    }
    assert all(voices.values())
    assert sum(map(len, voices.values())) == 4


def test_lips_meet_where_the_data_set_says_they_close(data: ClipStore) -> None:
    for record in data.records:
        shut = closures_of(data, record)
        clip = data.load(record)
        opening = lip_opening(clip.speaker)
        if record.speaker == "nobody":
            assert len(shut) == 0
            assert opening.mean() < 0.02
        else:
            assert len(shut) == 3
            assert closure_hits(opening, shut, data.info.fps) == 1.0
            assert opening.std() > 0.005


def test_a_face_without_speech_lives_but_does_not_talk(data: ClipStore) -> None:
    record = next(record for record in data.records if record.speaker == "nobody")
    values = data.load(record).speaker.values
    assert values[:, JAW.start].max() == 0.0
    assert values[:, :3].std(axis=0).min() > 0.001
    assert values[:, 6:].std(axis=0).max() > 0.05


def test_mouths_move_at_the_time_of_the_changed_sound(speech: Path, tmp_path: Path) -> None:
    job = spoken(speech, SpokenOptions(rest_share=0)).jobs[0]
    made, again = job.make(), job.make()
    np.testing.assert_array_equal(made.speaker, again.speaker)
    np.testing.assert_array_equal(made.audio, again.audio)
    shut = np.array(json.loads(made.facts["closures"]))
    scale = len(made.audio) / 25.0 / SECONDS
    np.testing.assert_allclose(shut[:, 0], (0.3 + 0.75 * np.arange(3)) * scale, atol=0.03)


def test_the_same_folder_prepared_twice_gives_the_same_bytes(speech: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        arguments = ["prepare", "speech", str(speech), "-o", str(tmp_path / name), "--no-change"]
        assert CliRunner().invoke(app, arguments).exit_code == 0
    one, two = (corpora.contents(tmp_path / name) for name in ("one", "two"))
    assert one == two


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(speech: Path, tmp_path: Path) -> None:
    root = tmp_path / "mixed"
    say(root / "a" / "good.wav", 1)
    say(root / "b" / "alone.wav", 2)
    (root / "b" / "alone.TextGrid").unlink()
    say(root / "b" / "broken.wav", 3)
    (root / "b" / "broken.TextGrid").write_text("no")
    say(root / "b" / "short.wav", 4)
    write_textgrid(root / "b" / "short.TextGrid", [Phone("s", 0.0, 1.0)], 1.0)
    say(root / "b" / "odd.wav", 5)
    write_textgrid(root / "b" / "odd.TextGrid", [Phone("§§", 0.0, 1.0)], SECONDS)
    arguments = ["prepare", "speech", str(root), "-o", str(tmp_path / "out"), "--rest-share", "0"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    for reason in (
        "no alone.TextGrid beside it",
        "not a TextGrid",
        "lengths differ: sound 3.00 s, TextGrid 1.00 s",
        "phone '§§' is unknown",
    ):
        assert reason in done.output
    assert len(ClipStore(tmp_path / "out").records) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere"], "no such folder"),
        (["empty"], "has no sound"),
        (["sounds"], "has 1 sounds but no TextGrid"),
        (["sounds", "--versions-of", "x"], "expected VOICES=N"),
        (["sounds", "--versions-of", "x=" + "9" * 5000], "expected VOICES=N"),
    ],
)
def test_a_source_that_gives_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    say(Path("sounds") / "a.wav", 0)
    Path("sounds/a.TextGrid").unlink()
    done = CliRunner().invoke(app, ["prepare", "speech", *arguments, "-o", "out"])
    assert isinstance(done.exception, InputError)
    assert complaint in str(done.exception)
    assert not Path("out").exists()


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_stretching_moves_events_and_keeps_the_pitch(factor: float) -> None:
    time = np.arange(2 * RATE) / RATE
    sound = (0.3 * np.sin(2 * np.pi * 200 * time) * (time > 1.0)).astype(np.float32)
    longer = stretched(sound, factor)
    assert len(longer) == round(len(sound) * factor)
    begins = np.flatnonzero(np.abs(longer) > 0.1)[0] / RATE
    assert begins == pytest.approx(factor, abs=0.02)
    inside = longer[int(1.2 * factor * RATE) : int(1.8 * factor * RATE)]
    spectrum = np.abs(np.fft.rfft(inside * np.hanning(len(inside))))
    assert spectrum.argmax() * RATE / len(inside) == pytest.approx(200, abs=3)


def test_changes_keep_time_and_stay_in_range_whatever_is_drawn() -> None:
    random = np.random.default_rng(3)
    sound = np.zeros(2 * RATE, np.float32)
    sound[RATE : RATE + 3200] = 0.5 * random.standard_normal(3200)
    for _ in range(20):
        changes = Changes.draw(random)
        out = changed(sound, changes, random)
        assert len(out) == round(len(sound) * changes.time_scale)
        assert np.isfinite(out).all()
        assert np.abs(out).max() <= 1.0
        loud = np.convolve(np.square(out), np.full(800, 1 / 800), mode="same").argmax() / RATE
        assert loud == pytest.approx(1.1 * changes.time_scale, abs=0.12)


def test_sounds_of_nobody_are_finite_and_of_several_kinds() -> None:
    sounds = [rest_sound(np.random.default_rng(seed), 2.0) for seed in range(12)]
    assert all(len(sound) == 2 * RATE and np.isfinite(sound).all() for sound in sounds)
    assert any(not sound.any() for sound in sounds)
    assert sum(bool(sound.any()) for sound in sounds) > 4


def test_options_out_of_range_are_refused() -> None:
    for wrong in ({"versions": 0}, {"fps": 1.0}, {"clip_s": 0.1}, {"rest_share": 2.0}):
        with pytest.raises(InputError, match="expected"):
            SpokenOptions(**wrong)


def test_a_pipe_in_the_place_of_a_sound_is_not_waited_for(tmp_path: Path) -> None:
    say(tmp_path / "in" / "ann" / "take.wav", 1)
    say(tmp_path / "in" / "bob" / "take.wav", 2)
    (tmp_path / "in" / "bob" / "take.wav").unlink()
    os.mkfifo(tmp_path / "in" / "bob" / "take.wav")
    prepared = prepare(spoken(tmp_path / "in", SpokenOptions(audio="mel4")), tmp_path / "out")
    assert any("is a pipe or a device" in each.reason for each in prepared.skipped)
