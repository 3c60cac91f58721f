"""HuBERT features: a small random model, saved by transformers itself in a local folder."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import weights
from dimcli.audio import AudioEncoder, encode, encoder, encoder_here, load_encoder
from dimcli.audio.hubert import EDGE, HOP, HubertEncoder, window_starts
from dimcli.audio.hubert_files import receptive_field
from dimcli.core.errors import InputError, MissingDependencyError

transformers = pytest.importorskip("transformers")

RATE = 16000
WIDTH = 16


def small_model(norm: str = "group", width: int = WIDTH) -> torch.nn.Module:
    """A HubertModel with the layout of the published ones: ``group`` base, ``layer`` large."""
    torch.manual_seed(0)
    config = transformers.HubertConfig(
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        conv_dim=[32] * 7,
        feat_extract_norm=norm,
        conv_bias=norm == "layer",
        do_stable_layer_norm=norm == "layer",
        num_conv_pos_embedding_groups=4,
    )
    return transformers.HubertModel(config).eval()


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Something like speech: a gliding voice in syllables, with pauses, over faint noise."""
    random = np.random.default_rng(seed)
    times = np.arange(int(RATE * seconds)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.3 * times)) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 4 * times + np.sin(2 * np.pi * 0.7 * times)), 0, None)
    speaking = np.sin(2 * np.pi * 0.23 * times + 1) > -0.5
    return (0.1 * syllables * speaking * voice + 0.003 * random.normal(size=len(times))).astype(
        np.float32
    )


def whole_clip(model: torch.nn.Module, samples: np.ndarray) -> np.ndarray:
    """The model itself over the whole clip, as transformers' own processor feeds it."""
    processor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    values = processor(samples, sampling_rate=RATE, return_tensors="pt").input_values
    with torch.inference_mode():
        return model(values).last_hidden_state[0].numpy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("hubert") / "small"
    small_model().save_pretrained(path)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(path)
    return path


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """The user's folder is a new one, and nothing can be fetched."""
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    load_encoder.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_a_clip_within_one_window_is_the_models_own(norm):
    model, samples = small_model(norm), speech(6.0)
    ours = HubertEncoder(AudioEncoder("hubert", WIDTH), model, normalise=True).rows(samples)
    np.testing.assert_allclose(ours, whole_clip(model, samples), atol=2e-5)


