"""PIRenderer as published, written plainly: a table of its tensors, and what it computes.

Facts are from the public repository RenYurui/PIRender (`generators/face_model.py`,
`generators/base_function.py`, `util/flow_util.py`, `config/face.yaml`) and its README's checkpoint:

- driven by [B, 73, 27]; 256 px pictures in [-1, 1]; all rectifiers leaky with slope 0.1, but plain
  ones inside the modulation;
- mapping: convolution over 7 frames without padding; three times rectifier and a convolution over 3
  frames, dilation 3, added to what it saw less 3 frames at both ends; mean over time;
- modulation ("ADAIN"): each channel to mean 0 and variance 1 over places, times (1 + gamma) plus
  beta, both linear in a rectified linear layer of 128 of the latent;
- warping: a 7 x 7 convolution to 32 channels; five halvings (modulation, rectifier, 4 x 4 stride 2;
  modulation, rectifier, 3 x 3) to 64, 128, 256, 256, 256; three doublings (modulation, rectifier,
  3 x 3; modulation, rectifier, 3 x 3 transposed stride 2; plus a shortcut of modulation, rectifier,
  transposed 3 x 3) to 256, 256, 128, each followed by the encoder's features of that size; layer
  norm over channels and places, rectifier, 7 x 7 to 2 channels at 64 x 64;
- flow in samples of its grid; the grid runs from -1 to 1, is enlarged to 256 bilinearly without
  aligned corners, and the picture is sampled bilinearly without aligned corners, zeros outside;
- editing: source and warped picture side by side; 7 x 7 to 64 channels, layer norm, rectifier;
  three times 3 x 3, layer norm, rectifier, mean of 2 x 2, to 128, 256, 256; then at each size,
  coarse to fine, two blocks x + modulation(conv2(x)) (conv1 and norm1 are computed and dropped),
  nearest enlargement, 3 x 3, layer norm, rectifier, plus 3 x 3, layer norm, rectifier of the
  encoder's features of that size; 7 x 7 to 3 channels, tanh;
- 304 tensors, 22,519,109 numbers; normalisation epsilon 1e-5 (torch's defaults).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LATENT = 256
EPSILON = 1e-5


def shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every published tensor."""
    table: dict[str, tuple[int, ...]] = {}

    def layer(name: str, weight: tuple[int, ...], outputs: int) -> None:
        table[f"{name}.weight"], table[f"{name}.bias"] = weight, (outputs,)

    def convolution(name: str, inputs: int, outputs: int, kernel: int) -> None:
        layer(name, (outputs, inputs, kernel, kernel), outputs)

    def modulation(name: str, channels: int) -> None:
        layer(f"{name}.mlp_shared.0", (128, LATENT), 128)
        layer(f"{name}.mlp_gamma", (channels, 128), channels)
        layer(f"{name}.mlp_beta", (channels, 128), channels)

    def norm(name: str, channels: int) -> None:
        table[f"{name}.weight"] = table[f"{name}.bias"] = (channels, 1, 1)

    layer("mapping_net.first.0", (LATENT, 73, 7), LATENT)
    for index in range(3):
        layer(f"mapping_net.encoder{index}.1", (LATENT, LATENT, 3), LATENT)
    warp = "warpping_net.hourglass"
    convolution(f"{warp}.encoder.input_layer", 3, 32, 7)
    for index, (inputs, outputs) in enumerate(
        ((32, 64), (64, 128), (128, 256), (256, 256), (256, 256))
    ):
        name = f"{warp}.encoder.encoder{index}"
        convolution(f"{name}.conv_0", inputs, outputs, 4)
        convolution(f"{name}.conv_1", outputs, outputs, 3)
        modulation(f"{name}.norm_0", inputs)
        modulation(f"{name}.norm_1", outputs)
    for index, inputs, outputs in ((4, 256, 256), (3, 512, 256), (2, 512, 128)):
        name = f"{warp}.decoder.decoder{index}"
        convolution(f"{name}.conv_0", inputs, outputs, 3)
        layer(f"{name}.conv_1", (outputs, outputs, 3, 3), outputs)
        layer(f"{name}.conv_s", (inputs, outputs, 3, 3), outputs)
        modulation(f"{name}.norm_0", inputs)
        modulation(f"{name}.norm_1", outputs)
        modulation(f"{name}.norm_s", inputs)
    norm("warpping_net.flow_out.0", 256)
    convolution("warpping_net.flow_out.2", 256, 2, 7)
    convolution("editing_net.encoder.first.model.0", 6, 64, 7)
    norm("editing_net.encoder.first.model.1", 64)
    for index, fine, coarse in ((0, 64, 128), (1, 128, 256), (2, 256, 256)):
        convolution(f"editing_net.encoder.down{index}.model.0", fine, coarse, 3)
        norm(f"editing_net.encoder.down{index}.model.1", coarse)
        decoder = "editing_net.decoder"
        for block in range(2):
            for part in (1, 2):
                name = f"{decoder}.res{index}.res{block}"
                convolution(f"{name}.conv{part}", coarse, coarse, 3)
                modulation(f"{name}.norm{part}", coarse)
        convolution(f"{decoder}.up{index}.model.0", coarse, fine, 3)
        norm(f"{decoder}.up{index}.model.1", fine)
        convolution(f"{decoder}.jump{index}.model.0", fine, fine, 3)
        norm(f"{decoder}.jump{index}.model.1", fine)
    convolution("editing_net.decoder.final.model.0", 64, 3, 7)
    return table


