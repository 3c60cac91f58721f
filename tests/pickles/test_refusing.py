"""What the pickle reader refuses: calls, damage, claims beyond what a file has."""

import io
import pickle
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dimcli.core.errors import InputError
from dimcli.pickles import read_npy, read_pickle, read_torch
from dimcli.pickles.stubs import Record
from tests.pickle_writing import (
    array,
    build,
    call,
    dtype,
    group,
    listing,
    mapping,
    name,
    new,
    number,
    program,
    text,
)
from tests.pickles.files import CSC_STATE, lightning, lists_of_dicts, write

TOUCH = "touch {}"


def hostile(victim: Path) -> dict[str, tuple[bytes, str]]:
    """Programs that would create ``victim``, and what the error has to name."""
    command = text(TOUCH.format(victim))
    opened = text(str(victim)), text("w")
    system = name("os", "system")
    stack_global = b"\x8c\x02os\x8c\x06system\x93"
    dotted = b"\x8c\x09numpy.lib\x8c\x0cos.os.system\x93"
    evaluated = text(f"open({str(victim)!r}, 'w')")
    ch = name("chumpy.ch", "Ch")
    scalar = name("numpy.core.multiarray", "scalar")
    inner = text(program(call(system, command)))
    return {
        "system by REDUCE": (program(call(system, command)), "os.system"),
        "posix": (program(call(name("posix", "system"), command)), "posix.system"),
        "Python 2 eval": (
            program(call(name("__builtin__", "eval"), evaluated), protocol=2),
            "__builtin__.eval",
        ),
        "Python 3 eval": (program(call(name("builtins", "eval"), evaluated)), "builtins.eval"),
        "getattr": (
            program(call(name("builtins", "getattr"), name("os", "x"), text("system"))),
            "builtins.getattr",
        ),
        "open": (program(call(name("io", "open"), *opened)), "io.open"),
        "deep inside": (
            program(listing([mapping({"a": group(number(1), call(system, command))})])),
            "os.system",
        ),
        "STACK_GLOBAL": (program(stack_global + group(command) + b"R", protocol=4), "os.system"),
        "dotted STACK_GLOBAL": (
            program(dotted + group(command) + b"R", protocol=4),
            "numpy.lib.os.os.system",
        ),
        "through an allowed module": (
            program(call(name("numpy.core.multiarray", "os.system"), command)),
            "numpy.core.multiarray.os.system",
        ),
        "numpy's own helpers": (
            program(call(name("numpy.testing._private.utils", "runstring"), evaluated, b"}")),
            "numpy.testing._private.utils.runstring",
        ),
        "numpy load": (program(call(name("numpy", "load"), *opened)), "numpy.load"),
        "torch load": (program(call(name("torch", "load"), *opened)), "torch.load"),
        "torch jit": (
            program(call(name("torch.utils.cpp_extension", "load"), command)),
            "torch.utils.cpp_extension.load",
        ),
        "runpy": (program(call(name("runpy", "run_path"), command)), "runpy.run_path"),
        "INST": (program(b"(" + command + b"ios\nsystem\n"), "os.system"),
        "OBJ": (program(b"(" + system + command + b"o"), "os.system"),
        "NEWOBJ": (program(system + group(command) + b"\x81"), "os.system"),
        "NEWOBJ_EX": (program(system + group(command) + b"}\x92", protocol=4), "os.system"),
        "BUILD on a function": (program(build(system, mapping({"a": command}))), "os.system"),
        "BUILD on an allowed name": (
            program(build(name("numpy", "ndarray"), b"N" + mapping({"x": command}) + b"\x86")),
            "sets attributes of an object of type Global",
        ),
        "__setstate__ of an array": (
            program(
                build(
                    call(
                        name("numpy.core.multiarray", "_reconstruct"),
                        name("subprocess", "Popen"),
                        group(number(0)),
                        text("b"),
                    ),
                    group(command),
                )
            ),
            "subprocess.Popen",
        ),
        "state of a chumpy array": (
            program(new(ch, mapping({"x": call(system, command)}))),
            "os.system",
        ),
        "_reconstructor with a base": (
            program(
                call(name("copy_reg", "_reconstructor"), ch, name("subprocess", "Popen"), command)
            ),
            "subprocess.Popen",
        ),
        "calling what a call gave": (
            program(call(call(name("collections", "OrderedDict")), command)),
            "calls something that is not a name but Mapping",
        ),
        "an object scalar with a pickle in it": (
            program(call(scalar, dtype(np.dtype("O")), inner)),
            "numpy scalar",
        ),
        "a storage with a pickle in it": (
            program(call(name("torch.storage", "_load_from_bytes"), inner)),
            "os.system",
        ),
        "a sparse matrix by another name": (
            program(new(name("scipy.sparse.csc", "np.f2py.os.system"), command)),
            "np.f2py.os.system",
        ),
        "a persistent id": (program(text("os.system") + b"Q"), "persistent id"),
        "an extension": (program(b"\x82\x01"), "extension"),
        "a codec": (
            program(call(name("_codecs", "encode"), command, text("os"))),
            "other way than latin1",
        ),
        "defaultdict with a factory": (
            program(call(name("collections", "defaultdict"), system)),
            "os.system",
        ),
    }


