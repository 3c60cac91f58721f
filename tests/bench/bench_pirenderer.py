"""Per-identity renderers: frames a second at 256 px, on the CPU with as many threads as torch takes
(OMP_NUM_THREADS) and on CUDA where there is one; and what a step's losses cost.

    python -m tests.bench pirenderer
"""

import os
import time
from collections.abc import Callable

import torch
from torch import Tensor

from dimcli.training.renderer.objective import PerceptualLoss
from renderers.trained.backbones import Lite0
from renderers.trained.pirenderer.networks import PRESETS, PIRenderer

SIZE = 256
BATCH = 4
ROUNDS = 3


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Best of a few rounds, after one to warm up."""
    work()
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return best


def paper(device: torch.device, batch: int) -> float:
    """Frames a second of the ``paper`` network, one source and as many motions as ``batch``."""
    config = PRESETS["paper"]
    network = PIRenderer(config).eval().to(device, memory_format=torch.channels_last)
    source = torch.rand(batch, 3, SIZE, SIZE, device=device).mul(2).sub(1)
    source = source.to(memory_format=torch.channels_last)
    windows = torch.randn(batch, config.coefficients, config.window, device=device)
    with torch.inference_mode():
        return batch / seconds(lambda: network(source, windows), device)


def perceptual(device: torch.device, finest: int) -> float:
    """Seconds a picture of the perceptual loss at four sizes, with its gradient."""
    loss = PerceptualLoss(Lite0.installed(), finest=finest).to(device)
    target = torch.rand(BATCH, 3, SIZE, SIZE, device=device).mul(2).sub(1)
    picture = (target + 0.05 * torch.randn_like(target)).requires_grad_()

    def step() -> Tensor:
        picture.grad = None
        distance = loss(picture, target)
        distance.backward()
        return distance

    return seconds(step, device) / BATCH


def main() -> None:
    """Print every figure."""
    devices = [torch.device("cpu")]
    if torch.cuda.is_available():
        devices.append(torch.device("cuda"))
    threads = torch.get_num_threads()
    print(f"{threads} threads, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for device in devices:
        for batch in (1, BATCH):
            rate = paper(device, batch)
            print(f"paper, {device.type}, batch {batch}: {rate:.2f} frames/s at {SIZE} px")
        for finest in (0, 1):
            cost = 1000 * perceptual(device, finest)
            print(f"perceptual loss, {device.type}, finest {finest}: {cost:.0f} ms a picture")


if __name__ == "__main__":
    main()
