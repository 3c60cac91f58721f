"""PIRenderer's published checkpoint: read, renamed, and as the start for training.

A checkpoint is a ``torch.save`` of a dictionary whose ``net_G_ema`` (or ``net_G``) is the state
dict; names may carry ``module.``. It drives the network with 73 numbers a frame: expression 64,
angles 3, translation 3, crop 3. A fork that came with DIM's paper puts a layer before them
(``mapping_net.pre``) that makes the 73 out of expression 50, two zeros and pose 6.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dimcli.core.errors import InputError
from dimcli.core.motion import EXPRESSION, HEAD, NUM_EXPRESSION, NUM_POSE
from dimcli.pickles import read_torch
from renderers.trained.pirenderer.networks import NUM_PLACE, PIRenderer, PIRendererConfig

PUBLISHED_SIZE = 256.0
"""Side of its pictures, px."""

PUBLISHED_COEFFICIENTS = 73
PUBLISHED_EXPRESSION = 64
PUBLISHED_ANGLES, PUBLISHED_TRANSLATION, PUBLISHED_CROP = (
    slice(64, 67),
    slice(67, 70),
    slice(70, 73),
)
"""Where each part lies in a frame of theirs; the expression is before."""

NEUTRAL_TRANSLATION = (0.0, 0.0, 0.45)
"""Of a face that looks at the camera (the published demo of intuitive control)."""

NEUTRAL_CROP = (0.8, 128.0, 128.0)
"""Of a face in the middle of 256 pixels: scale to the coefficient network's crop, and the crop's
centre in pixels, right and up."""

EXPRESSION_STD = 0.05
"""Of the weights from our expressions to theirs at the start: small and random, for what theirs
mean is not in the file."""

_FORK_EXPRESSION, _FORK_POSE = slice(0, NUM_EXPRESSION), slice(-NUM_POSE, None)
_FORK_COEFFICIENTS = NUM_EXPRESSION + 2 + NUM_POSE

_RENAMED = (
    (r"mapping_net\.pre\.", "mapping.adapter."),
    (r"mapping_net\.first\.0\.", "mapping.first."),
    (r"mapping_net\.encoder(\d)\.1\.", r"mapping.layers.\1."),
    (r"warpping_net\.hourglass\.encoder\.input_layer\.", "warping.first."),
    (r"warpping_net\.hourglass\.encoder\.encoder(\d)\.", r"warping.down.\1."),
    (r"warpping_net\.hourglass\.decoder\.decoder(\d)\.", r"warping.up.\1."),
    (r"warpping_net\.flow_out\.0\.", "warping.norm."),
    (r"warpping_net\.flow_out\.2\.", "warping.flow."),
    (r"editing_net\.encoder\.first\.model\.0\.", "editing.first.conv."),
    (r"editing_net\.encoder\.first\.model\.1\.", "editing.first.norm."),
    (r"editing_net\.encoder\.down(\d)\.model\.0\.", r"editing.down.\1.conv."),
    (r"editing_net\.encoder\.down(\d)\.model\.1\.", r"editing.down.\1.norm."),
    (r"editing_net\.decoder\.res(\d)\.res(\d)\.conv2\.", r"editing.residual.\1.convs.\2."),
    (r"editing_net\.decoder\.res(\d)\.res(\d)\.norm2\.", r"editing.residual.\1.norms.\2."),
    (r"editing_net\.decoder\.(up|jump)(\d)\.model\.0\.", r"editing.\1.\2.conv."),
    (r"editing_net\.decoder\.(up|jump)(\d)\.model\.1\.", r"editing.\1.\2.norm."),
    (r"editing_net\.decoder\.final\.model\.0\.", "editing.final."),
)
_MODULATION = ((".mlp_shared.0.", ".shared."), (".mlp_gamma.", ".gain."), (".mlp_beta.", ".bias."))
_UNUSED = re.compile(r"editing_net\.decoder\.res\d\.res\d\.(conv1|norm1)\.")
"""A branch that the published code computes and drops."""


def rename(name: str) -> str | None:
    """Our name of a published tensor; None where it changes nothing. Raises KeyError if unknown."""
    if _UNUSED.match(name):
        return None
    for pattern, ours in _RENAMED:
        renamed, found = re.subn(f"^{pattern}", ours, name)
        if found:
            break
    else:
        raise KeyError(name)
    for theirs, ours in _MODULATION:
        renamed = renamed.replace(theirs, ours)
    # they number the doublings as the halvings that they undo, we as they come
    up = re.match(r"warping\.up\.(\d)\.", renamed)
    if up:
        renamed = f"warping.up.{PIRendererConfig.warp_down - 1 - int(up[1])}.{renamed[up.end() :]}"
    return renamed


def published_config(*, adapted: bool) -> PIRendererConfig:
    """The published sizes: driven by their 73 coefficients, or ``adapted`` to ours."""
    if adapted:
        return PIRendererConfig(adapter=PUBLISHED_COEFFICIENTS)
    return PIRendererConfig(coefficients=PUBLISHED_COEFFICIENTS)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by our names from a published state dict: the 256 of its 304 that matter.

    Raises InputError that names a tensor which is missing, unknown or of another shape.
    """
    state = {name.removeprefix("module."): value for name, value in state.items()}
    adapted = any(name.startswith("mapping_net.pre.") for name in state)
    network = PIRenderer(published_config(adapted=adapted))
    expected = {name: value.shape for name, value in network.state_dict().items()}
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        ours = _known(name)
        if ours is None:
            continue
        ready = value
        if ours == "mapping.adapter.weight":
            ready = _our_columns(value)
        elif ours.endswith((".norm.weight", ".norm.bias")):
            ready = value.flatten()  # theirs keep the axes of height and width
        if ready.shape != expected.get(ours):
            shape = tuple(expected[ours]) if ours in expected else "no such layer"
            raise InputError(f"{name} has shape {tuple(value.shape)}; expected {shape}")
        found[ours] = ready.float().contiguous()
    for name in expected:
        if name not in found:
            raise InputError(f"the weights of {name} (as named here) are missing")
    return found


