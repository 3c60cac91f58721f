"""The methods by name. A method is one file in this folder that registers itself.

Such a file has the method's settings, presets and model, says how it trains and how it answers, and
calls :func:`register`; nothing else names it. Guide: CONTRIBUTING.md.
"""

from __future__ import annotations

import importlib
import pkgutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

import dimcli.models
from dimcli.audio import NO_SOUND
from dimcli.core import limits
from dimcli.core.config import from_dict, read_document, require_choice
from dimcli.core.errors import InputError, about
from dimcli.core.motion import Motion
from dimcli.data.clip import ROLES, Predictor, Stimulus
from dimcli.data.store import ClipStore
from dimcli.models.config import PRIOR, RunConfig
from dimcli.models.names import PRESETS


class Model(Protocol):
    """A trained model of any method, ready to answer."""

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        ...

    def answer(
        self,
        stimulus: Stimulus,
        *,
        seed: int,
        temperature: float | None = None,
        steps: int | None = None,
    ) -> Motion:
        """Motion for a whole clip, of its length and rate; the same seed gives the same motion.

        ``temperature`` and ``steps`` default to the run's; a method that has no use for one
        ignores it. Raises InputError when the stimulus is not what the model was trained on.
        """
        ...


@dataclass(frozen=True)
class Run:
    """A loaded run: its configuration and its model, in eval mode."""

    config: RunConfig
    model: nn.Module


@dataclass(frozen=True)
class Method:
    """A way to generate one side of a conversation, and all that commands need to know of it."""

    name: str
    """What ``dim train --method``, ``dim eval --baseline`` and error messages call it."""
    roles: tuple[str, ...]
    """Whom it generates."""
    kind: str = ""
    """What ``config.yaml`` calls its runs; by default its name."""
    presets: Mapping[str, RunConfig] = field(default_factory=dict)
    """Its configurations ``paper``, ``small``, ``table`` and ``tiny``; none for what is not
    trained. ``released-sizes`` is ``paper``; ``live`` and ``speaker`` are ``small``."""
    build: Callable[[Any], nn.Module] | None = None
    """The untrained model of a configuration."""
    prior: Callable[[Any], nn.Module] | None = None
    """The untrained model of its own first stage, where it has one."""
    coded: bool = False
    """Whether it needs the listener's VQ-VAE."""
    resumes_from: bool = False
    """Whether its training can start from another run of it (``--init``)."""
    fit: Callable[[ClipStore, Any], nn.Module] | None = None
    """Instead of training: the model, from a data set and a configuration."""
    load: Callable[[Any, Path], nn.Module] | None = None
    """Its model from a configuration and a weights file, where not by :attr:`build`."""
    open: Callable[[Run, Path, str, bool], Model] | None = None
    """What answers, from a run, its folder, a role and whether it answers as a stream, where that
    is not the run's model itself."""
    untrained: Callable[[ClipStore, str], Predictor] | None = None
    """What answers without training, from a data set's train split, for a role."""

    def preset(self, name: str) -> RunConfig:
        """A preset of its own stage. Raises InputError that lists the presets."""
        require_choice("preset", name, PRESETS)
        found = self.presets[
            {"released-sizes": "paper", "live": "small", "speaker": "small"}.get(name, name)
        ]
        return replace(found, kind=self.kind or self.name, stage="train", preset=name)


@dataclass(frozen=True)
class ModelPredictor:
    """A trained model as a predictor, sampled as its run's configuration says, or in ``steps``."""

    model: Model
    steps: int | None = None

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """One sample; every clip has randomness of its own. A clip of data without sound is heard
        as zeros."""
        data = self.model.config.data
        if stimulus.audio_encoder == NO_SOUND.name != data.audio_encoder:
            silence = np.zeros((len(stimulus), data.audio_dim), np.float32)
            stimulus = replace(stimulus, audio=silence, audio_encoder=data.audio_encoder)
        if stimulus.audio_encoder != data.audio_encoder:
            raise InputError(
                f"clip {stimulus.id}: audio features of '{stimulus.audio_encoder}'; "
                f"the model was trained on '{data.audio_encoder}'"
            )
        own = np.random.SeedSequence([seed, zlib.crc32(stimulus.id.encode())])
        return self.model.answer(stimulus, seed=int(own.generate_state(1)[0]), steps=self.steps)


_METHODS: dict[str, Method] = {}


