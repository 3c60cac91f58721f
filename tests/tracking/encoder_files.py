"""Checkpoints in the layouts that EMOCA, DECA and SMIRK are given out in, with random numbers.

Names and shapes are written down here from the formats, not taken from our networks.
"""

import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

Tensors = dict[str, Tensor]

RESNET_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))

SMALL = ((24, (72, 88)), (40, (96, 240, 240)), (48, (120, 144)), (96, (288, 576, 576)))
LARGE = (
    (24, (64, 72)),
    (40, (72, 120, 120)),
    (80, (240, 200, 184, 184)),
    (112, (480, 672)),
    (160, (672, 960, 960)),
)
"""Channels of a stage, and the inner channels of its blocks."""


class Maker:
    """Random tensors, scaled so that a deep network neither fades nor bursts."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.tensors: Tensors = {}

    def conv(self, name: str, output: int, channels: int, kernel: int) -> None:
        spread = (2 / (channels * kernel * kernel)) ** 0.5
        shape = (output, channels, kernel, kernel)
        self.tensors[f"{name}.weight"] = spread * torch.randn(shape, generator=self.generator)

    def norm(self, name: str, channels: int, gain: float = 1.0) -> None:
        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(channels, generator=self.generator)

        self.tensors[f"{name}.weight"] = gain * uniform(0.8, 1.2)
        self.tensors[f"{name}.bias"] = uniform(-0.1, 0.1)
        self.tensors[f"{name}.running_mean"] = uniform(-0.1, 0.1)
        self.tensors[f"{name}.running_var"] = uniform(0.8, 1.2)
        self.tensors[f"{name}.num_batches_tracked"] = torch.tensor(1000)

    def linear(self, name: str, outputs: int, inputs: int, gain: float = 1.0) -> None:
        weight = torch.randn((outputs, inputs), generator=self.generator)
        self.tensors[f"{name}.weight"] = gain * weight / inputs**0.5
        self.tensors[f"{name}.bias"] = 0.1 * torch.randn(outputs, generator=self.generator)


def resnet(make: Maker, prefix: str) -> None:
    """ResNet-50 as torchvision names it, without a classifier."""
    make.conv(f"{prefix}conv1", 64, 3, 7)
    make.norm(f"{prefix}bn1", 64)
    channels = 64
    for stage, (width, blocks) in enumerate(RESNET_STAGES, start=1):
        for block in range(blocks):
            name = f"{prefix}layer{stage}.{block}."
            make.conv(f"{name}conv1", width, channels, 1)
            make.norm(f"{name}bn1", width)
            make.conv(f"{name}conv2", width, width, 3)
            make.norm(f"{name}bn2", width)
            make.conv(f"{name}conv3", 4 * width, width, 1)
            make.norm(f"{name}bn3", 4 * width, gain=0.3)
            if block == 0:
                make.conv(f"{name}downsample.0", 4 * width, channels, 1)
                make.norm(f"{name}downsample.1", 4 * width)
            channels = 4 * width


def resnet_encoder(outputs: int, seed: int) -> Tensors:
    """A trunk under ``encoder.`` and the head ``layers.0``, ``layers.2``."""
    make = Maker(seed)
    resnet(make, "encoder.")
    make.linear("layers.0", 1024, 2048)
    make.linear("layers.2", outputs, 1024, gain=0.3)
    return make.tensors


def placeholder(*shape: int) -> Tensor:
    """A tensor of that shape that takes no room: of parts that we don't read."""
    return torch.zeros(1).expand(*shape) if shape else torch.tensor(0)


def deca_file(path: Path) -> Tensors:
    """``deca_model.tar``; returns ``E_flame``."""
    encoder = resnet_encoder(236, seed=1)
    detail = {name: placeholder(*tensor.shape) for name, tensor in encoder.items()}
    detail |= {"layers.2.weight": placeholder(128, 1024), "layers.2.bias": placeholder(128)}
    decoder = {"fc1.weight": placeholder(8192, 181), "conv_blocks.0.weight": placeholder(128)}
    torch.save({"E_flame": encoder, "E_detail": detail, "D_detail": decoder}, path)
    return encoder


@contextmanager
def foreign_class(module: str, name: str) -> Iterator[type]:
    """A class that pickles as one of a package which isn't here."""
    made = type(name, (), {"__module__": module})
    parts = module.split(".")
    names = [".".join(parts[: count + 1]) for count in range(len(parts))]
    new = [known for known in names if known not in sys.modules]
    try:
        for known in new:
            sys.modules[known] = types.ModuleType(known)
        setattr(sys.modules[module], name, made)
        yield made
    finally:
        for known in new:
            del sys.modules[known]


