"""How what some commands need besides is installed."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit


def install(extra: str) -> str:
    """The line that installs an ``extra`` of this package: from the folder that it came from, if it
    is there, else by its name."""
    return f"pip install '{_origin() or 'dim-listener'}[{extra}]'"


def _origin() -> Path | None:
    """The repository that this package runs in or was installed from (PEP 610)."""
    beside = Path(__file__).resolve().parents[2]
    if (beside / "pyproject.toml").is_file():
        return beside
    try:
        said = metadata.distribution("dim-listener").read_text("direct_url.json")
        url = urlsplit(json.loads(said or "{}").get("url", ""))
    except (metadata.PackageNotFoundError, ValueError):
        return None
    folder = Path(unquote(url.path))
    return folder if url.scheme == "file" and (folder / "pyproject.toml").is_file() else None
