"""``dim train-renderer --tracker emoca``: a renderer that motion in the paper's space drives."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.jobs.convert import convert_motion
from dimcli.jobs.render import load_renderer
from dimcli.media import read_frames, read_picture
from dimcli.tracking.encoders import load_encoder, measure_picture, track_video
from dimcli.tracking.landmarks import observe_picture
from dimcli.training.renderer.footage import driving_motion, read_shots
from dimcli.training.renderer.objective import PRESETS
from dimcli.training.renderer.run import RendererOptions, train_renderer
from dimcli.training.renderer.training_set import TrainingSet
from renderers.trained.run import read_config, read_run
from tests.cli.conftest import Dim, dim  # noqa: F401 - a fixture
from tests.cli.test_flame_listener import flame_run
from tests.flame_files import flame_arrays, model_pickle
from tests.renderer_clips import SMALL_PAPER, talker, write_clip
from tests.tracking.encoder_files import emoca_state, lightning_file

pytestmark = pytest.mark.slow

FRAMES = 16


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """``talk.mp4``, ``ann.png`` (its first frame), ``emoca.ckpt``, and ``run``, of two steps."""
    folder = tmp_path_factory.mktemp("flame")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIM_HOME", str(folder / "home"))
        patch.setitem(PRESETS, "paper", SMALL_PAPER)
        frames = talker(2 * FRAMES)[::2]
        write_clip(folder / "talk.mp4", frames, fps=5)
        cv2.imwrite(str(folder / "ann.png"), frames[0][..., ::-1])
        lightning_file(folder / "emoca.ckpt", emoca_state(50, parallel=True)[0])
        train_renderer({"ann": [folder / "talk.mp4"]}, folder / "run", _options(folder))
        yield folder


def _options(material: Path) -> RendererOptions:
    return RendererOptions(
        preset="paper",
        tracker="emoca",
        checkpoint=material / "emoca.ckpt",
        held_out=0.1,
        device="cpu",
    )


def test_the_network_is_told_what_emoca_measured_and_starts_stay_the_built_in_trackers(
    material: Path, tmp_path: Path
) -> None:
    encoder = load_encoder("emoca", material / "emoca.ckpt", "cpu")
    (shot,) = read_shots(material / "talk.mp4", encoder=encoder).shots
    (plain,) = read_shots(material / "talk.mp4").shots
    measured = track_video(material / "talk.mp4", encoder)
    assert shot.driving is not None and plain.driving is not None
    np.testing.assert_allclose(shot.driving, measured.values, atol=1e-5)
    np.testing.assert_array_equal(shot.values, plain.values)
    np.testing.assert_array_equal(plain.driving, plain.values)
    ours, theirs = (
        TrainingSet(name, [one], tmp_path) for name, one in (("ours", shot), ("plain", plain))
    )
    frames = np.arange(0, FRAMES, 7)
    np.testing.assert_array_equal(ours.starts(frames), theirs.starts(frames))
    middle = ours.batch(frames).window[:, 13, :56].numpy()
    np.testing.assert_allclose(middle, measured.values[frames], atol=1e-5)


def test_pictures_are_measured_as_the_encoder_sees_them(material: Path, tmp_path: Path) -> None:
    encoder = load_encoder("emoca", material / "emoca.ckpt", "cpu")
    image = read_picture(material / "ann.png")
    for number in range(8):
        (tmp_path / f"{number}.png").write_bytes((material / "ann.png").read_bytes())
    shots = read_shots(tmp_path, encoder=encoder).shots
    landmarks = observe_picture(image).landmarks
    crop = torch.from_numpy(encoder.square(landmarks).crop(image)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        codes = encoder(crop.float() / 255)
    expected = torch.cat([codes.pose, codes.expression], 1)[0].numpy()
    for shot in shots:
        assert shot.driving is not None
        np.testing.assert_allclose(shot.driving[0], expected, atol=1e-4)
    broken = deepcopy(encoder)
    for tensor in broken.parameters():
        tensor.requires_grad_(False).fill_(torch.nan)
    with pytest.raises(InputError, match="emoca sees no face"):
        measure_picture(image, landmarks, broken)


def test_the_run_says_its_space_and_goes_on_with_the_same_tracker_only(material: Path) -> None:
    run = material / "run"
    document = read_config(run)
    assert (document["space"], document["training"]["tracker"]) == ("flame", "emoca")
    assert read_run(run).space == "flame"
    assert (
        "driven by motion in the `flame` space, measured by `emoca`"
        in (run / "README.md").read_text()
    )
    people = {"ann": [material / "talk.mp4"]}
    other = replace(_options(material), tracker="landmarks", checkpoint=None, resume=True)
    with pytest.raises(InputError, match="--resume with another tracker"):
        train_renderer(people, run, other)
    again = replace(_options(material), resume=True, steps=3)
    assert train_renderer(people, run, again).step == 3


def test_a_run_of_before_there_was_a_choice_is_of_arkit(material: Path, tmp_path: Path) -> None:
    document = yaml.safe_load((material / "run" / "config.yaml").read_text())
    del document["space"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
    assert read_config(tmp_path)["space"] == "arkit"
    for network, space in (("paper", "mars"), ("lite", "flame")):
        wrong = yaml.safe_dump(document | {"network": network, "space": space})
        (tmp_path / "config.yaml").write_text(wrong)
        with pytest.raises(InputError, match=f"space is '{space}'; expected"):
            read_config(tmp_path)


def test_motion_of_its_space_is_drawn_without_flame_and_other_motion_is_not(
    dim: Dim,  # noqa: F811 - the fixture
    material: Path,
    tmp_path: Path,
) -> None:
    checkpoint = ("--tracker", "emoca", "--checkpoint", material / "emoca.ckpt")
    encoder = load_encoder("emoca", material / "emoca.ckpt", "cpu")
    driving_motion(material / "talk.mp4", encoder).save(tmp_path / "own.npz")
    drawn = ("--ref", material / "ann.png", "--renderer", material / "run", "--device", "cpu")
    ended = dim("render", "own.npz", *drawn, "-o", "own.mp4")
    assert ended.code == 0, ended.err
    assert len(list(read_frames(tmp_path / "own.mp4"))) == FRAMES

    run = flame_run(tmp_path / "listener", "none")
    listen = ("generate-listener", material / "talk.mp4", "--weights", run, *checkpoint)
    ended = dim(*listen, *drawn, "--save-motion", "kept.npz", "-o", "listener.mp4")
    assert ended.code == 0, ended.err
    assert len(list(read_frames(tmp_path / "listener.mp4"))) == FRAMES
    assert Motion.load(Path("kept.npz")).space == "flame"

    arkit = np.repeat(observe_picture(read_picture(material / "ann.png")).values[None], 4, 0)
    Motion(arkit, fps=25).save(tmp_path / "arkit.npz")
    ended = dim("render", "arkit.npz", *drawn, "-o", "other.mp4")
    assert ended.code == 2 and len(ended.err.splitlines()) == 1
    assert "moves pictures by motion in the 'flame' space, and this motion is of 'arkit'" in (
        ended.err
    )
    assert "`dim weights import flame generic_model.pkl`" in ended.err
    assert "--renderer portrait draws it as it is" in ended.err
    assert not (tmp_path / "other.mp4").exists()
    ended = dim("render", "own.npz", "--ref", material / "ann.png", "-o", "other.mp4")
    assert ended.code == 2 and len(ended.err.splitlines()) == 1
    assert "dim train-renderer --preset paper --tracker emoca draws it as it is" in ended.err


def test_with_flame_motion_of_the_other_space_is_converted(
    dim: Dim,  # noqa: F811 - the fixture
    material: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    (tmp_path / "generic_model.pkl").write_bytes(model_pickle(flame_arrays()))
    assert dim("weights", "import", "flame", "generic_model.pkl").code == 0
    arkit = np.repeat(observe_picture(read_picture(material / "ann.png")).values[None], 4, 0)
    motion = Motion(arkit, fps=25)
    motion.save(tmp_path / "arkit.npz")
    drawn = ("--ref", material / "ann.png", "--renderer", material / "run", "--device", "cpu")
    ended = dim("render", "arkit.npz", *drawn, "-o", "out.mp4")
    assert ended.code == 0, ended.err
    assert len(list(read_frames(tmp_path / "out.mp4"))) == 4
    ready = load_renderer(material / "run", material / "ann.png", device="cpu", space="arkit")
    shown, _ = ready.shown(motion)
    expected = convert_motion(motion, "flame", device="cpu").motion.in_range()
    assert shown.space == "flame"
    np.testing.assert_allclose(shown.values, expected.values, atol=1e-5)
