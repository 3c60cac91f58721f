import pytest
import torch

from dimcli.audio import MEL4, MEL_DIM
from dimcli.core.config import with_overrides
from dimcli.models.dim.config import preset
from dimcli.models.dim.dim import DIM, Dyad
from dimcli.models.dim.layers import RowConvolutions


def ear(audio_dim: int, stride: int, *, causal: bool = False) -> RowConvolutions:
    torch.manual_seed(0)
    return RowConvolutions(audio_dim, stride, 7, kernel=5, channels=6, causal=causal)


@pytest.mark.parametrize(("audio_dim", "stride"), [(MEL4.dim, 2), (MEL_DIM, 1), (5, 2), (5, 3)])
@pytest.mark.parametrize("causal", [False, True])
def test_every_kind_of_features_becomes_one_vector_a_step(audio_dim, stride, causal):
    audio = torch.randn(2, 6 * stride, audio_dim)
    there = torch.ones(2, 6 * stride, dtype=torch.bool)
    heard = ear(audio_dim, stride, causal=causal)(audio, there)
    assert heard.shape == (2, 6, 7)
    assert heard.isfinite().all()


def test_padding_is_not_heard():
    there = torch.ones(1, 12, dtype=torch.bool)
    there[:, 8:] = False
    first = torch.randn(1, 12, MEL4.dim)
    second = first.clone()
    second[:, 8:] += 1.0
    model = ear(MEL4.dim, 2)
    assert torch.equal(model(first, there), model(second, there))


def test_causal_convolutions_hear_nothing_that_comes_later():
    there = torch.ones(1, 12, dtype=torch.bool)
    first = torch.randn(1, 12, MEL4.dim)
    second = first.clone()
    second[:, 8:] += 1.0
    for causal in (False, True):
        model = ear(MEL4.dim, 2, causal=causal)
        same = torch.isclose(model(first, there), model(second, there), atol=1e-6)[0].all(dim=1)
        assert same[:3].all()
        assert bool(same[3]) == causal
        assert not same[4:].any()


def test_rows_are_read_in_the_order_of_time():
    """A sound two rows later is the same sound in every convolution, two rows later."""
    model = ear(MEL4.dim, 2)
    rows = torch.zeros(1, 96, MEL_DIM)
    rows[:, 40:44] = torch.randn(4, MEL_DIM)
    there = torch.ones(1, 24, dtype=torch.bool)
    places = []
    for late in (0, 8):  # a step
        heard = model(rows.roll(late, dims=1).reshape(1, 24, MEL4.dim), there)[0]
        places.append(heard)
    assert torch.allclose(places[0][3:9], places[1][4:10], atol=1e-5)
    assert not torch.allclose(places[0][5], places[0][8])


def test_a_model_that_hears_by_convolutions_follows_the_sound():
    settings = {
        "data.audio_encoder": "mel4", "data.audio_dim": MEL4.dim, "dim.outputs": "speaker",
        "dim.speaker_inputs": "codes", "dim.listener_inputs": "motion", "dim.audio_kernel": 5,
        "vq.stride": 2,
    }  # fmt: skip
    torch.manual_seed(0)
    model = DIM(with_overrides(preset("tiny", "finetune", "speaker"), settings)).eval()
    nothing = torch.zeros(1, 16, 56)
    codes = {"speaker": torch.zeros(1, 8, model.parts, dtype=torch.long)}
    found = []
    for audio in (torch.zeros(1, 16, MEL4.dim), torch.randn(1, 16, MEL4.dim)):
        dyad = Dyad(
            {"speaker": nothing, "listener": nothing},
            audio,
            torch.ones(1, 16, dtype=torch.bool),
            torch.zeros(1, dtype=torch.long),
            codes,
        )
        unseen = torch.zeros(1, 8, dtype=torch.bool)
        with torch.no_grad():
            found.append(model(dyad, {"speaker": unseen, "listener": unseen}).logits["speaker"])
    assert found[0].shape == found[1].shape
    assert not torch.allclose(*found)
