"""Generation speed: motion frames a second on the CPU, of the shipped listener, of a model of the
paper's sizes and of one with the released code's sizes and autoregressive decoder.

``python -m tests.bench generation``. A minute (the large models: twenty and ten seconds) of made-up
speaker; the model is loaded and warm, as it is in the main job. The best of three runs counts:
other work on the machine only slows them, and the time of the processor less so.

Large products go to oneDNN (:func:`dimcli.core.device.large_products`). The paper's sizes are also
measured without that, and in bf16, which is not used. What either does to the codes to draw is the
mean total variation between their probabilities and those of float32, in the first window, of the
shipped listener, a model that was trained, and of the paper's sizes.
"""

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch

import weights
from dimcli.audio import HUBERT
from dimcli.core.config import with_overrides
from dimcli.core.device import one_thread
from dimcli.core.motion import MOTION_DIM, Motion
from dimcli.data.clip import Stimulus
from dimcli.models.checkpoint import load_dim
from dimcli.models.dim import layers
from dimcli.models.dim.config import preset
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.generate import generate, window_inputs
from dimcli.models.dim.sampling import CodePredictor

RUNS = 3


@contextmanager
def without_onednn() -> Iterator[None]:
    """Every product as torch chooses."""
    before, layers.LARGE = layers.LARGE, 2**62
    try:
        yield
    finally:
        layers.LARGE = before


def in_bf16() -> AbstractContextManager[None]:
    return torch.autocast("cpu", torch.bfloat16)


WAYS = {"": nullcontext, ", without oneDNN": without_onednn, ", bf16": in_bf16}


def made_up(model: DIM, seconds: float) -> Stimulus:
    random = np.random.default_rng(0)
    frames, data = round(seconds * model.fps), model.config.data
    values = 0.1 * random.normal(size=(frames, MOTION_DIM)).astype(np.float32)
    audio = random.normal(size=(frames, data.audio_dim)).astype(np.float32)
    seen = Motion(values, data.fps, data.space)
    return Stimulus("", audio, data.audio_encoder, data.fps, data.space, seen)


def measure(model: DIM, seconds: int, steps: int) -> str:
    """Generate ``seconds`` of a listener in ``steps`` passes a window, and say how fast it went."""
    stimulus = made_up(model, seconds)
    frames = len(stimulus)
    taken, spent = [], []
    for run in range(RUNS):
        started, cpu = time.perf_counter(), time.process_time()
        generate(model, "listener", stimulus, seed=run, steps=steps)
        taken.append(time.perf_counter() - started)
        spent.append(time.process_time() - cpu)
    return (
        f"{frames / min(taken):.0f} frames/s, {1000 * min(spent) / frames:.2f} ms CPU a frame "
        f"({frames / min(spent):.0f} frames/s of a core)"
    )


def probabilities(model: DIM) -> torch.Tensor:
    """Of a window's codes, nothing of the listener known: [N, P, K]."""
    stimulus = made_up(model, model.config.generation.window_s)
    speaker = stimulus.seen.values
    with one_thread(), torch.inference_mode():
        dyad = window_inputs(model, speaker, stimulus.audio, "unknown")
        codes = dyad.codes["listener"][0]
        nothing = torch.zeros(len(codes), dtype=torch.bool)
        predictor = CodePredictor(model, dyad)
        return predictor.logits(codes, nothing, torch.arange(len(codes))).softmax(dim=-1)


def variation(model: DIM, plain: torch.Tensor, made: Callable[[], AbstractContextManager]) -> str:
    """How far :func:`probabilities` are from the ``plain`` ones when they are ``made`` that way."""
    with made():
        varied = (probabilities(model) - plain).abs().sum(dim=-1).mean() / 2
    return f"total variation of a code's probabilities {varied:.1e}"


def untrained(name: str) -> DIM:
    """A model of a preset at ViCo's rate, with HuBERT's width."""
    settings = {
        "data.fps": 30.0, "data.space": "flame", "data.audio_encoder": HUBERT.name,
        "data.audio_dim": HUBERT.dim, "dim.outputs": "listener",
    }  # fmt: skip
    torch.manual_seed(0)
    return DIM(with_overrides(preset(name, "finetune"), settings)).eval()


def size_of(model: DIM) -> str:
    return f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.0f} M"


def main() -> None:
    """Print a line for each number of passes a window, then one for each large model and way."""
    print(f"one thread of {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    _, model = load_dim(weights.resolve(weights.DEFAULT_LISTENER))
    default = model.config.generation.steps
    for steps in sorted({1, default}):
        note = " (default)" if steps == default else ""
        print(f"listener-small, {steps} passes a window{note}: {measure(model, 60, steps)}")
    plain = probabilities(model)
    for way, made in WAYS.items():
        print(f"listener-small{way}: {variation(model, plain, made)}")
    model = untrained("paper")
    plain = probabilities(model)
    for way, made in WAYS.items():
        with made():
            line = f"paper ({size_of(model)}), 1 pass{way}: {measure(model, 20, 1)}"
        print(f"{line}; {variation(model, plain, made)}", flush=True)
    model = untrained("released-sizes")
    print(f"released-sizes ({size_of(model)}), autoregressive: {measure(model, 10, 1)}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of the process {peak:.0f} MiB")


if __name__ == "__main__":
    main()
