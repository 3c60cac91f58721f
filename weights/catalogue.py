"""All weights and model files that dim knows: bundled, imported by the user, or fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import weights
from dimcli.core import manifest
from dimcli.core.errors import DimError, InputError
from weights.importing import Kind, kinds

CONFIG = "config.yaml"


@dataclass(frozen=True)
class Entry:
    """One thing that can be had: ``source`` is bundled, importable or fetchable."""

    name: str
    source: str
    what: str
    licence: str
    path: Path | None
    """Where it is, if it is here."""
    how: str
    """How to get it; empty where it is bundled."""
    size: int | None = None
    """Bytes, as far as known."""

    @property
    def present(self) -> bool:
        """Whether it is here."""
        return self.path is not None

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "name": self.name,
            "source": self.source,
            "present": self.present,
            "path": str(self.path) if self.path else None,
            "size": self.size,
            "licence": self.licence,
            "what": self.what,
            "how": self.how,
        }


def entries() -> list[Entry]:
    """Everything, bundled things first."""
    registry, home = weights.registry(), weights.user_folder()
    bundled = [
        _bundled(name, facts)
        for section in ("runs", "files")
        for name, facts in registry[section].items()
    ]
    importable = [_importable(kind, home) for kind in kinds().values()]
    fetchable = [_fetchable(name, facts, home) for name, facts in registry["fetchable"].items()]
    fetched = [_fetched(folder) for folder in sorted(home.glob("runs/[!.]*")) if folder.is_dir()]
    return bundled + importable + fetchable + fetched


def entry(name: str) -> Entry:
    """One of :func:`entries` by name. InputError with the known names."""
    known = {one.name: one for one in entries()}
    if name not in known:
        raise InputError(f"{name}: unknown; known: {', '.join(known)}")
    return known[name]


def verify() -> dict[str, str]:
    """Every file that is here with what is wrong with it, ``""`` where it is whole."""
    found = {}
    registry = weights.registry()
    for name in registry["files"]:
        found[name] = _bundled_fault(lambda name=name: weights.path(name))
    for name in registry["runs"]:
        found[name] = _bundled_fault(lambda name=name: weights.resolve(name))
    home = weights.user_folder()
    for name, fault in manifest.faults(home).items():
        found[str(home / name)] = fault and f"{fault}; import or fetch it again"
    return found


def _bundled_fault(find: Any) -> str:
    try:
        find()
    except DimError as error:
        return str(error)
    return ""


def _bundled(name: str, facts: dict[str, Any]) -> Entry:
    path = Path(weights.__file__).parent / name
    return Entry(
        name,
        "bundled",
        facts["what"],
        facts["licence"],
        path if path.exists() else None,
        "",
        _size(path),
    )


def _importable(kind: Kind, home: Path) -> Entry:
    path = home / kind.target
    there, how = path if path.exists() else None, kind.how_to_get
    return Entry(kind.name, "importable", kind.what, kind.licence, there, how, _size(path))


def _fetchable(name: str, facts: dict[str, Any], home: Path) -> Entry:
    path = home / facts["folder"]
    there = path if path.is_dir() else None
    size = _size(path) if there else round(facts["size_mb"] * 1e6)
    page = f"https://huggingface.co/{facts['repository']}"
    how = f"`dim weights fetch {name}` ({page})"
    return Entry(name, "fetchable", facts["what"], facts["licence"], there, how, size)


def _fetched(folder: Path) -> Entry:
    name = folder.name.replace("--", "/", 1)
    what = "run fetched from the hub: --weights " + name
    return Entry(name, "fetchable", what, "see its card", folder, "", _size(folder))


def _size(path: Path) -> int | None:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return path.stat().st_size if path.is_file() else None
