"""A clip and a tone."""

import pytest

from tests.media.clips import TONE, make, source


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    return make(path, *source(), *TONE, "-t", 2, "-pix_fmt", "yuv420p")


@pytest.fixture
def tone(tmp_path):
    return make(tmp_path / "tone.wav", *TONE)