def lightning_file(path: Path, state: Tensors) -> None:
    """A PyTorch-Lightning checkpoint with OmegaConf settings in it, as EMOCA's are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with foreign_class("omegaconf.dictconfig", "DictConfig") as settings_class:
        settings = settings_class()
        settings._content = {"model": {"expression_backbone": "deca_clone"}}
        torch.save(
            {
                "epoch": 10,
                "global_step": 12345,
                "pytorch-lightning_version": "1.4.9",
                "state_dict": OrderedDict(state),
                "callbacks": {},
                "optimizer_states": [],
                "lr_schedulers": [],
                "hyper_parameters": {"config": settings},
                "hparams_name": "kwargs",
            },
            path,
        )


def emoca_state(outputs: int, parallel: bool = False) -> tuple[Tensors, Tensors, Tensors]:
    """``state_dict`` of EMOCA with an expression head of that width, and in it E_flame and
    E_expression; ``parallel`` puts the second head on DECA's trunk.
    """
    flame = resnet_encoder(236, seed=2)
    expression = resnet_encoder(outputs, seed=3)
    if parallel:
        expression = {
            name: tensor for name, tensor in expression.items() if name.startswith("layers.")
        }
        twice = {f"resnet.{name}": tensor for name, tensor in flame.items()}
    state = {f"deca.E_flame.{name}": tensor for name, tensor in flame.items()}
    for name, tensor in (expression | (twice if parallel else {})).items():
        state[f"deca.E_expression.{name}"] = tensor
    state["deca.E_detail.encoder.conv1.weight"] = placeholder(64, 3, 7, 7)
    state["deca.D_detail.fc1.weight"] = placeholder(8192, 181)
    state["deca.flame.v_template"] = placeholder(5023, 3)
    state["deca.render.faces"] = placeholder(1, 9976, 3)
    state["emonet_loss.emonet.conv1.weight"] = placeholder(64, 3, 7, 7)
    return state, flame, expression


def mobilenet(make: Maker, prefix: str, large: bool) -> None:
    """MobileNetV3 minimal as timm names it with ``features_only``."""
    make.conv(f"{prefix}conv_stem", 16, 3, 3)
    make.norm(f"{prefix}bn1", 16)
    name = f"{prefix}blocks.0.0."
    make.conv(f"{name}conv_dw", 16, 1, 3)
    make.norm(f"{name}bn1", 16)
    make.conv(f"{name}conv_pw", 16, 16, 1)
    make.norm(f"{name}bn2", 16)
    channels = 16
    stages = LARGE if large else SMALL
    for stage, (output, inners) in enumerate(stages, start=1):
        for block, inner in enumerate(inners):
            name = f"{prefix}blocks.{stage}.{block}."
            make.conv(f"{name}conv_pw", inner, channels, 1)
            make.norm(f"{name}bn1", inner)
            make.conv(f"{name}conv_dw", inner, 1, 3)
            make.norm(f"{name}bn2", inner)
            make.conv(f"{name}conv_pwl", output, inner, 1)
            make.norm(f"{name}bn3", output, gain=0.5)
            channels = output
    name = f"{prefix}blocks.{len(stages) + 1}.0."
    features = 960 if large else 576
    make.conv(f"{name}conv", features, channels, 1)
    make.norm(f"{name}bn1", features)


def smirk_file(path: Path) -> Tensors:
    """``SMIRK_em1.pt``; returns the encoder's tensors without their prefix."""
    make = Maker(4)
    mobilenet(make, "pose_encoder.encoder.", large=False)
    make.linear("pose_encoder.pose_cam_layers.0", 6, 576, gain=0.3)
    mobilenet(make, "shape_encoder.encoder.", large=True)
    make.linear("shape_encoder.shape_layers.0", 300, 960, gain=0.3)
    mobilenet(make, "expression_encoder.encoder.", large=True)
    make.linear("expression_encoder.expression_layers.0", 55, 960, gain=0.3)
    state = {f"smirk_encoder.{name}": tensor for name, tensor in make.tensors.items()}
    state["smirk_generator.encoder1.enc1conv1.weight"] = placeholder(32, 6, 3, 3)
    torch.save(OrderedDict(state), path)
    return make.tensors