def random_weights(seed: int = 0) -> dict[str, Tensor]:
    """Random weights by their published names, such that no layer dies or saturates."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes().items():
        value = torch.randn(shape, generator=generator)
        if len(shape) == 3 and shape[1:] == (1, 1):  # a layer norm's gain, near 1
            value = 1 + 0.1 * value
        elif name.endswith("weight"):
            value = value / math.sqrt(math.prod(shape[1:]))
        else:
            value = 0.1 * value
        tensors[name] = value
    tensors["editing_net.decoder.final.model.0.weight"] /= 4  # tanh saturates
    return tensors


def leaky(values: Tensor) -> Tensor:
    return torch.where(values > 0, values, 0.1 * values)


def standardised(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    centred = values - values.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True) + EPSILON).sqrt()


def sampled(picture: Tensor, grid: Tensor) -> Tensor:
    """Picture [3, H, W] at grid [h, w, 2] in [-1, 1] of its outer edges; zeros outside."""
    _, height, width = picture.shape
    x = ((grid[..., 0] + 1) * width - 1) / 2
    y = ((grid[..., 1] + 1) * height - 1) / 2
    total = torch.zeros(3, *grid.shape[:2])
    for column in (x.floor(), x.floor() + 1):
        for row in (y.floor(), y.floor() + 1):
            weight = (1 - (x - column).abs()) * (1 - (y - row).abs())
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            at = (row.clamp(0, height - 1).long(), column.clamp(0, width - 1).long())
            total += picture[:, at[0], at[1]] * weight * inside
    return total


def enlargement(samples: int, size: int) -> Tensor:
    """Matrix [size, samples] of linear interpolation between the samples' centres."""
    place = ((torch.arange(size) + 0.5) * samples / size - 0.5).clamp(0, samples - 1)
    return (1 - (place[:, None] - torch.arange(samples)).abs()).clamp(min=0)


def plain(tensors: dict[str, Tensor], source: Tensor, windows: Tensor) -> dict[str, Tensor]:
    """What the published network gives for one ``source`` [1, 3, 256, 256] and ``windows``
    [1, 73, 27]: flow_field, warp_image, fake_image.
    """

    def layer(name: str) -> tuple[Tensor, Tensor]:
        return tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    def convolve(values: Tensor, name: str, stride: int = 1) -> Tensor:
        weight, bias = layer(name)
        return F.conv2d(values, weight, bias, stride, padding=(weight.shape[2] - 1) // 2)

    def double(values: Tensor, name: str) -> Tensor:
        return F.conv_transpose2d(values, *layer(name), stride=2, padding=1, output_padding=1)

    def modulate(values: Tensor, name: str) -> Tensor:
        hidden = F.linear(latent, *layer(f"{name}.mlp_shared.0")).clamp(min=0)
        gamma = F.linear(hidden, *layer(f"{name}.mlp_gamma"))[..., None, None]
        beta = F.linear(hidden, *layer(f"{name}.mlp_beta"))[..., None, None]
        return standardised(values, (2, 3)) * (1 + gamma) + beta

    def normed(values: Tensor, name: str) -> Tensor:
        gain, bias = layer(name)
        return leaky(standardised(values, (1, 2, 3)) * gain + bias)

    hidden = F.conv1d(windows, *layer("mapping_net.first.0"))
    for index in range(3):
        deeper = F.conv1d(leaky(hidden), *layer(f"mapping_net.encoder{index}.1"), dilation=3)
        hidden = deeper + hidden[:, :, 3:-3]
    latent = hidden.mean(2)

    warp = "warpping_net.hourglass"
    features = [convolve(source, f"{warp}.encoder.input_layer")]
    for index in range(5):
        name = f"{warp}.encoder.encoder{index}"
        half = convolve(leaky(modulate(features[-1], f"{name}.norm_0")), f"{name}.conv_0", 2)
        features.append(convolve(leaky(modulate(half, f"{name}.norm_1")), f"{name}.conv_1"))
    values = features[5]
    for index in (4, 3, 2):
        name = f"{warp}.decoder.decoder{index}"
        deep = convolve(leaky(modulate(values, f"{name}.norm_0")), f"{name}.conv_0")
        deep = double(leaky(modulate(deep, f"{name}.norm_1")), f"{name}.conv_1")
        short = double(leaky(modulate(values, f"{name}.norm_s")), f"{name}.conv_s")
        values = torch.cat([short + deep, features[index]], 1)
    flow = convolve(normed(values, "warpping_net.flow_out.0"), "warpping_net.flow_out.2")

    steps = torch.arange(64) * 2 / 63 - 1
    grid = torch.stack([steps.expand(64, 64), steps[:, None].expand(64, 64)]) + flow[0] * 2 / 63
    enlarge = enlargement(64, 256)
    warped = sampled(source[0], (enlarge @ grid @ enlarge.T).permute(1, 2, 0))[None]

    edit = "editing_net.encoder"
    values = convolve(torch.cat([source, warped], 1), f"{edit}.first.model.0")
    features = [normed(values, f"{edit}.first.model.1")]
    for index in range(3):
        name = f"{edit}.down{index}.model"
        values = normed(convolve(features[-1], f"{name}.0"), f"{name}.1")
        features.append(values.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5)))
    values, edit = features[3], "editing_net.decoder"
    for index in (2, 1, 0):
        for block in range(2):
            name = f"{edit}.res{index}.res{block}"
            values = values + modulate(convolve(values, f"{name}.conv2"), f"{name}.norm2")
        values = values.repeat_interleave(2, 2).repeat_interleave(2, 3)
        name = f"{edit}.up{index}.model"
        values = normed(convolve(values, f"{name}.0"), f"{name}.1")
        name = f"{edit}.jump{index}.model"
        values = values + normed(convolve(features[index], f"{name}.0"), f"{name}.1")
    picture = torch.tanh(convolve(values, f"{edit}.final.model.0"))
    return {"flow_field": flow, "warp_image": warped, "fake_image": picture}
