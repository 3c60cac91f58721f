"""What is done to a valid input: by its kind where there is something to aim at, else to its bytes.

Everything is drawn from one ``random.Random``, so that a seed makes the same input again.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml

CANARY = "../canary/secret.mp4"
"""A file that no command is told of: relative to the folder that commands run in."""

NUMBERS = (
    *(0, 1, -1, 2, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63, 10**12),
    *(-(2**31), -(2**63), 0.5, -0.5, 1e-30, 1e9, 1e30, -1e30, 1e308),
)
SCALARS: tuple[Any, ...] = (
    *NUMBERS,
    *(None, True, False, "", " ", "nan", "a", "..", "/", "../canary/secret.mp4", "x" * 5000),
    *("\x00", "\n", "ü\u202e🙂", "%s%n{0}", "2020-13-45", "0x10", "1_000", "²", "-1", "1e400"),
    *(float("nan"), float("inf"), float("-inf"), [], {}, [25], {"a": 1}, [[]], 10**100),
)
STRANGE_NAMES = (
    *("12:30{}", "-x{}", "--help{}", "100%d{}", "file:x{}", "concat:a|b{}", "pipe:1{}", "a b {}"),
    *("ünï\u202ecode🙂{}", "line\nfeed{}", "tab\tbed{}", "quote'\"{}", "back\\slash{}", "[x]{}"),
    *("$HOME{}", "*{}", "#{}", ";x{}", "n" * 240 + "{}", "é" * 115 + "{}", ".{}", "bytes\udcff{}"),
    *("x.npz{}", "{}.", "con{}", "http:{}", "{}:0", "~{}", "{{0}}{}", "x={}", "x@{}"),
)
"""Names of files; ``{}`` is the suffix that the kind has."""
STRANGE_PATHS = (
    *(
        "",
        ".",
        "~",
        "../nowhere/x",
        "/dev/null",
        "/dev/zero",
        "/proc/self/mem",
        "/nowhere/x",
        "x" * 300,
    ),
    *("http://127.0.0.1:9/x.mp4", "https://x.invalid/a.png", "file:///etc/passwd", "x/" * 2000),
    *("concat:a|b", "data:text/plain,x", "rtmp://x", "\udcff", "é" * 200, "a\x01b", "-", "--"),
)


def strange_name(suffix: str, random: Random) -> str:
    """A name for a file of this suffix that something may stumble over."""
    return random.choice(STRANGE_NAMES).format(suffix)


# --- bytes ---


def flip_bytes(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    first = random.choice((len(changed), min(len(changed), 256)))
    for _ in range(random.choice((1, 1, 3, 20, 200))):
        changed[random.randrange(first)] = random.choice((0, 255, 127, 128, random.randrange(256)))
    return bytes(changed)


def truncate(data: bytes, random: Random) -> bytes:
    size = len(data)
    return data[: random.choice((0, 1, 7, size // 2, size - 1, random.randrange(size)))]


def splice(data: bytes, random: Random) -> bytes:
    start, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    at = random.randrange(len(data) + 1)
    piece = random.choice((data[start:end], bytes(end - start), random.randbytes(64), b""))
    return data[:at] + piece + data[random.choice((at, min(len(data), at + len(piece)))) :]


def huge_number(data: bytes, random: Random) -> bytes:
    """A header's field of 2, 4 or 8 bytes becomes a number that nobody expects."""
    width = random.choice((2, 4, 4, 8))
    bits = 8 * width
    number = random.choice((0, 1, 2**bits - 1, 2 ** (bits - 1), 2 ** (bits // 2), 65_521))
    first = random.choice((min(len(data), 128), len(data)))
    at = random.randrange(max(1, first - width))
    return data[:at] + number.to_bytes(width, random.choice(("big", "little"))) + data[at + width :]


def repeat(data: bytes, random: Random) -> bytes:
    return data * random.choice((2, 3))


BYTES = (flip_bytes, flip_bytes, truncate, splice, huge_number, huge_number, repeat)


# --- documents ---


def hostile_value(random: Random) -> Any:
    """A scalar or a small tree in place of what was there."""
    value = random.choice(SCALARS)
    for _ in range(random.choice((0, 0, 0, 1, 5, 40, 990))):
        value = random.choice(([value], {"a": value})) if random.random() < 0.5 else [value]
    return value


def change_tree(tree: Any, random: Random) -> Any:
    """One node of a JSON-like value replaced, taken away or added."""
    if isinstance(tree, dict) and tree and random.random() < 0.9:
        key = random.choice(list(tree))
        roll = random.random()
        if roll < 0.1:
            return {name: value for name, value in tree.items() if name != key}
        if roll < 0.2:
            return {**tree, random.choice(("a", "seed", "", key + "x")): hostile_value(random)}
        return {**tree, key: change_tree(tree[key], random)}
    if isinstance(tree, list) and tree and random.random() < 0.8:
        at = random.randrange(len(tree))
        return [*tree[:at], change_tree(tree[at], random), *tree[at + 1 :]]
    return hostile_value(random)


def to_json(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except RecursionError:
        return b"[" * 100_000


def change_json(data: bytes, random: Random) -> bytes:
    return to_json(change_tree(json.loads(data), random))


def change_json_lines(data: bytes, random: Random) -> bytes:
    lines = data.splitlines()
    at = random.randrange(len(lines))
    lines[at] = random.choice(
        (
            to_json(change_tree(json.loads(lines[at]), random)),
            lines[at],
            b"[" * 100_000,
            lines[at].replace(b":", b": " + b"9" * 6000, 1),
        )
    )
    return b"\n".join([*lines, *(lines[:1] * random.choice((0, 1)))])


YAML_TEXTS = (
    "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in pairwise("abcdefghi")),
    "!!python/object/apply:os.system ['touch ../canary/ran']\n",
    "!!python/name:os.system\n",
    "x: 2020-13-45\n",
    "fps: " + "9" * 6000 + "\n",
    "? [a, b]\n: c\n",
    "{" * 2000,
    "- " * 2000 + "x",
    "<<: &x {a: *x}\n",
    "a: &x\n  <<: *x\n",
    "a: !!binary x\n",
    "a: !!set {x, y}\n",
    "a: !!timestamp 1\n",
    "&a [*a]\n",
    "\t\n",
    "a: 190:20:30\n",
    "a: .nan\n",
    "=: 1\n",
    "\ufeff",
)


def change_yaml(data: bytes, random: Random) -> bytes:
    if random.random() < 0.25:
        piece = random.choice(YAML_TEXTS).encode()
        return random.choice((piece, data + piece, piece + data))
    tree = change_tree(yaml.safe_load(data), random)
    try:
        return yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogateescape")
    except RecursionError:
        return to_json(tree)


def change_csv(data: bytes, random: Random) -> bytes:
    rows = [line.split(",") for line in data.decode("utf-8").splitlines()]
    row = rows[random.randrange(len(rows))]
    cell = random.randrange(len(row))
    extras = ('"', "=1+1", "a,b", "\r", "-5", "1:00", "9" * 400, CANARY, "c" * 200_000)
    roll = random.random()
    if roll < 0.7:
        row[cell] = str(random.choice((*SCALARS, *extras)))
    elif roll < 0.8:
        del row[cell]
    elif roll < 0.9:
        rows.append(list(row))
    else:
        rows[0] = row
    return "\n".join(map(",".join, rows)).encode("utf-8", "surrogateescape")


def change_text(data: bytes, random: Random) -> bytes:
    """Numbers and words of a text exchanged."""
    pieces = re.split(rb"(-?\d[\d.]*|\"[^\"]*\")", data)
    for _ in range(random.choice((1, 1, 5))):
        at = random.randrange(len(pieces))
        pieces[at] = str(random.choice(SCALARS)).encode("utf-8", "surrogateescape")
    return b"".join(pieces)


# --- arrays ---


def npy(header: str, body: bytes = b"", version: int = 1) -> bytes:
    """A ``.npy`` file whose header says what it likes."""
    text = header.encode("latin1", "replace") + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text) & (0xFFFF if version == 1 else -1))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + body


def hostile_header(random: Random) -> bytes:
    shape = random.choice(
        (
            *("(10**9,)", "(2147483648, 56)", "(-1,)", "(0,)", "()", "(1.5,)", f"({'9' * 40},)"),
            *("(True,)", "('a',)", "None", "(4611686018427387904, 4)", "(" * 3000, "(1,) * 10**9"),
        )
    )
    kind = random.choice(
        ("'<f4'", "'|O'", "'<U1000000000'", "'<f16'", "[('a', '<f4')]", "7", "'<M8'")
    )
    order = random.choice(("False", "True", "5"))
    return npy(
        f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}",
        random.choice((b"", bytes(64), bytes(10_000))),
        random.choice((1, 1, 2, 3, 9)),
    )


def change_array(array: Any, random: Random) -> Any:
    """Another shape, type or content."""
    array = np.asarray(array)
    flat = array.reshape(-1).copy()
    if array.dtype.kind == "f" and array.size and random.random() < 0.5:
        count = random.choice((1, 1, max(1, flat.size // 2), flat.size))
        value = random.choice((np.nan, np.inf, 1e30, -1e30, 1e4, 99.0, -7.0, 1e-40, 0.0))
        with np.errstate(over="ignore"):
            flat[random.sample(range(flat.size), count)] = value
        return flat.reshape(array.shape)
    choices: tuple[Callable[[], Any], ...] = (
        lambda: array[None],
        lambda: flat,
        lambda: flat[:0],
        lambda: flat[:1].reshape(()) if flat.size else flat,
        lambda: array[..., : array.shape[-1] // 2] if array.ndim else array,
        lambda: np.repeat(array[None] if not array.ndim else array, 3, axis=0),
        lambda: array.astype("S8"),
        lambda: np.full(array.shape, "a"),
        lambda: array.astype(np.complex64) if array.dtype.kind in "biuf" else array,
        lambda: array.astype(bool),
        lambda: array.astype(">f8") if array.dtype.kind in "biuf" else array,
        lambda: np.zeros((2, 3, 4, 5)),
        lambda: np.zeros(array.shape, "M8[s]"),
        lambda: np.zeros(array.shape, [("a", "f4")]),
        lambda: np.full(array.shape, -(2**63)),
        lambda: np.array(random.choice([s for s in SCALARS if not isinstance(s, dict | list)])),
    )
    return random.choice(choices)()


def to_npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def change_npy(data: bytes, random: Random) -> bytes:
    if random.random() < 0.4:
        return hostile_header(random)
    if random.random() < 0.1:
        return to_npy(np.array([Runs()], dtype=object))
    return to_npy(change_array(np.load(io.BytesIO(data), allow_pickle=True), random))


class Runs:
    """Pickled, a program."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ../canary/ran",)


def change_npz(data: bytes, random: Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(list(members))
    roll = random.random()
    if roll < 0.1:
        del members[name]
    elif roll < 0.2:
        other = random.choice(("x.npy", "../canary/out.npy", "/x", "values", "a" * 60_000))
        members[other] = members[name]
    elif roll < 0.35 and "meta.npy" in members:
        meta = random.choice((b"[" * 100_000, b"[1]", b"{", b'{"fps": ' + b"9" * 6000 + b"}"))
        source = random.choice((CANARY, hostile_value(random)))
        meta = random.choice((meta, to_json({"source": source})))
        members["meta.npy"] = to_npy(np.array(meta.decode("utf-8", "replace")))
    else:
        members[name] = change_npy(members[name], random)
    file = io.BytesIO()
    packing = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    content = file.getvalue()
    return flip_bytes(content, random) if random.random() < 0.1 else content


def change_safetensors(data: bytes, random: Random) -> bytes:
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    roll = random.random()
    if roll < 0.3:  # numbers
        at = random.randrange(max(1, len(body) - 400))
        number = struct.pack("<f", random.choice((np.nan, np.inf, 1e30, -1e30, 1e6)))
        body = body[:at] + number * 100 + body[at + 400 :]
    else:
        header = change_tree(header, random)
    text = to_json(header)
    size = random.choice((len(text),) * 5 + (0, 2**63, len(text) + 1, 10**9))
    return struct.pack("<Q", size) + text + body


def change_pickle(data: bytes, random: Random) -> bytes:
    roll = random.random()
    if roll < 0.5:
        return random.choice(BYTES)(data, random)
    if roll < 0.7:
        return pickle.dumps(hostile_value(random), protocol=random.choice((0, 2, 4)))
    if roll < 0.8:
        return pickle.dumps(Runs())
    with_arrays = {"a": np.zeros(3), "shapedirs": np.zeros((2, 3)), "state_dict": {}, "f": 1}
    return pickle.dumps(change_tree(with_arrays, random), protocol=2)


# --- media ---


def change_png(data: bytes, random: Random) -> bytes:
    """A chunk of a PNG changed, with a checksum that fits."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append([data[at + 4 : at + 8], data[at + 8 : at + 8 + length]])
        at += 12 + length
    chunk = chunks[0] if random.random() < 0.6 else random.choice(chunks)
    if chunk[0] == b"IHDR":
        width, height, *rest = struct.unpack(">IIBBBBB", chunk[1])
        side = random.choice((0, 1, 3, 40_000, 2**31 - 1, 16_000))
        width, height = random.choice(((side, height), (width, side), (side, side)))
        kinds = (tuple(rest[:2]), (16, 2), (1, 0), (8, 3), (8, 6), (99, 9))
        rest[0], rest[1] = random.choice(kinds)
        chunk[1] = struct.pack(">IIBBBBB", width, height, *rest)
    elif chunk[1]:
        chunk[1] = random.choice(BYTES)(chunk[1], random)
    if random.random() < 0.3:
        profile = zlib.compress(random.choice((bytes(200), random.randbytes(300), bytes(10**7))))
        extra = random.choice(
            (
                [b"iCCP", b"x\0\0" + profile],
                [b"eXIf", b"II*\0" + random.randbytes(60)],
                [b"tRNS", random.randbytes(6)],
                [b"zTXt", b"c\0\0" + profile],
                [b"acTL", struct.pack(">II", 2**31, 0)],
            )
        )
        chunks.insert(1, extra)
    packed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return data[:8] + b"".join(packed)


def change_wav(data: bytes, random: Random) -> bytes:
    """A field of the header, or the samples."""
    fields = ((20, "H"), (22, "H"), (24, "I"), (28, "I"), (32, "H"), (34, "H"), (40, "I"), (4, "I"))
    if random.random() < 0.7:
        at, kind = random.choice(fields)
        size = struct.calcsize(kind)
        most = 2 ** (8 * size) - 1
        value = random.choice((0, 1, 2, 3, 7, 8, 64, 255, 999, 8000, 44_100, most, most // 2 + 1))
        return data[:at] + struct.pack("<" + kind, value) + data[at + size :]
    body = np.frombuffer(data[44:], "<i2")
    changed = random.choice(
        (
            np.zeros_like(body),
            body[:0],
            body[:1],
            body[:200],
            np.where(np.arange(len(body)) % 2, 32767, -32768).astype("<i2"),
        )
    ).tobytes()
    if random.random() < 0.3:  # floats
        values = np.full(4000, random.choice((np.nan, np.inf, 1e38, 1e3, 1e-40)), "<f4")
        rate = 16_000
        head = struct.pack("<HHIIHH", 3, 1, rate, 4 * rate, 4, 32)
        changed = values.tobytes()
    else:
        head = data[20:36]
    inner = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(changed))
    inner += changed
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


ATOMS = (b"mvhd", b"tkhd", b"mdhd", b"stts", b"stsz", b"stco", b"stsc", b"ctts", b"elst", b"avc1")
ATOMS += (b"hdlr", b"mp4a", b"esds", b"avcC", b"stss", b"mdat", b"moov", b"trak", b"ftyp", b"meta")


def change_boxes(data: bytes, random: Random) -> bytes:
    """A number in, or the size of, a box of an mp4."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        places = [found.start() for found in re.finditer(random.choice(ATOMS), data)]
        if not places:
            continue
        at = random.choice(places) + random.choice((-4, *range(4, 60)))
        value = random.choice((0, 1, 2, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x10000, 1000, 10**6))
        if 0 <= at < len(changed) - 4:
            struct.pack_into(">I", changed, at, value)
    return bytes(changed)


LISTS = (
    "#EXTM3U\n#EXTINF:1,\n{canary}\n#EXT-X-ENDLIST\n",
    "ffconcat version 1.0\nfile {canary}\n",
    "# x\nffconcat version 1.0\nfile '{canary}'\n",
    "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    '<?xml version="1.0"?><MPD><BaseURL>{canary}</BaseURL></MPD>',
    "[playlist]\nFile1={canary}\n",
    "RTSPtext rtsp://127.0.0.1:9/\n",
    "<ASX><entry><ref href='{canary}'/></entry></ASX>",
    '<svg xmlns="http://www.w3.org/2000/svg"><image href="{canary}"/></svg>',
    "ffmetadata1\n",
    "<SMIL><body><video src='{canary}'/></body></SMIL>",
)


def a_list(data: bytes, random: Random) -> bytes:
    """A playlist or a manifest that names another file."""
    whole = Path(CANARY).resolve()
    path = random.choice((CANARY, str(whole), f"file://{whole}"))
    return random.choice(LISTS).format(canary=path).encode()


BY_SUFFIX: dict[str, tuple[Callable[[bytes, Random], bytes], ...]] = {
    ".npz": (change_npz,),
    ".npy": (change_npy,),
    ".json": (change_json,),
    ".jsonl": (change_json_lines,),
    ".yaml": (change_yaml,),
    ".csv": (change_csv,),
    ".txt": (change_text,),
    ".TextGrid": (change_text,),
    ".safetensors": (change_safetensors,),
    ".pkl": (change_pickle,),
    ".pth": (change_pickle,),
    ".png": (change_png,),
    ".wav": (change_wav,),
    ".mp4": (change_boxes, a_list),
    ".mov": (change_boxes,),
    ".m4a": (change_boxes,),
    **dict.fromkeys((".mkv", ".webm", ".avi", ".gif", ".ts"), (a_list, *BYTES)),
}


def change_file(path: Path, others: list[Path], random: Random) -> str:
    """Change one file in place, some more than once; says how."""
    done = change_once(path, others, random)
    while path.is_file() and path.stat().st_size and random.random() < 0.15:
        done += ", then " + change_once(path, others, random)
    return done


def change_once(path: Path, others: list[Path], random: Random) -> str:
    roll = random.random()
    if roll < 0.06:
        return change_kind(path, others, random)
    data = path.read_bytes()
    aimed = BY_SUFFIX.get(path.suffix, ())
    how = random.choice(aimed) if aimed and random.random() < 0.65 else random.choice(BYTES)
    try:
        path.write_bytes(how(data, random))
    except Exception:  # it is of another kind, or already spoilt
        how = flip_bytes
        path.write_bytes(how(data, random) if data else b"\0")
    return f"{how.__name__} of {path.name}"


def change_kind(path: Path, others: list[Path], random: Random) -> str:
    """Another kind of file under this name, or something that is no file."""
    kind = random.choice(
        ("other", "other", "other", "list", "folder", "fifo", "loop", "missing", "empty", "zero")
    )
    path.unlink()
    if kind == "other":
        other = random.choice(others)
        shutil.copy(other, path)
        return f"{path.name} is {other.name}"
    if kind == "list":
        path.write_bytes(a_list(b"", random))
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "empty":
        path.touch()
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    return f"{path.name} is now {kind}"


def change_folder(folder: Path, others: list[Path], random: Random) -> str:
    """One file in a folder changed; small ones (tables, indices) as often as all others."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    small = [path for path in files if path.suffix in (".yaml", ".json", ".jsonl", ".csv", ".txt")]
    return change_file(random.choice(random.choice((small or files, files))), others, random)
