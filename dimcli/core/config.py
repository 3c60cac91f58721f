"""Configurations as YAML and as dotted overrides, strictly: an unknown key is an error.

Writing is the exact inverse of reading, so a run directory's ``config.yaml`` always says
everything that was needed to make it.
"""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

from dimcli.core.errors import InputError
from dimcli.core.files import write_text

Section = TypeVar("Section")


def with_overrides(config: Section, overrides: dict[str, Any]) -> Section:
    """Replace dotted keys, such as ``training.steps``; values may be strings, as YAML scalars."""
    document = to_dict(config)
    for key, value in overrides.items():
        *parents, last = key.split(".")
        target = document
        for parent in parents:
            if not isinstance(target.get(parent), dict):
                raise InputError(f"setting '{key}': no section '{parent}'")
            target = target[parent]
        if last not in target:
            raise InputError(f"setting '{key}' is unknown; known: {', '.join(sorted(target))}")
        target[last] = yaml.safe_load(value) if isinstance(value, str) else value
    return from_dict(type(config), document, "--set")


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain dictionaries, in field order."""
    return dataclasses.asdict(config)


def from_dict(section: type[Section], document: Any, source: str) -> Section:
    """Build ``section`` from dictionaries; unknown keys and wrong types raise InputError.

    ``source`` is the file or flag that error messages name.
    """
    if not isinstance(document, dict):
        raise InputError(f"{source}: expected a mapping for {section.__name__}")
    hints = typing.get_type_hints(section)
    unknown = [str(key) for key in document if key not in hints]
    if unknown:
        raise InputError(
            f"{source}: unknown key {', '.join(unknown)} in {section.__name__}; "
            f"known: {', '.join(hints)}"
        )
    values = {
        key: _convert(hints[key], value, f"{source}: {key}") for key, value in document.items()
    }
    return section(**values)


def _convert(kind: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return from_dict(kind, value, name)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 1e-5 as a string
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is not kind:
        raise InputError(f"{name} is {value!r}; expected {kind.__name__}")
    return value


def write_config(config: Any, path: Path) -> None:
    """Write ``config`` as YAML."""
    write_text(path, yaml.safe_dump(to_dict(config), sort_keys=False))


def read_document(path: Path) -> Any:
    """What a YAML file holds. Raises InputError that names the file and the fault."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; a run directory has {path.name}")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from None


def require_range(name: str, value: float, low: float, high: float) -> None:
    """Raise InputError that names the field, its value and the range, unless it is inside."""
    if not low <= value <= high:
        raise InputError(f"{name} is {value}; expected between {low:g} and {high:g}")


def require_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise InputError that names the field, its value and the known ones, unless it is known."""
    if value not in known:
        raise InputError(f"{name} is '{value}'; expected one of {', '.join(known)}")
