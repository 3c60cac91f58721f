"""``dim train-renderer`` from clips to frames, on people who do not exist."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.media import read_frames
from dimcli.tracking.landmarks import observe_picture
from dimcli.training.renderer.objective import PRESETS, Preset
from dimcli.training.renderer.run import Look, RendererOptions, named_sources, train_renderer
from renderers.trained.run import read_run
from tests.cli.conftest import Dim, dim  # noqa: F401 - a fixture
from tests.renderer_clips import SMALL_PAPER, somebody_else, talker, write_clip

pytestmark = pytest.mark.slow

FRAMES = 32
OPTIONS = RendererOptions(preset="tiny", steps=6, held_out=0.2)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """``talk.mp4`` and ``other.mp4``, and tracks that are kept for the whole module."""
    folder = tmp_path_factory.mktemp("clips")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIM_HOME", str(folder / "home"))
        write_clip(folder / "talk.mp4", talker(FRAMES))
        write_clip(folder / "other.mp4", somebody_else(FRAMES))
        yield folder


@pytest.fixture(scope="module")
def run(clips: Path) -> Path:
    """A run of six steps."""
    train_renderer({"ann": [clips / "talk.mp4"]}, clips / "run", OPTIONS)
    return clips / "run"


def weights_of(run: Path) -> dict[str, np.ndarray]:
    return load_file(run / "model.safetensors")


@pytest.mark.slow
def test_a_run_holds_what_is_needed_and_tells_how_good_it_is(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names == {
        *("config.yaml", "model.safetensors", "people.safetensors", "metrics.jsonl"),
        *("training_state.safetensors", "README.md", "preview-ann.jpg"),
    }
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert 5 < lines[-1]["held_out_psnr"] < 50
    card = (run / "README.md").read_text()
    for what in ("zero-shot", "placed", "trained"):
        assert f"| ann | 6 | {what} |" in card
    sheet = cv2.imread(str(run / "preview-ann.jpg"))
    assert sheet.shape == (24 + 4 * 64, 4 * 64, 3)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(run: Path, clips: Path) -> None:
    def stop(look: Look) -> None:
        if look.step == 4:  # the state of step 2 is the last that was written
            raise KeyboardInterrupt

    people = {"ann": [clips / "talk.mp4"]}
    with pytest.raises(KeyboardInterrupt):
        train_renderer(people, clips / "killed", replace(OPTIONS, look=stop))
    assert not list((clips / "killed").glob(".material*"))
    result = train_renderer(people, clips / "killed", replace(OPTIONS, resume=True))
    assert result.step == 6
    ours, theirs = weights_of(clips / "killed"), weights_of(run)
    for name, tensor in theirs.items():
        np.testing.assert_array_equal(ours[name], tensor, err_msg=name)
    same = [(folder / "metrics.jsonl").read_text() for folder in (clips / "killed", run)]
    assert same[0] == same[1]


@pytest.mark.slow
def test_time_that_is_up_ends_a_run_that_can_be_resumed(clips: Path) -> None:
    people = {"ann": [clips / "talk.mp4"]}
    result = train_renderer(people, clips / "timed", replace(OPTIONS, minutes=1e-6))
    assert (result.step, result.reason) == (0, "minutes")
    assert read_run(clips / "timed").people  # it can be used, too
    config = yaml.safe_load((clips / "timed" / "config.yaml").read_text())
    del config["training"]["loss"]["detail"]  # as a run from before there was such a term
    (clips / "timed" / "config.yaml").write_text(yaml.safe_dump(config))
    more = replace(OPTIONS, resume=True, steps=1)
    assert train_renderer(people, clips / "timed", more).step == 1
    with pytest.raises(InputError, match="--resume with another seed"):
        train_renderer(people, clips / "timed", replace(more, seed=4))


@pytest.mark.slow
def test_a_run_that_no_longer_gained_does_not_go_on(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = PRESETS["tiny"]
    still = replace(tiny.training, learning_rate=0.0, validate_every=1, patience=1)
    monkeypatch.setitem(PRESETS, "tiny", Preset(tiny.network, still))
    people = {"ann": [clips / "talk.mp4"]}
    for resume in (False, True):
        result = train_renderer(people, clips / "done", replace(OPTIONS, resume=resume))
        assert (result.step, result.best_step, result.reason) == (2, 1, "patience")


@pytest.mark.slow
def test_a_forced_run_that_fails_at_once_leaves_the_old_one(run: Path, clips: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}

    def fail(stage: str, done: int, total: int) -> None:
        if stage.startswith("training"):
            assert not (run / "model.safetensors").exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        again = replace(OPTIONS, seed=9, force=True, progress=fail)
        train_renderer({"bob": [clips / "other.mp4"]}, run, again)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_run_without_a_state_is_resumed_only_if_it_holds_nothing_yet(clips: Path) -> None:
    people = {"ann": [clips / "talk.mp4"]}
    again = replace(OPTIONS, steps=1, resume=True)
    begun = clips / "begun"
    (begun / ".material-x").mkdir(parents=True)
    (begun / ".model.x.part").mkdir()
    assert train_renderer(people, begun, again).step == 1
    assert not list(begun.glob(".*"))
    (begun / "training_state.safetensors").unlink()
    with pytest.raises(InputError, match="nothing to resume"):
        train_renderer(people, begun, again)


@pytest.mark.slow
def test_a_run_of_two_people_knows_whom_a_picture_shows(clips: Path) -> None:
    remarks: list[str] = []
    people = named_sources(None, [f"ann={clips / 'talk.mp4'}", f"bob={clips / 'other.mp4'}"])
    options = replace(OPTIONS, remark=remarks.append)
    result = train_renderer(people, clips / "pair", options)
    assert set(result.figures) == {"ann", "bob"}
    assert remarks == []
    renderer = _renderer(clips / "pair", next(read_frames(clips / "other.mp4")))
    assert renderer.person == "bob"


@pytest.mark.slow
def test_a_stranger_is_warned_of_in_training_and_in_rendering(
    run: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remarks: list[str] = []
    both = [clips / "talk.mp4", clips / "other.mp4"]
    options = replace(OPTIONS, steps=1, remark=remarks.append)
    train_renderer({"ann": both}, clips / "mixed", options)
    assert len(remarks) == 1
    assert "other.mp4 may show somebody else" in remarks[0]
    remarks.clear()
    same = [clips / "talk.mp4", clips / "talk.mp4"]
    train_renderer({"ann": same}, clips / "same", options)
    assert remarks == []
    # single pictures of painted faces are closer to each other than those of real people
    monkeypatch.setattr("renderers.trained.renderer.PICTURE_APART", 0.14)
    assert _renderer(run, next(read_frames(clips / "talk.mp4"))).remarks == ()
    (remark,) = _renderer(run, next(read_frames(clips / "other.mp4"))).remarks
    assert "may show somebody else than ann" in remark


@pytest.mark.slow
def test_the_papers_networks_train_in_the_same_loop_and_render(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "paper", SMALL_PAPER)
    options = RendererOptions(preset="paper", held_out=0.1)
    result = train_renderer({"ann": [clips / "talk.mp4"]}, clips / "paper", options)
    assert result.step == 2
    frame = next(read_frames(clips / "talk.mp4"))
    renderer = _renderer(clips / "paper", frame)
    values = observe_picture(frame).values
    first, second = renderer.render(np.stack([values, values]))
    assert first.shape == frame.shape
    np.testing.assert_array_equal(first, second)


def _renderer(run: Path, image: np.ndarray):
    from renderers.base import Reference
    from renderers.trained.renderer import TrainedRenderer

    seen = observe_picture(image)
    renderer = TrainedRenderer(read_run(run))
    renderer.prepare(Reference(image, seen.landmarks, seen.values))
    return renderer


def test_the_whole_command_and_rendering_with_its_run(
    dim: Dim,  # noqa: F811 - the fixture
    run: Path,
    clips: Path,
    tmp_path: Path,
) -> None:
    ended = dim("train-renderer", clips / "talk.mp4", "-o", "run", "--preset", "tiny", "--steps", 2)
    assert ended.code == 0
    assert "person: " in ended.err
    assert "wrote run, step 2 (all steps done)" in ended.err
    frame = next(read_frames(clips / "talk.mp4"))
    cv2.imwrite(str(tmp_path / "ann.png"), frame[..., ::-1])
    values = np.repeat(observe_picture(frame).values[None], 5, 0)
    Motion(values, fps=25).save(tmp_path / "still.npz")
    ended = dim("render", "still.npz", "--ref", "ann.png", "--renderer", run, "-o", "out.mp4")
    assert ended.code == 0, ended.err
    frames = list(read_frames(tmp_path / "out.mp4"))
    assert len(frames) == 5
    for frame in frames[1:]:
        assert np.abs(frame.astype(float) - frames[0]).mean() < 0.5


def test_bad_input_gives_the_promised_line(
    dim: Dim,  # noqa: F811 - the fixture
    clips: Path,
    tmp_path: Path,
) -> None:
    talk = clips / "talk.mp4"
    (tmp_path / "there").mkdir()
    for arguments, line in (
        (["-o", "r"], "give the clips of one person, or --identity NAME=clip.mp4 for several"),
        (["-o", "r", "--identity", "ann"], "--identity ann: expected NAME=clip.mp4"),
        ([talk, "-o", "there"], "there: exists; give another --output, --resume or --force"),
        ([talk, "-o", talk / "run"], "talk.mp4: is a file; expected a folder"),
        ([talk, "-o", "r", "--preset", "x"], "--preset x: unknown; known: lite, paper, tiny"),
        ([talk, "-o", "r", "--tracker", "emoca"], "--tracker emoca: --preset lite starts from the"),
        ([talk, "-o", "r", "--checkpoint", "x"], "--checkpoint x: --tracker landmarks has its own"),
        ([talk, "-o", "r", "--held-out", 0.9], "--held-out 0.9: expected 0 to 0.5"),
        ([talk, "-o", "r", "--resume"], "r: nothing to resume"),
        (["nobody.mp4", "-o", "r"], "nobody.mp4: no such video file"),
    ):
        ended = dim("train-renderer", *arguments)
        assert ended.code == 2
        assert line in ended.err
        assert not (tmp_path / "r").exists()
    Motion(np.zeros((3, 56), np.float32), fps=25).save(tmp_path / "m.npz")
    for renderer, line in (
        ("nothing", "nothing: unknown renderer; expected portrait, mesh, or a run of"),
        ("there", "there: no run directory (it lacks config.yaml)"),
    ):
        picture = Path(__file__).parents[3] / "examples" / "listener.png"
        ended = dim("render", "m.npz", "--ref", picture, "--renderer", renderer)
        assert ended.code == 2
        assert line in ended.err
