from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dimcli.core.errors import InputError
from dimcli.models.answers import load_predictor
from dimcli.models.faceformer import FaceFormer
from dimcli.training.methods import MethodOptions, train_method
from tests.models.tiny import make, overfit, smooth_batch, untouched
from tests.stores import make_store


def faceformer(**settings: object) -> FaceFormer:
    model = make("faceformer", **{"data.styles": "calm,lively", **settings})
    assert isinstance(model, FaceFormer)
    return model


def spread(model: FaceFormer) -> FaceFormer:
    """With a read-out that is not zero, as after training."""
    torch.nn.init.normal_(model.read_out.weight, std=0.3)
    return model


@pytest.mark.slow
def test_it_learns_one_batch_by_heart() -> None:
    model = faceformer(**{"faceformer.width": 32})
    first, last = overfit(model, smooth_batch(2, frames=8), 80, rate=1e-2)
    assert last < 0.15 * first


def test_it_begins_with_the_mean_face_and_the_gradient_reaches_all() -> None:
    model = faceformer()
    batch = smooth_batch()
    batch = type(batch)(**{**vars(batch), "style": torch.tensor([0, 1, 2])})
    assert not model(batch.audio, batch.style, batch.mask).any()
    assert not untouched(spread(model), batch)


def test_what_is_written_by_frames_is_what_attention_over_all_gives() -> None:
    """The paper's layer, written out: all frames at once, with the biased causal mask."""
    model = spread(faceformer())
    batch = smooth_batch(2, frames=12)
    style = torch.tensor([1, 2])
    with torch.no_grad():
        written = model(batch.audio, style, batch.mask)
        who = model.style(style)
        past = torch.cat([who[:, None], model.past(written[:, :-1]) + who[:, None]], dim=1)
        positions = torch.zeros(12, past.shape[2])
        for frame in range(12):
            for pair in range(past.shape[2] // 2):
                angle = torch.tensor((frame % 5) / 10000 ** (2 * pair / past.shape[2]))
                positions[frame, 2 * pair] = angle.sin()
                positions[frame, 2 * pair + 1] = angle.cos()
        state = past + positions
        query, key, value = model.layer.query_key_value(state).unflatten(-1, (3, 2, -1)).unbind(2)
        mixed = torch.zeros(2, 12, 2, query.shape[-1])
        for head, slope in enumerate((2.0**-4, 2.0**-8)):
            for frame in range(12):
                scores = (key[:, : frame + 1, head] * query[:, frame : frame + 1, head]).sum(-1)
                scores = scores / query.shape[-1] ** 0.5
                for before in range(frame + 1):
                    scores[:, before] -= slope * ((frame - before) // 5)
                share = scores.softmax(dim=1)[..., None]
                mixed[:, frame, head] = (share * value[:, : frame + 1, head]).sum(dim=1)
        state = model.layer.norms[0](state + model.layer.attention_out(mixed.flatten(2)))
        heard = model.speech.listen(batch.audio)
        places = torch.arange(12)[:, None] / 10000 ** (
            torch.arange(0, heard.shape[2], 2) / heard.shape[2]
        )
        heard = heard + torch.stack([places.sin(), places.cos()], dim=-1).flatten(1)
        heard = model.layer.aligned(model.speech.transformer(heard, batch.mask))
        state = model.layer.norms[1](state + heard)
        state = model.layer.norms[2](state + model.layer.feedforward(state))
        torch.testing.assert_close(written, model.read_out(state), atol=1e-4, rtol=1e-3)


def test_padding_and_the_listener_do_not_matter_but_who_speaks_does() -> None:
    model = spread(faceformer())
    batch = smooth_batch(2, frames=16, there=10)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        before = model(batch.audio, torch.zeros(2, dtype=torch.long), batch.mask)[:, :10]
        loss = model.objective(batch, 0, generator, False)[0]
        batch.audio[:, 10:] += 3
        batch.motion["speaker"][:, 10:] += 3
        batch.motion["listener"] += 1
        after = model(batch.audio, torch.zeros(2, dtype=torch.long), batch.mask)[:, :10]
        other = model(batch.audio, torch.ones(2, dtype=torch.long), batch.mask)[:, :10]
        torch.testing.assert_close(before, after)
        torch.testing.assert_close(loss, model.objective(batch, 0, generator, False)[0])
        assert not torch.allclose(after, other)


def test_a_trained_run_says_speech_and_does_not_listen(tmp_path: Path) -> None:
    store = make_store(tmp_path / "data")
    overrides = {"training.steps": 4, "training.validate_every": 2}
    options = MethodOptions(preset="tiny", overrides=overrides)
    train_method(tmp_path / "data", tmp_path / "run", "faceformer", options)
    predictor = load_predictor(tmp_path / "run", store, "speaker", "cpu")
    clip = store.load(store.clips("test")[0])
    one, other = (predictor.predict(clip.stimulus("speaker"), seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.values, other.values)
    assert (len(one), one.fps, one.space) == (len(clip), 25.0, "arkit")
    with pytest.raises(InputError, match="generates speakers"):
        load_predictor(tmp_path / "run", store, "listener", "cpu")
