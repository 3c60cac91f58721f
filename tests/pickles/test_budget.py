"""Small pickles that stand for work or memory without end, and what is read within the budget."""

import pickle
import random
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from dimcli.core import limits
from dimcli.core.errors import InputError
from dimcli.pickles import read_npy, read_pickle, read_torch
from tests.pickle_writing import build, call, dtype, group, listing, name, number, program, text
from tests.pickles.files import lists_of_dicts, saved, write

MEGABYTE = 1_000_000
HASHED_MODULUS = (1 << 61) - 1
"""Integers that differ by it have the same hash."""


def put(index: int) -> bytes:
    """LONG_BINPUT and POP: the value goes off the stack and into the memo."""
    return b"r" + struct.pack("<I", index) + b"0"


def get(index: int) -> bytes:
    """LONG_BINGET."""
    return b"j" + struct.pack("<I", index)


def array_of(shape: bytes, kind: bytes, data: bytes) -> bytes:
    made = call(
        name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), group(), text("b")
    )
    return made + b"(" + number(1) + shape + kind + b"\x89" + data + b"tb"


def integers(values: range) -> bytes:
    return listing(number(value) for value in values)


BYTES = text(bytes(10 * MEGABYTE)) + put(0)
DOUBLED = number(1) + b"".join(put(i) + group(get(i), get(i)) for i in range(40))
U1 = dtype(np.dtype("u1"))
LONG_SHAPE = group(*[b"\x8a\x08" + b"\x7f" * 8] * 50_000)
COLLIDING = [
    group(*(number(-1 if number_ >> bit & 1 else -2) for bit in range(14)))
    for number_ in range(1 << 14)
]
"""Tuples that all have the same hash, as -1 and -2 have."""

NESTED = "keys of type nested tuple"
COSTLY: dict[str, tuple[bytes, str]] = {
    "a deep tuple as a key": (
        program(b"}N" + b"\x85" * 100_000 + b"Ns"),
        NESTED,
    ),
    "a wide tuple as a key": (program(b"}", DOUBLED, b"Ns"), NESTED),
    "the same among several": (program(b"}(", DOUBLED, b"Nu"), NESTED),
    "the same as DICT makes it": (program(b"(", DOUBLED, b"Nd"), NESTED),
    "a deep member of a set": (
        program(b"\x8f(N" + b"\x85" * 100_000 + b"\x90"),
        NESTED,
    ),
    "a deep member of a frozen set": (
        program(b"(N" + b"\x85" * 100_000 + b"\x91"),
        NESTED,
    ),
    "a deep member of a set by name": (
        program(call(name("builtins", "set"), listing([DOUBLED]))),
        NESTED,
    ),
    "a deep key of an ordered dictionary": (
        program(call(name("collections", "OrderedDict"), listing([group(DOUBLED, b"N")]))),
        NESTED,
    ),
    "keys with one hash": (
        program(b"}(", *(key + b"N" for key in COLLIDING), b"u"),
        "takes more than",
    ),
    "places in the memo with one hash": (
        program(b"N", *(b"p%d\n" % (place * HASHED_MODULUS) for place in range(20_000))),
        "numbers its values",
    ),
    "a list that holds the same twice": (
        program(b"N", *(put(i) + listing([get(i), get(i)]) for i in range(30))),
        "parts",
    ),
    "a list in itself": (program(b"]\x94h\x00a"), "nested deeper"),
    "lists in lists": (program(b"]" * 50 + b"a" * 49), "nested deeper"),
    "lists in lists without end": (program(b"]" * 100_000 + b"a" * 99_999), "nested too deep"),
    "the same text many times": (
        program(BYTES, b"](", get(0) * 100, b"e"),
        "grows to many times its size",
    ),
    "many arrays of the same bytes": (
        program(BYTES, listing([array_of(group(number(10 * MEGABYTE)), U1, get(0))] * 100)),
        "grows to many times its size",
    ),
    "the same bytes encoded many times": (
        program(
            BYTES,
            listing([call(name("_codecs", "encode"), get(0), text("latin1"))] * 100),
        ),
        "grows to many times its size",
    ),
    "many sets of the same list": (
        program(
            integers(range(10_000)), put(0), listing([call(name("builtins", "set"), get(0))] * 1000)
        ),
        "grows to many times its size",
    ),
    "empty sets": (program(b"](" + b"\x8f" * 200_000 + b"e"), "grows to many times its size"),
    "an array of texts without letters": (
        program(
            array_of(
                group(number(1 << 30)),
                call(name("numpy", "dtype"), text("U0"), number(0), number(1)),
                text(""),
            )
        ),
        "has an array of shape",
    ),
    "a shape as long as a list": (
        program(array_of(LONG_SHAPE, dtype(np.dtype("O")), b"]")),
        "has an array of shape a tuple of 50000",
    ),
    "a shape of tuples": (program(array_of(DOUBLED, U1, text("a"))), "has an array of shape"),
    "an array of a class that is a tuple": (
        program(call(name("numpy.core.multiarray", "_reconstruct"), DOUBLED, group(), text("b"))),
        "has an array of class 'tuple'",
    ),
    "an integer of a megabyte": (
        program(b"\x8b" + struct.pack("<i", MEGABYTE) + b"\x55" * MEGABYTE),
        "an integer of more than",
    ),
    "the same in hexadecimal": (b"I0x" + b"f" * MEGABYTE + b"\n.", "an integer of more than"),
    "an integer of 65 bits": (pickle.dumps([1 << 64]), "an integer of more than 64 bits"),
}


