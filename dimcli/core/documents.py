"""JSON and YAML that others may have written, read within limits.

Whatever is wrong with such a file is an InputError that names it: its size, its nesting, aliases
that multiply, integers of thousands of digits, dates that do not exist, bytes that are no UTF-8.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Never

import yaml

from dimcli.core import limits
from dimcli.core.errors import InputError
from dimcli.core.files import existing_file


def shortened(value: object, length: int = 60) -> str:
    """A value of a file for a message: its text, of a long one the beginning and the end."""
    if isinstance(value, dict | list | tuple | set):
        return f"a {type(value).__name__} of {len(value)}"
    text = str(value)
    half = length // 2 - 2
    return text if len(text) <= length else f"{text[:half]}...{text[-half:]}"


def whole_number(text: str) -> int | None:
    """The number that a text of at most 18 digits is; None for any other text, as of thousands of
    digits, which Python refuses."""
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) <= 18 else None


def read_bytes(path: Path, kind: str, largest: int) -> bytes:
    """A file of at most ``largest`` bytes; ``kind`` says what was expected."""
    path = existing_file(path, kind)
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise InputError(f"{path}: is larger than {largest / 1e6:g} MB; expected a {kind} file")
    return content


def read_text(path: Path, kind: str, largest: int) -> str:
    """The text of such a file, without a byte order mark."""
    content = read_bytes(path, kind, largest)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 (byte {error.start}); expected a {kind} file"
        ) from None


def read_json(path: Path) -> Any:
    """What a JSON file holds."""
    return parse_json(read_text(path, "JSON", limits.JSON_BYTES), str(path))


def read_yaml(path: Path) -> Any:
    """What a YAML file holds."""
    return parse_yaml(read_text(path, "YAML", limits.YAML_BYTES), str(path))


def read_json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """The values of a file with one on each line, and ``path: line n`` for messages."""
    path = existing_file(path, "JSON lines")
    if path.stat().st_size > limits.LINES_BYTES:
        raise InputError(f"{path}: is larger than {limits.LINES_BYTES / 1e6:g} MB")
    number = 0
    with path.open("rb") as file:
        while line := file.readline(limits.LINE_BYTES + 1):
            number += 1
            source = f"{path}: line {number}"
            if len(line) > limits.LINE_BYTES:
                raise InputError(f"{source}: is longer than {limits.LINE_BYTES} bytes")
            yield source, parse_json(line, source)


def parse_json(text: str | bytes, source: str) -> Any:
    """The value of a JSON text. Raises InputError that begins with ``source``."""
    if len(text) > limits.JSON_BYTES:
        raise InputError(f"{source}: JSON of {len(text)} bytes; at most {limits.JSON_BYTES}")
    try:
        value = json.loads(text, parse_int=_integer)
    except UnicodeDecodeError:
        raise InputError(f"{source}: not UTF-8") from None
    except RecursionError:
        raise InputError(f"{source}: nested too deep") from None
    except ValueError as error:
        raise InputError(f"{source}: not JSON ({error})") from None
    _check(value, source)
    return value


def parse_yaml(text: str, source: str) -> Any:
    """The value of a YAML text. Raises InputError that begins with ``source``."""
    try:
        value = yaml.load(text, _Loader)
    except RecursionError:
        raise InputError(f"{source}: nested too deep") from None
    except Exception as error:  # the library's own, and many that its makers did not think of
        reason = shortened(str(error).splitlines()[0] if str(error) else type(error).__name__, 120)
        raise InputError(f"{source}: not YAML ({reason})") from None
    _check(value, source)
    return value


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without merged mappings, which multiply before they can be counted."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise ValueError("a merged mapping (<<)")

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(str(node.value)) > _LONGEST_INTEGER:
            raise ValueError(f"an integer of {len(node.value)} characters")
        return int(super().construct_yaml_int(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)

_LONGEST_INTEGER = 80
"""Characters: 64 bits in binary, with a prefix and separators."""


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)


def _check(value: Any, source: str) -> None:
    """Raise InputError where a value is nested deep, has very many parts or huge integers."""
    pending, seen = [(value, 0)], 0
    while pending:
        part, depth = pending.pop()
        seen += 1
        if depth > limits.DOCUMENT_DEPTH:
            _refuse(source, f"nested deeper than {limits.DOCUMENT_DEPTH}")
        if isinstance(part, int) and part.bit_length() > 64:
            _refuse(source, "an integer of more than 64 bits")
        if isinstance(part, dict | list | tuple | set):
            seen += len(part)
            if seen > limits.DOCUMENT_PARTS:
                _refuse(source, f"has more than {limits.DOCUMENT_PARTS} parts")
            parts = part.items() if isinstance(part, dict) else part
            for inner in parts:
                pending.extend(
                    (one, depth + 1) for one in (inner if type(part) is dict else [inner])
                )


def _refuse(source: str, fault: str) -> Never:
    raise InputError(f"{source}: {fault}")
