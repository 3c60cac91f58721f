"""Where a HuBERT model's files are: a folder, what the user imported, or the Hugging Face hub."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from dimcli.errors import InputError, MissingDependencyError
from dimcli.files import existing_file

DEFAULT_MODEL = "facebook/hubert-base-ls960"
IMPORTED = "hubert"
"""Folder of the default model in the user's folder."""

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def import_transformers() -> Any:
    """The library. Raises MissingDependencyError with the line that installs it."""
    try:
        import transformers
    except ImportError:
        raise MissingDependencyError(
            "the hubert audio encoder needs the package transformers; install it with "
            "`pip install 'dim-listener[hubert]'`, or use --audio-encoder mel"
        ) from None
    return transformers


def model_folder(name: str | None) -> Path:
    """The folder of a model's files; ``name`` is a folder or a hub name, by default the paper's.

    The default is looked for in the user's folder first, then as any hub name in the hub's cache,
    then fetched. Raises InputError that says how to get it where it can't be had.
    """
    if name is None:
        from weights import user_folder

        imported = user_folder() / IMPORTED
        return imported if (imported / CONFIG).is_file() else _from_hub(DEFAULT_MODEL)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if not _HUB_NAME.fullmatch(name):
        raise InputError(
            f"hubert:{name}: no such folder; expected one with {CONFIG} and {WEIGHTS[0]}, or a "
            f"hub name like {DEFAULT_MODEL}"
        )
    return _from_hub(name)


def _from_hub(name: str) -> Path:
    import_transformers()
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    wanted = [CONFIG, PREPROCESSOR, *WEIGHTS]
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=wanted))
    except (OSError, ValueError, LocalEntryNotFoundError, huggingface_hub.errors.HfHubHTTPError):
        raise InputError(
            f"audio encoder hubert: {name} is not on this machine and cannot be fetched from "
            f"huggingface.co; where there is a network run `hf download {name} --local-dir "
            "hubert-base`, then here `dim weights import hubert hubert-base`"
            if name == DEFAULT_MODEL
            else f"audio encoder hubert:{name}: neither a folder nor on this machine, and cannot "
            f"be fetched from huggingface.co; where there is a network run `hf download {name} "
            "--local-dir FOLDER`, then use hubert:FOLDER"
        ) from None


def read_config(folder: Path) -> dict[str, Any]:
    """The model's settings. Raises InputError where they are not HuBERT's."""
    path = existing_file(folder / CONFIG, "HuBERT settings")
    try:
        config = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError):
        raise InputError(f"{path}: not JSON; expected a transformers model's settings") from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != "hubert" or not isinstance(config.get("hidden_size"), int):
        raise InputError(f"{path}: is of a '{kind}' model; expected hubert")
    kernels = config.get("conv_kernel", [10, 3, 3, 3, 3, 2, 2])
    strides = config.get("conv_stride", [5, 2, 2, 2, 2, 2, 2])
    if receptive_field(kernels, strides) != (400, 320):
        raise InputError(
            f"{path}: its rows are not 25 ms every 20 ms; expected HuBERT's own layout"
        )
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise InputError(f"{folder}: has no {WEIGHTS[0]}; expected a transformers model's folder")
    return dict(config)


def read_weights(folder: Path) -> dict[str, Any]:
    """The model's tensors by name; a pickle goes through :mod:`dimcli.pickles`. InputError else."""
    if (folder / WEIGHTS[0]).is_file():
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = existing_file(folder / WEIGHTS[0], "safetensors")
        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
    from dimcli.pickles import read_torch

    content = read_torch(folder / WEIGHTS[1])
    if not isinstance(content, dict):
        raise InputError(f"{folder / WEIGHTS[1]}: holds no tensors by name")
    return content


def receptive_field(kernels: list[int], strides: list[int]) -> tuple[int, int]:
    """Samples that a row sees, and samples between rows, of stacked convolutions."""
    sees, hop = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        sees += (kernel - 1) * hop
        hop *= stride
    return sees, hop


def normalises_waveform(folder: Path) -> bool:
    """Whether the model takes waveforms of zero mean and unit variance: transformers' default."""
    path = folder / PREPROCESSOR
    if not path.is_file():
        return True
    try:
        return bool(json.loads(path.read_text("utf-8")).get("do_normalize", True))
    except (ValueError, OSError, AttributeError):
        raise InputError(f"{path}: not JSON settings; remove it or fetch it again") from None


def folder_fingerprint(folder: Path) -> str:
    """A short hash of the settings' content and of the weights' size and time."""
    digest = hashlib.sha256()
    for name in (CONFIG, PREPROCESSOR):
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    for name in WEIGHTS:
        if (folder / name).is_file():
            facts = (folder / name).stat()
            digest.update(f"{name} {facts.st_size} {facts.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def import_hubert(source: Path, folder: Path) -> Path:
    """Copy a model's folder to where ``hubert`` looks for it: ``dim weights import hubert``.

    ``source`` is a folder with the files of the default model, ``folder`` the user's. Returns the
    folder that was written. Raises InputError where it is another model.
    """
    import shutil

    source = Path(source)
    if not source.is_dir():
        raise InputError(f"{source}: no such folder; expected one from `hf download`")
    config = read_config(source)
    if config["hidden_size"] != 768:
        raise InputError(
            f"{source}: has {config['hidden_size']} features; expected 768 of {DEFAULT_MODEL} "
            f"(use it as --audio-encoder hubert:{source})"
        )
    target = folder / IMPORTED
    part = folder / f".{IMPORTED}.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        for name in (CONFIG, PREPROCESSOR, *WEIGHTS):
            if (source / name).is_file():
                shutil.copyfile(source / name, part / name)
        shutil.rmtree(target, ignore_errors=True)
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target
