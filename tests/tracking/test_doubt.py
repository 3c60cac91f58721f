"""What is taken for a human face."""

import cv2
import numpy as np
import pytest

from dimcli.media import read_picture
from dimcli.tracking.doubt import UNLIKE, doubt
from dimcli.tracking.landmarks import observe_picture
from tests.renderers.faces import drawn_dog


def variants(image: np.ndarray) -> dict[str, np.ndarray]:
    """A picture as users have it: turned, small, grey, out of focus, dark, small in a large one."""
    height, width = image.shape[:2]
    longest = max(height, width)

    def turned(degrees: float) -> np.ndarray:
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
        return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)

    def small(side: int) -> np.ndarray:
        size = (round(width * side / longest), round(height * side / longest))
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    far = np.full((2 * height, 2 * width, 3), 127, np.uint8)
    far[height // 2 : height // 2 + height, width // 2 : width // 2 + width] = image
    return {
        "itself": image,
        "left": turned(20),
        "right": turned(-20),
        "small": small(128),
        "tiny": small(64),
        "grey": np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2),
        "blurred": cv2.GaussianBlur(image, (0, 0), 0.006 * longest),
        "dark": (image * 0.3).astype(np.uint8),
        "far": far,
    }


@pytest.mark.parametrize("seed", [0, 1, 5, 8, 29])
def test_the_face_that_is_found_on_a_dog_is_doubted(seed):
    picture = drawn_dog(seed)
    seen = observe_picture(picture)
    assert doubt(picture, seen) > UNLIKE


def human(picture: np.ndarray) -> dict[str, float]:
    """The doubt of each of a picture's :func:`variants`."""
    return {
        name: doubt(each, observe_picture(each))
        for name, each in ((n, np.ascontiguousarray(v)) for n, v in variants(picture).items())
    }


def test_a_human_face_is_not_doubted_however_it_is_shown(examples):
    found = human(read_picture(examples / "listener.png"))
    assert max(found.values()) < UNLIKE / 2, found


@pytest.mark.parametrize("name", ["people_0.png", "old_photo.jpg", "mona_lisa.jpg"])
def test_real_and_painted_faces_are_not_doubted(clips, name):
    found = human(read_picture(clips / "portraits" / name))
    assert max(found.values()) < UNLIKE, found
