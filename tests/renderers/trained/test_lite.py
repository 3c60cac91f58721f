"""The lite network, and rendering with it."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM
from dimcli.training.renderer.footage import Footage, crop_of
from dimcli.training.renderer.objective import RendererTraining, with_moved_camera
from dimcli.training.renderer.training_set import TRAIN, TrainingSet
from renderers.base import Reference
from renderers.heads.contours import FACE_OVAL
from renderers.portrait.mesh import HeadMesh, Shift
from renderers.portrait.portrait import PortraitRenderer
from renderers.trained import run as runs
from renderers.trained.lite import LiteConfig, LiteNet, framed, pose_of
from renderers.trained.renderer import FromHome, TrainedRenderer
from renderers.trained.start import ASIDE, COEFFICIENTS, Crop, Starter, windows
from tests.renderers.faces import drawn_face

CONFIG = LiteConfig(size=64, width=8, mixtures=4, face=4, room=4)
TAKE = 12


@pytest.fixture(scope="module")
def face() -> Reference:
    """A drawn face in a square of 128 px."""
    whole, crop = drawn_face(), Crop(20, 30, 320)
    return Reference(crop.cut(whole.image, 128), crop.points(whole.landmarks, 128), whole.values)


@pytest.fixture(scope="module")
def material(face: Reference, tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    """A take of the face: frames of the portrait renderer, shifted as a head would be."""
    crop = Crop(0, 0, 128)
    small = Reference(crop.cut(face.image, 64), crop.points(face.landmarks, 64), face.values)
    portrait = PortraitRenderer()
    portrait.prepare(small)
    values = np.repeat(small.values[None], TAKE, 0)
    values[:, 1] += 0.1 * np.sin(np.arange(TAKE))
    values[:, 3] += 0.1 * (1 + np.cos(np.arange(TAKE)))
    frames = np.stack(list(portrait.render(values)))
    placed = [portrait.place(one) for one in values]
    landmarks = np.repeat(small.landmarks[None], TAKE, 0)
    for frame, placement in enumerate(placed):
        landmarks[frame, :468, :2] = placement.points[:468]
    take = Footage(frames, landmarks, values, np.ones(TAKE, bool), np.arange(TAKE) >= 9)
    return TrainingSet("ann", [take], tmp_path_factory.mktemp("material"))


def network(material: TrainingSet, seed: int = 0) -> LiteNet:
    torch.manual_seed(seed)
    made = LiteNet(CONFIG, [material.person])
    known = torch.from_numpy(material.coefficients)
    landmarks = torch.from_numpy(material.reference.landmarks)
    made.memory(material.person).fit(pose_of(known[:, None]), torch.zeros(3, 64, 64), landmarks)
    return made


def stirred(made: LiteNet) -> LiteNet:
    """With what starts as zero away from it."""
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return made


def test_the_gradient_reaches_every_parameter(material: TrainingSet) -> None:
    made = stirred(network(material))
    batch = material.batch(np.arange(3))
    rendering = made("ann", batch.start, batch.place, pose_of(batch.window))
    (rendering.picture - batch.target).square().mean().backward()
    idle = [n for n, p in made.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


def test_one_batch_is_learned_by_heart(material: TrainingSet) -> None:
    made = network(material)
    batch = material.batch(np.arange(2))
    optimizer = torch.optim.Adam(made.parameters(), lr=3e-3)
    for _ in range(40):
        rendering = made("ann", batch.start, batch.place, pose_of(batch.window))
        loss = (rendering.picture - batch.target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.03  # 4 grey levels


def test_people_share_the_network_but_not_the_memory(material: TrainingSet) -> None:
    torch.manual_seed(0)
    made = stirred(LiteNet(CONFIG, ["ann", "bob"]))
    batch = material.batch(np.arange(1))
    one = made("ann", batch.start, batch.place, pose_of(batch.window)).picture
    two = made("bob", batch.start, batch.place, pose_of(batch.window)).picture
    assert (one - two).abs().mean() > 0.001
    one.sum().backward()
    assert all(parameter.grad is None for parameter in made.memory("bob").parameters())


def test_a_moved_camera_sees_everything_moved(material: TrainingSet) -> None:
    config = RendererTraining(shake=0.2, elsewhere=0.0)
    batch = material.batch(material.frames(TRAIN)[:4])
    moved = with_moved_camera(
        batch, config, torch.ones(COEFFICIENTS), torch.Generator().manual_seed(1)
    )
    pixels = (batch.landmarks - moved.landmarks)[:, 0, :2].long()
    assert moved.frame is not None and pixels.abs().max() > 0
    room = framed(batch.target, moved.frame)
    for one in range(4):
        right, down = pixels[one].tolist()
        rows, columns = (
            slice(max(0, down), 64 + min(0, down)),
            slice(max(0, right), 64 + min(0, right)),
        )
        seen = moved.target[one][
            :, max(0, -down) : 64 - max(0, down), max(0, -right) : 64 - max(0, right)
        ]
        assert torch.allclose(seen, batch.target[one][:, rows, columns], atol=1e-4)
    assert torch.allclose(room, moved.target, atol=1e-5), "the room goes along"


def test_a_head_elsewhere_in_the_room_is_judged_alone(material: TrainingSet) -> None:
    config = RendererTraining(shake=0.2, elsewhere=1.0)
    batch = material.batch(material.frames(TRAIN)[:4])
    spread = torch.ones(COEFFICIENTS)
    moved = with_moved_camera(batch, config, spread, torch.Generator().manual_seed(1))
    assert moved.frame is not None and moved.certain is not None
    assert not torch.allclose(framed(batch.target, moved.frame), moved.target, atol=0.1)
    assert torch.equal(moved.window[..., :MOTION_DIM], batch.window[..., :MOTION_DIM])
    assert moved.certain.amin() < 0.1 < 0.9 < moved.certain.amax()


def test_the_room_is_unseen_where_the_head_is(material: TrainingSet) -> None:
    made, batch = network(material), material.batch(material.frames(TRAIN)[:1])
    place = batch.place.clone()
    place[..., 2] = 1.0
    memory = made.memory(material.person)
    with torch.no_grad():
        before = memory.maps(pose_of(batch.window), place)[1:]
        memory.around.rest += 1
        after = memory.maps(pose_of(batch.window), place)[1:]
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))


def test_the_face_does_what_the_start_shows_whatever_the_pose(material: TrainingSet) -> None:
    made, batch = stirred(network(material)), material.batch(np.array([material.home]))
    memory, place = made.memory(material.person), batch.place.clone()
    place[..., 2] = 1.0
    one = memory.mean[None]
    other = one + (memory.high - memory.mean)
    with torch.no_grad():
        before, after = (torch.cat(memory.maps(pose, place), 1)[0] for pose in (one, other))
    change = (before - after).abs().amax(0).numpy()
    oval = cv2.fillPoly(
        np.zeros(change.shape, np.uint8),
        [np.round(material.reference.landmarks[FACE_OVAL, :2] / 2).astype(np.int32)],
        1,
    )
    beyond = cv2.dilate(oval, np.ones((13, 13), np.uint8)) == 0
    assert change[beyond].max() > 0, "the skull's flow knows the pose"
    assert change[oval > 0].max() < 0.3 * change[beyond].max()
    assert change[cv2.erode(oval, np.ones((7, 7), np.uint8)) > 0].max() < 0.02 * change.max()


def test_windows_stay_in_their_take() -> None:
    numbers = np.arange(8, dtype=np.float32)[:, None]
    found = windows(numbers, np.array([0, 0, 0, 0, 0, 1, 1, 1]))
    assert found[4, 13:, 0].tolist() == [4.0] * 14
    assert found[5, :14, 0].tolist() == [5.0] * 14
    assert found[6, 12:15, 0].tolist() == [5.0, 6.0, 7.0]


def test_a_shift_is_found_again(material: TrainingSet) -> None:
    starter = material.starter
    frame = material.frames(TRAIN)[3]
    values, landmarks = material.values[frame], material.landmarks[frame].copy()
    pivot = starter.mesh.pivot[:2] * [1, -1]
    landmarks[:, :2] = (landmarks[:, :2] - pivot) * 1.1 + pivot + [4, -2]
    shift = starter.shift(values, landmarks)
    assert shift.scale == pytest.approx(1.1, abs=0.01)
    assert (shift.right, shift.down) == (pytest.approx(4, abs=0.3), pytest.approx(-2, abs=0.3))


def test_a_head_that_stands_aside_is_seen_from_the_side(material: TrainingSet) -> None:
    values, aside = material.values[0], Shift(1.0, 8.0, 0.0)
    turned = values.copy()
    turned[1] -= ASIDE * aside.right / 64
    kept = material.starter(turned, aside).place
    seen = PortraitRenderer()
    seen.prepare(material.reference)
    apart = np.abs(material.starter(values, aside).place - kept).max()
    assert apart > 0.001
    assert np.array_equal(
        material.starter(turned, aside).whole, seen.draw(values, seen.place(values, aside))
    )


def test_the_square_fits_the_home_face_in_a_larger_picture(face: Reference) -> None:
    crop = Crop(0, 0, 128)
    home = HeadMesh(crop.points(face.landmarks, 64))
    room = cv2.copyMakeBorder(face.image, 40, 60, 70, 30, cv2.BORDER_REPLICATE)
    moved = face.landmarks + np.array([70, 40, 0], np.float32)
    starter = Starter(Reference(room, moved, face.values), home, side=64)
    assert starter.crop == Crop(70, 40, 128)
    square = crop_of(moved[None], room.shape[1], room.shape[0])
    assert square.left >= 0
    assert square.top + square.side <= room.shape[0]


@pytest.fixture(scope="module")
def trained(material: TrainingSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose network does something visible."""
    folder = tmp_path_factory.mktemp("run")
    runs.write_config(folder, CONFIG, ["ann"], {})
    runs.write_network(folder, stirred(network(material)))
    person = runs.Person(material.reference, np.zeros(0, np.float32))
    runs.write_people(folder, {"ann": person})
    return folder


