"""How a fine-tuned model is sampled; :mod:`dimcli.models.config` has the other settings."""

from __future__ import annotations

from dataclasses import dataclass

from dimcli.core.config import require_range


@dataclass(frozen=True)
class GenerationConfig:
    """How a fine-tuned model is sampled."""

    steps: int = 1
    """Mask-predict passes a window; 1 is the paper's."""
    temperature: float = 1.0
    """Sampling temperature; 0 takes the likeliest code."""
    attitude_guidance: float = 1.0
    """How much the listener's attitude counts beside what it counted in training (1):
    classifier-free guidance, for models trained with ``dim.attitude_dropout``."""
    sharpening: float = 0.0
    """How much more an expected mouth departs from its local mean than decoded: an expectation
    blurs what is brief, such as closed lips."""
    offsets: int = 1
    """At how many beginnings of its steps, a frame apart, an expected mouth is heard; their mean is
    taken. Where a step of several frames begins says nothing about the sound."""
    window_s: float = 6.4
    """Length of a window in seconds."""
    overlap_s: float = 1.6
    """Seconds of the last window that the next one starts from."""

    def __post_init__(self) -> None:
        require_range("generation.steps", self.steps, 1, 10_000)
        require_range("generation.offsets", self.offsets, 1, 64)
        require_range("generation.temperature", self.temperature, 0, 100)
        require_range("generation.attitude_guidance", self.attitude_guidance, 0, 100)
