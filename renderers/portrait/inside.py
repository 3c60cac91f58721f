"""What a portrait's mouth shows when it opens: teeth, tongue and the dark behind them.

Lengths are centimetres on the canonical face. A spot is (across, down) from the bite, the edge of
the upper teeth of a closed mouth.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from renderers.portrait.mesh import smoothstep
from renderers.portrait.teeth import (
    LOWER_WIDTHS_CM,
    SHEET_CM,
    UPPER_WIDTHS_CM,
    MouthColours,
    teeth_sheet,
)

Floats = NDArray[np.floating]

BITE_LOWERED_CM = 0.26
"""The upper teeth show this much more below the lip of a mouth that opens wide."""

LOWER_SHOWN_CM = (0.05, 0.26)
"""How far the lower teeth stand above the lower lip, in a mouth that opens a little and wide."""

LOWER_LIGHT = 0.82
"""Light on the lower teeth: the upper ones are in front of them."""

TONGUE_HALF_CM = 1.75


class MouthInside:
    """Paints the inside of one picture's mouth."""

    def __init__(
        self, colours: MouthColours, density: float, seam_cm: float, lower_teeth: bool
    ) -> None:
        """``density``: samples a centimetre of the teeth; ``seam_cm``: how far above the bite the
        closed lips meet; ``lower_teeth``: whether to paint those, too."""
        self._colours = colours
        self._density = density
        self._seam = seam_cm
        self._lower_teeth = lower_teeth
        self._upper = teeth_sheet(UPPER_WIDTHS_CM, True, density)
        self._lower = teeth_sheet(LOWER_WIDTHS_CM, False, density)

    def paint(self, spot: Floats, jaw_drop: float) -> Floats:
        """Colours [h, w, 3] at ``spot`` [h, w, 2] when the jaw has dropped by ``jaw_drop`` cm."""
        across, down = spot[..., 0], spot[..., 1]
        floor = max(jaw_drop, 0.0) - self._seam
        wide = float(smoothstep(np.asarray(floor), 0.0, 1.1))
        painted = self._hollow(across, down, floor)
        self._add_tongue(painted, across, down, floor)
        low, high = LOWER_SHOWN_CM
        rows = [(self._upper, BITE_LOWERED_CM * wide, 1.0)]
        if self._lower_teeth:
            rows.insert(0, (self._lower, floor - low - (high - low) * wide, LOWER_LIGHT))
        for (shade, opacity), shift, light in rows:
            where = np.stack([across + SHEET_CM[0] / 2, down - shift + SHEET_CM[1] / 2], -1)
            where = (where * self._density - 0.5).astype(np.float32)
            lit = cv2.remap(shade, where, None, cv2.INTER_LINEAR)
            cover = cv2.remap(opacity, where, None, cv2.INTER_LINEAR)
            painted += cover[..., None] * (light * lit[..., None] * self._colours.teeth - painted)
        return painted

    def _hollow(self, across: Floats, down: Floats, floor: float) -> Floats:
        """The cavity [h, w, 3]: darkest behind the upper teeth, redder towards cheeks and lip."""
        below = (down - 0.2) / max(0.8, 0.9 * floor)
        away = (across / 2.2) ** 2 + np.maximum(below, 0) ** 2
        lit = 0.62 + 0.6 * smoothstep(away, 0.0, 1.2)
        return (lit[..., None] * self._colours.cavity).astype(np.float32)

    def _add_tongue(self, painted: Floats, across: Floats, down: Floats, floor: float) -> None:
        """A mound on the floor of the mouth, in the shade of the teeth towards the throat."""
        shown = float(smoothstep(np.asarray(floor), 0.0, 0.5))
        if shown == 0:
            return
        height = 0.18 + 0.5 * floor
        top = floor - height + 0.5 * height * (across / TONGUE_HALF_CM) ** 2
        sunk = (down - top) / height
        body = smoothstep(sunk, -0.16, 0.3) * smoothstep(np.abs(across), TONGUE_HALF_CM, 1.1)
        light = 0.62 + 0.42 * smoothstep(sunk, 0.0, 0.7) - 0.12 * np.exp(-((across / 0.16) ** 2))
        light -= 0.16 * (across / TONGUE_HALF_CM) ** 2
        sheen = np.exp(-(((sunk - 0.5) / 0.16) ** 2) - ((np.abs(across) - 0.45) / 0.3) ** 2)
        colour = light[..., None] * self._colours.tongue
        colour = colour + (0.14 * sheen)[..., None] * self._colours.teeth
        painted += (shown * body)[..., None] * (colour - painted)
