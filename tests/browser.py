"""Headless Chromium for tests of what people open in a browser; skips where it is not installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import imageio_ffmpeg
import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--autoplay-policy=no-user-gesture-required",
)


def devices(clip: Path, folder: Path) -> list[str]:
    """Flags that give Chromium a camera and a microphone, which have what ``clip`` has, over and
    over; ``folder`` keeps it."""
    run = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(clip)]
    scaled = ("-vf", "scale=480:480", "-q:v", "3", "-an")
    subprocess.run([*run, *scaled, str(folder / "camera.mjpeg")], check=True)
    subprocess.run([*run, "-vn", "-ar", "48000", str(folder / "microphone.wav")], check=True)
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={folder / 'camera.mjpeg'}",
        f"--use-file-for-fake-audio-capture={folder / 'microphone.wav'}",
    ]


@contextmanager
def chromium(
    profile: Path, width: int = 1280, height: int = 900, flags: Sequence[str] = ()
) -> Iterator[Chrome]:
    """A browser of its own with an empty ``profile`` folder and more ``flags``, closed at the
    end."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, *flags, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()
