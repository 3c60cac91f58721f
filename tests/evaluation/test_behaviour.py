from __future__ import annotations

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion, expression_index
from dimcli.data.synthetic.signals import add_blink, add_episode, add_nod
from dimcli.evaluation.behaviour import (
    Behaviour,
    answer_figures,
    find_pauses,
    gaze_figures,
    measure,
)
from dimcli.evaluation.measures.events import median_over
from dimcli.tracking.geometry import lip_gaps
from tests.coupling import couple, medians

FPS = 25.0
FRAMES = 1500
PLACES = np.arange(3.0, 57.0, 3.0)


def still() -> np.ndarray:
    values = np.zeros((FRAMES, 56), np.float32)
    values[:, 6:] = 0.1
    return values


def test_planted_blinks_are_counted_with_their_width() -> None:
    values = still()
    lid = np.zeros(FRAMES)
    for time in PLACES:
        add_blink(lid, FPS, float(time), peak=0.6, close_s=0.08, open_s=0.14)
    for side in ("Left", "Right"):
        values[:, expression_index(f"eyeBlink{side}")] += lid
    found = measure(Motion(values, fps=FPS))
    assert found.blinks_a_minute == len(PLACES)
    assert found.blink_width_s == pytest.approx(0.14, abs=0.03)


def test_a_long_look_down_is_no_blink() -> None:
    values = still()
    lid = np.zeros(FRAMES)
    for time in PLACES:
        add_episode(lid, FPS, float(time), length_s=1.5, size=0.6, flanks_s=(0.1, 0.1))
    for side in ("Left", "Right"):
        values[:, expression_index(f"eyeBlink{side}")] += lid
    assert measure(Motion(values, fps=FPS)).blinks_a_minute == 0


@pytest.mark.parametrize("fps", [0.5, 5.0])
def test_what_frames_are_too_few_to_hold_is_no_figure(fps: float) -> None:
    found = measure(Motion(still(), fps=fps))
    assert np.isnan(found.pitch_jitter_degrees)
    assert np.isnan(found.pitch_nod_band_degrees) == (fps < 1)


@pytest.mark.parametrize("fps", [25.0, 30.0])
def test_planted_nods_are_counted_with_size_and_rate(fps: float) -> None:
    frames = round(60 * fps)
    pitch = np.zeros(frames)
    for time in PLACES:
        add_nod(pitch, fps, float(time), size=3.0, hz=2.2, cycles=2, decay=0.9)
    values = np.zeros((frames, 56), np.float32)
    values[:, 0] = np.radians(pitch)
    found = measure(Motion(values, fps=fps))
    assert found.nods_a_minute == pytest.approx(len(PLACES), abs=1)
    assert found.nod_degrees == pytest.approx(2.7, abs=0.6)
    assert found.nod_hz == pytest.approx(2.2, abs=0.3)
    assert found.shakes_a_minute == 0


def test_slow_drift_and_white_noise_are_no_nods() -> None:
    random = np.random.default_rng(0)
    values = still()
    time = np.arange(FRAMES) / FPS
    values[:, 0] = np.radians(4 * np.sin(2 * np.pi * 0.1 * time) + random.normal(0, 0.1, FRAMES))
    found = measure(Motion(values, fps=FPS))
    assert found.nods_a_minute == 0
    assert found.pitch_jitter_degrees == pytest.approx(0.1 * np.sqrt(7 / 12.5), rel=0.2)


def test_head_shakes_are_counted_in_yaw() -> None:
    values = still()
    time = np.arange(FRAMES) / FPS
    shaking = (time % 10 > 4) & (time % 10 < 6)
    values[:, 1] = np.radians(2.5 * np.sin(2 * np.pi * 1.5 * time) * shaking)
    found = measure(Motion(values, fps=FPS))
    assert found.shakes_a_minute == 6
    assert found.nods_a_minute == 0


def test_head_speed_is_the_angle_travelled_a_second() -> None:
    values = still()
    values[:, 1] = np.radians(3.0 * np.arange(FRAMES) / FPS)
    assert measure(Motion(values, fps=FPS)).head_speed_mean == pytest.approx(3.0, rel=0.02)


def test_smile_and_mouth_are_read_off_their_columns() -> None:
    values = still()
    values[:, expression_index("mouthSmileLeft")] = 0.4
    values[:, expression_index("mouthSmileRight")] = 0.6
    found = measure(Motion(values, fps=FPS))
    assert found.smile_mean == pytest.approx(0.5)
    assert found.smile_std == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(found.lip_gap_mean)  # motion alone does not show it


def test_a_mouth_opens_where_its_lips_part() -> None:
    landmarks = np.zeros((FRAMES, 478, 3))
    landmarks[:, 263, 0] = 100.0
    landmarks[:, 14, 1] = 1.0
    for place in PLACES[:3]:
        first = round(float(place) * FPS)
        landmarks[first : first + 10, 14, 1] = 9.0
    landmarks[-20:-18, 14, 1] = 9.0  # too short to be seen
    found = measure(Motion(still(), fps=FPS), lip_gaps(landmarks))
    assert found.openings_a_minute == pytest.approx(3 / (FRAMES / FPS / 60))
    assert found.opening_s == pytest.approx(0.4)
    assert found.opening_height == pytest.approx(0.08)
    assert found.lip_gap_p95 == pytest.approx(0.01)


