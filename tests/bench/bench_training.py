"""Speed of pre-training: steps a second at the paper's sizes with and without each setting of the
training section, the share of time spent waiting for data, and from one process to two.

``python -m tests.bench training``, on a GPU where there is one, else on the CPU: each line says
which. The steps are those of ``dim pretrain``: the optimiser's too, with the next batch read by a
thread meanwhile. Two lines are of what is no setting: ``masked steps in`` works on masked steps in
the encoders, too, which training leaves out; ``codes given`` spends nothing on the codes of the
frozen VQ-VAEs, which is the most that keeping them could save. On a CPU `paper` and
`released-sizes`, which are made for GPUs, are timed on batches of 2 windows instead of 32, and
compared at that; the seconds of the processor tell more than the clock's where other programs run.
DIM_BENCH_PRESETS (as in ``small``) and DIM_BENCH_SETTINGS (as in ``plain,bf16``) name other ones,
DIM_BENCH_STEPS how many steps are timed.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dimcli.core import distributed
from dimcli.core.config import with_overrides
from dimcli.core.device import choose_device
from dimcli.data.store import ClipStore, data_config
from dimcli.models.dim.config import preset
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.layers import Transformer
from dimcli.models.dim.objectives import pretrain_objective
from dimcli.models.dim.vqvae import VQVAE
from dimcli.training.loop import take_step
from dimcli.training.motion import MotionTraining, in_precision
from dimcli.training.stages import windows_of
from tests.bench.bench_data import make_hour

PRESETS = os.environ.get("DIM_BENCH_PRESETS", "paper,released-sizes,small").split(",")
STEPS = int(os.environ.get("DIM_BENCH_STEPS", "0"))
SETTINGS: dict[str, dict[str, object]] = {
    "plain": {},
    "tf32": {"precision": "tf32"},
    "bf16": {"precision": "bf16"},
    "compile": {"compile": True},
    "bf16+compile": {"precision": "bf16", "compile": True},
    "accumulation 2": {"accumulation": 2},
    "checkpointing": {"gradient_checkpointing": True},
    "masked steps in": {},
    "codes given": {},
}
CHOSEN = os.environ.get("DIM_BENCH_SETTINGS", ",".join(SETTINGS)).split(",")
CPU_BATCH = 2
WARM_UP = 3
"""Steps before the clock starts: what is compiled for one length is compiled again at the next."""


def measured_on(device: torch.device) -> str:
    """What the figures are of."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    load = os.getloadavg()[0]
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads, load {load:.1f}"


def wait_for(device: torch.device) -> float:
    """The time at which ``device`` has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def changed(setting: str) -> Iterator[None]:
    """What a line of :data:`SETTINGS` changes that is no setting."""

    def codes(vq: VQVAE, motion: Tensor, frame_mask: Tensor) -> Tensor:
        shape = *vq.step_mask(frame_mask).shape, len(vq.part_modules)
        return torch.zeros(shape, dtype=torch.long, device=motion.device)

    of_visible, encode = Transformer.of_visible, VQVAE.encode
    if setting == "masked steps in":
        Transformer.of_visible = Transformer.forward  # type: ignore[method-assign]
    if setting == "codes given":
        VQVAE.encode = codes  # type: ignore[method-assign]
    try:
        yield
    finally:
        Transformer.of_visible, VQVAE.encode = of_visible, encode  # type: ignore[method-assign]


def measure(store: ClipStore, name: str, setting: str, steps: int) -> str:
    device = choose_device("auto")
    overrides: dict[str, object] = {"training.steps": WARM_UP + steps}
    config = with_overrides(preset(name, "pretrain"), overrides)
    if device.type == "cpu" and config.dim.width > 128:
        overrides["training.batch_size"] = CPU_BATCH
    overrides |= {f"training.{key}": value for key, value in SETTINGS[setting].items()}
    config = replace(with_overrides(config, overrides), data=data_config(store))
    torch.manual_seed(0)
    model = DIM(config)

    def objective(batch, step, generator, training):
        return pretrain_objective(model, batch, generator, augment=training)

    batches = windows_of(store, config)["train"].batch
    with in_precision(config.training, device), changed(setting):
        trainable = MotionTraining(
            model, objective, batches, batches, config.training, directory=Path(), device=device
        )
        ahead = trainable.ahead
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        try:
            with FlopCounterMode(display=False) if setting == "plain" else nullcontext() as counted:
                take_step(trainable, config.training, 0, device)
            for step in range(1, WARM_UP + steps):
                if step == WARM_UP:
                    waited, started = ahead.waited_s, wait_for(device)
                    busy = time.process_time()
                take_step(trainable, config.training, step, device)
            taken, busy = wait_for(device) - started, time.process_time() - busy
        finally:
            ahead.close()
    size = config.training.batch_size
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    work = f", {counted.get_total_flops() / 1e12:.2f} TFLOP a step" if counted else ""
    memory = torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else 0.0
    return (
        f"{name:<15}{setting:<16}{parameters:5.1f} M  batch {size:>3}  "
        f"{steps / taken:7.3f} steps a second ({taken / steps:6.3f} s, {busy / steps:6.3f} s CPU), "
        f"{steps * size / taken:7.2f} windows of {config.training.window_s:g} s a second, "
        f"waiting {100 * (ahead.waited_s - waited) / taken:.2f} %"
        + work
        + (f", {memory:.1f} GB" if memory else "")
        + f"  [{measured_on(device)}]"
    )


def main() -> None:
    """Print a line for each preset and setting, then one for two processes."""
    with tempfile.TemporaryDirectory() as folder:
        hour = make_hour(Path(folder) / "hour", "mel")
        of_one_process(hour)
        both = [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", "2", "-m", "tests.bench.bench_training", str(hour)),
        ]
        if torch.cuda.device_count() == 1:
            print("2 processes: need a second GPU, or none")
        else:
            subprocess.run(both, check=True)


def of_one_process(hour: Path) -> None:
    store = ClipStore(hour)
    for name in PRESETS:
        for setting in CHOSEN:
            if setting == "tf32" and not torch.cuda.is_available():
                print(f"{name:<15}{setting:<16}is of GPUs, and there is none here", flush=True)
                continue
            large = name in ("released-sizes", "paper") and not torch.cuda.is_available()
            print(measure(store, name, setting, STEPS or (2 if large else 20)), flush=True)


def of_two_processes(hour: Path) -> None:
    """The same whole batch on two processes."""
    store = ClipStore(hour)
    with distributed.joined(choose_device("auto")):
        for name in PRESETS:
            line = measure(store, name, "plain", STEPS or 2)
            if distributed.rank() == 0:
                print(f"2 processes: {line}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] and Path(sys.argv[1]).is_dir():
        of_two_processes(Path(sys.argv[1]))
    else:
        main()
