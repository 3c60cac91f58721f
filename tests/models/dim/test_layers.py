"""Large products in inference: another library's, in the same precision."""

from __future__ import annotations

import pytest
import torch

from dimcli.core import device
from dimcli.models.dim import layers


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
    with device.large_products():
        assert torch.get_float32_matmul_precision() == "highest"


def test_a_precision_that_was_chosen_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_onednn_keeps_float32", lambda: True)
    torch.set_float32_matmul_precision("high")
    try:
        with device.large_products():
            assert torch.get_float32_matmul_precision() == "high"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_product_that_fails_leaves_no_permission_behind() -> None:
    with pytest.raises(RuntimeError), device.large_products():
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert torch.get_float32_matmul_precision() == "highest"
