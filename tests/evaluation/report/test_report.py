"""The HTML report, driven in headless Chromium at a desktop's and a phone's width."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dimcli.data.store import ClipStore
from dimcli.data.synthetic.synthetic import Recipe, write_synthetic
from dimcli.evaluation.writing import EvaluationFiles
from dimcli.jobs.evaluate import EvaluationOptions, run_evaluation
from tests.stores import make_split

pytestmark = pytest.mark.slow

METHODS = ["random", "<i>mean & co", "oracle"]
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on synthetic dyads of three seconds, one clip shown."""
    folder = tmp_path_factory.mktemp("report")
    recipe = Recipe(seed=2, conversation_s=3.0, clip_s=3.0)
    write_synthetic(folder / "data", conversations=12, recipe=recipe)
    path = folder / "report.html"
    run_evaluation(
        EvaluationOptions(
            data=folder / "data",
            baselines=("random", f"{METHODS[1]}=mean", "oracle"),
            split="train",
            clips=1,
            command="dim eval <this>",
            files=EvaluationFiles(report=path),
        )
    )
    return path


@pytest.fixture(scope="module", params=list(WIDTHS))
def browser(
    request: pytest.FixtureRequest, report: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The report, open in Chromium; skips where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no Chromium and chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        width, height = WIDTHS[request.param]
        chrome.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        chrome.width = width
        chrome.get(report.as_uri())
        chrome.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
        yield chrome
    finally:
        chrome.quit()


def test_every_section_and_figure_is_there_and_in_sight(browser: Any) -> None:
    found = browser.execute_script(
        """return [...document.querySelectorAll('section')].map(s => [s.id,
        s.getBoundingClientRect().height > 40 && s.getBoundingClientRect().width > 300])"""
    )
    ids = ["glance", "scores", "differences", "other", "distributions", "clips", "method"]
    assert found == [[one, True] for one in ids]
    assert browser.execute_script("return document.querySelectorAll('#glance .card').length") == 12
    assert browser.execute_script("return document.querySelectorAll('.density').length") == 56
    assert browser.execute_script("return document.querySelectorAll('.clip').length") == 1


def test_the_page_is_no_wider_than_the_window(browser: Any) -> None:
    # A page that is too wide makes a phone's window wider than the phone.
    widths = browser.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert max(widths) <= browser.width


def test_plots_are_drawn(browser: Any) -> None:
    shapes = browser.execute_script(
        """return [...document.querySelectorAll('.density, .plot')].map(f =>
        [...f.querySelectorAll('path')].filter(p => {
            const box = p.getBoundingClientRect();
            return box.width > 60 && box.height > 2 && getComputedStyle(p).display != 'none';
        }).map(p => p.getAttribute('class')))"""
    )
    assert len(shapes) == 56 + 3
    assert all({"truth", "method"} <= set(kinds) for kinds in shapes)
    assert all("speaker" in kinds for kinds in shapes[-3:])
    marks = browser.execute_script("return document.querySelectorAll('.raster rect').length")
    assert marks > 3


def test_a_plot_shows_the_truth_in_its_colour_on_the_screen(browser: Any) -> None:
    import cv2
    import numpy as np

    plot = browser.find_element("css selector", ".plot svg")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    picture = cv2.imdecode(np.frombuffer(plot.screenshot_as_png, np.uint8), cv2.IMREAD_COLOR)
    wanted = browser.execute_script(
        "return getComputedStyle(document.querySelector('.plot path.method')).stroke"
    )
    rgb = [int(one) for one in re.findall(r"\d+", wanted)][:3]
    near = (np.abs(picture[..., ::-1].astype(int) - rgb).max(axis=2) < 60).sum()
    assert near > 50


def test_the_switch_shows_one_method_at_a_time(browser: Any) -> None:
    labels = browser.find_elements("css selector", ".switch label")
    assert [label.text for label in labels] == METHODS
    for index in (2, 0):
        labels[index].click()
        wait_for(lambda index=index: shown(browser) == [str(index)])


def shown(browser: Any) -> list[str]:
    """Indices of the methods of which anything is in sight."""
    return browser.execute_script(
        """return [...new Set([...document.querySelectorAll('[data-m]')].filter(
        e => getComputedStyle(e).display != 'none').map(e => e.dataset.m))]"""
    )


def test_videos_play_one_at_a_time_and_move_the_cursor(browser: Any) -> None:
    def at(index: int) -> float:
        return browser.execute_script(
            f"return document.querySelectorAll('video')[{index}].currentTime"
        )

    assert browser.execute_script("return document.querySelectorAll('video').length") == len(
        METHODS
    )
    browser.execute_script("document.querySelectorAll('video')[0].play()")
    wait_for(lambda: at(0) > 0.2)
    size = browser.execute_script(
        "const v = document.querySelectorAll('video')[0]; return [v.videoWidth, v.videoHeight]"
    )
    assert size == [3 * 224, 224]
    moved = browser.execute_script(
        "return document.querySelector('.timeline').style.getPropertyValue('--at')"
    )
    assert 0 < float(moved) <= 1
    browser.execute_script("document.querySelectorAll('video')[1].play()")
    wait_for(lambda: browser.execute_script("return document.querySelectorAll('video')[0].paused"))
    wait_for(lambda: at(1) > 0.1)
    browser.execute_script("document.querySelectorAll('video')[1].pause()")


def test_nothing_leaves_the_page(browser: Any) -> None:
    time.sleep(0.3)
    sent = [
        message["params"]["request"]["url"]
        for entry in browser.get_log("performance")
        for message in [json.loads(entry["message"])["message"]]
        if message["method"] == "Network.requestWillBeSent"
        # Chromium's own first tab asks for things too.
        and not message["params"]["documentURL"].startswith("chrome:")
    ]
    resources = browser.execute_script("return performance.getEntries().map(e => e.name)")
    assert any(url.startswith("file:") for url in sent)
    named = [url for url in (*sent, *resources) if re.match(r"[\w-]+:", url)]
    assert [url[:80] for url in named if not url.startswith(("file:", "data:"))] == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_file_names_nothing_outside_itself(report: Path) -> None:
    page = re.sub(r"base64,[A-Za-z0-9+/=]+", "base64,", report.read_text())
    assert not re.search(r"https?://|//cdn|@import|url\(", page)
    sources = re.findall(r"(?:src|href|poster)=\"?([^\s\">]+)", page)
    assert all(one.startswith(("data:", "#")) for one in sources)


def test_the_report_says_how_it_was_measured(report: Path) -> None:
    page = report.read_text()
    for words in (
        "None saw any of the true listener",
        "What these figures cannot be compared with",
        "bootstrap",
        "seed 2",
        "dim eval &lt;this&gt;",
        "not by any result",
    ):
        assert words in page
    assert "<i>mean" not in page  # a label is text, whatever it holds


def test_the_clips_shown_do_not_depend_on_results(report: Path, tmp_path: Path) -> None:
    from dimcli.evaluation.report.clips import choose

    store = ClipStore(report.parent / "data")
    records = store.clips("train")
    assert choose(records, 1) == [records[len(records) // 2]]
    assert len(choose(records, 100)) == len(records)


def test_without_a_head_the_report_says_why_there_are_no_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    store = make_split(tmp_path / "data", clips=2, space="flame")
    path = tmp_path / "report.html"
    files = EvaluationFiles(report=path)
    run_evaluation(EvaluationOptions(data=store.root, baselines=["random"], clips=1, files=files))
    page = path.read_text()
    assert "<video" not in page
    assert "no head is at hand that shows flame motion" in page
    assert "Blinks are not marked: this motion space has no eyelids" in page
    assert "nods, truth" in page and "blinks, truth" not in page
    assert "expression 50" in page and "mouthSmileLeft" not in page


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "nothing happened"
        time.sleep(0.1)