def test_a_still_motion_gives_a_still_video(trained: Path, face: Reference) -> None:
    renderer = TrainedRenderer(runs.read_run(trained))
    renderer.prepare(face)
    frames = list(renderer.render(np.repeat(face.values[None], 4, 0)))
    assert renderer.size == (128, 128)
    for frame in frames[1:]:
        assert np.abs(frame.astype(float) - frames[0]).mean() < 0.5


def larger(face: Reference) -> Reference:
    """The face's square in a larger picture, at (70, 40)."""
    room = cv2.copyMakeBorder(face.image, 40, 60, 70, 30, cv2.BORDER_REPLICATE)
    return Reference(room, face.landmarks + np.array([70, 40, 0], np.float32), face.values)


def test_a_square_in_a_larger_picture_has_no_seam(trained: Path, face: Reference) -> None:
    run, picture = runs.read_run(trained), larger(face)
    home = run.people["ann"].home
    draw = FromHome(run.network, "ann", home, picture, Crop(70, 40, 128))
    window = torch.zeros(1, 27, COEFFICIENTS)
    with torch.inference_mode():
        change = np.abs(draw(face.values, window).astype(float) - picture.image).max(axis=2)
    inside = change[40:168, 70:198].copy()
    assert inside[40:90, 40:90].max() > 3
    change[40:168, 70:198] = 0
    assert change.max() == 0
    rim = np.concatenate([inside[:2].ravel(), inside[:, :2].ravel(), inside[-2:].ravel()])
    assert rim.max() <= 2


