"""What a renderer is judged by sees what PSNR does not: softness, lids, lips."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dimcli.media import read_picture
from dimcli.tracking.landmarks import observe_picture
from dimcli.training.renderer.judging import Figures, Scores, detail, eyes_and_mouth, psnr

PLACED = Scores(psnr=20.0, distance=0.30, sharpness=0.80, lids=0.10, lips=0.03)


def test_a_soft_picture_of_a_higher_psnr_is_told_to_look_worse() -> None:
    soft = replace(PLACED, psnr=27.0, sharpness=0.5)
    (worse,) = Figures(40, soft, PLACED, PLACED).worse()
    assert worse == "softer (sharpness 0.50, placed 0.80)"


def test_a_picture_nearly_as_sharp_as_the_clip_is_not_soft_however_sharp_the_portrait_is() -> None:
    crisp = replace(PLACED, sharpness=1.3)
    assert not Figures(40, replace(crisp, sharpness=0.9), crisp, crisp).worse()
    assert Figures(40, replace(crisp, sharpness=0.8), crisp, crisp).worse()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"distance": 0.31}, "further from the clip"),
        ({"lids": 0.14}, "lids follow less"),
        ({"lips": 0.05}, "lips follow less"),
        ({"lids": 0.12, "lips": 0.035, "sharpness": 0.7}, None),
        ({"lids": float("nan"), "lips": float("nan")}, None),
    ],
)
def test_lids_lips_and_distance_are_told_where_they_are_worse(
    change: dict[str, float], told: str | None
) -> None:
    worse = Figures(40, replace(PLACED, psnr=27.0, **change), PLACED, PLACED).worse()
    assert [text.split(" (")[0] for text in worse] == ([told] if told else [])


def test_detail_falls_with_blur_where_psnr_prefers_it(
    examples,
) -> None:
    picture = cv2.resize(read_picture(examples / "listener.png"), (256, 256), interpolation=3)
    landmarks = observe_picture(picture).landmarks
    soft = cv2.GaussianBlur(picture, (0, 0), 2.0)
    assert detail(soft, landmarks) < 0.5 * detail(picture, landmarks)
    off = np.roll(picture, 3, axis=1)
    assert psnr(np.roll(soft, 3, axis=1)[None], picture[None]) > psnr(off[None], picture[None])


def test_lids_and_lips_are_tracked_and_a_picture_without_a_face_has_none(examples) -> None:
    picture = cv2.resize(read_picture(examples / "listener.png"), (256, 256), interpolation=3)
    found = eyes_and_mouth(np.stack([picture, np.zeros_like(picture)]))
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()
    assert 0 <= found[0, 0] < 0.5 and 0 <= found[0, 1] < 0.2
