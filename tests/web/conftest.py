"""Sessions of the small causal listener, and pictures of somebody for it to see."""

import cv2
import numpy as np
import pytest

from dimcli import media
from dimcli.live.session import Session
from tests.live.conftest import listener, sound, speaker  # noqa: F401  fixtures
from tests.web.serving import serving


@pytest.fixture(scope="session")
def make_session(listener, speaker):  # noqa: F811
    return lambda settings, seed: Session(listener, speaker, settings=settings, seed=seed)


@pytest.fixture(scope="module")
def talking(make_session, tmp_path_factory):
    """A client of a server with a live listener."""
    with serving(tmp_path_factory.mktemp("videos"), make_session=make_session) as client:
        yield client


@pytest.fixture(scope="session")
def pictures(examples) -> list[bytes]:
    """Two seconds of the example speaker, 25 JPEGs a second."""
    frames = media.read_frames(examples / "speaker.mp4")
    shown = [next(frames) for _ in range(50)]
    frames.close()
    small = [cv2.resize(each, (320, 320))[..., ::-1] for each in shown]
    return [cv2.imencode(".jpg", each)[1].tobytes() for each in small]


@pytest.fixture(scope="session")
def pieces(sound) -> list[bytes]:  # noqa: F811
    """Sound in pieces of 20 ms, 16 bits."""
    coded = (sound * 32767).astype(np.int16)
    return [coded[start : start + 320].tobytes() for start in range(0, len(coded), 320)]