HOSTILE = sorted(hostile(Path("x")))


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    return tmp_path / "made_by_the_file"


def test_the_hostile_programs_would_make_the_file(victim: Path) -> None:
    content, _ = hostile(victim)["system by REDUCE"]
    pickle.loads(content)
    assert victim.exists()


def assert_refused(read, path: Path, victim: Path, named: str) -> None:
    with pytest.raises(InputError) as refusal:
        read(path)
    assert named in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not victim.exists()


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_plain_pickle_that_calls_anything_is_refused(
    tmp_path: Path, victim: Path, attack: str
) -> None:
    content, named = hostile(victim)[attack]
    assert_refused(read_pickle, write(tmp_path / "a.pkl", content), victim, named)


@pytest.mark.parametrize("attack", HOSTILE)
def test_an_object_array_that_calls_anything_is_refused(
    tmp_path: Path, victim: Path, attack: str
) -> None:
    content, named = hostile(victim)[attack]
    np.save(tmp_path / "empty.npy", np.array(None, dtype=object))
    header = (tmp_path / "empty.npy").read_bytes().split(b"\n")[0] + b"\n"
    assert_refused(read_npy, write(tmp_path / "a.npy", header + content), victim, named)


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_torch_zip_that_calls_anything_is_refused(
    tmp_path: Path, victim: Path, attack: str
) -> None:
    content, named = hostile(victim)[attack]
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("archive/data.pkl", content)
    assert_refused(read_torch, tmp_path / "a.pt", victim, named)


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("attack", ["system by REDUCE", "STACK_GLOBAL", "INST", "NEWOBJ"])
def test_a_legacy_torch_file_that_calls_anything_in_any_of_its_pickles_is_refused(
    tmp_path: Path, victim: Path, attack: str, place: int
) -> None:
    content, named = hostile(victim)[attack]
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, []]
    pickles = [pickle.dumps(part, 2) for part in parts]
    pickles[place] = content
    path = write(tmp_path / "a.pt", b"".join(pickles))
    assert_refused(read_torch, path, victim, named)


def test_a_settings_object_may_not_smuggle_a_call(tmp_path: Path, victim: Path) -> None:
    command = text(TOUCH.format(victim))
    for settings, named in (
        (new(name("omegaconf", "os.system"), command), "omegaconf.os.system"),
        (new(name("pathlib", "os.system"), command), "pathlib.os.system"),
        (
            new(name("omegaconf", "DictConfig"), call(name("os", "system"), command)),
            "os.system",
        ),
    ):
        path = lightning(tmp_path / "last.ckpt", settings)
        assert_refused(read_torch, path, victim, named)


def test_a_settings_object_is_never_called(tmp_path: Path, victim: Path) -> None:
    """``pathlib.Path(...)``, say, is a record of the call's arguments."""
    settings = call(name("pathlib", "PosixPath"), text(str(victim)))
    found = read_torch(lightning(tmp_path / "last.ckpt", settings))["hyper_parameters"]
    assert isinstance(found, Record)
    assert found.args == (str(victim),)


def test_reading_changes_nothing_for_the_next_file(tmp_path: Path) -> None:
    attributes = mapping({"make": number(1), "accept": number(2), "value": number(3)})
    for target in (name("chumpy.ch", "Ch"), name("collections", "OrderedDict")):
        with pytest.raises(InputError, match="sets attributes"):
            read_pickle(write(tmp_path / "a.pkl", program(build(target, attributes))))
    values = np.ones(3)
    content = program(new(name("chumpy.ch", "Ch"), mapping({"x": array(values)})))
    np.testing.assert_array_equal(read_pickle(write(tmp_path / "b.pkl", content)), values)


def shaped(shape: bytes, data: bytes = b"12345678", kind: bytes | None = None) -> bytes:
    made = call(
        name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), group(), text("b")
    )
    kind = kind or dtype(np.dtype(np.float64))
    return program(build(made, group(number(1), shape, kind, b"\x89", text(data))))