@pytest.mark.slow
def test_windows_agree_with_the_whole_clip():
    model, samples = small_model(), speech(80.0)
    windowed = HubertEncoder(AudioEncoder("hubert", WIDTH), model, normalise=True)
    assert len(window_starts((len(samples) - 400) // HOP + 1, 1500, 250)) == 3
    ours, whole = windowed.rows(samples), whole_clip(model, samples)
    assert ours.shape == whole.shape
    # attention sees the window and not the clip; everything else is the whole clip's
    assert np.abs(ours - whole).max() < 1e-3
    assert whole.std() > 0.9


@pytest.mark.slow
def test_joins_do_not_show_where_windows_cut_by_themselves_would():
    model, samples = small_model(), speech(80.0)
    rows = HubertEncoder(AudioEncoder("hubert", WIDTH), model, normalise=True).rows(samples)
    whole = whole_clip(model, samples)
    change = np.abs(np.diff(rows, axis=0) - np.diff(whole, axis=0)).max(axis=1)
    assert change.max() < 1e-3
    alone = whole_clip(model, samples[: 1500 * HOP + 80])
    assert np.abs(alone[:1400] - whole[:1400]).max() > 1e-2  # its own mean, variance, group norm


@pytest.mark.parametrize("total", [1, 1499, 1500, 1501, 2000, 2749, 2750, 2751, 9000])
def test_windows_weights_add_up_to_one_everywhere(total):
    made = HubertEncoder(AudioEncoder("hubert", WIDTH), small_model(), normalise=True)
    starts = window_starts(total, 1500, 250)
    weights = np.zeros(total)
    for index, start in enumerate(starts):
        stop = min(start + 1500, total)
        part = made._weights(starts, index, stop)
        if index:
            assert not part[:EDGE].any()
        weights[start:stop] += part
    np.testing.assert_allclose(weights, 1, atol=1e-6)


@pytest.mark.parametrize(("fps", "frames"), [(25.0, 83), (30.0, 100), (29.97, 91), (5.0, 17)])
def test_features_have_the_motions_length_whatever_the_sounds_is(folder, fps, frames):
    name = f"hubert:{folder}"
    assert encoder(name) == AudioEncoder(name, WIDTH)
    for seconds in (0.0, 0.01, 2.0, 3.3, 5.0):
        features = encode(name, speech(seconds), RATE, fps, frames, device="cpu")
        assert (features.shape, features.dtype) == ((frames, WIDTH), np.float32)
        assert np.isfinite(features).all()


def test_a_row_hears_what_is_said_at_its_time(folder):
    """A click moves the rows around it the most."""
    quiet, clicked = speech(4.0), speech(4.0)
    clicked[2 * RATE : 2 * RATE + 200] += 0.5
    made = [encode(f"hubert:{folder}", s, RATE, 25.0, 100, device="cpu") for s in (quiet, clicked)]
    assert abs(int(np.abs(made[1] - made[0]).max(axis=1).argmax()) - 50) <= 2


def test_what_was_encoded_is_kept_by_content_and_settings(folder, monkeypatch, tmp_path):
    name = f"hubert:{folder}"
    first = encode(name, speech(2.0), RATE, 25.0, 50, device="cpu")
    kept = list((tmp_path / "home").rglob("*.npy"))
    assert len(kept) == 1
    encode(name, speech(1.0), RATE, 25.0, 25, device="cpu", keep=False)
    assert len(list((tmp_path / "home").rglob("*.npy"))) == 1

    def never(*_):
        raise AssertionError("encoded again")

    rows = HubertEncoder.rows
    monkeypatch.setattr(HubertEncoder, "rows", never)
    np.testing.assert_array_equal(encode(name, speech(2.0), RATE, 25.0, 50, device="cpu"), first)
    for samples, frames in ((speech(2.0, seed=1), 50), (speech(2.0), 49)):
        with pytest.raises(AssertionError, match="encoded again"):
            encode(name, samples, RATE, 25.0, frames, device="cpu")
    kept[0].write_bytes(b"half a fi")
    monkeypatch.setattr(HubertEncoder, "rows", rows)
    np.testing.assert_array_equal(encode(name, speech(2.0), RATE, 25.0, 50, device="cpu"), first)


def test_the_oldest_of_too_much_goes(folder, monkeypatch, tmp_path):
    monkeypatch.setattr("dimcli.audio.features.LARGEST", 10_000)
    for seed in range(4):
        encode(f"hubert:{folder}", speech(2.0, seed), RATE, 25.0, 50, device="cpu")
    assert len(list((tmp_path / "home").rglob("*.npy"))) == 3


def test_a_video_without_sound_is_silent(folder, tmp_path):
    from dimcli.media import VideoWriter, read_audio

    with VideoWriter(tmp_path / "mute.mp4", fps=25) as writer:
        for _ in range(10):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    samples = read_audio(tmp_path / "mute.mp4", RATE)
    heard = encode(f"hubert:{folder}", samples, RATE, 25.0, 10, device="cpu")
    np.testing.assert_allclose(heard, np.broadcast_to(heard[5], heard.shape), atol=0.5)
    assert np.isfinite(heard).all()


def published(folder: Path, width: int, monkeypatch) -> None:
    """A model in ``folder``, and a registry to which it is the published one."""
    small_model(width=width).save_pretrained(folder)
    facts = weights.registry()
    pins = {file.name: weights.digest(file) for file in folder.iterdir()}
    changed = facts | {"fetchable": {"hubert": facts["fetchable"]["hubert"] | {"sha256": pins}}}
    monkeypatch.setattr(weights, "registry", lambda: changed)


def test_the_default_model_is_what_was_fetched(tmp_path, monkeypatch):
    folder = tmp_path / "home" / "hubert"
    published(folder, 768, monkeypatch)
    features = encode("hubert", speech(1.0), RATE, 25.0, 25, device="cpu")
    assert features.shape == (25, 768)
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    load_encoder.cache_clear()
    for using in (load_encoder, encoder_here):
        with pytest.raises(InputError, match=r"model\.safetensors: is not the published file"):
            using("hubert")


def test_the_default_model_must_be_as_wide_as_the_published_one(tmp_path, monkeypatch):
    published(tmp_path / "home" / "hubert", WIDTH, monkeypatch)
    with pytest.raises(InputError, match="gives 16 features; expected 768"):
        load_encoder("hubert", "cpu")


def test_a_model_that_is_not_here_says_how_to_get_it():
    with pytest.raises(InputError, match=r"`dim weights fetch hubert` .*without a network"):
        load_encoder("hubert")
    assert encoder("hubert") == AudioEncoder("hubert", 768)
    with pytest.raises(InputError, match="dim weights fetch hubert"):
        encoder_here("hubert")
    with pytest.raises(InputError, match=r"hf download nobody/model --local-dir FOLDER"):
        load_encoder("hubert:nobody/model")
    with pytest.raises(InputError, match="no such folder"):
        load_encoder("hubert:/no/such/model/here")
    with pytest.raises(InputError, match=r"known: mel, mel4, l2l-mel, hubert"):
        load_encoder("whale")


def test_a_folder_of_another_model_is_named(folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(InputError, match="is of a 'bert' model; expected hubert"):
        encoder(f"hubert:{broken}")
    (broken / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(InputError, match=r"not this HuBERT's: \d+ missing"):
        load_encoder(f"hubert:{broken}", "cpu")
    for strides in ([4, 2, 2, 2, 2, 2, 2], [5], {}, 5, ["a"]):
        (broken / "config.json").write_text(json.dumps(config | {"conv_stride": strides}))
        with pytest.raises(InputError, match="not 25 ms every 20 ms"):
            encoder(f"hubert:{broken}")
    (broken / "config.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        encoder(f"hubert:{broken}")
    (broken / "config.json").write_text(json.dumps(config))
    (broken / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no model\.safetensors"):
        encoder(f"hubert:{broken}")


def test_the_published_pickle_with_its_older_names_gives_the_same(folder, tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    shutil.copy(folder / "config.json", old)
    tensors = load_file(folder / "model.safetensors")
    for name, published in (("original0", "weight_g"), ("original1", "weight_v")):
        ours = f"encoder.pos_conv_embed.conv.parametrizations.weight.{name}"
        tensors[f"encoder.pos_conv_embed.conv.{published}"] = tensors.pop(ours)
    torch.save(tensors, old / "pytorch_model.bin")
    a, b = (encode(f"hubert:{f}", speech(1.0), RATE, 25.0, 25, device="cpu") for f in (folder, old))
    np.testing.assert_array_equal(a, b)


def test_weights_that_call_something_are_refused(folder, tmp_path):
    class Caller:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "called",))

    broken = tmp_path / "broken"
    broken.mkdir()
    shutil.copy(folder / "config.json", broken)
    torch.save({"encoder.layer_norm.weight": Caller()}, broken / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin: refused"):
        load_encoder(f"hubert:{broken}", "cpu")
    assert not (tmp_path / "called").exists()


def test_without_transformers_the_install_line_is_given(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[hubert\]"):
        load_encoder(f"hubert:{folder}")


def test_the_published_layout_is_25_ms_every_20():
    assert receptive_field([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2]) == (400, 320)
