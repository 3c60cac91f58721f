"""Films and pictures as shots: cuts, frames, and what cannot be used."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import wavfile

from dimcli.core.errors import InputError
from dimcli.training.renderer import footage
from dimcli.training.renderer.footage import find_cuts, read_shots
from tests.renderer_clips import SIDE, somebody_else, talker, write_clip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def drifting(count: int, seed: int) -> np.ndarray:
    """Small pictures that move a little from one to the next."""
    generator = np.random.default_rng(seed)
    noise = generator.uniform(0, 1, (64, 64, 3)).astype(np.float32)
    big = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 6), None, 0, 255, cv2.NORM_MINMAX)
    return np.stack([big[n // 2 : n // 2 + 32, n % 5 : n % 5 + 32] for n in range(count)])


def test_a_cut_is_found_and_motion_is_none() -> None:
    film = np.concatenate([drifting(20, 0), 255 - drifting(15, 1)])
    assert find_cuts(film).tolist() == [0, 20]
    assert find_cuts(drifting(30, 2)).tolist() == [0]


@pytest.mark.slow
def test_a_clip_with_a_cut_is_split_there_and_its_end_is_held_out(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "cut.mp4", [*talker(32), *somebody_else(32)])
    found = read_shots(clip, size=64)
    assert [len(shot) for shot in found.shots] == [32, 32]
    assert "1 cut(s)" in found.remarks[0]
    held_out = np.concatenate([shot.held_out for shot in found.shots])
    assert held_out.tolist() == [False] * 48 + [True] * 16
    eyes = found.shots[0].landmarks[:, [33, 263], :2]
    assert (eyes > 8).all()
    assert (eyes < 56).all()


def test_tracking_is_kept_under_the_hash_of_the_file_and_made_again_where_it_is_damaged(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "talk.mp4", talker(32))
    first = read_shots(clip, size=64).shots[0]
    moved = clip.rename(tmp_path / "renamed.mp4")
    monkeypatch.setattr("dimcli.tracking.landmarks.track_face", None)
    second = read_shots(moved, size=64).shots[0]
    np.testing.assert_array_equal(first.landmarks, second.landmarks)

    def tracked_again(*_: object, **__: object) -> None:
        raise InputError("tracked again")

    monkeypatch.setattr("dimcli.tracking.landmarks.track_face", tracked_again)
    (kept,) = (home / "tracks").iterdir()
    kept.write_bytes(kept.read_bytes()[:-100])
    with pytest.raises(InputError, match="tracked again"):
        read_shots(moved, size=64)


@pytest.mark.slow
def test_two_people_are_told_and_one_is_followed(tmp_path: Path) -> None:
    pairs = zip(talker(32), somebody_else(32), strict=True)
    clip = write_clip(tmp_path / "pair.mp4", (np.hstack(pair) for pair in pairs))
    found = read_shots(clip, size=64)
    assert "several faces" in found.remarks[0]
    assert len(found.shots) == 1


def test_a_vertical_clip_is_cropped_about_the_face(tmp_path: Path) -> None:
    def tall(frame: np.ndarray) -> np.ndarray:
        return cv2.copyMakeBorder(frame, 60, 130, 0, 0, cv2.BORDER_REPLICATE)

    clip = write_clip(tmp_path / "tall.mp4", map(tall, talker(32)))
    (shot,) = read_shots(clip, size=64).shots
    centre = shot.landmarks[:, :, :2].mean(axis=(0, 1))
    assert np.abs(centre - 32).max() < 8


@pytest.mark.slow
def test_a_4k_clip_gives_the_same_square_as_a_small_one(tmp_path: Path) -> None:
    def large(frame: np.ndarray) -> np.ndarray:
        wide = cv2.copyMakeBorder(frame, 0, 0, 93, 93, cv2.BORDER_REPLICATE)
        return cv2.resize(wide, (3840, 2160), interpolation=cv2.INTER_LINEAR)

    frames = talker(32)[::4]
    small = read_shots(write_clip(tmp_path / "small.mp4", frames, fps=2.5), size=64).shots[0]
    large_clip = write_clip(tmp_path / "large.mp4", map(large, frames), fps=2.5)
    big = read_shots(large_clip, size=64).shots[0]
    assert np.abs(big.landmarks - small.landmarks)[..., :2].mean() < 1.5
    assert np.abs(big.frames.astype(float) - small.frames).mean() < 8


def test_what_cannot_be_used_is_told_in_a_line(tmp_path: Path) -> None:
    short = write_clip(tmp_path / "short.mp4", talker(15))
    with pytest.raises(InputError, match=r"shows a face for 1\.5 s; expected 3 s or more"):
        read_shots(short)
    empty = [np.full((SIDE, SIDE, 3), 90, np.uint8)] * 64
    with pytest.raises(InputError, match="show no face"):
        read_shots(write_clip(tmp_path / "wall.mp4", empty))
    wavfile.write(tmp_path / "sound.wav", 16000, np.zeros(16000, np.int16))
    with pytest.raises(InputError, match="has no picture, only sound"):
        read_shots(tmp_path / "sound.wav")
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError, match="has 0 pictures with a face"):
        read_shots(tmp_path / "pictures")


def test_a_folder_of_pictures_is_a_take_each(tmp_path: Path) -> None:
    for number, frame in enumerate(talker(32)[::4]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), frame[..., ::-1])
    cv2.imwrite(str(tmp_path / "z.png"), np.zeros((SIDE, SIDE, 3), np.uint8))
    found = read_shots(tmp_path, size=64)
    assert len(found.shots) == 8
    assert [bool(shot.held_out[0]) for shot in found.shots] == [False] * 7 + [True]
    assert "z.png shows no face" in found.remarks[0]


def test_long_films_are_used_from_their_beginning() -> None:
    assert footage._beginning([(0, 50), (50, 80), (80, 90)], 60) == [(0, 50), (50, 60)]
