"""Dyadic interaction modelling: a listener's face for a speaker, a talking face for speech.

The public Python API. Names are imported when they are first used, so that importing ``dimcli``
itself costs nothing; importing one of them may import torch and OpenCV.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dimcli._version import __version__

if TYPE_CHECKING:
    from dimcli.core.errors import DimError, InputError
    from dimcli.core.motion import Motion
    from dimcli.data.gains import Gains
    from dimcli.jobs.dyad import converse
    from dimcli.jobs.extract import track
    from dimcli.jobs.generate import Listener, Speaker, load_listener, load_speaker
    from dimcli.jobs.render import LoadedRenderer, load_renderer, render

__all__ = [
    "DimError",
    "Gains",
    "InputError",
    "Listener",
    "LoadedRenderer",
    "Motion",
    "Speaker",
    "__version__",
    "converse",
    "load_listener",
    "load_renderer",
    "load_speaker",
    "render",
    "track",
]

_MODULES = {
    "core.errors": ("DimError", "InputError"),
    "core.motion": ("Motion",),
    "data.gains": ("Gains",),
    "jobs.dyad": ("converse",),
    "jobs.extract": ("track",),
    "jobs.generate": ("Listener", "Speaker", "load_listener", "load_speaker"),
    "jobs.render": ("LoadedRenderer", "load_renderer", "render"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"dimcli.{module}"), name)
    raise AttributeError(f"module 'dimcli' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
