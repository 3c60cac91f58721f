"""Generation speed: motion frames a second of the shipped model on the CPU.

``python -m tests.bench generation``. A minute of made-up speaker; the model is loaded and warm, as
it is in the main job. The best of three runs counts: other work on the machine only slows them.
"""

import os
import resource
import time

import numpy as np
from dimcli.models.dim.listener import generate_listener, load_listener

import weights
from dimcli.core.motion import MOTION_DIM, Motion

SECONDS = 60
RUNS = 3


def main() -> None:
    """Print a line for each number of passes a window."""
    model = load_listener(weights.resolve(weights.DEFAULT_LISTENER), "cpu")
    random = np.random.default_rng(0)
    frames = round(SECONDS * model.fps)
    speaker = Motion(0.1 * random.normal(size=(frames, MOTION_DIM)).astype(np.float32), model.fps)
    audio = random.normal(size=(frames, model.config.data.audio_dim)).astype(np.float32)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(
        f"{parameters / 1e6:.1f} M parameters, one thread of {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    default = model.config.generation.steps
    for steps in sorted({1, default}):
        generate_listener(model, speaker, audio, seed=0, steps=steps)
        taken, spent = [], []
        for run in range(RUNS):
            started, cpu = time.perf_counter(), time.process_time()
            generate_listener(model, speaker, audio, seed=run, steps=steps)
            taken.append(time.perf_counter() - started)
            spent.append(time.process_time() - cpu)
        note = " (default)" if steps == default else ""
        print(
            f"{steps} passes a window{note}: {frames / min(taken):.0f} frames/s, "
            f"{1000 * min(spent) / frames:.2f} ms CPU a frame"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of the process {peak:.0f} MiB")


if __name__ == "__main__":
    main()
