"""What every file in the user's folder must hash to, so that damage is found before it is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from dimcli.core.documents import read_json
from dimcli.core.errors import InputError
from dimcli.core.files import write_text

MANIFEST = "sha256.json"


def sha256(path: Path) -> str:
    """The hash of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record(folder: Path, files: Iterable[Path]) -> None:
    """Note the hashes of ``files`` in ``folder``'s manifest, and forget files that are gone."""
    known = {name: digest for name, digest in read(folder).items() if (folder / name).is_file()}
    known |= {file.relative_to(folder).as_posix(): sha256(file) for file in files}
    write_text(folder / MANIFEST, json.dumps(known, indent=1, sort_keys=True) + "\n")


def read(folder: Path) -> dict[str, str]:
    """The hashes by file name; empty where nothing was noted. InputError for a broken manifest."""
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        content = read_json(path)
    except InputError as error:
        content, fault = None, str(error)
    else:
        fault = f"{path}: is no JSON object"
    if not isinstance(content, dict):
        raise InputError(f"{fault}: damaged; delete it, then import or fetch the files again")
    return {str(name): str(digest) for name, digest in content.items()}


def faults(folder: Path) -> dict[str, str]:
    """What is wrong with each noted file: ``missing``, ``changed``, or ``""`` where it is whole."""
    states = {}
    for name, digest in read(folder).items():
        path = folder / name
        if not path.is_file():
            states[name] = "missing"
        else:
            states[name] = "" if sha256(path) == digest else "changed"
    return states