def test_a_head_that_moves_half_of_the_time_is_still_in_the_other_half() -> None:
    values = still()
    half = FRAMES // 2
    values[:half, 1] = np.radians(3.0 * np.arange(half) / FPS)
    values[half:, 1] = values[half - 1, 1]
    assert measure(Motion(values, fps=FPS)).still_share == pytest.approx(0.5, abs=0.01)


def test_nods_at_pauses_and_smiles_after_smiles_are_seen() -> None:
    speaker, listener = still(), still()
    active = np.ones(FRAMES)
    pitch = np.zeros(FRAMES)
    for time in PLACES[::2]:
        active[round(time * FPS) : round((time + 0.7) * FPS)] = 0
        add_nod(pitch, FPS, float(time) + 0.4, size=3.0, hz=2.0, cycles=2, decay=0.9)
    listener[:, 0] = np.radians(pitch)
    for values, delay, size in ((speaker, 0.0, 0.5), (listener, 0.7, 0.3)):
        smile = np.zeros(FRAMES)
        for time in (10.0, 30.0, 50.0):
            add_episode(smile, FPS, time + delay, length_s=4.0, size=size, flanks_s=(0.5, 0.5))
        for side in ("Left", "Right"):
            values[:, expression_index(f"mouthSmile{side}")] += smile
    found = couple(Motion(listener, fps=FPS), Motion(speaker, fps=FPS), active)
    assert found.nods_at_pauses > 20
    assert found.nods_elsewhere == 0
    assert found.smile_after_smile > 0.15
    assert abs(found.smile_by_chance) < 0.02


def test_pauses_are_where_speech_stops_and_not_its_short_gaps() -> None:
    active = np.ones(250)
    active[50:75] = 0
    active[100:104] = 0
    np.testing.assert_allclose(find_pauses(active, FPS), [2.0])


def test_nothing_to_measure_gives_nan_and_medians_skip_it() -> None:
    none = measure(Motion(still(), fps=FPS))
    assert none.blinks_a_minute == 0
    assert np.isnan(none.blink_width_s)
    some = Behaviour(**(none.as_dict() | {"blink_width_s": 0.2}))
    assert medians([none, some]).blink_width_s == 0.2


def test_motion_in_another_space_is_refused() -> None:
    with pytest.raises(InputError, match="arkit"):
        measure(Motion(still(), fps=FPS, space="flame"))


def test_a_clip_of_a_few_frames_is_measured_without_an_error() -> None:
    found = measure(Motion(still()[:3], fps=FPS))
    assert found.blinks_a_minute == 0


def test_glances_away_are_counted_and_a_turned_head_that_looks_on_is_none() -> None:
    values = still()
    for time in PLACES:
        first = round(time * FPS)
        values[first : first + 20, expression_index("eyeLookOutLeft")] = 0.8
        values[first : first + 20, expression_index("eyeLookInRight")] = 0.8
    away = gaze_figures(Motion(values, fps=FPS))
    assert away["gaze_aversions_a_minute"] == pytest.approx(len(PLACES))
    assert away["gaze_away_s"] == pytest.approx(20 / FPS)
    assert away["gaze_away_share"] == pytest.approx(20 * len(PLACES) / FRAMES)
    turned = values.copy()
    turned[:, 1] = -np.radians(25) * (values[:, expression_index("eyeLookOutLeft")] - 0.1)
    assert gaze_figures(Motion(turned, fps=FPS))["gaze_aversions_a_minute"] == 0


def test_nods_after_pauses_have_their_latency() -> None:
    pitch = np.zeros(FRAMES)
    active = np.ones(FRAMES)
    for time in PLACES:
        active[round(time * FPS) : round((time + 0.6) * FPS)] = 0
        add_nod(pitch, FPS, float(time) + 0.4, size=3.0, hz=2.2, cycles=2, decay=0.9)
    values = still()
    values[:, 0] = np.radians(pitch)
    motion = Motion(values, fps=FPS)
    found = answer_figures(motion, motion, active)
    assert found["nods_at_pauses_a_minute"] > 10 * found["nods_elsewhere_a_minute"]
    assert found["nod_after_pause_s"] == pytest.approx(0.4, abs=0.25)
    assert found["nod_after_nod_s"] == 0.0
    unheard = answer_figures(motion, None, None)
    assert np.isnan(unheard["nod_after_pause_s"]) and "nod_after_nod_s" not in unheard


def test_drawn_medians_are_numpys() -> None:
    values = np.array([[3.0, np.nan, 1.0, 2.0, 8.0], [np.nan] * 5])
    draws = np.array([[1, 1, 1, 1, 1], [2, 1, 0, 3, 1], [0, 4, 0, 0, 0]], float)
    found = median_over(values, draws)
    assert found[0, :2].tolist() == [2.5, np.median([3, 3, 2, 2, 2, 8])]
    assert np.isnan(found[0, 2]) and np.isnan(found[1]).all()
