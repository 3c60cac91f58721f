"""Speed of pre-training: windows a second at each preset's size, and the share of time spent
waiting for data.

``python -m tests.bench training``. The steps are those of ``dim pretrain``: the optimiser's too,
with the next batch read by a thread meanwhile. The preset ``released-sizes`` is made for a GPU: on
a CPU it is timed on batches of 4 windows instead of 32. DIM_BENCH_PRESETS (as in
``released-sizes,small``) names other ones, DIM_BENCH_STEPS how many steps are timed.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from dimcli.core.config import with_overrides
from dimcli.core.device import choose_device
from dimcli.data.store import ClipStore, data_config
from dimcli.models.dim.config import preset
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.objectives import pretrain_objective
from dimcli.training.loop import take_step
from dimcli.training.motion import MotionTraining
from dimcli.training.stages import windows_of
from tests.bench.bench_data import make_hour

PRESETS = os.environ.get("DIM_BENCH_PRESETS", "released-sizes,small").split(",")
STEPS = int(os.environ.get("DIM_BENCH_STEPS", "0"))
CPU_BATCH = 4
WARM_UP = 1


def measure(store: ClipStore, name: str, steps: int) -> str:
    device = choose_device("auto")
    config = with_overrides(preset(name, "pretrain"), {"training.steps": WARM_UP + steps})
    if device.type == "cpu" and config.dim.width > 128:
        config = with_overrides(config, {"training.batch_size": CPU_BATCH})
    config = replace(config, data=data_config(store))
    torch.manual_seed(0)
    model = DIM(config)

    def objective(batch, step, generator, training):
        return pretrain_objective(model, batch, generator, augment=training)

    batches = windows_of(store, config)["train"].batch
    trainable = MotionTraining(
        model, objective, batches, batches, config.training, directory=Path(), device=device
    )
    ahead = trainable.ahead
    try:
        for step in range(WARM_UP + steps):
            if step == WARM_UP:
                waited, started = ahead.waited_s, time.perf_counter()
            take_step(trainable, config.training, step, device)
        taken = time.perf_counter() - started
    finally:
        ahead.close()
    size = config.training.batch_size
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    return (
        f"{name:<9} {parameters:6.1f} M parameters  batch {size:>3}  "
        f"{taken / steps:7.3f} s a step  "
        f"{steps * size / taken:7.2f} windows of {config.training.window_s:g} s a second  "
        f"waiting {100 * (ahead.waited_s - waited) / taken:.2f} % of the time  ({device})"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ClipStore(make_hour(Path(folder) / "hour", "mel"))
        for name in PRESETS:
            print(measure(store, name, STEPS or (2 if name in ("released-sizes", "paper") else 20)))


if __name__ == "__main__":
    main()
