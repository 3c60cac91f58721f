"""What Ctrl-C leaves of jobs that go on, and the command that the user is told."""

import shlex

import pytest

from dimcli.cli.resuming import StoppedError, resumable
from dimcli.training import loop

QUICK = ("--preset", "tiny", "--steps", 4, "--device", "cpu", "--set", "training.validate_every=2")


@pytest.fixture
def interrupted(monkeypatch):
    """The next training gets Ctrl-C at so many steps."""
    step = loop.take_step

    def interrupt(at: int) -> None:
        def take(trainable, schedule, number, device):
            if number == at:
                monkeypatch.setattr(loop, "take_step", step)
                raise KeyboardInterrupt
            return step(trainable, schedule, number, device)

        monkeypatch.setattr(loop, "take_step", take)

    return interrupt


def told(ended) -> list[str]:
    """The words of the command that goes on."""
    error, advice = ended.err.splitlines()[-2:]
    assert ended.code == 130
    assert error == "error: interrupted; run keeps all up to the last validation"
    assert advice.startswith("go on with: dim ")
    return shlex.split(advice)[4:]


@pytest.mark.slow
def test_a_training_says_what_stands_and_the_command_goes_on(
    dim, made_dyads, interrupted, tmp_path
):
    command = ("train-vq", made_dyads, "--role", "listener", "-o", "run", *QUICK)
    interrupted(3)
    words = told(dim(*command))
    assert words == [*map(str, command), "--resume"]
    interrupted(3)
    assert told(dim(*words)) == words  # again, before anything new was kept
    ended = dim(*words)
    assert ended.code == 0
    assert "step 4 (all steps done)" in ended.err

    # what was there before is untouched, and no run to go on with
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    interrupted(0)
    ended = dim(*command, "--force", "--seed", 5)
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == "error: interrupted; nothing half-written was left"
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_before_anything_is_kept_nothing_is_left(dim, made_dyads, interrupted, tmp_path):
    interrupted(1)
    ended = dim("train-vq", made_dyads, "--role", "listener", "-o", "run", *QUICK)
    assert ended.err.splitlines()[-1] == "error: interrupted; nothing half-written was left"
    assert not list(tmp_path.iterdir())


def test_a_data_set_goes_on_by_the_same_command(dim, monkeypatch, tmp_path):
    from dimcli.data.synthetic import synthetic

    def stop(root, **_):
        (root / "conversations").mkdir(parents=True)
        (root / "conversations" / "one.safetensors").write_bytes(b"")
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic, "write_synthetic", stop)
    ended = dim("prepare", "synthetic", "-o", "my data", "--hours", 1)
    assert ended.code == 130
    assert ended.err.splitlines()[-2:] == [
        "error: interrupted; my data keeps the conversations that are whole",
        "go on with: dim prepare synthetic -o 'my data' --hours 1",
    ]


def test_a_download_goes_on_by_the_same_command(dim, monkeypatch, tmp_path):
    from dimcli.jobs import hub

    def stop(name, *, revision):
        (tmp_path / "home" / "runs" / ".it.arriving").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(hub, "fetch", stop)
    ended = dim("weights", "fetch", "some/one")
    assert ended.err.splitlines() == [
        f"error: interrupted; {tmp_path / 'home'} keeps what has arrived",
        "go on with: dim weights fetch some/one",
    ]


def test_the_command_that_goes_on_replaces_nothing():
    stopped = StoppedError("x", "--resume")
    assert stopped.command(["a", "--force", "b c"]) == "dim a 'b c' --resume"
    assert stopped.command(["a", "--resume"]) == "dim a --resume"


def test_other_interruptions_and_faults_stay_what_they_are(tmp_path):
    for fault in (KeyboardInterrupt, ValueError):
        with pytest.raises(fault), resumable(tmp_path, "*.x", "all"):
            raise fault