def _known(name: str) -> str | None:
    """:func:`rename`, with the error a user reads."""
    try:
        return rename(name)
    except KeyError:
        raise InputError(f"{name} is no tensor of the published network") from None


def _our_columns(weight: Tensor) -> Tensor:
    """A fork's first layer [73, 58, 1] for our coefficients [73, 59, 1]: pose before expression,
    and the head's place, which it does not know, without effect.
    """
    if weight.shape[1:] != (_FORK_COEFFICIENTS, 1):
        return weight
    place = weight.new_zeros(len(weight), NUM_PLACE, 1)
    return torch.cat([weight[:, _FORK_POSE], weight[:, _FORK_EXPRESSION], place], 1)


def read_checkpoint(file: Path) -> dict[str, Tensor]:
    """Weights by our names from a published checkpoint ``file``: ``net_G_ema`` if it is there,
    else ``net_G``, else what is there. Raises InputError where it is something else.
    """
    content = read_torch(file)
    for key in ("net_G_ema", "net_G", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{file}: no state dict; expected PIRenderer's net_G_ema or net_G")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise InputError(f"{file}: {name} is no tensor; expected PIRenderer's state dict")
    try:
        return convert(content)
    except InputError as error:
        raise InputError(f"{file}: not PIRenderer's published weights: {error}") from None


def initial_adapter(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Weight [73, 59, 1] and bias [73] of a first layer from our coefficients to theirs.

    Head rotations are their angles (to first order: axes and signs are the same), and the head's
    place moves their crop about the neutral one. Jaw and expression start as small random mixtures.
    """
    config = published_config(adapted=True)
    weight = torch.zeros(PUBLISHED_COEFFICIENTS, config.coefficients, 1)
    bias = torch.zeros(PUBLISHED_COEFFICIENTS)
    face = slice(HEAD.stop, EXPRESSION.stop)
    generator = torch.Generator().manual_seed(seed)
    weight[:PUBLISHED_EXPRESSION, face] = EXPRESSION_STD * torch.randn(
        PUBLISHED_EXPRESSION, face.stop - face.start, 1, generator=generator
    )
    weight[PUBLISHED_ANGLES, HEAD] = torch.eye(3)[..., None]
    bias[PUBLISHED_TRANSLATION] = torch.tensor(NEUTRAL_TRANSLATION)
    bias[PUBLISHED_CROP] = torch.tensor(NEUTRAL_CROP)
    # a larger head has a smaller scale to the crop; a picture is 256 pixels wide, theirs count up
    place = torch.diag(torch.tensor([-NEUTRAL_CROP[0], PUBLISHED_SIZE, -PUBLISHED_SIZE]))
    weight[PUBLISHED_CROP, EXPRESSION.stop :] = place[..., None]
    return weight, bias


def start_from_published(network: PIRenderer, tensors: Mapping[str, Tensor], seed: int = 0) -> None:
    """Give ``network`` the published weights ``tensors`` (:func:`convert`'s), to be trained on.

    The network takes our coefficients through an adapter (``published_config(adapted=True)``);
    where the checkpoint has none, it starts as :func:`initial_adapter`. Raises ValueError where the
    network has other sizes.
    """
    if network.config != published_config(adapted=True):
        raise ValueError("the network has other sizes than published_config(adapted=True)")
    weight, bias = initial_adapter(seed)
    start = {"mapping.adapter.weight": weight, "mapping.adapter.bias": bias}
    network.load_state_dict(start | dict(tensors))
