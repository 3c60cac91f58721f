"""A HuBERT model: its files (a folder, what was fetched, or the hub), and loading it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dimcli.core.documents import read_json
from dimcli.core.errors import InputError, MissingDependencyError, needing
from dimcli.core.files import existing_file
from dimcli.core.installing import install

DEFAULT_MODEL = "facebook/hubert-base-ls960"
FETCHED = "hubert"
"""Folder of the default model in the user's folder."""

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def import_transformers() -> Any:
    """The library. Raises MissingDependencyError with the line that installs it."""
    with needing(
        "the hubert audio encoder needs the package transformers; install it with "
        f"`{install('hubert')}`, or use --audio-encoder mel"
    ):
        import transformers
    return transformers


@dataclass(frozen=True)
class HubertFiles:
    """A model that is on this machine: its ``settings``, whether it takes waveforms of zero mean
    and unit variance (``normalises``), and the file of its ``weights``.
    """

    settings: dict[str, Any]
    normalises: bool
    weights: Path

    @property
    def width(self) -> int:
        """Numbers in a row of its features."""
        return int(self.settings["hidden_size"])

    @property
    def fingerprint(self) -> str:
        """A short hash of the settings, and of the weights' size and time."""
        facts = self.weights.stat()
        known = [self.settings, self.normalises, facts.st_size, facts.st_mtime_ns]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]

    def tensors(self) -> dict[str, Any]:
        """Tensors by name; a pickle goes through :mod:`dimcli.pickles`. InputError else."""
        if self.weights.suffix == ".safetensors":
            from dimcli.core.tensors import read_tensors

            return read_tensors(self.weights)
        from dimcli.pickles import read_torch

        content = read_torch(self.weights)
        if not isinstance(content, dict):
            raise InputError(f"{self.weights}: holds no tensors by name")
        return content


def find_hubert(name: str | None) -> HubertFiles:
    """The files of a model; ``name`` is a folder or a hub name, by default the paper's.

    The default is looked for in the user's folder (`dim weights fetch hubert`) and in the hub's
    cache, and has to be the published files; a hub name in the cache, then on the hub. Raises
    InputError that says how to get it.
    """
    if name is None:
        from weights import fetched_file, user_folder

        fetched = user_folder() / FETCHED
        files = _in(fetched if (fetched / CONFIG).is_file() else _cached(DEFAULT_MODEL, fetched))
        for part in (CONFIG, PREPROCESSOR, files.weights.name):
            if (path := files.weights.with_name(part)).is_file():
                fetched_file(FETCHED, path)
        return files
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _in(folder)
    if not _HUB_NAME.fullmatch(name):
        raise InputError(
            f"hubert:{name}: no such folder; expected one with {CONFIG} and {WEIGHTS[0]}, or a "
            f"hub name like {DEFAULT_MODEL}"
        )
    return _in(_from_hub(name))


def _cached(name: str, fetched: Path) -> Path:
    """The default model in the hub's cache, without asking the hub."""
    try:
        return _snapshot(name, local_files_only=True)
    except (OSError, ValueError):
        raise InputError(
            f"audio encoder hubert: {name} is not on this machine; run `dim weights fetch hubert` "
            f"(378 MB; without a network: on another machine, then copy its folder to {fetched})"
        ) from None


def _from_hub(name: str) -> Path:
    """A model by its hub name."""
    try:
        return _snapshot(name, local_files_only=False)
    except MissingDependencyError:
        raise
    except Exception:  # the kinds of error of the hub's HTTP client change with its versions
        raise InputError(
            f"audio encoder hubert:{name}: neither a folder nor on this machine, and not to be had "
            f"from huggingface.co; where there is a network run `hf download {name} --local-dir "
            "FOLDER`, then use hubert:FOLDER"
        ) from None


def _snapshot(name: str, *, local_files_only: bool) -> Path:
    import_transformers()
    import huggingface_hub

    from weights import registry

    published = registry()["fetchable"][FETCHED]
    return Path(
        huggingface_hub.snapshot_download(
            name,
            revision=published["revision"] if name == published["repository"] else None,
            allow_patterns=[CONFIG, PREPROCESSOR, *WEIGHTS],
            local_files_only=local_files_only,
        )
    )


def _in(folder: Path) -> HubertFiles:
    """The files in a folder that transformers wrote. Raises InputError where it isn't HuBERT's."""
    path = existing_file(folder / CONFIG, "HuBERT settings")
    settings = _json(path)
    _check_settings(settings, path)
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise InputError(f"{folder}: has no {WEIGHTS[0]}; expected a transformers model's folder")
    processor = folder / PREPROCESSOR
    # transformers' default
    normalises = not processor.is_file() or bool(_json(processor).get("do_normalize", True))
    return HubertFiles(settings, normalises, existing_file(weights, "weights"))


def _json(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: not JSON settings; expected a transformers model's")
    return content


def _check_settings(settings: dict[str, Any], path: Path) -> None:
    kind = settings.get("model_type")
    if kind != "hubert" or not isinstance(settings.get("hidden_size"), int):
        raise InputError(f"{path}: is of a '{kind}' model; expected hubert")
    kernels = settings.get("conv_kernel", [10, 3, 3, 3, 3, 2, 2])
    strides = settings.get("conv_stride", [5, 2, 2, 2, 2, 2, 2])
    lists = (kernels, strides)
    whole = all(isinstance(each, list) and all(type(n) is int for n in each) for each in lists)
    fits = whole and len(kernels) == len(strides)
    if not fits or receptive_field(kernels, strides) != (400, 320):
        raise InputError(f"{path}: its rows are not 25 ms every 20 ms; expected HuBERT's layout")


def receptive_field(kernels: list[int], strides: list[int]) -> tuple[int, int]:
    """Samples that a row sees, and samples between rows, of stacked convolutions."""
    sees, hop = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        sees += (kernel - 1) * hop
        hop *= stride
    return sees, hop


def load_model(files: HubertFiles) -> Any:
    """transformers' model from its files. Raises InputError where they aren't whole."""
    transformers = import_transformers()
    config = transformers.HubertConfig.from_dict(files.settings)
    tensors = files.tensors()
    with _quiet(transformers):
        try:
            # the library knows older names of the same tensors
            model, report = transformers.HubertModel.from_pretrained(
                None, config=config, state_dict=tensors, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError, KeyError, AttributeError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(f"{files.weights}: HuBERT cannot be loaded ({reason})") from None
    # the mask is for training only
    missing = sorted(set(report["missing_keys"]) - {"masked_spec_embed"})
    wrong = sorted(str(key) for key in report.get("mismatched_keys", ()))
    if missing or wrong:
        names = ", ".join((missing + wrong)[:3])
        raise InputError(
            f"{files.weights}: its tensors are not this HuBERT's: {len(missing)} missing and "
            f"{len(wrong)} of another shape ({names}, ...)"
        )
    return model


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep the library's bars and remarks off the user's terminal."""
    logging = transformers.utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
