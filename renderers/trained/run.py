"""Run directories of per-identity renderers.

``config.yaml`` (what network, which people), ``model.safetensors``, and ``people.safetensors``:
each person's home picture with its landmarks and motion, and what they look like. Nothing is
pickled.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file
from torch import nn

from dimcli.core.config import from_dict
from dimcli.core.documents import read_yaml
from dimcli.core.errors import InputError
from dimcli.core.files import atomic_output, write_text
from dimcli.core.motion import SPACES
from dimcli.core.tensors import read_arrays, read_tensors
from renderers.base import Reference
from renderers.trained.lite import LiteConfig, LiteNet
from renderers.trained.pirenderer.networks import PIRenderer, PIRendererConfig

CONFIG, MODEL, PEOPLE = "config.yaml", "model.safetensors", "people.safetensors"
KIND = "renderer"
SECTIONS = {"lite": LiteConfig, "paper": PIRendererConfig}


@dataclass(frozen=True)
class Person:
    """Somebody that a run knows: the ``home`` picture, cut to the square, that training started
    from, and their ``likeness`` (:mod:`renderers.trained.likeness`; empty where unknown)."""

    home: Reference
    likeness: NDArray[np.float32]


@dataclass(frozen=True)
class RendererRun:
    """A trained renderer: ``network`` in eval mode, its ``kind`` (``lite`` or ``paper``), the side
    of its ``size`` px square, the ``people`` by name, and the ``space`` of the motion that it
    draws."""

    kind: str
    network: LiteNet | PIRenderer
    size: int
    people: dict[str, Person]
    space: str = "arkit"


def build(config: LiteConfig | PIRendererConfig, people: list[str]) -> nn.Module:
    """The untrained network of a configuration."""
    if isinstance(config, LiteConfig):
        return LiteNet(config, people)
    return PIRenderer(config)


def write_config(
    directory: Path,
    config: LiteConfig | PIRendererConfig,
    people: list[str],
    training: dict[str, Any],
    space: str = "arkit",
) -> None:
    """Write ``config.yaml``."""
    kind = "lite" if isinstance(config, LiteConfig) else "paper"
    document = {"kind": KIND, "network": kind, "space": space, kind: asdict(config)}
    document["people"] = people
    text = yaml.safe_dump({**document, "training": training}, sort_keys=False)
    write_text(directory / CONFIG, text)


def write_people(directory: Path, people: dict[str, Person]) -> None:
    """Write ``people.safetensors``."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, person in people.items():
        arrays[f"{name}.image"] = person.home.image
        arrays[f"{name}.landmarks"] = person.home.landmarks
        arrays[f"{name}.values"] = person.home.values
        arrays[f"{name}.likeness"] = person.likeness
    with atomic_output(directory / PEOPLE, force=True) as temporary:
        save_arrays(arrays, temporary)


def write_network(directory: Path, network: nn.Module) -> None:
    """Write ``model.safetensors``."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    with atomic_output(directory / MODEL, force=True) as temporary:
        save_file(tensors, temporary)


def read_config(directory: Path) -> dict[str, Any]:
    """``config.yaml`` as it is, with its space where it is of before there was a choice. Raises
    InputError where it is not a renderer's."""
    path = directory / CONFIG
    how = "expected portrait, mesh, or a run of dim train-renderer"
    if not directory.is_dir():
        raise InputError(f"{directory}: unknown renderer; {how}")
    if not path.is_file():
        raise InputError(f"{directory}: no run directory (it lacks {CONFIG}); {how}")
    document = read_yaml(path)
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise InputError(f"{directory}: a run, but not of a renderer; {how}")
    people = document.get("people")
    named = isinstance(people, list) and people and all(isinstance(each, str) for each in people)
    if document.get("network") not in tuple(SECTIONS) or not named:
        raise InputError(f"{path}: expected network ({' or '.join(SECTIONS)}) and people")
    spaces = SPACES if document["network"] == "paper" else ("arkit",)
    if document.setdefault("space", "arkit") not in spaces:
        raise InputError(
            f"{path}: space is {document['space']!r}; expected {' or '.join(spaces)} with network "
            f"{document['network']}"
        )
    return document


def network_config(document: dict[str, Any], path: Path) -> LiteConfig | PIRendererConfig:
    """The network's own section of ``config.yaml``."""
    kind = document["network"]
    config: LiteConfig | PIRendererConfig = from_dict(
        SECTIONS[kind], document.get(kind), f"{path}: {kind}"
    )
    return config


def read_run(directory: Path, device: torch.device | None = None) -> RendererRun:
    """Load a run directory. Raises InputError that says what is missing or wrong."""
    directory = Path(directory)
    document = read_config(directory)
    names: list[str] = document["people"]
    network = build(network_config(document, directory / CONFIG), names)
    load_network(network, directory / MODEL)
    try:
        arrays = read_arrays(directory / PEOPLE)
        people = {
            name: Person(
                Reference(*(arrays[f"{name}.{part}"] for part in ("image", "landmarks", "values"))),
                arrays[f"{name}.likeness"],
            )
            for name in names
        }
    except (KeyError, ValueError) as error:
        raise InputError(f"{directory / PEOPLE}: missing or broken ({error})") from None
    assert isinstance(network, LiteNet | PIRenderer)
    network = network.to(device or torch.device("cpu")).eval()
    size = people[names[0]].home.image.shape[0]
    return RendererRun(document["network"], network, size, people, document["space"])


def load_network(network: nn.Module, path: Path) -> None:
    """Fill ``network`` from a safetensors file. Raises InputError where it does not fit."""
    try:
        network.load_state_dict(read_tensors(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise InputError(f"{path}: not this run's network ({reason})") from None
