"""PIRenderer's published checkpoint: the same pictures, and the start for training."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dimcli.core.errors import InputError
from renderers.trained.pirenderer.networks import PIRenderer, PIRendererConfig
from renderers.trained.pirenderer.published import (
    convert,
    initial_adapter,
    published_config,
    start_from_published,
)
from tests.renderers.trained.published_network import plain, random_weights, shapes
from weights.importing import import_file


def load_published(path: Path) -> PIRenderer:
    """The published network from a file that :func:`import_file` wrote, in eval mode: driven
    by their 73 coefficients, or by our 59 where the checkpoint has a layer before them.
    """
    tensors = load_file(path)
    network = PIRenderer(published_config(adapted="mapping.adapter.weight" in tensors))
    network.load_state_dict(tensors)
    return network.eval()


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return random_weights()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, Tensor]) -> Path:
    """As their trainer saves it: the running network wrapped, and an average beside it."""
    path = tmp_path_factory.mktemp("published") / "epoch_00190_iteration_000400000_checkpoint.pt"
    running = {f"module.{name}": value + 1 for name, value in weights.items()}
    content = {"net_G": running, "net_G_ema": weights, "opt_G": {"state": {}, "param_groups": []}}
    torch.save(content | {"current_epoch": 190, "current_iteration": 400000}, path)
    return path


def test_the_layout_has_the_published_number_of_tensors_and_weights() -> None:
    table = random_weights()
    assert len(table) == len(shapes()) == 304
    assert sum(value.numel() for value in table.values()) == 22_519_109


@pytest.mark.slow
def test_imported_weights_give_the_published_networks_pictures(
    checkpoint: Path, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    """Acceptance: flow, warped and final picture to 1e-4 of a plain implementation of the published
    facts, which :mod:`tests.renderers.trained.published_network` lists, at 256 px.
    """
    network = load_published(import_file("pirender", checkpoint, folder=tmp_path, force=True))
    generator = torch.Generator().manual_seed(7)
    coarse = torch.rand(1, 3, 8, 8, generator=generator) * 2 - 1
    source = torch.nn.functional.interpolate(coarse, size=(256, 256), mode="bicubic").clamp(-1, 1)
    windows = torch.randn(1, 73, 27, generator=generator)
    with torch.no_grad():
        ours, theirs = network(source, windows), plain(weights, source, windows)
    assert 1 < ours.flow.abs().max() < 32, "the warp should move things, within the picture"
    assert ours.picture is not None and 0.1 < ours.picture.std() < 0.9
    assert (ours.flow - theirs["flow_field"]).abs().max() < 1e-4
    assert (ours.warped - theirs["warp_image"]).abs().max() < 1e-4
    assert (ours.picture - theirs["fake_image"]).abs().max() < 1e-4


@pytest.mark.slow
def test_the_average_is_taken_before_the_running_network_and_a_bare_state_dict_as_it_is(
    checkpoint: Path, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    path = import_file("pirender", checkpoint, folder=tmp_path)
    first = load_published(path).mapping.first.weight
    assert torch.equal(first, weights["mapping_net.first.0.weight"])
    bare = tmp_path / "bare.pt"
    torch.save({f"module.{name}": value for name, value in weights.items()}, bare)
    again = load_published(
        import_file("pirender", bare, folder=tmp_path, force=True)
    ).mapping.first.weight
    assert torch.equal(again, first)


def test_another_networks_weights_are_refused_by_name(
    weights: dict[str, Tensor], tmp_path: Path
) -> None:
    other = tmp_path / "other.pt"
    torch.save({"net_G": {"encoder.weight": torch.zeros(3)}}, other)
    with pytest.raises(InputError, match=r"other\.pt: not PIRenderer.*encoder\.weight is no tens"):
        import_file("pirender", other, folder=tmp_path, force=True)
    torch.save([1, 2], other)
    with pytest.raises(InputError, match="no state dict; expected PIRenderer's net_G_ema"):
        import_file("pirender", other, folder=tmp_path, force=True)
    name = "editing_net.encoder.down0.model.0.weight"
    with pytest.raises(InputError, match=r"down0.*shape \(1, 2\); expected \(128, 64, 3, 3\)"):
        convert(weights | {name: torch.zeros(1, 2)})
    fewer = {key: value for key, value in weights.items() if key != name}
    with pytest.raises(InputError, match=r"editing\.down\.0\.conv\.weight .* missing"):
        convert(fewer)
    assert not (tmp_path / "pirender.safetensors").exists()


def test_training_starts_from_published_weights_driven_by_our_coefficients(
    weights: dict[str, Tensor],
) -> None:
    network = PIRenderer(published_config(adapted=True))
    start_from_published(network, convert(weights))
    adapter = network.mapping.adapter
    assert adapter is not None
    ours = torch.zeros(1, 59, 27)
    theirs = adapter(ours)[0, :, 0]
    assert theirs.tolist() == pytest.approx([0.0] * 69 + [0.45, 0.8, 128.0, 128.0])
    ours[0, :3, 0] = torch.tensor([0.1, -0.2, 0.3])
    ours[0, 56:, 0] = torch.tensor([0.1, 0.25, 0.125])
    moved = adapter(ours)[0, :, 0] - theirs
    assert moved[64:67].tolist() == pytest.approx([0.1, -0.2, 0.3])
    assert moved[70:].tolist() == pytest.approx([-0.08, 64.0, -32.0], abs=1e-4)
    assert torch.equal(
        network.editing.final.weight, weights["editing_net.decoder.final.model.0.weight"]
    )
    ours[0, 6:56, 0] = 0.5
    assert 0 < (adapter(ours)[0, :64, 0]).std() < 0.5
    with pytest.raises(ValueError, match="other sizes"):
        start_from_published(PIRenderer(PIRendererConfig()), convert(weights))


def test_a_forks_first_layer_keeps_its_meaning_in_our_order(weights: dict[str, Tensor]) -> None:
    """DIM's fork: expression 50, two zeros, pose 6 through ``mapping_net.pre`` to the 73."""
    generator = torch.Generator().manual_seed(5)
    pre = torch.randn(73, 58, 1, generator=generator), torch.randn(73, generator=generator)
    fork = weights | {"mapping_net.pre.weight": pre[0], "mapping_net.pre.bias": pre[1]}
    network = PIRenderer(published_config(adapted=True))
    start_from_published(network, convert(fork))
    pose, expression = torch.randn(2, 6), torch.randn(2, 50)
    theirs = torch.cat([expression, torch.zeros(2, 2), pose], 1) @ pre[0][..., 0].T + pre[1]
    ours = torch.cat([pose, expression, torch.randn(2, 3)], 1)[..., None]
    assert network.mapping.adapter is not None
    assert torch.allclose(network.mapping.adapter(ours)[..., 0], theirs, atol=1e-5)


def test_the_same_seed_gives_the_same_adapter() -> None:
    assert torch.equal(initial_adapter(3)[0], initial_adapter(3)[0])
    assert not torch.equal(initial_adapter(3)[0], initial_adapter(4)[0])
