"""dim: watches somebody talk and makes the face of somebody listening to them."""

from dimcli._version import __version__

__all__ = ["__version__"]
