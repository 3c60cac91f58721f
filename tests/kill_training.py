"""Trains a tiny model again and again, killing it at random moments: a program for a test.

``python -m tests.kill_training FOLDER KILLS SEED`` trains ``FOLDER/data`` by the same call into
``whole`` without a kill and into ``run-0``, ``run-1``, ... with; it prints the number of kills. It
forks its children before torch has computed anything, so that they start fast and safely.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch._dynamo  # noqa: F401  optimisers import it: once here instead of in every child

from dimcli.training.method_stages import MethodOptions, train_method


def train(folder: Path, name: str) -> None:
    """The call under test."""
    options = MethodOptions(
        preset="tiny",
        steps=6,
        device="cpu",
        resume=True,
        overrides={"training.validate_every": 2, "training.batch_size": 2},
    )
    train_method(folder / "data", folder / name, "dim", options)


def attempt(folder: Path, name: str, delay: float | None) -> bool:
    """Train in a child that is killed after ``delay`` seconds; whether it came to its end."""
    child = os.fork()
    if not child:
        try:
            train(folder, name)
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
    folder, kills, moments = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    began = time.monotonic()
    assert attempt(folder, "whole", None)
    whole_s = time.monotonic() - began
    done = runs = 0
    while done < kills:
        name = f"run-{runs}"
        runs += 1
        while not attempt(folder, name, moments.uniform(0.0, 0.7) * whole_s):
            done += 1
    print(done)


if __name__ == "__main__":
    main()
