"""Trains a tiny model again and again, killing it at random moments: a program for tests.

``python -m tests.training.kill_training WHAT FOLDER KILLS SEED`` trains WHAT by the same call into
``FOLDER/whole`` without a kill and into ``run-0``, ``run-1``, ... with; it prints the number of
kills. It forks its children before torch has computed anything, so that they start fast and safely.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch._dynamo  # noqa: F401  optimisers import it: once here instead of in every child

Training = Callable[[str], None]


def dim_training(folder: Path) -> Training:
    """A whole method, its stages one after the other, on ``FOLDER/data``."""
    from dimcli.training.methods import MethodOptions, train_method

    options = MethodOptions(
        preset="tiny",
        steps=6,
        device="cpu",
        resume=True,
        overrides={"training.validate_every": 2, "training.batch_size": 2},
    )

    def train(name: str) -> None:
        train_method(folder / "data", folder / name, "dim", options)

    return train


def renderer_training(folder: Path) -> Training:
    """The command ``dim train-renderer`` on ``FOLDER/talk.mp4``."""
    from dimcli.cli import main

    command = ["train-renderer", str(folder / "talk.mp4"), "--preset", "tiny", "--device", "cpu"]

    def train(name: str) -> None:
        run = folder / name
        again = ["--resume"] if run.exists() else []
        try:
            main([*command, "--steps", "8", "-o", str(run), *again])
        except SystemExit as ended:
            if ended.code:
                raise

    return train


TRAININGS = {"dim": dim_training, "renderer": renderer_training}


def attempt(train: Training, name: str, delay: float | None) -> bool:
    """Train in a child that is killed after ``delay`` seconds; whether it came to its end."""
    child = os.fork()
    if not child:
        try:
            train(name)
            os._exit(0)
        except BaseException as error:
            print(type(error).__name__, error, file=sys.stderr, flush=True)
            os._exit(1)
    if delay is not None:
        end = time.monotonic() + delay
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                assert status == 0, "training failed instead of being killed"
                return True
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), f"training failed with status {status}"
    return status == 0


def main() -> None:
    """Kill as often as asked, in as many runs as that takes."""
    what, folder, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    moments = random.Random(int(sys.argv[4]))
    train = TRAININGS[what](folder)
    began = time.monotonic()
    assert attempt(train, "whole", None)
    whole_s = time.monotonic() - began
    done = runs = 0
    while done < kills:
        name = f"run-{runs}"
        runs += 1
        # once there are enough, the last run is left to its end
        while not attempt(
            train, name, moments.uniform(0.0, 0.8) * whole_s if done < kills else None
        ):
            done += 1
    print(done)


if __name__ == "__main__":
    main()
