"""The folder that a training writes into, and the older run in it that ``--force`` replaces."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from dimcli.core import distributed
from dimcli.core.errors import InputError
from dimcli.core.files import check_folder, new_folder
from dimcli.models.checkpoint import CONFIG, METRICS, MODEL, STATE

REPLACED = ".replaced"
"""Folder, in the run's, of the older run until the new one has weights of its own."""

_FILES = (CONFIG, METRICS, STATE, MODEL)

LEFTOVERS = (".material-*", ".*.part")
"""What a killed process had not finished writing, or could not take with it."""


def check_new(run: Path, *, force: bool) -> None:
    """Raise InputError unless a training may begin in the folder ``run``."""
    if run.exists() and not force:
        raise InputError(f"{run}: exists; give another --output, --resume or --force")
    check_folder(run)


def check_resumable(run: Path, begun: bool) -> None:
    """Raise InputError unless a training was ``begun`` in the folder ``run``."""
    if not begun:
        raise InputError(f"{run}: nothing to resume; train without --resume first")


def remove_leftovers(run: Path) -> None:
    """Remove :data:`LEFTOVERS`."""
    for pattern in LEFTOVERS:
        for folder in run.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)


def begin(run: Path, stages: Sequence[str] = ("",), others: Sequence[str] = ()) -> None:
    """Make the folder ``run``; the files of a run that is there already are set aside.

    ``stages`` are folders in it that hold runs too; ``others`` are names of files that a run has
    besides those of :mod:`dimcli.models.checkpoint`.
    """
    run.mkdir(parents=True, exist_ok=True)
    remove_leftovers(run)
    _drop_replaced(run)
    aside = run / REPLACED
    names = [Path(stage, name) for stage in stages for name in (*_FILES, *others)]
    names = [name for name in names if (run / name).is_file()]
    if aside.is_dir():  # of the run before one that was killed without weights
        for name in names:
            (run / name).unlink()
    elif names:
        half = (
            run / f"{REPLACED}.part"
        )  # a kill on the way leaves the older run here or there, whole
        for stage in stages:
            (half / stage).mkdir(parents=True, exist_ok=True)
        for name in names:
            _link(run / name, half / name)
        half.rename(aside)
        for name in sorted(names, key=lambda name: name.name != MODEL):
            (run / name).unlink()


@contextmanager
def run_folder(run: Path) -> Iterator[None]:
    """Where the block fails before it has written weights, ``run`` is again what it was before: the
    older run that :func:`begin` set aside, or nothing."""
    with new_folder(run, MODEL):
        try:
            yield
        except BaseException:
            if distributed.rank() == 0:
                _drop_replaced(run)
                _put_back(run)
            raise
        if distributed.rank() == 0:
            _drop_replaced(run)


def _link(file: Path, name: Path) -> None:
    """Give ``file`` a second ``name``; where the file system cannot, a copy."""
    try:
        os.link(file, name)
    except OSError:
        shutil.copy2(file, name)


def _places(run: Path) -> list[Path]:
    """Where in ``run`` the older run that is set aside has folders."""
    aside = run / REPLACED
    folders = [aside, *(path for path in aside.rglob("*") if path.is_dir())]
    return [path.relative_to(aside) for path in folders if path.is_dir()]


def _drop_replaced(run: Path) -> None:
    """Remove the older run if the new one has weights, if only of its first stage."""
    if any((run / place / MODEL).is_file() for place in _places(run)):
        shutil.rmtree(run / REPLACED, ignore_errors=True)


def _put_back(run: Path) -> None:
    for place in _places(run):
        for name in _FILES:
            (run / place / name).unlink(missing_ok=True)
        for file in (run / REPLACED / place).glob("*.*"):
            (run / place).mkdir(exist_ok=True)
            file.replace(run / place / file.name)
        with suppress(OSError):  # a stage that the older run had not
            (run / place).rmdir()
    shutil.rmtree(run / REPLACED, ignore_errors=True)
