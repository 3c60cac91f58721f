"""Motion as JSON that says what its numbers are."""

from __future__ import annotations

import json
from pathlib import Path

from dimcli.core.files import atomic_output
from dimcli.core.motion import ARKIT_EXPRESSIONS, NUM_EXPRESSION, Motion
from dimcli.media import SYNTHETIC_TAG

POSE_NAMES = ("headX", "headY", "headZ", "jawX", "jawY", "jawZ")
DECIMALS = 6


def write_json(motion: Motion, path: Path, *, force: bool = False) -> None:
    """One object: ``fps``, ``space``, ``names`` of the 56 columns, ``frames`` [T][56], ``valid``.

    Angles are axis-angle in radians; the frame of reference is that of :mod:`dimcli.core.motion`.
    """
    flame = [f"expression{index}" for index in range(NUM_EXPRESSION)]
    content = {
        "format": "dim motion",
        "version": 1,
        "comment": SYNTHETIC_TAG if motion.meta.get("generated") else "tracked motion",
        "fps": motion.fps,
        "space": motion.space,
        "units": "first six columns: axis-angle, radians; x to the subject's left, y up, z forward",
        "names": [*POSE_NAMES, *(ARKIT_EXPRESSIONS if motion.space == "arkit" else flame)],
        "valid": motion.valid.tolist(),
        "frames": [[round(value, DECIMALS) for value in row] for row in motion.values.tolist()],
    }
    with atomic_output(path, force=force) as temporary:
        temporary.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
