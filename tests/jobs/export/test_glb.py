"""The GLB by the Khronos validator and by three.js in a browser, against the open head itself."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from dimcli.core.errors import InputError
from dimcli.core.motion import EXPRESSION, HEAD, JAW, MOTION_DIM, Motion, expression_index
from dimcli.jobs.export.glb import TARGETS, write_glb
from renderers.heads.open_head import OpenHead
from tests.browser import chromium

FPS = 25.0
FRAMES = 30


def moving() -> Motion:
    """A head that turns, talks, blinks and smiles; frame 0 is at rest."""
    generator = np.random.default_rng(4)
    values = np.zeros((FRAMES, MOTION_DIM), np.float32)
    ramp = np.linspace(0, 1, FRAMES)[:, None]
    values[:, HEAD] = ramp * [0.15, -0.3, 0.1]
    values[:, JAW.start] = 0.25 * ramp[:, 0]
    values[:, EXPRESSION] = ramp * generator.uniform(0, 0.2, EXPRESSION.stop - EXPRESSION.start)
    for name in ("eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight"):
        values[:, expression_index(name)] = 0.6 * ramp[:, 0]
    return Motion(values, fps=FPS, meta={"generated": "dim"})


@pytest.fixture(scope="module")
def glb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("glb") / "motion.glb"
    write_glb(moving(), path)
    return path


def node_modules() -> Path:
    """Where `make node` put three.js and the validator."""
    folder = Path(os.environ.get("DIM_NODE", Path(__file__).parents[3] / ".node")) / "node_modules"
    if not folder.is_dir() or not shutil.which("node"):
        pytest.skip("three.js and gltf-validator are not here: make node")
    return folder


def document(path: Path) -> dict:
    data = path.read_bytes()
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack("<I4s", data[12:20])
    assert kind == b"JSON"
    return json.loads(data[20 : 20 + size])


def test_the_file_says_that_it_is_synthetic_and_names_its_targets(glb: Path) -> None:
    content = document(glb)
    assert content["asset"]["extras"]["comment"].startswith("synthetic")
    assert content["meshes"][0]["extras"]["targetNames"] == list(TARGETS)
    assert [node["name"] for node in content["nodes"]][1:4] == ["root", "neck", "head"]


def test_motion_of_another_space_is_refused(tmp_path: Path) -> None:
    motion = Motion(np.zeros((3, MOTION_DIM), np.float32), fps=FPS, space="flame")
    with pytest.raises(InputError, match="flame"):
        write_glb(motion, tmp_path / "a.glb")
    assert not list(tmp_path.iterdir())


def test_the_khronos_validator_finds_no_fault(glb: Path) -> None:
    script = (
        "require('gltf-validator').validateBytes(new Uint8Array(require('fs').readFileSync("
        "process.argv[1]))).then(report => console.log(JSON.stringify(report.issues)))"
    )
    ended = subprocess.run(
        ["node", "-e", script, str(glb)],
        env={**os.environ, "NODE_PATH": str(node_modules())},
        capture_output=True,
        text=True,
        check=True,
    )
    issues = json.loads(ended.stdout)
    assert issues["numErrors"] == 0, issues
    assert issues["numWarnings"] == 0, issues


@pytest.fixture
def page(glb: Path, tmp_path: Path) -> Iterator[str]:
    """The viewer with three.js and the GLB, served on this machine."""
    modules = node_modules()
    shutil.copy(Path(__file__).parent / "viewer.html", tmp_path / "index.html")
    shutil.copy(glb, tmp_path / "motion.glb")
    (tmp_path / "three").symlink_to(modules / "three")
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.mark.slow
def test_three_js_plays_the_same_head_as_ours(page: str, tmp_path: Path) -> None:
    head = OpenHead.bundled()
    motion = moving()
    frames = [0, FRAMES // 2, FRAMES - 1]
    with torch.inference_mode():
        wanted = head.vertices(torch.from_numpy(motion.values[frames])).numpy()
    watched = np.linspace(0, len(wanted[0]) - 1, 120).astype(int).tolist()
    with chromium(tmp_path / "profile", 520, 560) as browser:
        browser.set_script_timeout(60)
        browser.get(page)
        browser.execute_async_script(
            "const done = arguments[0];"
            "const look = () => window.about ? done() : setTimeout(look, 50); look()"
        )
        about = browser.execute_script("return window.about")
        assert about["targets"] == len(TARGETS)
        assert about["duration"] == pytest.approx((FRAMES - 1) / FPS, abs=1e-4)
        pictures = []
        for frame, expected in zip(frames, wanted, strict=True):
            browser.execute_script("window.show(arguments[0])", frame / FPS)
            found = browser.execute_script("return arguments[0].map(window.at)", watched)
            np.testing.assert_allclose(found, expected[watched], atol=2e-5)
            pictures.append(browser.get_screenshot_as_png())
        if folder := os.environ.get("DIM_SCREENSHOTS"):
            for frame, picture in zip(frames, pictures, strict=True):
                (Path(folder) / f"glb_{frame}.png").write_bytes(picture)
    assert pictures[0] != pictures[2]