def test_in_another_scene_only_the_face_is_drawn_over_the_portrait(
    trained: Path, face: Reference
) -> None:
    dark = replace(larger(face), image=(larger(face).image * 0.4).astype(np.uint8))
    plain, renderer = PortraitRenderer(), TrainedRenderer(runs.read_run(trained))
    for each in (plain, renderer):
        each.prepare(dark)
    values = face.values[None] + np.eye(56, dtype=np.float32)[:1] * 0.05
    change = np.abs(next(renderer.render(values)).astype(float) - next(plain.render(values)))
    oval = cv2.convexHull(np.round(dark.landmarks[FACE_OVAL, :2]).astype(np.int32))
    around = cv2.fillPoly(np.zeros(dark.image.shape[:2], np.uint8), [oval], 1)
    near = cv2.dilate(around, np.ones((9, 9), np.uint8)) > 0
    assert change[~near].max() == 0
    assert change[near].max() > 3


def test_another_picture_size_is_rendered(trained: Path, face: Reference) -> None:
    renderer = TrainedRenderer(runs.read_run(trained), size=(200, 200))
    renderer.prepare(face)
    assert next(renderer.render(face.values[None])).shape == (200, 200, 3)


def test_what_is_no_run_of_a_renderer_is_told(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown renderer; expected portrait, mesh, or a run of"):
        runs.read_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"lacks config\.yaml"):
        runs.read_run(tmp_path)
    (tmp_path / "config.yaml").write_text("kind: vq\n")
    with pytest.raises(InputError, match="a run, but not of a renderer"):
        runs.read_run(tmp_path)
    for odd in ("network: {}\npeople: [a]", "network: lite\npeople: [[a]]", "people: {}"):
        (tmp_path / "config.yaml").write_text(f"kind: renderer\n{odd}\n")
        with pytest.raises(InputError, match=r"config\.yaml: expected network \(lite or paper\)"):
            runs.read_run(tmp_path)
    runs.write_config(tmp_path, replace(CONFIG, width=16), ["ann"], {})
    (tmp_path / "model.safetensors").write_bytes((trained / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match="not this run's network"):
        runs.read_run(tmp_path)
