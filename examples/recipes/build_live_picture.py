"""Make ``live.webp``, the README's moving picture of the live page: real Chromium, whose camera and
microphone are ``speaker.mp4``, and the bundled listener. Nobody in it exists.

python -m examples.recipes.build_live_picture
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from PIL import Image

from dimcli.web.server import live_sessions
from tests.browser import chromium, devices
from tests.web.serving import serving, wait_for

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

HERE = Path(__file__).parent.parent
WIDTH, HEIGHT = 960, 700
SETTLE_S, SECONDS, FPS = 8.0, 8.0, 12.5
QUALITY = 60


def watch(browser: Chrome) -> tuple[list[Image.Image], list[int]]:
    """Pictures of a conversation, and how long each is shown, in milliseconds, as it was."""
    browser.find_element("id", "start").click()
    count = "return document.getElementById('face').dataset.frames"
    wait_for(lambda: int(browser.execute_script(count) or 0) > 25)
    time.sleep(SETTLE_S)  # until the figures are those of a conversation that goes on
    bottom = "return document.getElementById('gains').getBoundingClientRect().bottom"
    height = round(browser.execute_script(bottom)) + 16
    browser.get_log("performance")
    browser.execute_cdp_cmd("Page.startScreencast", {"format": "jpeg", "quality": 90})
    shown, until = [], time.monotonic() + SECONDS
    while time.monotonic() < until:
        for entry in browser.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Page.screencastFrame":
                told = event["params"]
                shown.append((told["metadata"]["timestamp"], base64.b64decode(told["data"])))
                asked = {"sessionId": told["sessionId"]}
                browser.execute_cdp_cmd("Page.screencastFrameAck", asked)
        time.sleep(0.005)
    browser.execute_cdp_cmd("Page.stopScreencast", {})
    pictures, durations = [], []
    for (begins, data), (ends, _) in itertools.pairwise(shown):
        if durations and durations[-1] < 1000 / FPS:  # no more pictures than asked for
            durations[-1] += 1000 * (ends - begins)
            continue
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        pictures.append(picture.crop((0, 0, WIDTH, height)))
        durations.append(1000 * (ends - begins))
    return pictures, [round(each) for each in durations]


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "videos").mkdir()
        flags = devices(HERE / "speaker.mp4", folder)
        with (
            serving(folder / "videos", make_session=live_sessions(None)) as client,
            chromium(folder / "profile", WIDTH, HEIGHT, flags) as browser,
        ):
            size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            browser.get(f"{client.address.url}#live")
            pictures, durations = watch(browser)
            rate, latency = (browser.find_element("id", one).text for one in ("rate", "latency"))
    pictures[0].save(
        HERE / "live.webp",
        save_all=True,
        append_images=pictures[1:],
        duration=durations,
        loop=0,
        quality=QUALITY,
        method=6,
    )
    megabytes = (HERE / "live.webp").stat().st_size / 1e6
    print(f"{len(pictures)} pictures, {megabytes:.2f} MB; the page said {rate}, {latency}")


if __name__ == "__main__":
    typer.run(main)
