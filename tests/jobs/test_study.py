"""``dim study`` from folders of videos to figures; the page in real Chromium."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.evaluation.study import read_study, sessions
from dimcli.jobs.study import StudyOptions, make_study, score_results
from dimcli.media import probe_video, read_frames
from tests.browser import chromium
from tests.corpora import face_video
from tests.media.clips import make, report, source


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods on two stimuli of half a second, and the speakers."""
    root = tmp_path_factory.mktemp("videos")
    for number, method in enumerate(("Zebra <b>", "ELP")):
        (root / method).mkdir()
        tag = ("-metadata", f"title=made by {method}")
        make(root / method / "one.mp4", *source(f"64x{48 + 16 * number}", 25, 0.6), *tag)
    (root / "speaker").mkdir()
    sound = ("-f", "lavfi", "-i", "sine=f=440:r=44100:d=0.6")
    make(root / "speaker" / "one.mp4", *source("48x48", 25, 0.6), *sound, "-c:a", "aac")
    for folder in root.iterdir():
        (folder / "two.mp4").write_bytes((folder / "one.mp4").read_bytes())
    (root / "ELP" / "three.mp4").write_bytes((root / "ELP" / "one.mp4").read_bytes())
    return root


def options(folders: Path, output: Path, **how) -> StudyOptions:
    methods = [str(folders / "Zebra <b>"), f"E={folders / 'ELP'}"]
    how = {"speaker": folders / "speaker", "checks": 1, **how}
    return StudyOptions(methods, output, **how)


@pytest.fixture(scope="module")
def study(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "study"
    made = make_study(options(folders, folder, post="http://127.0.0.1:9/x", code="C0DE"))
    assert made.study.methods == ("Zebra <b>", "E")
    assert any(line.startswith("left out three: it is not in") for line in made.remarks)
    assert any("different shapes" in line for line in made.remarks)
    return folder


def test_what_participants_get_tells_no_method(study: Path):
    public = study / "public"
    page = (public / "index.html").read_text()
    names = {path.stem for path in (public / "videos").iterdir()}
    key = read_study(study / "key.json")
    assert names == set(key.videos) and len(names) == 4
    assert "Zebra" not in page and "ELP" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    for path in (public / "videos").iterdir():
        info = probe_video(path)
        assert (info.height, info.has_audio) == (48, True) and info.width >= 96
        assert "made by" not in report(path)


def test_of_two_who_make_one_study_the_second_is_told(folders: Path, tmp_path: Path):
    def meanwhile(*_: object) -> None:
        (tmp_path / "study").mkdir(exist_ok=True)
        (tmp_path / "study" / "key.json").write_text("the other's")

    with pytest.raises(InputError, match="another program made it in the meantime"):
        make_study(options(folders, tmp_path / "study"), meanwhile)
    assert (tmp_path / "study" / "key.json").read_text() == "the other's"
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_the_same_seed_makes_the_same_study_and_force_replaces_it(folders: Path, tmp_path: Path):
    def made(name: str, **how):
        return make_study(options(folders, tmp_path / name, speaker=None, **how)).study

    assert made("a") == made("b") != made("c", seed=1)
    with pytest.raises(InputError, match="already exists; pass --force"):
        made("a")
    assert made("a", force=True, pairs=True).mode == "pairs"
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="already exists; name another"):
        made("mine", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "mine"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"post": "ftp://x"}, "--post ftp://x: expected an address"),
        ({"post": "http://[x"}, "expected an address"),
        ({"title": "a\nb"}, "--title: expected one line"),
        ({"code": "x" * 200}, "--code: expected one line"),
        ({"speaker": Path("nowhere")}, "--speaker nowhere: no such folder"),
        ({"consent": Path("nowhere.txt")}, "nowhere.txt: no such"),
        ({"methods": ["{root}/ELP", "{root}/ELP"]}, "two methods are called 'ELP'"),
        ({"methods": ["{root}/ELP"]}, "1 methods; a study compares 2"),
        ({"methods": ["{root}/none", "{root}/ELP"]}, "no such folder"),
        ({"methods": ["{root}/ELP", "{root}"]}, "no video is in all of them"),
        ({"methods": ["{root}/ELP", "listener-smal"]}, "no such folder, run or bundled weights"),
        ({"methods": ["{root}/ELP", "listener-small"]}, "(--speaker) and a picture of its"),
        ({"ref": Path("face.png")}, "--ref face.png: no method is a run"),
    ],
)
def test_what_makes_no_study_is_told_and_leaves_nothing(folders: Path, tmp_path: Path, how, said):
    methods = [one.format(root=folders) for one in how.pop("methods", ())]
    plan = options(folders, tmp_path / "study", **how)
    if methods:
        plan = StudyOptions(methods, tmp_path / "study")
    with pytest.raises(InputError, match=re.escape(said)):
        make_study(plan)
    assert list(tmp_path.iterdir()) == []


