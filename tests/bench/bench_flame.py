"""FLAME: heads posed a second, and frames converted a second, on a made-up model of its size.

python -m tests.bench flame
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from dimcli.core.motion import EXPRESSION, JAW, MOTION_DIM, Motion
from dimcli.jobs.convert import Converter
from renderers.heads.correspondence import correspond
from renderers.heads.flame import FlameHead
from renderers.heads.open_head import OpenHead
from tests.flame_files import flame_arrays

FRAMES = 256
ROUNDS = 3


def talking() -> Motion:
    """Arkit motion [FRAMES, 56] with an open jaw and a few units raised."""
    generator = np.random.default_rng(0)
    values = np.zeros((FRAMES, MOTION_DIM), np.float32)
    values[:, JAW.start] = generator.uniform(0, 0.3, FRAMES)
    values[:, EXPRESSION] = generator.uniform(-2, 0.5, (FRAMES, 50)).clip(0)
    return Motion(values, fps=25)


def fastest_s(job: Callable[[], object]) -> float:
    """Least seconds that ``job`` took."""
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        job()
        taken.append(time.perf_counter() - start)
    return min(taken)


def main() -> None:
    arrays = flame_arrays()
    flame = FlameHead(
        {
            "template": arrays["v_template"],
            "faces": arrays["f"],
            "shape_basis": arrays["shapedirs"][..., :300],
            "expression_basis": arrays["shapedirs"][..., 300:],
            "pose_basis": arrays["posedirs"],
            "joint_regressor": arrays["J_regressor"],
            "parents": np.array([-1, 0, 1, 1, 1]),
            "skin_weights": arrays["weights"],
        }
    )
    head = OpenHead.bundled()
    motion = talking()
    values = torch.from_numpy(motion.values[:64])
    print(f"torch threads {torch.get_num_threads()}")
    with torch.inference_mode():
        print(f"posed {64 / fastest_s(lambda: flame.vertices(values)):.0f} heads/s")
    converter = Converter(head, flame, correspond(head, flame))
    there = converter.convert(motion, "flame")
    seconds = fastest_s(lambda: converter.convert(motion, "flame"))
    print(f"to flame {FRAMES / seconds:.0f} frames/s, {there.residual_mm.mean():.2f} mm left")
    seconds = fastest_s(lambda: converter.convert(there.motion, "arkit"))
    print(f"to arkit {FRAMES / seconds:.0f} frames/s")


if __name__ == "__main__":
    main()