@pytest.mark.parametrize("kind", sorted(COSTLY))
def test_what_costs_much_more_than_its_size_is_refused_at_once(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PICKLE_BYTES", 30 * MEGABYTE)  # of 300, to be quick
    content, words = COSTLY[kind]
    path = write(tmp_path / "a.pkl", content)
    read_pickle(saved(tmp_path / "b.pkl", np.ones(3)))  # what is slow to import is here
    started = time.process_time()
    with pytest.raises(InputError, match=rf"a\.pkl.*{words}") as failure:
        read_pickle(path)
    assert time.process_time() - started < 5
    assert "\n" not in str(failure.value)
    assert len(str(failure.value)) < 300 + len(str(path))


def test_more_steps_than_any_file_needs_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(limits, "PICKLE_STEPS", 1000)
    read_pickle(saved(tmp_path / "few.pkl", list(range(300))))
    with pytest.raises(InputError, match="takes more than 1000 steps"):
        read_pickle(saved(tmp_path / "many.pkl", list(range(2000))))


def test_the_budget_is_one_for_the_pickles_within_a_pickle(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(limits, "PICKLE_STEPS", 5000)
    torch.save(torch.ones(1).untyped_storage(), tmp_path / "a.pt")
    inner = text((tmp_path / "a.pt").read_bytes()) + put(0)
    loads = [call(name("torch.storage", "_load_from_bytes"), get(0))] * 1000
    with pytest.raises(InputError, match="takes more than 5000 steps"):
        read_pickle(write(tmp_path / "a.pkl", program(inner, listing(loads))))


def test_keys_of_data_come_back(tmp_path: Path) -> None:
    value = {
        "text": 1, b"bytes": 2, 3: 3, 4.5: 4, None: 5, True: 6, ("FaceTalk", 1): 7,
        (("a", 1), (2, "b")): 8, "members": {("a", 2), "b"}, np.int64(9): 9, np.float64(0.5): 10,
    }  # fmt: skip
    assert read_pickle(saved(tmp_path / "a.pkl", value)) == value


def test_an_honest_file_of_fifty_megabytes_takes_no_longer_than_its_bytes(tmp_path: Path) -> None:
    value = {"faces": np.ones((100_000, 125), np.float32), "names": ["a"] * 1000}
    path = saved(tmp_path / "a.pkl", value, 2)
    started = time.process_time()
    found = read_pickle(path)
    assert time.process_time() - started < 5
    np.testing.assert_array_equal(found["faces"], value["faces"])


LEAVES = (
    *(b"N", b"\x88", b"K\x01", b"I7\n", b"G" + bytes(8), text("ab"), text("latin1"), text("<")),
    *(b"\x8c\x01a", b"C\x01a", b"\x8a\x01\x05", U1, array_of(group(number(1)), U1, text("a"))),
)
NAMES = (
    *(name("builtins", kind) for kind in ("set", "frozenset", "bytes", "bytearray", "complex")),
    *(name("collections", "OrderedDict"), name("collections", "defaultdict")),
    *(name("copyreg", "_reconstructor"), name("_codecs", "encode"), name("numpy", "ndarray")),
    *(name("numpy.core.multiarray", kind) for kind in ("_reconstruct", "scalar")),
    *(name("numpy.core.numeric", "_frombuffer"), name("numpy", "dtype"), name("torch", "Size")),
    *(name("scipy.sparse.csc", "csc_matrix"), name("chumpy.ch", "Ch")),
    *(name("chumpy.reordering", "Select"), name("torch._utils", "_rebuild_tensor_v2")),
)


class Drawn:
    """A program drawn at random of what builds, shares, nests and calls."""

    def __init__(self, generator: random.Random) -> None:
        self.generator = generator
        self.left = generator.choice([5, 30, 200])
        self.kept = 0

    def program(self) -> bytes:
        return program(self.value(), protocol=4)

    def value(self, *kinds: str) -> bytes:
        """A value, at times kept in the memo; of one of ``kinds`` or of any."""
        self.left -= 1
        draw = self.generator
        if self.left < 0:
            return draw.choice(LEAVES)
        kind = draw.choice(kinds or ("leaf", "leaf", "kept", "group", "list", "dict", "set", "deep",
                                     "twice", "twice", "twice", "call", "state"))  # fmt: skip
        value = getattr(self, f"_{kind}")()
        if kind == "leaf" or draw.random() < 0.3:
            return value
        self.kept += 1
        return value + b"\x94"

    def _leaf(self) -> bytes:
        return self.generator.choice(LEAVES)

    def _kept(self) -> bytes:
        return get(self.generator.randrange(self.kept)) if self.kept else b"N"

    def _several(self, *kinds: str) -> list[bytes]:
        return [self.value(*kinds) for _ in range(self.generator.randrange(4))]

    def _group(self) -> bytes:
        return group(*self._several())

    def _list(self) -> bytes:
        return listing(self._several())

    def _dict(self) -> bytes:
        keys = self._several("leaf", "leaf", "leaf", "kept", "group", "twice")
        return b"}(" + b"".join(key + self.value() for key in keys) + b"u"

    def _set(self) -> bytes:
        members = b"".join(self._several("leaf", "leaf", "leaf", "kept", "group"))
        return self.generator.choice([b"\x8f(%s\x90", b"(%s\x91"]) % members

    def _deep(self) -> bytes:
        times = self.generator.choice([1, 3, 40, 5000])
        return self.value() + self.generator.choice([b"\x85", b"2\x86"]) * times

    def _twice(self) -> bytes:
        """A value that holds one twice, that holds one twice, and so on."""
        found = self.value()
        for _ in range(self.generator.choice([1, 5, 25])):
            found += b"\x94"
            self.kept += 1
            shared = get(self.kept - 1)
            found += self.generator.choice([b"0](%s%se", b"0(%s%st"]) % (shared, shared)
        return found

    def _call(self) -> bytes:
        return call(self.generator.choice(NAMES), *self._several())

    def _state(self) -> bytes:
        return build(self.value("call", "kept"), self.value("dict", "group"))


@pytest.mark.parametrize("seed", range(4))
def test_programs_drawn_at_random_give_a_value_or_one_line_within_a_second(
    tmp_path: Path, seed: int
) -> None:
    generator = random.Random(seed)
    np.save(tmp_path / "empty.npy", np.array(None, dtype=object))
    header = (tmp_path / "empty.npy").read_bytes().split(b"\n")[0] + b"\n"
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    legacy = b"".join(pickle.dumps(part, 2) for part in parts)
    readers = (read_pickle, b"", b""), (read_npy, header, b""), (read_torch, legacy, b"\x80\x02].")
    read_pickle(saved(tmp_path / "b.pkl", lists_of_dicts()))
    loaded = 0
    tracemalloc.start()
    for _ in range(150):
        read, before, after = generator.choice(readers)
        content = before + Drawn(generator).program() + after
        path = write(tmp_path / "a", content)
        started = time.process_time()
        try:
            read(path)
            loaded += 1
        except InputError as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 300 + len(str(path))
        assert time.process_time() - started < 1, content
    assert tracemalloc.get_traced_memory()[1] < 500 * MEGABYTE
    tracemalloc.stop()
    assert loaded > 15
