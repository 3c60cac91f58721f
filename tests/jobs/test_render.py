"""What can be drawn of a motion file, and which sound goes with it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, Motion, expression_index
from dimcli.jobs.drawing import Face
from dimcli.jobs.export import export_motion
from dimcli.jobs.render import drawable, load_motion, load_renderer, on_picture, read_reference
from dimcli.web.messages import REASON_BYTES
from tests.fuzz.seeds import renderer as untrained_run
from tests.renderers.faces import drawn_dog


def extreme_motions() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    alternating = np.full((4, MOTION_DIM), 99, np.float32)
    alternating[1::2] *= -1
    turned, wide, grimace = np.zeros((3, 4, MOTION_DIM), np.float32)
    turned[:, :3] = 10
    wide[:, 3] = 1.6
    grimace[:, 6:] = 10
    random = rng.normal(0, 5, (8, MOTION_DIM)).astype(np.float32)
    return {
        "alternating": alternating,
        "turned": turned,
        "wide": wide,
        "grimace": grimace,
        "random": random,
    }


@pytest.fixture(
    scope="module", params=[("portrait", 64), ("portrait", 128), ("mesh", 64), ("trained", 64)]
)
def renderer(request, examples, tmp_path_factory):
    kind, size = request.param
    reference = None if kind == "mesh" else examples / "listener.png"
    if kind == "trained":
        kind = str(tmp_path_factory.mktemp("trained") / "run")
        untrained_run(Path(kind))
    return load_renderer(kind, reference, size=size)


def test_a_picture_larger_than_the_longest_video_is_made_smaller_and_told(examples, monkeypatch):
    monkeypatch.setattr("dimcli.jobs.render.LONGEST_SIDE", 64)  # of 1920, to be quick
    ready = load_renderer("portrait", examples / "listener.png")
    assert max(ready.renderer.size) == 64
    assert any("; pass --size" in remark for remark in ready.remarks)


@pytest.mark.parametrize("name", extreme_motions())
def test_extreme_motion_is_drawn_in_range(renderer, name):
    values = extreme_motions()[name]
    motion = Motion(values, fps=25)
    frames = list(renderer.frames(motion))
    assert len(frames) == len(values)
    inside = list(renderer.frames(motion.in_range()))
    assert all(np.array_equal(one, other) for one, other in zip(frames, inside, strict=True))


@pytest.mark.parametrize("name", extreme_motions())
@pytest.mark.parametrize("suffix", [".csv", ".glb", ".json"])
def test_extreme_motion_is_exported(tmp_path, name, suffix):
    values = extreme_motions()[name]
    Motion(values, fps=25).save(tmp_path / "motion.npz")
    written = export_motion(tmp_path / "motion.npz", tmp_path / f"out{suffix}")
    assert written.frames >= len(values)
    content = written.path.read_bytes()
    assert b"nan" not in content.lower() or suffix == ".glb"
    assert b"Infinity" not in content


def test_what_is_far_outside_its_range_is_told_and_the_rest_is_not():
    values = np.zeros((5, MOTION_DIM), np.float32)
    values[:, 10] = 1.1
    motion, remarks = drawable(Motion(values, fps=25))
    assert motion.values[:, 10].max() == 1
    assert remarks == ()
    values[1:3, 0] = -4
    motion, remarks = drawable(Motion(values, fps=25))
    assert np.allclose(motion.values[1:3, 0], -np.pi / 2)
    assert "2 of its 5 frames" in remarks[0]
    assert "'arkit'" in remarks[0]


def test_a_motion_file_brings_no_sound_but_that_of_a_clip_beside_it(examples, tmp_path):
    clip = (tmp_path / "other" / "speaker.mp4").resolve()
    clip.parent.mkdir()
    clip.write_bytes((examples / "speaker.mp4").read_bytes())
    motion = Motion(np.zeros((5, MOTION_DIM), np.float32), fps=25, meta={"source": str(clip)})
    apart, beside = tmp_path / "motion.npz", clip.parent / "motion.npz"
    motion.save(apart)
    motion.save(beside)
    for path, stored in ((apart, "other/speaker.mp4"), (beside, "speaker.mp4")):
        assert Motion.load(path).meta["source"] == stored
        assert load_motion(path, None, None)[1] == clip
    # as somebody who sends the file could write it
    hostile = tmp_path / "sent" / "motion.npz"
    hostile.parent.mkdir()
    for source in (str(clip), "../other/speaker.mp4"):
        values = {name: array for name, array in np.load(apart).items() if name != "meta"}
        np.savez(hostile, **values, meta=np.array(f'{{"source": "{source}"}}'))
        _, audio, remarks = load_motion(hostile, None, None)
        assert audio is None
        assert "--audio" in remarks[0]
    assert load_motion(hostile, clip, None)[1] == clip


def test_motion_of_somebody_else_moves_about_the_picture_s_own_pose(examples):
    ready = load_renderer("portrait", examples / "listener.png", size=96)
    own = ready.reference.values
    values = np.repeat(own[None], 9, 0)
    values[:, 0] += np.float32(0.5) + 0.05 * np.sin(np.arange(9, dtype=np.float32))
    elsewhere = Motion(values, fps=25)
    relative, none = on_picture(elsewhere, ready.reference)
    assert none == ()
    assert np.abs(relative.head - own[:3]).max() < 0.07
    # what was made for this picture is not moved to it again
    again, _ = on_picture(relative, ready.reference)
    assert np.array_equal(again.values, relative.values)
    absolute, remarks = on_picture(elsewhere, ready.reference, "absolute")
    assert 0.2 < np.abs(absolute.head - own[:3]).max() < 0.36
    assert "9 of 9 frames turn further than 20 degrees" in remarks[0]
    with pytest.raises(InputError, match="--pose is"):
        on_picture(elsewhere, ready.reference, "sideways")


def test_a_trained_renderer_starts_from_what_it_was_trained_with(examples, monkeypatch):
    prepared = []

    class Trained:
        remarks = ()

        def __init__(self, *_):
            pass

        def prepare(self, reference):
            prepared.append(reference)

    monkeypatch.setattr("renderers.trained.renderer.TrainedRenderer", Trained)
    for name in ("read_config", "read_run"):
        monkeypatch.setattr(f"renderers.trained.run.{name}", lambda *_: {"space": "arkit"})
    load_renderer("a-run", examples / "listener.png")
    assert prepared[0].matte is None


def test_a_picture_of_shut_eyes_is_told(examples, tmp_path):
    reference, remarks = read_reference(examples / "listener.png")
    assert remarks == ()
    values = reference.values.copy()
    values[[expression_index("eyeBlinkLeft"), expression_index("eyeBlinkRight")]] = 1
    (blinking,) = load_renderer("portrait", examples / "listener.png").frames(
        Motion(values[None], fps=25), pose="absolute"
    )
    cv2.imwrite(str(tmp_path / "blinking.png"), blinking[..., ::-1])
    assert "an eye shut" in read_reference(tmp_path / "blinking.png")[1][0]


def test_a_sent_picture_of_a_dog_is_refused_in_a_line_that_a_session_can_end_with():
    sent = cv2.imencode(".png", drawn_dog(5)[..., ::-1])[1].tobytes()
    with pytest.raises(InputError, match=r"^its face is hardly human.*--force-face") as refused:
        Face(sent, size=64, fps=25)
    assert len(str(refused.value)) <= REASON_BYTES
    assert Face(sent, size=64, fps=25, force_face=True).size == (64, 64)