def register(method: Method) -> Method:
    """Make ``method`` known under its name."""
    _METHODS[method.name] = method
    return method


def _is_trained(method: Method) -> bool:
    return method.build is not None or method.fit is not None


@cache
def _import(folders: tuple[str, ...], only: str | None = None) -> None:
    """Import the methods' files, or ``only`` that of a name, if there is one."""
    for module in pkgutil.iter_modules(folders, "dimcli.models."):
        if only is None or module.name == f"dimcli.models.{only}":
            importlib.import_module(f"{module.name}.method" if module.ispkg else module.name)


def _place(item: tuple[str, Method]) -> tuple[bool, str]:
    """What methods are listed by: those that are never trained as their file has them, the others
    by name, for which files were imported first depends on who asked."""
    name, method = item
    return _is_trained(method), name if _is_trained(method) else ""


def methods(
    role: str | None = None, *, trained: bool | None = None, untrained: bool | None = None
) -> list[str]:
    """Names of the methods, those that are never trained first; only of those that generate
    ``role``, that are (not) trained, or that (do not) answer without training."""
    _import(tuple(dimcli.models.__path__))
    return [
        name
        for name, method in sorted(_METHODS.items(), key=_place)
        if (role is None or role in method.roles)
        and (trained is None or trained == _is_trained(method))
        and (untrained is None or untrained == (method.untrained is not None))
    ]


def method(name: str, flag: str = "--method") -> Method:
    """The method of that name. Raises InputError that names ``flag`` and lists the trained ones."""
    require_choice(flag, name, tuple(methods(trained=True)))
    return _METHODS[name]


def untrained(name: str, role: str) -> Method | None:
    """The method of that name that answers as ``role`` without training, if there is one."""
    return _METHODS[name] if name in methods(role, untrained=True) else None


def method_of_kind(kind: str) -> Method:
    """The method whose runs are of ``kind``. Raises InputError that lists the kinds."""
    if kind == "vq":
        kind = "dim"
    # the others need not be imported where the file is called like the kind
    _import(tuple(dimcli.models.__path__), only=kind)
    known = _by_kind()
    if kind not in known:
        _import(tuple(dimcli.models.__path__))
        known = _by_kind()
        require_choice("kind", kind, (*known, "vq"))
    return known[kind]


def _by_kind() -> dict[str, Method]:
    """The trained methods that were imported, by the kind of their runs."""
    return {
        method.kind or name: method
        for name, method in sorted(_METHODS.items(), key=_place)
        if _is_trained(method)
    }


def read_config(path: Path) -> RunConfig:
    """Read a run's ``config.yaml``. Raises InputError that names the file and the fault."""
    document = read_document(path)
    kind = document.get("kind") if isinstance(document, dict) else None
    if not isinstance(kind, str):
        raise InputError(f"{path}: says no kind of run; expected a run's {path.name}")
    with about(path):
        found = method_of_kind(kind)
        if document.get("stage") == PRIOR:
            two_stage = (name for name in methods(trained=True) if _METHODS[name].prior)
            require_choice("kind (of stage prior)", kind, tuple(two_stage))
    config = next(iter(found.presets.values()))
    return from_dict(type(config), document, str(path))


def build_model(config: RunConfig) -> nn.Module:
    """The untrained model that a run's configuration describes."""
    found = method_of_kind(config.kind)
    build = found.prior if config.stage == PRIOR else found.build
    if build is None:
        raise InputError(f"kind '{config.kind}' has no stage '{config.stage}'")
    return build(config)


@contextmanager
def bounded_parameters() -> Iterator[None]:
    """Within the block no model may be made that is larger than ``limits.MODEL_PARAMETERS``: a
    parameter more raises InputError, before memory runs out."""
    total = 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal total
        total += 0 if parameter is None else parameter.numel()
        if total > limits.MODEL_PARAMETERS:
            raise InputError(
                f"the model has more than {limits.MODEL_PARAMETERS / 1e6:.0f} million parameters; "
                "make its widths or layers smaller"
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def of_other_role(run: Path, found: Method, role: str) -> InputError:
    """The error for a ``run`` of a method that does not generate ``role``."""
    other = next(each for each in ROLES if each != role)
    hint = "; see dim eval --task speaker" if other == "speaker" else ""
    return InputError(f"{run}: a run of {found.name}, which generates {other}s, not {role}s{hint}")