def test_a_run_answers_the_speakers_and_is_shown_as_blind_as_videos_are(
    examples: Path, tmp_path: Path
) -> None:
    for name, start in (("speaker", 0.0), ("ELP", 2.0)):
        video = tmp_path / name / "one.mp4"
        face_video(examples / "speaker.mp4", video, start=start, seconds=1.0)
    (tmp_path / "speaker" / "two.mp4").write_bytes(video.read_bytes())
    ref = examples / "listener.png"
    methods = [str(tmp_path / "ELP"), "ours=listener-small"]
    made = make_study(StudyOptions(methods, tmp_path / "study", tmp_path / "speaker", ref=ref))
    assert (made.study.methods, made.study.stimuli) == (("ELP", "ours"), ("one",))
    assert any(line.startswith("left out two") for line in made.remarks)
    films = {method: name for name, (_, method) in made.study.videos.items()}
    shown = [
        np.stack(list(read_frames(made.folder / "public" / "videos" / f"{films[method]}.mp4")))
        for method in ("ours", "ELP")
    ]
    assert abs(len(shown[0]) - len(shown[1])) <= 1 and len(shown[0]) >= 24
    width = shown[0].shape[2] // 2
    heads = [film[:24, :, :width].astype(int) for film in shown]
    assert np.abs(heads[0] - heads[1]).mean() < 3  # the speaker, beside both
    ours = shown[0][:, :, width:].astype(int)
    assert ours.std(axis=(1, 2)).min() > 10 and np.abs(np.diff(ours, axis=0)).max() > 10
    assert "- ours: listener-small, sha256 " in (made.folder / "README.md").read_text()
    assert "listener-small" not in (made.folder / "public" / "index.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ELP", "speaker", "study"]


class Collector(BaseHTTPRequestHandler):
    """Takes what pages send, as any server may."""

    taken: list[str]

    def do_POST(self) -> None:
        self.taken.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector():
    handler = type("Handler", (Collector,), {"taken": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/results", handler.taken
    server.shutdown()


@pytest.mark.slow
def test_a_session_in_the_browser_by_keys_and_by_touch(
    study: Path, collector, tmp_path: Path, capsys
):
    """Desktop: keys, results posted. Phone: touches, results saved. On both a reload in between."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    address, taken = collector
    page = study / "public" / "index.html"
    page.write_text(page.read_text().replace("http://127.0.0.1:9/x", address))
    with chromium(tmp_path / "profile") as browser:
        run = browser.execute_script

        def opened(width: int, height: int, query: str) -> None:
            browser.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
            )
            browser.get(f"{page.as_uri()}{query}")

        def keys(text: str) -> None:
            ActionChains(browser).send_keys(text).perform()

        def wait(script: str) -> None:
            WebDriverWait(browser, 60, 0.05).until(lambda _: run(f"return {script}"))

        def click(css: str) -> None:
            browser.find_element("css selector", css).click()

        def watch() -> None:
            """Every video of the question, to its end."""
            for at in range(run("return document.querySelectorAll('video').length")):
                run(f"document.querySelectorAll('video')[{at}].play()")
                wait(f"document.querySelectorAll('.seen')[{at}].textContent == 'watched'")

        def fits(width: int) -> bool:
            return run("return Math.max(document.documentElement.scrollWidth, innerWidth)") <= width

        opened(1280, 900, "?participant=ann&session=2")
        click("#consent .go")  # without consent nothing begins
        assert run("return document.getElementById('instructions').hidden")
        click("[name=agreed]")
        click("#consent .go")
        click("#instructions .go")
        order = sessions(read_study(study / "key.json"))[1]
        for step, (question, shown) in enumerate(order):
            assert run("return questions()[state.step][0]") == question and fits(1280)
            if not shown:
                asked = run("return study.checks[arguments[0]]", question)
                keys("".join(map(str, asked)))
            else:
                films = run(
                    "return [...document.querySelectorAll('.film')].map(f => f.dataset.video)"
                )
                assert films == list(shown)
                keys("\n")  # nothing was watched or answered
                said = "'Please watch A, B to the end and answer'"
                wait(f"document.querySelector('.open').textContent.includes({said})")
                if step == len(order) - 1:
                    keys("43")
                    browser.refresh()  # half an answer is still there
                    assert run("return document.querySelectorAll(':checked').length") == 2
                    watch()
                    keys("21")
                else:
                    keys("p")
                    watch()
                    keys("4321")
            keys("\n")
        wait("state.posted === true")
        assert "received" in run("return document.querySelector('.said').textContent")
        assert run("return document.querySelector('.code').textContent") == "C0DE"
        browser.refresh()
        assert not run("return document.getElementById('end').hidden") and len(taken) == 1

        opened(390, 844, "?participant=bob")
        click("[name=agreed]")
        click("#consent .go")
        click("#instructions .go")
        browser.find_elements("css selector", ".scale label")[1].click()
        browser.refresh()  # what was touched is still there
        assert run("return document.querySelectorAll(':checked').length") == 1
        while run("return document.getElementById('end').hidden"):
            assert fits(390)
            watch()
            asked = run("return study.checks[questions()[state.step][0]] || [5, 0, 5, 0]")
            for at, score in enumerate(asked):
                field = browser.find_elements("css selector", "#question fieldset")[at]
                option = field.find_elements("css selector", ".scale label")[score]
                run("arguments[0].scrollIntoView({block: 'center'})", option)
                size = option.size
                assert size["height"] >= 40 and size["width"] >= 36  # a finger's
                option.click()
            click("#question .go")
        saved = browser.execute_async_script(
            "fetch(document.getElementById('download').href).then(r => r.text()).then(arguments[0])"
        )
        assert [one for one in browser.get_log("browser") if one["level"] == "SEVERE"] == []
    results = tmp_path / "results"
    results.mkdir()
    (results / "ann.json").write_text(taken[0])
    (results / "bob.json").write_text(saved)
    scored = score_results(study, [results], output=tmp_path / "scores", bootstrap=20)
    assert scored.scores.participants == 2 and scored.scores.excluded == ()
    found = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert set(found["methods"]) == {"Zebra <b>", "E"}
    rows = (tmp_path / "scores" / "answers.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 2 * 2 * 2 and rows[1].startswith("ann,2,")
    assert "\\begin{table*}" in (tmp_path / "scores" / "scores.tex").read_text()
