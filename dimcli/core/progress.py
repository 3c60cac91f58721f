"""How long work tells its caller where it is, without printing anything itself."""

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called as ``progress(stage, done, total)``; ``total`` is None while it isn't known."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Ignore progress: the default of library functions."""
