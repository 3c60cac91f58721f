"""Telling people apart without face recognition."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from dimcli.media import read_frames
from dimcli.tracking.landmarks import observe_picture
from renderers.trained.backbones import Lite0
from renderers.trained.likeness import CLIPS_APART, SIDE, apart, likeness, standard_face
from tests.renderers.faces import SKIN, WALL, drawn_face


def test_a_face_lies_upright_in_its_frame_without_its_surroundings() -> None:
    face = drawn_face()
    found = standard_face(face.image, face.landmarks)
    assert found.shape == (SIDE, SIDE, 3)
    assert np.abs(found[70, 30] - np.array(SKIN, float)).max() < 20
    assert (found[0, 0] == 0).all()
    assert (np.abs(found - np.array(WALL, float)).max(axis=2) < 10).mean() < 0.01


def test_the_same_picture_is_no_distance_away_and_a_wider_face_is() -> None:
    face, backbone = drawn_face(), Lite0.installed()
    image, landmarks = face.image[None], face.landmarks[None]
    own = likeness(image, landmarks, backbone)
    assert apart(own, likeness(image, landmarks, backbone)) < 1e-5
    wide = landmarks * np.array([1.25, 1, 1], np.float32)
    assert apart(own, likeness(image, wide, backbone)) > CLIPS_APART


@pytest.mark.slow
def test_real_people_are_told_apart_and_halves_of_a_clip_are_one_person(clips: Path) -> None:
    sources = [(path, None) for path in clips.glob("*.mp4") if not path.name.startswith("vico")]
    for path in clips.glob("vico*.mp4"):
        sources += [(path, (0, 0, 256, 256)), (path, (256, 0, 256, 256))]
    backbone = Lite0.installed()
    people = []
    for path, region in sources:
        frames = list(read_frames(path, region=region))
        some = [frames[int(n)] for n in np.linspace(0, len(frames) - 1, 10)]
        points = np.stack([observe_picture(frame).landmarks for frame in some])
        images = np.stack(some)
        people.append([likeness(images[:5], points[:5], backbone)])
        people[-1].append(likeness(images[5:], points[5:], backbone))
    assert max(apart(first, second) for first, second in people) < CLIPS_APART
    assert min(apart(one[0], two[1]) for one, two in combinations(people, 2)) > CLIPS_APART
