"""Fetching weights from the Hugging Face hub and giving out one's own, by ``huggingface_hub``.

What is fetched is compared with the hashes that the registry pins (of its names) or that the hub
states for it, and noted in the manifest of the user's folder. Downloads that were interrupted go on
where they stopped. What was fetched before stays as it was until the new is whole.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import weights
from dimcli.core import manifest
from dimcli.core.documents import read_text
from dimcli.core.errors import InputError, needing
from dimcli.core.installing import install
from dimcli.models.checkpoint import CONFIG, METRICS, MODEL
from dimcli.models.registry import read_config

CARD = "README.md"
RUN_FILES = (CONFIG, MODEL, CARD, METRICS)
CARD_BYTES = 1_000_000
TENSORS = (MODEL, "pytorch_model.bin")
_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Fetched:
    """Weights that are here now: where, and how many bytes."""

    folder: Path
    size: int


def fetch(name: str, *, revision: str | None = None, token: str | None = None) -> Fetched:
    """Bring ``name`` into the user's folder: ``owner/name`` of a run, or a name in the registry,
    which fixes the revision and the files.

    Raises InputError where the hub has no such thing, nothing can be reached, a file does not hash
    to what it must, or it is no run of ours.
    """
    foreign = weights.registry()["fetchable"].get(name)
    repository = foreign["repository"] if foreign else name
    if not _NAME.fullmatch(repository):
        known = ", ".join(sorted(weights.registry()["fetchable"]))
        raise InputError(f"{name}: neither owner/name of a run on the hub nor one of: {known}")
    if foreign and revision not in (None, foreign["revision"]):
        raise InputError(
            f"--revision {revision}: {name} is used at {foreign['revision'][:7]} only; leave it out"
        )
    home = weights.user_folder()
    folder = home / foreign["folder"] if foreign else weights.fetched_run(name)
    files = tuple(foreign["sha256"]) if foreign else RUN_FILES
    revision = foreign["revision"] if foreign else revision
    hub = _library()
    try:
        info = hub.HfApi(token=token).model_info(repository, revision=revision, files_metadata=True)
    except Exception as error:  # the library has had three HTTP clients, with kinds of their own
        raise InputError(f"{name}: cannot be fetched ({_reason(error)})") from None
    stated = {one.rfilename: one for one in info.siblings if one.rfilename in files}
    if not any(file in TENSORS for file in stated):
        raise InputError(f"{name}: has no {MODEL}; it is not weights that dim can use")
    pinned = foreign["sha256"] if foreign else {}
    there = [file for file in files if (folder / file).is_file()]
    if set(there) != set(stated) or _damaged(folder, stated, pinned):
        arriving = folder.with_name(f".{folder.name}.arriving")
        try:
            hub.snapshot_download(
                repository,
                revision=info.sha,
                local_dir=arriving,
                allow_patterns=list(files),
                token=token,
            )
        except Exception as error:
            raise InputError(f"{name}: cannot be fetched ({_reason(error)})") from None
        if damaged := _damaged(arriving, stated, pinned):
            damaged.unlink(missing_ok=True)
            whose = "the published file's" if damaged.name in pinned else "the hub's"
            raise InputError(
                f"{name}: {damaged.name} arrived damaged (its hash differs from {whose}); "
                "fetch it again"
            )
        if foreign is None:
            try:
                read_config(arriving / CONFIG)
            except InputError:
                shutil.rmtree(arriving)  # no run, so there is nothing to go on with
                raise
        _replace(folder, arriving, stated)
    present = [folder / file for file in stated]
    manifest.record(home, present)
    return Fetched(folder, sum(path.stat().st_size for path in present))


def push(run: Path, repository: str, *, private: bool = False, token: str | None = None) -> str:
    """Give out the run directory ``run`` as ``owner/name``; the address of its page.

    The run's own card goes along, or one made of its configuration. Raises InputError where it is
    no run, or the hub refuses.
    """
    if not _NAME.fullmatch(repository):
        raise InputError(f"--to {repository}: expected owner/name")
    config = read_config(run / CONFIG)
    if not (run / MODEL).is_file():
        raise InputError(f"{run}: has no {MODEL}; train it first")
    hub = _library()
    api = hub.HfApi(token=token)
    card = run / CARD
    content = read_text(card, "card", CARD_BYTES) if card.is_file() else _card(run, config)
    if not content.startswith("---"):
        content = f"---\nlibrary_name: dim\ntags: [dyadic-interaction]\n---\n\n{content}"
    try:
        url = api.create_repo(repository, private=private, exist_ok=True)
        operations = [
            hub.CommitOperationAdd(path, str(run / path))
            for path in (CONFIG, MODEL, METRICS)
            if (run / path).is_file()
        ]
        operations.append(hub.CommitOperationAdd(CARD, content.encode()))
        api.create_commit(repository, operations, commit_message="Weights trained with dim")
    except Exception as error:  # the library has had three HTTP clients, with kinds of their own
        raise InputError(
            f"--to {repository}: the hub refused ({_reason(error)}); "
            "log in with `hf auth login`, or set HF_TOKEN"
        ) from None
    return str(url)


def _library() -> Any:
    with needing(f"the hub needs huggingface_hub: {install('hub')}"):
        import huggingface_hub
    return huggingface_hub


def _reason(error: Exception) -> str:
    """An error of the hub's in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."


def _damaged(folder: Path, stated: dict[str, Any], pinned: dict[str, str]) -> Path | None:
    """A file in ``folder`` that is not what it must be; None where there is none."""
    return next(
        (
            folder / name
            for name, file in stated.items()
            if not _is_whole(folder / name, file, pinned)
        ),
        None,
    )


def _is_whole(path: Path, stated: Any, pinned: dict[str, str]) -> bool:
    """Whether a file hashes to what is ``pinned`` or what the hub states for it."""
    if not path.is_file():
        return False
    if path.name in pinned or stated.lfs is not None:
        return manifest.sha256(path) == pinned.get(path.name, stated.lfs and stated.lfs.sha256)
    return _git_hash(path) == str(stated.blob_id)


def _replace(folder: Path, arriving: Path, files: Iterable[str]) -> None:
    """Give the ``files`` that have arrived, and no others, the place of what was fetched before."""
    for path in arriving.iterdir():
        if path.is_file() and path.name not in files:  # of a download that was interrupted
            path.unlink()
    before = folder.with_name(f".{folder.name}.before")
    shutil.rmtree(before, ignore_errors=True)
    if folder.is_dir():
        folder.rename(before)
    arriving.rename(folder)
    shutil.rmtree(before, ignore_errors=True)


def _git_hash(path: Path) -> str:
    """The name that git gives a small file: what the hub states for it."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _card(run: Path, config: Any) -> str:
    data = config.data
    return (
        f"# {run.name}\n\n"
        f"Weights of [dim](https://pypi.org/project/dim-listener), kind `{config.kind}`, for "
        f"motion in the `{data.space}` space at {data.fps:g} frames a second, "
        f"audio features `{data.audio_encoder}`.\n\n"
        f"```\ndim weights fetch OWNER/NAME\n"
        f"dim generate-listener speaker.mp4 --ref listener.jpg --weights OWNER/NAME\n```\n\n"
        "What it was trained on, and what it must not be used for, is for its maker to add here.\n"
    )
