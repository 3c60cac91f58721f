import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dimcli.core.errors import InputError
from dimcli.models.checkpoint import load_dim, load_run, load_vq
from dimcli.models.config import TrainingConfig
from dimcli.training.loop import Progress, TrainingResult
from dimcli.training.motion import learning_rate
from dimcli.training.stages import StageOptions, finetune, pretrain, train_vq
from tests.answers import write_run
from tests.stores import make_store

pytestmark = pytest.mark.slow

FILES = ("model.safetensors", "metrics.jsonl", "config.yaml", "training_state.safetensors")


class InterruptedRunError(Exception):
    pass


def options(**settings: object) -> StageOptions:
    return StageOptions(preset="tiny", device="cpu", **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, two VQ-VAEs, a pre-trained and a fine-tuned run, all tiny."""
    folder = tmp_path_factory.mktemp("runs")
    make_store(folder / "data")
    for role in ("speaker", "listener"):
        train_vq(folder / "data", folder / role, role, options(steps=6))
    pretrain(
        folder / "data", folder / "pre", folder / "speaker", folder / "listener", options(steps=6)
    )
    finetune(folder / "data", folder / "fine", folder / "pre", "listener", options(steps=6))
    return folder


def same_bytes(first: Path, second: Path) -> None:
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


@pytest.mark.parametrize("stage", ["vq", "finetune"])
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(
    folder: Path, tmp_path: Path, stage: str
) -> None:
    def run(name: str, **settings: object) -> None:
        often = {"training.validate_every": 5}
        chosen = options(steps=15, overrides=often, **settings)
        if stage == "vq":
            train_vq(folder / "data", tmp_path / name, "listener", chosen)
        else:
            finetune(folder / "data", tmp_path / name, folder / "pre", "listener", chosen)

    def kill(progress: Progress) -> None:
        if progress.step == 10 and progress.split == "train":
            raise InterruptedRunError  # after step 10 was done and before it was saved

    run("whole")
    with pytest.raises(InterruptedRunError):
        run("killed", progress=kill)
    lines = (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 10
    run("killed", resume=True)
    same_bytes(tmp_path / "whole", tmp_path / "killed")


def test_a_run_that_ran_out_of_time_goes_on_from_that_very_step(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, **settings: object) -> TrainingResult:
        chosen = options(steps=8, overrides={"training.validate_every": 4}, **settings)
        return train_vq(folder / "data", tmp_path / name, "listener", chosen)

    run("whole")
    clock = iter(range(100_000))
    with monkeypatch.context() as patch:
        patch.setattr("dimcli.training.loop.time.monotonic", lambda: 10.0 * next(clock))
        stopped = run("stopped", max_minutes=1.0)
    assert stopped.reason == "minutes"
    assert 0 < stopped.step < 8
    assert stopped.step % 4, "the point is to stop between two validations"
    run("stopped", resume=True)
    same_bytes(tmp_path / "whole", tmp_path / "stopped")


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    folder: Path, tmp_path: Path
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_vq(folder / "data", tmp_path / name, "listener", options(steps=6, seed=seed))
    same_bytes(tmp_path / "a", tmp_path / "b")
    model = "model.safetensors"
    assert (tmp_path / "a" / model).read_bytes() != (tmp_path / "c" / model).read_bytes()


def test_fine_tuning_leaves_frozen_parts_as_they_were_and_trains_the_vq_decoder(
    folder: Path,
) -> None:
    _, before = load_dim(folder / "pre")
    _, after = load_dim(folder / "fine")
    changed = set()
    old = before.state_dict()
    for name, tensor in after.state_dict().items():
        if name.startswith("vq.") and not torch.equal(old[name], tensor):
            changed.add(name.split(".")[4])
    assert changed == {"from_code", "decoder", "to_frames", "smooth"}


def test_a_fine_tuned_run_keeps_only_what_its_task_needs(folder: Path) -> None:
    config, model = load_dim(folder / "fine")
    assert config.dim.outputs == "listener"
    assert list(model.vq) == ["listener"]
    assert list(model.heads) == ["listener"]


def test_early_stopping_stops_when_validation_no_longer_improves(
    folder: Path, tmp_path: Path
) -> None:
    settings = {"training.learning_rate": 0.0, "training.patience": 2, "vq.warmup_steps": 0}
    settings["training.validate_every"] = 3
    result = train_vq(
        folder / "data", tmp_path / "run", "listener", options(steps=100, overrides=settings)
    )
    assert result.reason == "patience"
    assert result.step == 9
    assert result.best_step == 3


def test_the_listener_and_the_speaker_are_two_tasks_of_one_model(
    folder: Path, tmp_path: Path
) -> None:
    finetune(folder / "data", tmp_path / "run", folder / "pre", "speaker", options(steps=6))
    config, _ = load_dim(tmp_path / "run")
    assert config.role == "speaker"
    assert config.dim.outputs == "speaker"


@pytest.mark.parametrize("half", [False, True])
def test_a_run_survives_saving_and_loading(folder: Path, tmp_path: Path, half: bool) -> None:
    run = load_run(folder / "fine")
    write_run(run.config, run.model, tmp_path / "copy", half=half)
    again = load_run(tmp_path / "copy")
    assert again.config == run.config
    for name, tensor in run.model.state_dict().items():
        assert torch.allclose(again.model.state_dict()[name], tensor, atol=2e-3 if half else 0)


def test_a_forced_run_on_data_that_fail_at_once_leaves_the_old_one(
    folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train_vq(folder / "data", run, "listener", options(steps=6))
    shutil.copytree(folder / "data", tmp_path / "data")
    for clip in (tmp_path / "data").rglob("*.safetensors"):
        clip.write_bytes(b"broken")
    with pytest.raises(InputError, match=r"\.safetensors: "):
        train_vq(tmp_path / "data", run, "listener", options(steps=9, force=True))
    same_bytes(run, folder / "listener")
    assert not (run / ".replaced").exists()
    train_vq(folder / "data", run, "listener", options(steps=3, force=True))
    assert (run / "config.yaml").read_text() != (folder / "listener/config.yaml").read_text()
    assert not (run / ".replaced").exists()


def test_wrong_runs_and_settings_get_one_line(folder: Path, tmp_path: Path) -> None:
    data = folder / "data"
    with pytest.raises(InputError, match="expected a speaker VQ-VAE run"):
        load_vq(folder / "listener", "speaker")
    with pytest.raises(InputError, match="expected a run of `dim pretrain`"):
        load_dim(folder / "listener")
    with pytest.raises(InputError, match="exists; give another"):
        train_vq(data, folder / "listener", "listener", options())
    with pytest.raises(InputError, match="nothing to resume"):
        train_vq(data, tmp_path / "new", "listener", options(resume=True))
    with pytest.raises(InputError, match="with other settings"):
        train_vq(data, folder / "listener", "listener", options(resume=True, steps=11))
    with pytest.raises(InputError, match="neither a run directory nor a bundled name"):
        load_run(tmp_path / "nothing")


def test_broken_weights_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    run = load_run(folder / "fine")
    write_run(run.config, run.model, tmp_path / "run")
    path = tmp_path / "run" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"model\.safetensors: not a safetensors file"):
        load_run(tmp_path / "run")
    path.write_bytes((folder / "listener" / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match="not the weights that config"):
        load_run(tmp_path / "run")


def test_the_learning_rate_ramps_up_and_falls_to_two_percent() -> None:
    config = TrainingConfig(steps=100, learning_rate=1.0, schedule="cosine", ramp_steps=10)
    rates = [learning_rate(config, step) for step in range(101)]
    assert abs(rates[0] - 0.1) < 1e-9
    assert max(rates) == max(rates[9:12])
    assert abs(rates[100] - 0.02) < 1e-9


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"dim.width": 4096, "dim.joint_layers": 8}, "more than 300 million parameters"),
        ({"training.window_s": 3000.0}, "training.window_s"),
        ({"training.batch_size": 60_000}, "expected at most 500000"),
    ],
)
def test_a_model_or_batch_for_which_no_memory_is_enough_is_refused(
    folder: Path, tmp_path: Path, overrides: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        pretrain(
            folder / "data",
            tmp_path / "large",
            folder / "speaker",
            folder / "listener",
            options(steps=1, overrides=overrides),
        )
    assert not (tmp_path / "large").exists()


def test_a_training_that_ends_before_its_first_validation_leaves_a_model(
    folder: Path, tmp_path: Path
) -> None:
    chosen = options(steps=50, max_minutes=1e-9)
    result = train_vq(folder / "data", tmp_path / "run", "listener", chosen)
    assert result.reason == "minutes"
    load_vq(tmp_path / "run", "listener")


def test_what_is_foretold_is_what_the_time_allows_or_the_steps_whichever_ends_first() -> None:
    now = Progress(step=4, steps=600, split="step", figures={}, seconds=6.0, part=1, parts=4)
    assert now.amount("training") == ("training", 604, 2400)
    limited = replace(now, limit_s=7.5)
    assert limited.amount("training") == ("training, seconds", 14, 30)
    assert replace(limited, steps=5).amount("training") == ("training, seconds", 14, 30)
    assert replace(limited, steps=4).amount("training") == ("training, seconds", 12, 24)
    assert replace(limited, begun=4).amount("training") == ("training, seconds", 14, 30)


def test_adapting_starts_from_a_fine_tuned_run_and_never_ends_worse(
    folder: Path, tmp_path: Path
) -> None:
    often = {"training.validate_every": 2, "training.batch_size": 2, "training.learning_rate": 5.0}
    chosen = replace(options(steps=4), preset="adapt", overrides=often)
    result = finetune(folder / "data", tmp_path / "mine", folder / "fine", "listener", chosen)
    assert (result.step, result.best_step) == (4, 0), "this rate only does harm"
    assert result.unchanged and result.validated
    before, after = load_run(folder / "fine"), load_run(tmp_path / "mine")
    assert after.config.generation == before.config.generation
    assert after.config.training.window_s == before.config.training.window_s
    same = zip(before.model.state_dict().values(), after.model.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in same)
    told: list[str] = []
    plain = replace(options(steps=1), remark=told.append)
    finetune(folder / "data", tmp_path / "plain", folder / "fine", "listener", plain)
    assert "--preset adapt goes on from it" in told[0]
    with pytest.raises(InputError, match="goes on from a fine-tuned run"):
        finetune(folder / "data", tmp_path / "other", folder / "pre", "listener", chosen)


def test_a_bundled_name_is_a_run_and_a_misspelt_one_is_told(folder: Path, tmp_path: Path) -> None:
    """The made data set has other features of sound than the bundled listener was trained on."""
    chosen = replace(options(steps=2), preset="adapt")
    with pytest.raises(
        InputError, match=r"listener-small as 'mel' \(32 wide\); prepare .* --audio"
    ):
        finetune(folder / "data", tmp_path / "run", Path("listener-small"), "listener", chosen)
    with pytest.raises(InputError, match="did you mean listener-small"):
        load_run(Path("listener-smal"))
