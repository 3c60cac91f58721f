"""Large products in inference: another library's, in the same precision."""

from __future__ import annotations

import pytest
import torch

from dimcli.core import device
from dimcli.core.device import large_products
from dimcli.models.dim import layers

CPU = torch.device("cpu")


@pytest.fixture
def layer() -> layers.Linear:
    torch.manual_seed(0)
    return layers.Linear(384, 768)


def test_a_large_product_in_inference_is_as_exact_as_float32_is(layer: layers.Linear) -> None:
    features = torch.randn(2, 96, 384)
    assert features.numel() * 768 > layers.LARGE
    exact = features.double() @ layer.weight.double().mT + layer.bias.double()
    with torch.inference_mode():
        assert (layer(features).double() - exact).abs().max() < 1e-5  # bf16: 1e-2
    assert torch.get_float32_matmul_precision() == "highest"


def test_nothing_is_permitted_to_a_processor_that_would_round_to_bf16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "_onednn_keeps_float32", lambda: False)
    with large_products(CPU):
        assert torch.get_float32_matmul_precision() == "highest"


def test_nothing_is_permitted_to_a_gpu_which_would_round() -> None:
    with large_products(torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == "highest"


def test_a_precision_that_was_chosen_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_onednn_keeps_float32", lambda: True)
    torch.set_float32_matmul_precision("high")
    try:
        with large_products(CPU):
            assert torch.get_float32_matmul_precision() == "high"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_product_that_fails_leaves_no_permission_behind() -> None:
    with pytest.raises(RuntimeError), large_products(CPU):
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_layer_compiles_in_one_piece() -> None:
    block = layers.Block(16, heads=2, feedforward=32, dropout=0.1, local_kernel=3)
    features, there = torch.randn(2, 6, 16), torch.ones(2, 6, dtype=torch.bool)
    mask = layers.attention_mask(there)
    compiled = torch.compile(block.eval(), backend="eager", fullgraph=True, dynamic=True)
    assert compiled(features, mask, there).allclose(block(features, mask, there))
