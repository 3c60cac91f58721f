import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import (
    ARKIT_EXPRESSIONS,
    HEAD,
    MOTION_DIM,
    NUM_POSE,
    Motion,
    expression_index,
)
from dimcli.data.gains import AS_IS, NAMES, FaceSettings, GainedFace, Gains

FPS = 25.0
BLINKS_AT = (60, 150)
LOOK_DOWN = slice(90, 130)
"""Eyes look down for longer than a blink, and the lids follow."""


@pytest.fixture(scope="module")
def living() -> Motion:
    """Eight seconds of a face on which everything moves: blinks over lids that rest at 0.1, a look
    down that the lids follow, and the rest at random between 0.05 and 0.45."""
    random = np.random.default_rng(0)
    values = random.uniform(0.05, 0.45, (200, MOTION_DIM)).astype(np.float32)
    values[:, HEAD] = random.normal(0, 0.1, (200, 3))
    for side in ("Left", "Right"):
        lid, squint, down = (
            expression_index(f"{name}{side}") for name in ("eyeBlink", "eyeSquint", "eyeLookDown")
        )
        values[:, lid], values[:, squint], values[:, down] = 0.1, 0.3, 0.15
        values[LOOK_DOWN, lid], values[LOOK_DOWN, down] = 0.25, 0.5
        for start in BLINKS_AT:
            closing = np.sin(np.linspace(0, np.pi, 8))[1:-1]
            values[start : start + 6, lid] += 0.6 * closing
            values[start : start + 6, squint] += 0.2 * closing
            values[start : start + 6, down] += 0.5 * closing
    return Motion(values, fps=FPS)


def gained(living: Motion, **gains: float) -> Motion:
    return Gains(**gains).apply(living)


def changed_columns(one: Motion, other: Motion) -> set[str]:
    names = ("head", "head", "head", "jaw", "jaw", "jaw", *ARKIT_EXPRESSIONS)
    assert len(names) == NUM_POSE + len(ARKIT_EXPRESSIONS)
    return {names[i] for i in np.flatnonzero((one.values != other.values).any(axis=0))}


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("head", {"head"}),
        *(
            (name, {each for each in ARKIT_EXPRESSIONS if each.startswith(starts)})
            for name, starts in (
                ("smile", ("mouthSmile", "cheekSquint", "mouthDimple")),
                ("brows", ("brow",)),
                ("gaze", ("eyeLook",)),
                ("blinks", ("eyeBlink", "eyeSquint", "eyeLookDown")),
            )
        ),
    ],
)
def test_a_gain_changes_what_it_names_and_nothing_else(living, name, columns) -> None:
    assert changed_columns(gained(living, **{name: 0.5}), living) == columns


def test_gains_of_one_change_nothing_to_the_bit(living) -> None:
    assert np.array_equal(AS_IS.apply(living).values, living.values)


@pytest.mark.parametrize(("name", "column"), [("smile", "mouthSmileLeft"), ("brows", "browInnerUp"),
                                               ("gaze", "eyeLookOutRight")])  # fmt: skip
def test_expressions_scale_from_nothing_and_end_at_their_most(living, name, column) -> None:
    was = living.column(column)
    for gain in (0.0, 0.5, 1.5):
        assert np.allclose(gained(living, **{name: gain}).column(column), was * gain)
    much = living.values.copy()
    much[:, expression_index(column)] = 0.8
    assert (gained(Motion(much, fps=FPS), **{name: 2.0}).column(column) == 1).all()


def test_the_head_turns_less_about_the_same_axes_and_never_too_far(living) -> None:
    assert np.allclose(gained(living, head=0.7).head, 0.7 * living.head)
    assert not gained(living, head=0).head.any()
    far = living.values.copy()
    far[:, HEAD] = (0, 1.5, 0)
    assert np.allclose(gained(Motion(far, fps=FPS), head=2).head, (0, np.pi / 2, 0))


def test_without_blinks_lids_squint_and_eyes_rest_and_still_follow_a_look_down(living) -> None:
    still = gained(living, blinks=0)
    for name, resting in (
        ("eyeBlinkLeft", 0.1),
        ("eyeSquintRight", 0.3),
        ("eyeLookDownLeft", 0.15),
    ):
        for start in BLINKS_AT:
            assert np.allclose(still.column(name)[start : start + 6], resting), name
    held = slice(LOOK_DOWN.start + 14, LOOK_DOWN.stop)  # half a second later it is no blink
    assert np.allclose(still.column("eyeBlinkLeft")[held], 0.25)
    assert np.allclose(still.column("eyeLookDownLeft")[held], 0.5)


def test_a_gain_over_one_closes_lids_further_and_leaves_open_ones(living) -> None:
    was, lids = (motion.column("eyeBlinkLeft") for motion in (living, gained(living, blinks=1.5)))
    peak = BLINKS_AT[0] + 3
    assert np.isclose(lids[peak], 0.1 + 1.5 * (was[peak] - 0.1), atol=1e-6)
    assert np.array_equal(lids[:60], was[:60])
    squints = (motion.column("eyeSquintLeft") for motion in (living, gained(living, blinks=1.5)))
    assert np.array_equal(*squints)  # a squint that is over by then has nothing to shut


def test_however_motion_is_cut_its_frames_are_the_same(living) -> None:
    gains = Gains(head=0.6, smile=1.4, brows=0.3, blinks=0.2, gaze=1.7)
    whole = gains.apply(living).values
    face = GainedFace(gains, FPS)
    cuts = np.split(living.values, [1, 2, 7, 61, 64, 120])
    assert np.array_equal(np.concatenate([face.apply(piece) for piece in cuts]), whole)
    assert len(face.apply(living.values[:0])) == 0


def test_a_gain_that_is_changed_is_reached_without_a_jump(living) -> None:
    values = np.repeat(living.values[:1], 100, axis=0)
    values[:, HEAD] = (0.2, 0, 0)
    face = GainedFace(AS_IS, FPS)
    before = face.apply(values[:50])
    face.gains = Gains(head=0)
    pitch = np.concatenate([before, face.apply(values[50:])])[:, 0]
    assert np.abs(np.diff(pitch)).max() < 0.04
    assert pitch[75] < 0.01
    assert (face.apply(values)[-1, HEAD] == 0).all()


def test_motion_of_flame_takes_a_gain_of_its_head_only(living) -> None:
    motion = Motion(living.values * 3 - 1, fps=FPS, space="flame")
    turned = Gains(head=0.5).apply(motion)
    assert np.allclose(turned.head, motion.head / 2)
    assert np.array_equal(turned.values[:, 3:], motion.values[:, 3:])
    with pytest.raises(InputError, match="--blinks 0: is for weights of the 'arkit' space"):
        Gains(blinks=0).apply(motion)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gain", [-0.1, 2.1, float("nan"), float("inf")])
def test_a_gain_out_of_range_is_told(name, gain) -> None:
    with pytest.raises(InputError, match=f"--{name} .*: expected 0 to"):
        FaceSettings(**{name: gain})


def test_an_unknown_attitude_is_told() -> None:
    with pytest.raises(InputError, match="--attitude is 'angry'; expected one of unknown"):
        FaceSettings(attitude="angry")
