"""The page in real Chromium, whose camera and microphone are the example clip."""

import base64
import io
import re
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dimcli import media
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats
from dimcli.media.probe import probe_video
from dimcli.tracking.landmarks import observe_picture
from dimcli.web.server import live_sessions
from tests.browser import chromium, devices
from tests.web.serving import serving, wait_for

pytestmark = pytest.mark.slow

WINDOWS = ((1280, 900), (390, 844), (1000, 560))


@pytest.fixture(scope="module")
def hardware(examples, tmp_path_factory) -> list[str]:
    """Flags that give Chromium a camera and a microphone."""
    return devices(examples / "speaker.mp4", tmp_path_factory.mktemp("devices"))


@pytest.fixture(scope="module")
def other_site(tmp_path_factory):
    """A server of other pages: its address, and the folder that it shows."""
    folder = tmp_path_factory.mktemp("site")
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def client(other_site, tmp_path_factory):
    folder, make_session = tmp_path_factory.mktemp("videos"), live_sessions(None)
    if make_session is None:
        pytest.skip("there are no bundled weights of a live listener")
    with serving(folder, origins=[other_site[0]], make_session=make_session) as client:
        yield client


@pytest.fixture
def page(client, hardware, tmp_path):
    with chromium(tmp_path / "profile", flags=hardware) as browser:
        browser.get(f"{client.address.url}#live")
        yield Page(browser, tmp_path)


class Page:
    def __init__(self, browser, folder: Path) -> None:
        self.browser, self.folder = browser, folder

    def click(self, name: str) -> None:
        wait_for(lambda: self.browser.find_element("id", name).is_enabled())
        self.browser.execute_script(f"document.getElementById('{name}').click()")

    def text(self, name: str) -> str:
        return self.browser.execute_script(f"return document.getElementById('{name}').textContent")

    @property
    def frames(self) -> int:
        count = "return document.getElementById('face').dataset.frames"
        return int(self.browser.execute_script(count) or 0)

    def more_frames(self, count: int) -> None:
        before = self.frames
        wait_for(lambda: self.frames >= before + count)

    def face(self) -> Floats:
        """The motion [56] of the face that is shown, as the tracker sees it."""
        url = self.browser.execute_script("return document.getElementById('face').toDataURL()")
        data = base64.b64decode(url.split(",")[1])
        return observe_picture(np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))).values

    def moves(self) -> bool:
        """Whether the face that is tracked in the pictures changes within seconds."""
        seen = [self.face()]
        until = time.monotonic() + 120
        while time.monotonic() < until:
            self.more_frames(5)
            try:
                seen.append(self.face())
            except InputError:  # caught while it was redrawn
                continue
            if len(seen) > 3 and np.ptp(np.stack(seen), axis=0).max() > 0.02:
                return True
        return False

    def pictures(self, name: str) -> None:
        """Screenshots of windows, light and dark; nothing is wider than they are, and the face is
        not cut off."""
        for width, height in WINDOWS:
            for scheme in ("light", "dark"):
                size = {"width": width, "height": height, "mobile": width < 500}
                self.browser.execute_cdp_cmd(
                    "Emulation.setDeviceMetricsOverride", size | {"deviceScaleFactor": 1}
                )
                prefers = [{"name": "prefers-color-scheme", "value": scheme}]
                self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": prefers})
                time.sleep(0.3)
                wide = "return Math.max(document.documentElement.scrollWidth, innerWidth)"
                assert self.browser.execute_script(wide) <= width
                inside = (
                    "const [stage, face] = ['stage', 'face'].map("
                    "id => document.getElementById(id).getBoundingClientRect());"
                    "return face.height <= stage.height && face.width <= stage.width"
                )
                assert self.browser.execute_script(inside)
                long = self.browser.execute_script("return document.documentElement.scrollHeight")
                clip = {"x": 0, "y": 0, "width": width, "height": long, "scale": 1}
                taken = self.browser.execute_cdp_cmd(
                    "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
                )
                path = self.folder / f"{name}-{width}-{scheme}.png"
                path.write_bytes(base64.b64decode(taken["data"]))
                assert np.ptp(np.asarray(Image.open(path).convert("L"))) > 100

    def faults(self) -> list[str]:
        return [each["message"] for each in self.browser.get_log("browser")]


def test_the_face_listens_to_the_camera_and_the_microphone_and_is_recorded(page, client):
    page.click("start")
    page.more_frames(30)
    assert page.moves()
    assert int(re.fullmatch(r"(\d+) fps", wait_for(lambda: page.text("rate"))).group(1)) > 0
    assert int(re.fullmatch(r"(\d+) ms", wait_for(lambda: page.text("latency"))).group(1)) > 0
    assert "synthetic" in page.browser.find_element("css selector", "#stage .mark").text
    page.click("record")
    wait_for(client.videos)
    page.more_frames(60)
    page.pictures("live")
    page.click("record")
    wait_for(lambda: client.videos()[0]["state"] != "running")
    assert client.videos()[0]["state"] == "done", (client.videos(), page.text("live-said"))
    video = client.site.shelf.video(client.videos()[0]["id"])
    info = probe_video(video)
    heard = media.read_audio(video, 16000)
    assert info.duration_s > 1 and abs(len(heard) / 16000 - info.duration_s) < 0.08
    assert np.abs(heard).max() > 0.05
    wait_for(lambda: page.browser.find_elements("css selector", "#recordings li video"))
    page.click("camera")
    page.click("mute")
    page.more_frames(10)
    assert page.moves()
    page.click("start")
    wait_for(lambda: client.site.room.sessions == 0)
    assert page.text("live-said") == "" and page.text("start") == "Start"
    assert not page.faults()


def test_a_video_is_made_from_files_and_the_queue_is_there_after_a_reload(page, client, examples):
    page.browser.get(f"{client.address.url}#make")
    page.browser.find_element("css selector", "input[value=speaker]").find_element(
        "xpath", ".."
    ).click()
    page.browser.find_element("id", "source").send_keys(str(examples / "speaker.mp4"))
    page.browser.find_element("id", "add").click()
    wait_for(lambda: page.browser.find_elements("css selector", "#videos li button"))
    page.browser.refresh()
    wait_for(lambda: page.browser.find_elements("css selector", "#videos progress"))
    page.pictures("make")
    # in one go: the list is drawn anew with every step of the work
    cancel = (
        "const made = [...document.querySelectorAll('#videos li button')];"
        "const cancel = made.find(one => one.textContent === 'Cancel');"
        "cancel?.click(); return cancel !== undefined"
    )
    wait_for(lambda: page.browser.execute_script(cancel))
    wait_for(lambda: not page.browser.find_elements("css selector", "#videos li"))
    assert [video["kind"] for video in client.videos()] in ([], ["recording"])
    assert not page.faults()


def test_the_browser_client_of_the_documentation_shows_the_face(page, client, other_site, examples):
    address, folder = other_site
    (code,) = re.findall(r"```html\n(.*?)```", (examples / "stream-api.md").read_text(), re.DOTALL)
    ours = code.replace("127.0.0.1:8765", f"127.0.0.1:{client.address.port}")
    (folder / "client.html").write_text(ours)
    page.browser.get(f"{address}/client.html")
    page.browser.find_element("id", "go").click()
    width = "return document.getElementById('face').naturalWidth"
    wait_for(lambda: page.browser.execute_script(width) == 384)
    assert page.text("said") == ""
