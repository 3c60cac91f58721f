from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.data.clip import Clip
from dimcli.data.store import ClipStore
from dimcli.models.checkpoint import load_dim, load_vq
from dimcli.training.ablations import ABLATIONS
from dimcli.training.methods import MethodOptions, train_method
from dimcli.training.stages import StageOptions, finetune, pretrain, train_vq
from tests.answers import generate_listener
from tests.stores import make_store

pytestmark = pytest.mark.slow


def options(**settings: object) -> MethodOptions:
    return MethodOptions(preset="tiny", steps=2, device="cpu", **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, its two VQ-VAEs and the whole method's pre-training, all tiny."""
    folder = tmp_path_factory.mktemp("ablations")
    make_store(folder / "data")
    for role in ("speaker", "listener"):
        train_vq(folder / "data", folder / f"vq_{role}", role, StageOptions("tiny", steps=6))
    pretrain(
        *(folder / "data", folder / "pretrain", folder / "vq_speaker", folder / "vq_listener"),
        StageOptions("tiny", steps=6, device="cpu"),
    )
    return folder


def trained(folder: Path, name: str) -> Path:
    """The run of an ablation, trained when it is first asked for."""
    run = folder / name
    if not run.exists():
        shared = {role: folder / role for role in ("vq_speaker", "vq_listener")}
        chosen = options(ablation=name, pretrained=folder / "pretrain", **shared)
        train_method(folder / "data", run, "dim", chosen)
    return run


def clip_of(folder: Path) -> Clip:
    store = ClipStore(folder / "data")
    return store.load(store.clips("test")[0])


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_trains_and_generates(folder: Path, name: str) -> None:
    config, model = load_dim(trained(folder, name))
    chosen = ABLATIONS[name]
    for key, value in {**chosen.model, **chosen.finetuning}.items():
        section, field = key.split(".")
        assert getattr(getattr(config, section), field) == value, key
    assert (folder / name / "pretrain").is_dir() == chosen.own_pretraining
    assert bool(model.vq) == chosen.codes
    clip = clip_of(folder)
    made = generate_listener(model.eval(), clip.speaker, clip.speaker_audio, seed=0)
    assert made.values.shape == clip.speaker.values.shape
    assert np.isfinite(made.values).all()


def test_direct_regression_has_one_answer_and_codes_have_many(folder: Path) -> None:
    clip = clip_of(folder)
    answers = {}
    for name in ("no-vq", "none"):
        _, model = load_dim(trained(folder, name))
        answers[name] = [
            generate_listener(model.eval(), clip.speaker, clip.speaker_audio, seed=seed).values
            for seed in (0, 1)
        ]
    assert np.array_equal(*answers["no-vq"])
    assert not np.array_equal(*answers["none"])


def test_a_missing_modality_does_not_reach_the_listener(folder: Path) -> None:
    clip = clip_of(folder)
    backwards = clip.speaker.values[::-1].copy()
    for name, deaf in (("motion-only", True), ("audio-only", False)):
        _, model = load_dim(trained(folder, name))
        plain = generate_listener(model.eval(), clip.speaker, clip.speaker_audio, seed=0)
        other_sound = generate_listener(model, clip.speaker, clip.speaker_audio[::-1], seed=0)
        other_face = generate_listener(
            model, type(clip.speaker)(backwards, fps=25.0), clip.speaker_audio, seed=0
        )
        assert np.array_equal(plain.values, other_sound.values) == deaf
        assert np.array_equal(plain.values, other_face.values) != deaf


def test_a_frozen_vq_decoder_stays_as_the_vq_vae_left_it(folder: Path) -> None:
    _, model = load_dim(trained(folder, "frozen-decoder"))
    _, vq = load_vq(folder / "vq_listener", "listener")
    for name, tensor in vq.state_dict().items():
        assert tensor.equal(model.vqvae("listener").state_dict()[name]), name


def test_one_branch_encodes_the_speaker_alone(folder: Path) -> None:
    _, model = load_dim(trained(folder, "one-branch"))
    assert list(model.encoder) == ["speaker"]


@pytest.mark.slow
def test_pre_training_may_have_a_data_set_of_its_own(folder: Path, tmp_path: Path) -> None:
    make_store(tmp_path / "other", frames=90)
    made = {}
    for name, source in (("own", None), ("other", tmp_path / "other")):
        run = tmp_path / f"run-{name}"
        train_method(folder / "data", run, "dim", options(pretrain_data=source))
        made[name] = (run / "vq_listener" / "model.safetensors").read_bytes()
    assert made["own"] != made["other"]


def test_an_unknown_ablation_lists_the_known_ones(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no-vq, no-pretraining, frozen-decoder"):
        trained(folder, "no-brain")
    assert not (folder / "no-brain").exists()
    with pytest.raises(InputError, match="--ablation: is of --method dim; rlhg has none"):
        train_method(folder / "data", tmp_path / "run", "rlhg", options(ablation="no-vq"))


def test_causal_masks_go_on_from_weights_that_saw_both_sides(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    finetune(
        folder / "data",
        run,
        folder / "pretrain",
        "listener",
        StageOptions(
            "tiny",
            steps=1,
            device="cpu",
            overrides={"dim.causal": True, "vq.causal": True, "training.learning_rate": 0.0},
        ),
    )
    before, after = (load_dim(path)[1].state_dict() for path in (folder / "pretrain", run))
    name = "encoder.speaker.blocks.0.local.convolution.weight"
    assert after[name][..., 2:].equal(before[name][..., :3])
    assert not after[name][..., :2].any()
    frozen = "vq.listener.parts.nod.encoder.blocks.0.local.convolution.weight"
    assert after[frozen].equal(before[frozen])
