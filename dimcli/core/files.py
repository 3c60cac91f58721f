"""The user's files: inputs that are there, outputs that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from dimcli.core.errors import DimError, InputError

_LOCK = "lock"


def address(path: Path | str) -> str:
    """The URL that became ``path``, which has one slash less; nothing where it was none."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+:)/+(.*)", str(path), re.DOTALL)
    return f"{found[1]}//{found[2]}" if found else ""


def existing_file(path: Path, kind: str) -> Path:
    """``path``, if it is a file with something in it; ``kind`` says what was expected."""
    path = Path(path)
    try:
        there = path.exists()
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected a {kind} file")
    if not there:
        if url := address(path):
            raise InputError(f"{url}: is an address (URL); download it and name the {kind} file")
        raise InputError(f"{path}: no such {kind} file")
    if not path.is_file():
        # it can be read only once, and perhaps never ends
        raise InputError(f"{path}: is a pipe or a device; expected a {kind} file")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if empty:
        raise InputError(f"{path}: the file is empty; expected a {kind} file")
    return path


def check_output(
    path: Path,
    *inputs: Path | None,
    force: bool,
    kind: str = "",
    suffixes: Sequence[str] = (),
) -> Path:
    """``path``, if a file may be written there: worth asking before long work.

    Raises InputError where it exists (without ``force``), is one of the ``inputs`` that it is made
    from, is a folder, or lies in a folder that does not exist or cannot be written, or where its
    name does not end in one of ``suffixes``, those of the ``kind`` of file it is.
    """
    path = Path(path)
    for source in filter(None, inputs):
        if path.exists() and source.exists() and path.samefile(source):
            raise InputError(f"{path}: is an input of this command; name another output")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected a file name")
    if suffixes and path.suffix.lower() not in suffixes:
        named = path.with_suffix(suffixes[0]) if path.name else path / f"name{suffixes[0]}"
        if named.exists():  # an input, often
            named = named.with_stem(f"{named.stem}-made")
        raise InputError(f"{path}: a {kind} is written as {suffixes[0]}; name it {named.name}")
    if path.exists() and not force:
        raise InputError(
            f"{path}: already exists; pass --force to replace it, or name another output (-o)"
        )
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; make it first")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: the folder {path.parent} cannot be written")
    return path


@contextmanager
def atomic_output(path: Path, *, force: bool) -> Iterator[Path]:
    """A temporary path near ``path``, renamed to it when the block ends, removed if it raises.

    Raises InputError as :func:`check_output` does.
    """
    path = check_output(path, force=force)
    folder = None
    try:
        with temporary_beside(path) as temporary:
            folder = temporary.parent
            yield temporary
            # some libraries make files that only their owner may read; the folder has our umask
            temporary.chmod(folder.stat().st_mode & 0o666)
            _put(temporary, path, force=force)
    except DimError:
        raise
    except Exception as error:
        if is_full(error):
            raise InputError(f"{path}: cannot be written: the disk is full") from None
        named = getattr(error, "filename", None)
        if isinstance(error, OSError) and (folder is None or Path(str(named)).parent == folder):
            raise InputError(f"{path}: cannot be written ({error.strerror})") from None
        raise


def _put(temporary: Path, path: Path, *, force: bool) -> None:
    """Give a finished file its name. InputError where somebody else took it in the meantime."""
    if force:
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)  # unlike renaming, it refuses a name that is taken
    except FileExistsError:
        raise InputError(
            f"{path}: another program made it in the meantime; pass --force to replace it"
        ) from None
    except OSError:  # a file system without links
        check_output(path, force=False)
        temporary.replace(path)


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_full(error: BaseException) -> bool:
    """Whether a disk that is full, or a limit on files, is why something could not be written."""
    if isinstance(error, OSError):
        return error.errno in FULL
    return any(f"(os error {number})" in str(error) for number in FULL)  # Rust's libraries


def check_folder(path: Path) -> Path:
    """``path``, if it is a folder or one may be made there, with its parents: worth asking before
    long work. Raises InputError."""
    path = Path(path)
    if (url := address(path)) and not path.exists():
        raise InputError(f"{url}: is an address (URL); expected a folder, or a name for one")
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir():
        raise InputError(f"{there}: is a file; expected a folder, or a name for one")
    if not os.access(there, os.W_OK):
        raise InputError(f"{path}: the folder {there} cannot be written")
    return path


@contextmanager
def new_folder(path: Path, worth: str) -> Iterator[None]:
    """Where the block fails or is interrupted, remove the folder ``path`` again if it was not there
    before and holds no file called ``worth`` (a pattern), with those parents that were not there
    either: what was made before the fault blocks no further try.
    """
    made = [each for each in (path, *path.absolute().parents) if not each.exists()]
    try:
        yield
    except BaseException:
        if made and path.is_dir() and not any(path.rglob(worth)):
            shutil.rmtree(path, ignore_errors=True)
            for parent in made[1:]:
                with suppress(OSError):  # somebody else uses it by now
                    parent.rmdir()
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8; in names of files, bytes that are none are spelt out) so that
    readers see the old one or the new one, whole.

    Raises InputError as :func:`check_output` does.
    """
    with atomic_output(path, force=True) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def remove_unfinished(folder: Path) -> None:
    """Remove what :func:`temporary_beside` left in ``folder`` when a process was killed.

    A lock tells the dead from the living: a process's end frees it.
    """
    for left in folder.glob(".*-????????.part"):
        lock = left / _LOCK
        with suppress(OSError, Timeout):
            if lock.is_file():
                FileLock(lock).acquire(timeout=0).lock.release()
                shutil.rmtree(left, ignore_errors=True)


_remove_unfinished_once = cache(remove_unfinished)


def _hidden_name(path: Path) -> str:
    # names end at 255 bytes, and a letter takes up to four; the checksum tells long names apart
    return f".{path.stem[:40]}.{zlib.crc32(os.fsencode(path.name)):08x}"


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A temporary path for a file or a folder that is to become ``path``; gone after the block.

    It lies in a hidden folder of its own beside ``path``, which goes with all that is in it. So a
    child process that starts to write only after an interruption finds no place to write to.
    """
    _remove_unfinished_once(path.parent.absolute())
    folder = path.with_name(f"{_hidden_name(path)}-{secrets.token_hex(4)}.part")
    try:
        try:
            folder.mkdir()
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from None
        with FileLock(folder / _LOCK, thread_local=False):
            yield folder / f"whole{path.suffix}"
    finally:
        for _ in range(3):  # again, if a child wrote while it was being emptied
            shutil.rmtree(folder, ignore_errors=True)