BIG = struct.pack("<Q", 1 << 50)
DAMAGED = {
    "nothing of a pickle": b"hello",
    "an empty program": b".",
    "cut short": pickle.dumps(np.arange(100))[:60],
    "a huge bytes object": b"\x80\x04\x8e" + BIG + b"abc.",
    "a huge bytearray": b"\x80\x05\x96" + BIG + b"abc.",
    "a huge text": b"\x80\x04\x8d" + BIG + b"abc.",
    "a huge frame": b"\x80\x04\x95" + BIG + b"abc.",
    "a huge memo index": b"\x80\x02]r\xff\xff\xff\x7fj\xff\xff\xff\x7e.",
    "an array larger than its data": shaped(group(number(1 << 30), number(1 << 30))),
    "an array of negative size": shaped(group(number(-1))),
    "an array of many axes": shaped(group(*[number(1)] * 40)),
    "an array of records": shaped(
        group(number(1)),
        kind=build(
            call(name("numpy", "dtype"), text("V8"), number(0), number(1)),
            group(number(3), text("|"), b"N", group(text("a")), b"}", number(8)),
        ),
    ),
    "an array of objects in raw bytes": shaped(group(number(1)), kind=dtype(np.dtype("O"))),
    "an array without a state": program(
        call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), group(), b"N")
    ),
    "a chumpy array without a value": program(new(name("chumpy.ch", "Ch"), mapping({}))),
    "a list in itself as a key": b"\x80\x02}](\x85\x85N\x86e.",
    "lists in lists, without end": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
}


@pytest.mark.parametrize("damage", sorted(DAMAGED))
def test_damaged_and_boastful_pickles_give_one_line(tmp_path: Path, damage: str) -> None:
    path = write(tmp_path / "a.pkl", DAMAGED[damage])
    with pytest.raises(InputError, match=r"a\.pkl") as failure:
        read_pickle(path)
    assert "\n" not in str(failure.value)


def test_an_npy_header_that_claims_more_than_the_file_has_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 20, 1 << 20)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"12345678")
    with pytest.raises(InputError, match=r"a\.npy"):
        read_npy(tmp_path / "a.npy")


def test_other_files_are_named_for_what_they_are_not(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    for read in (read_npy, read_torch, read_pickle):
        with pytest.raises(InputError, match=r"a\.npz"):
            read(tmp_path / "a.npz")
        with pytest.raises(InputError, match="no such"):
            read(tmp_path / "missing")


def test_tensors_outside_of_their_storage_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save(torch.arange(4.0), path, pickle_protocol=2)
    with zipfile.ZipFile(path) as archive:
        members = {entry: archive.read(entry) for entry in archive.namelist()}
    program_name = next(entry for entry in members if entry.endswith("data.pkl"))
    assert members[program_name].count(b"K\x04\x85") == 1
    for size in (b"K\x05\x85", b"J\xff\xff\xff\xff\x85", b"J\xff\xff\xff\x7f\x85"):
        members[program_name] = members[program_name].replace(b"K\x04\x85", size)
        with zipfile.ZipFile(path, "w") as archive:
            for entry, content in members.items():
                archive.writestr(entry, content)
        with pytest.raises(InputError, match="tensor"):
            read_torch(path)
        members[program_name] = members[program_name].replace(size, b"K\x04\x85")


def test_a_compressed_torch_archive_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", program(b"N") + bytes(50_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="compressed"):
        read_torch(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torch_script_is_refused(tmp_path: Path) -> None:
    module = torch.jit.script(torch.nn.Linear(2, 2))
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    with pytest.raises(InputError, match="__torch__"):
        read_torch(write(tmp_path / "script.pt", buffer.getvalue()))


def test_bytes_changed_at_random_give_a_value_or_one_line(tmp_path: Path) -> None:
    generator = random.Random(0)
    torch.save(lists_of_dicts(), tmp_path / "a.pt")
    np.save(tmp_path / "a.npy", lists_of_dicts()[0])
    files = [
        (read_torch, (tmp_path / "a.pt").read_bytes()),
        (read_npy, (tmp_path / "a.npy").read_bytes()),
        (read_pickle, pickle.dumps(lists_of_dicts(), 2)),
        (read_pickle, program(new(name("scipy.sparse.csc", "csc_matrix"), mapping(CSC_STATE)))),
    ]
    refused = 0
    for _ in range(400):
        read, content = generator.choice(files)
        changed = bytearray(content)
        for _ in range(generator.choice([1, 2, 4])):
            changed[generator.randrange(len(changed))] = generator.randrange(256)
        try:
            read(write(tmp_path / "changed", bytes(changed)))
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 100
