"""Bundled weights and data files: where they are, and whether they are what they should be."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dimcli.core import manifest
from dimcli.core.errors import DimError, InputError

DEFAULT_LISTENER = "listener-small"
LIVE_LISTENER = "listener-live"
"""Answers a stream, and a voice alone."""
DEFAULT_SPEAKER = "speaker-small"
_HERE = Path(__file__).parent


@cache
def registry() -> dict[str, Any]:
    """The registry: ``files``, ``runs`` and ``fetchable``, each a mapping of name to its facts."""
    return yaml.safe_load((_HERE / "registry.yaml").read_text("utf-8"))


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of its files' names and digests."""
    if path.is_file():
        return manifest.sha256(path)
    files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
    listing = "\n".join(f"{file.name} {digest(file)}" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest()


@cache
def _verified(path: Path, sha256: str) -> Path:
    """``path`` if it hashes to ``sha256``. Raises DimError with the fix where it does not."""
    if not path.exists():
        raise DimError(f"bundled file {path} is missing; reinstall the package")
    found = digest(path)
    if found != sha256:
        raise DimError(
            f"bundled file {path} has sha256 {found[:12]}..., expected {sha256[:12]}...; "
            "reinstall the package"
        )
    return path


def path(name: str) -> Path:
    """Path of a bundled file or folder by its registry name, verified. KeyError if unknown."""
    return _verified(_HERE / name, registry()["files"][name]["sha256"])


def user_folder() -> Path:
    """Where imported files live: ``$DIM_HOME``, else this system's folder for user data."""
    chosen = os.environ.get("DIM_HOME")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_data_path("dim", appauthor=False)


def fetched_run(name: str) -> Path:
    """Where the run ``owner/name`` of the Hugging Face hub lies once it is fetched."""
    return user_folder() / "runs" / name.replace("/", "--")


def fetched_file(name: str, path: Path) -> Path:
    """``path`` of a file of the fetchable ``name``, if it is the one that the registry pins.

    Raises InputError where it is another.
    """
    wanted = registry()["fetchable"][name]["sha256"].get(path.name)
    status = path.stat()
    if wanted is None or _digest_of(path, status.st_size, status.st_mtime_ns) != wanted:
        raise InputError(
            f"{path}: is not the published file of {name} (by its sha256); delete it, then run "
            f"`dim weights fetch {name}`"
        )
    return path


@cache
def _digest_of(path: Path, size: int, changed_ns: int) -> str:
    return digest(path)


def resolve(name: str) -> Path:
    """Directory of a run: a directory, a bundled name (then verified), or a fetched ``owner/name``.

    Raises InputError that lists the known names.
    """
    runs = registry()["runs"]
    if name in runs:
        _verified(_HERE / name / "model.safetensors", runs[name]["sha256"])
        return _HERE / name
    directory = Path(name)
    if directory.is_dir():
        if not (directory / "config.yaml").is_file():
            raise InputError(
                f"--weights {name}: not a run directory, as it has no config.yaml; "
                "expected one that a training command wrote"
            )
        return directory
    if name.count("/") == 1 and fetched_run(name).is_dir():
        return fetched_run(name)
    raise InputError(
        f"--weights {name}: neither a run directory nor a bundled name "
        f"(bundled: {', '.join(sorted(runs)) or 'none'}); "
        "one on the Hugging Face hub is brought by `dim weights fetch OWNER/NAME`"
    )
