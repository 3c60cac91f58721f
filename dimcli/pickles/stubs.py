"""What a pickle may name, and the inert stand-ins that take the place of it.

Nothing that a file names is looked up, imported or called: each allowed name is a :class:`Global`
of this module, whose only power is to make a stand-in. When the whole file is read,
:func:`dimcli.pickles.settling.settle` checks the stand-ins and turns them into arrays, matrices and
tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Settle = Callable[[Any], Any]


class RefusedError(ValueError):
    """The file asks for what is not data. The message says what, without the file's name."""


@dataclass(frozen=True)
class Global:
    """A name that a file may use: ``make`` stands for calling it, ``value`` for the name itself.

    ``hashed`` gives those of a call's arguments that become keys or members of a set.
    """

    name: str
    make: Callable[..., Any] | None = None
    value: Any = None
    hashed: Callable[..., Iterable[Any]] = lambda *_: ()

    def called(self, *args: Any) -> Any:
        """The stand-in that calling the name with ``args`` gives."""
        if self.make is None:
            raise RefusedError(f"calls '{self.name}', which is only allowed as a name")
        return self.make(*args)

    def settle(self, settle: Settle) -> Any:
        """Its value, or an empty record of its name."""
        return Record(self.name) if self.value is None else self.value


class Mapping(dict[Any, Any]):
    """An OrderedDict or defaultdict of a file; attributes that were set on it are dropped."""

    def accept(self, state: Any) -> None:
        """Take the state that the file gives it."""


@dataclass(eq=False, repr=False)
class Record:
    """What a file holds of a class that is not loaded, as plain values: nothing but data."""

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    entries: dict[Any, Any] = field(default_factory=dict)
    items: list[Any] = field(default_factory=list)

    def accept(self, state: Any) -> None:
        """Take the state that the file gives it."""
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[key] = value

    def append(self, value: Any) -> None:
        """Take one element, as a list does."""
        self.items.append(value)

    def extend(self, values: Iterable[Any]) -> None:
        """Take elements, as a list does."""
        self.items.extend(values)

    def settle(self, settle: Settle) -> Any:
        """The same record with its content settled."""
        self.args, self.state = settle(self.args), settle(self.state)
        self.entries, self.items = settle(self.entries), settle(self.items)
        return self


def reconstructed(cls: Any, base: Any, _state: Any) -> Any:
    """``copy_reg._reconstructor``: an object of a class, before it is given its state."""
    if not isinstance(base, Global) or not base.name.endswith(".object"):
        raise RefusedError("rebuilds an object on a base class other than object")
    if not isinstance(cls, Global):
        raise RefusedError("rebuilds an object of something that is not a class")
    return cls.called()


def encoded(text: Any, encoding: Any = None) -> bytes:
    """``_codecs.encode``: how protocol 2 spells bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusedError("encodes a text in another way than latin1")
    return text.encode("latin1")


def literal_bytes(*args: Any) -> bytes:
    """``bytes()``, or ``bytes(text, "latin1")``."""
    return encoded(*args) if args else b""


def literal_bytearray(content: Any = b"", *encoding: Any) -> bytearray:
    """``bytearray()``, of bytes, or of a text in latin1; never of a length."""
    return bytearray(content if isinstance(content, bytes) else encoded(content, *encoding))


_TYPES = ("object", "dict", "list", "tuple", "int", "long", "float", "str", "unicode", "bool")
"""Types that settings objects mention; they can't be called."""


def _python_globals() -> dict[tuple[str, str], Global]:
    found: dict[tuple[str, str], Global] = {
        ("collections", "OrderedDict"): Global(
            "collections.OrderedDict",
            lambda pairs=(): Mapping(pairs),
            hashed=lambda pairs=(): [pair[0] for pair in pairs],
        ),
        ("collections", "defaultdict"): Global("collections.defaultdict", lambda *_: Mapping()),
        ("_codecs", "encode"): Global("_codecs.encode", encoded),
    }
    for module in ("copy_reg", "copyreg"):
        name = f"{module}._reconstructor"
        found[module, "_reconstructor"] = Global(name, reconstructed)
    for module in ("__builtin__", "builtins"):
        made: tuple[tuple[str, Callable[..., Any] | None], ...] = (
            ("complex", lambda real, imaginary: complex(float(real), float(imaginary))),
            ("bytes", literal_bytes),
            ("bytearray", literal_bytearray),
            *((name, None) for name in _TYPES),
        )
        for name, make in made:
            found[module, name] = Global(f"{module}.{name}", make)
        for name, kind in (("set", set), ("frozenset", frozenset)):
            found[module, name] = Global(
                f"{module}.{name}",
                lambda items=(), kind=kind: kind(items),
                hashed=lambda items=(): items,
            )
    return found


PYTHON_GLOBALS = _python_globals()
"""What every file may name, by module and name, as Python 2 and 3 spell it."""


CONFIG_PACKAGES = (
    *("omegaconf", "yacs", "argparse", "pathlib", "typing", "munch", "easydict", "addict"),
    *("pytorch_lightning", "lightning", "lightning_fabric", "hydra"),
    *("gdl", "gdl_apps", "inferno", "inferno_apps", "decalib"),
)
"""Packages whose objects lie in checkpoints beside the tensors, as settings. They become records:
nothing of them is imported."""


def config_global(module: str, name: str) -> Global | None:
    """A stand-in for a class of those packages."""
    if module.split(".", maxsplit=1)[0] not in CONFIG_PACKAGES or not name.isidentifier():
        return None
    full = f"{module}.{name}"
    return Global(full, lambda *args: Record(full, args))


def size_of(value: Any) -> int:
    """Bytes of a text, an array, a sparse matrix or a tensor, about."""
    if isinstance(value, str | bytes | bytearray):
        return len(value)
    if hasattr(value, "indptr"):
        return sum(part.nbytes for part in (value.data, value.indices, value.indptr))
    return int(getattr(value, "nbytes", 0))
