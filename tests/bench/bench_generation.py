"""Generation speed: motion frames a second on the CPU, of the shipped listener and of a model with
the released code's sizes and autoregressive decoder.

``python -m tests.bench generation``. A minute (the autoregressive model: ten seconds) of made-up
speaker; the model is loaded and warm, as it is in the main job. The best of three runs counts:
other work on the machine only slows them.
"""

import os
import resource
import time

import numpy as np
import torch

import weights
from dimcli.audio import HUBERT
from dimcli.core.config import with_overrides
from dimcli.core.motion import MOTION_DIM, Motion
from dimcli.data.clip import Stimulus
from dimcli.models.checkpoint import load_dim
from dimcli.models.dim.config import preset
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.generate import generate

RUNS = 3


def measure(model: DIM, seconds: int, steps: int) -> str:
    """Generate ``seconds`` of a listener in ``steps`` passes a window, and say how fast it went."""
    random = np.random.default_rng(0)
    frames, data = round(seconds * model.fps), model.config.data
    values = 0.1 * random.normal(size=(frames, MOTION_DIM)).astype(np.float32)
    audio = random.normal(size=(frames, data.audio_dim)).astype(np.float32)
    seen = Motion(values, data.fps, data.space)
    stimulus = Stimulus("", audio, data.audio_encoder, data.fps, data.space, seen)
    taken, spent = [], []
    for run in range(RUNS):
        started, cpu = time.perf_counter(), time.process_time()
        generate(model, "listener", stimulus, seed=run, steps=steps)
        taken.append(time.perf_counter() - started)
        spent.append(time.process_time() - cpu)
    return f"{frames / min(taken):.0f} frames/s, {1000 * min(spent) / frames:.2f} ms CPU a frame"


def released() -> DIM:
    """An untrained model of the preset ``released-sizes`` at ViCo's rate, with HuBERT's width."""
    settings = {
        "data.fps": 30.0, "data.space": "flame", "data.audio_encoder": HUBERT.name,
        "data.audio_dim": HUBERT.dim, "dim.outputs": "listener",
    }  # fmt: skip
    torch.manual_seed(0)
    return DIM(with_overrides(preset("released-sizes", "finetune"), settings)).eval()


def main() -> None:
    """Print a line for each number of passes a window, and one for the autoregressive decoder."""
    print(f"one thread of {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    _, model = load_dim(weights.resolve(weights.DEFAULT_LISTENER))
    default = model.config.generation.steps
    for steps in sorted({1, default}):
        note = " (default)" if steps == default else ""
        print(f"listener-small, {steps} passes a window{note}: {measure(model, 60, steps)}")
    model = released()
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    print(f"released-sizes ({parameters:.0f} M), autoregressive: {measure(model, 10, 1)}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of the process {peak:.0f} MiB")


if __name__ == "__main__":
    main()
