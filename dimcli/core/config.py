"""Configurations as YAML and as dotted overrides, strictly: an unknown key is an error.

Writing is the exact inverse of reading, so a run directory's ``config.yaml`` always says
everything that was needed to make it.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Collection, Hashable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml

from dimcli.core.documents import parse_yaml, read_yaml, shortened
from dimcli.core.errors import InputError
from dimcli.core.files import write_text
from dimcli.core.limits import LARGEST_SEED

Config = TypeVar("Config")


def with_overrides(config: Config, overrides: dict[str, Any]) -> Config:
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
        target[last] = parse_yaml(value, f"setting '{key}'") if isinstance(value, str) else value
    return from_dict(type(config), document, "--set")


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain dictionaries, in field order."""
    return dataclasses.asdict(config)


def from_dict(section: type[Config], document: Any, source: str) -> Config:
    """Build ``section`` from dictionaries; unknown keys and wrong types raise InputError.

    ``source`` is the file or flag that error messages name.
    """
    if not isinstance(document, dict):
        raise InputError(f"{source}: expected a mapping for {section.__name__}")
    gone = getattr(section, "_gone", ())
    document = {key: value for key, value in document.items() if (key, value) not in gone}
    hints = _hints(section)  # type: ignore[arg-type]
    unknown = [shortened(key) for key in document if key not in hints]
    if unknown:
        raise InputError(
            f"{source}: unknown key {', '.join(unknown[:5])} in {section.__name__}; "
            f"known: {', '.join(hints)}"
        )
    lacking = [
        name
        for name in _required(section)  # type: ignore[arg-type]
        if name not in document
    ]
    if lacking:
        raise InputError(f"{source}: lacks {', '.join(lacking)} of {section.__name__}")
    values = {
        key: _convert(hints[key], value, f"{source}: {key}") for key, value in document.items()
    }
    try:
        return section(**values)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


@cache
def _hints(section: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(section)


@cache
def _required(section: Hashable) -> list[str]:
    missing = dataclasses.MISSING
    return [
        field.name
        for field in dataclasses.fields(section)  # type: ignore[arg-type]
        if field.default is missing and field.default_factory is missing
    ]


def _convert(kind: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return from_dict(kind, value, name)
    plain = typing.get_origin(kind) or kind
    if kind is float and isinstance(value, int | str) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            value = float(value)  # YAML 1.1 reads 1e-5 as a string
    if type(value) is not plain:
        shown = shortened(value if isinstance(value, dict | list) else repr(value))
        raise InputError(f"{name} is {shown}; expected {plain.__name__}")
    if plain is dict:
        key_kind, value_kind = typing.get_args(kind)
        for key, content in value.items():
            _convert(key_kind, key, name)
            if value_kind is not Any:
                _convert(value_kind, content, f"{name}: {shortened(key)}")
    if plain is float and not math.isfinite(value):
        raise InputError(f"{name} is {value}; expected a finite number")
    return value


def write_config(config: Any, path: Path) -> None:
    """Write ``config`` as YAML."""
    write_text(path, yaml.safe_dump(to_dict(config), sort_keys=False))


def read_document(path: Path) -> Any:
    """What a YAML file holds. Raises InputError that names the file and the fault."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; a run directory has {path.name}")
    return read_yaml(path)


def require_range(name: str, value: float, low: float, high: float) -> None:
    """Raise InputError that names the field, its value and the range, unless it is inside."""
    if not low <= value <= high:
        raise InputError(f"{name} is {value}; expected between {low:g} and {high:g}")


def require_choice(name: str, value: str, known: Collection[str]) -> None:
    """Raise InputError that names the field, its value and the known ones, unless it is known."""
    if value not in known:
        raise InputError(f"{name} is '{value}'; expected one of {', '.join(known)}")


@dataclasses.dataclass(frozen=True)
class Range:
    """On a field of a :class:`Section`: its value lies between these, both included."""

    low: float
    high: float

    def check(self, section: Section, name: str, field: str) -> None:
        """Raise InputError that calls the field ``name`` unless its value is one."""
        require_range(name, getattr(section, field), self.low, self.high)


class Choice:
    """On a field of a :class:`Section`: its value is one of these."""

    def __init__(self, *known: str) -> None:
        self.known = known

    def check(self, section: Section, name: str, field: str) -> None:
        """Raise InputError that calls the field ``name`` unless its value is one."""
        require_choice(name, getattr(section, field), self.known)


@dataclasses.dataclass(frozen=True)
class Divides:
    """On a field of a :class:`Section`: its value, and ``times``, divide the field ``whole``."""

    whole: str
    times: int = 1

    def check(self, section: Section, name: str, field: str) -> None:
        """Raise InputError that calls the field ``name`` unless they do."""
        count, whole = getattr(section, field), getattr(section, self.whole)
        if count < 1 or whole % count or whole % self.times:
            both = f"it and {self.times}" if self.times > 1 else "it"
            beside = name.removesuffix(field) + self.whole
            raise InputError(f"{name} is {count}; {both} must divide {beside} {whole}")


Width = Annotated[int, Range(1, 4096)]
Layers = Annotated[int, Range(0, 64)]
Feedforward = Annotated[int, Range(0, 16_384)]
Kernel = Annotated[int, Range(0, 4096)]
Count = Annotated[int, Range(0, 1e9)]
Seed = Annotated[int, Range(0, LARGEST_SEED)]
Share = Annotated[float, Range(0, 1)]
Dropout = Annotated[float, Range(0, 0.9)]
Weight = Annotated[float, Range(0, 1000)]
Duration = Annotated[float, Range(0.04, 3600)]


class Section:
    """A section of a configuration, a dataclass: what its fields may be is annotated on them.

    Error messages call a field ``section.field``. ``gone`` are fields that older files have, each
    with the one value that changes nothing, where :func:`from_dict` skips it.
    """

    _section = ""
    _gone = tuple[tuple[str, Any], ...]()

    def __init_subclass__(cls, section: str = "", gone: tuple[tuple[str, Any], ...] = ()) -> None:
        cls._section = section or cls._section
        cls._gone = gone or cls._gone

    def __post_init__(self) -> None:
        for field, rule in _rules(type(self)):  # type: ignore[arg-type]
            name = f"{self._section}.{field}" if self._section else field
            rule.check(self, name, field)


@cache
def _rules(section: Hashable) -> list[tuple[str, Range | Choice | Divides]]:
    hints = typing.get_type_hints(section, include_extras=True)
    return [
        (field, rule) for field, hint in hints.items() for rule in getattr(hint, "__metadata__", ())
    ]
