"""EMOCA, DECA and SMIRK: checkpoints in their published layouts against a plain construction."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dimcli.core.errors import InputError
from dimcli.tracking.checkpoints import find_checkpoint
from dimcli.tracking.encoders import load_encoder
from dimcli.tracking.trackers import loaded_encoder
from tests.tracking.encoder_files import (
    deca_file,
    emoca_state,
    lightning_file,
    placeholder,
    smirk_file,
)
from tests.tracking.plain_encoders import linear, mobilenet_features, resnet_regressor
from weights.importing import import_file

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def pictures():
    """A random picture [1, 3, 224, 224] in 0..1."""
    return torch.rand((1, 3, 224, 224), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def deca(tmp_path_factory):
    path = tmp_path_factory.mktemp("deca") / "deca_model.tar"
    return path, deca_file(path)


@pytest.fixture(scope="module")
def smirk(tmp_path_factory):
    path = tmp_path_factory.mktemp("smirk") / "SMIRK_em1.pt"
    return path, smirk_file(path)


def agree(ours: torch.Tensor, plain: torch.Tensor) -> None:
    assert plain.std() > 0.05  # or agreement would mean nothing
    np.testing.assert_allclose(ours.numpy(), plain.numpy(), atol=TOLERANCE)


@torch.inference_mode()
def test_deca_agrees_with_a_plain_resnet_50_and_head(deca, pictures):
    path, tensors = deca
    codes = load_encoder("deca", path, "cpu")(pictures)
    plain = resnet_regressor(tensors, pictures)
    agree(codes.shape, plain[:, :100])
    agree(codes.expression, plain[:, 150:200])
    agree(codes.pose, plain[:, 200:206])
    agree(codes.camera, plain[:, 206:209])


@torch.inference_mode()
@pytest.mark.parametrize(("outputs", "parallel"), [(50, False), (53, False), (56, True)])
def test_emoca_agrees_with_plain_encoders(tmp_path, pictures, outputs, parallel, monkeypatch):
    state, flame, expression = emoca_state(outputs, parallel)
    model = tmp_path / "EMOCA_v2_lr_mse_20"
    best = "detail/checkpoints/deca-epoch=10-val_loss/dataloader_idx_0=3.25.ckpt"
    lightning_file(model / best, state)
    codes = load_encoder("emoca", model if outputs == 50 else model / best, "cpu")(pictures)
    deca = resnet_regressor(flame, pictures)
    trunk = {name: tensor for name, tensor in flame.items() if name.startswith("encoder.")}
    plain = resnet_regressor((trunk if parallel else {}) | expression, pictures)
    poses = outputs - 50
    agree(codes.expression, plain[:, :50])
    agree(codes.pose, torch.cat([deca[:, 200 : 206 - poses], plain[:, 50:]], dim=1))
    agree(codes.shape, deca[:, :100])
    agree(codes.camera, deca[:, 206:209])
    if parallel:
        monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
        import_file("emoca", model)
        imported = load_encoder("emoca", None, "cpu")(pictures)
        np.testing.assert_array_equal(imported.pose, codes.pose)


@torch.inference_mode()
def test_smirk_agrees_with_plain_mobilenets(smirk, pictures):
    path, tensors = smirk
    codes = load_encoder("smirk", path, "cpu")(pictures)
    small = mobilenet_features(tensors, "pose_encoder.encoder.", pictures, large=False)
    pose = linear(tensors, "pose_encoder.pose_cam_layers.0", small)
    large = mobilenet_features(tensors, "shape_encoder.encoder.", pictures, large=True)
    agree(codes.shape, linear(tensors, "shape_encoder.shape_layers.0", large))
    large = mobilenet_features(tensors, "expression_encoder.encoder.", pictures, large=True)
    numbers = linear(tensors, "expression_encoder.expression_layers.0", large)
    jaw = torch.cat([numbers[:, 52:53].clamp(min=0), numbers[:, 53:].clamp(-0.2, 0.2)], dim=1)
    agree(codes.expression, numbers[:, :50])
    agree(codes.pose, torch.cat([pose[:, :3], jaw], dim=1))
    agree(codes.camera, pose[:, 3:])


@torch.inference_mode()
def test_an_imported_encoder_is_the_same_and_needs_no_checkpoint(
    smirk, pictures, monkeypatch, tmp_path
):
    monkeypatch.setenv("DIM_HOME", str(tmp_path / "home"))
    with pytest.raises(InputError, match=r"--tracker smirk needs smirk.*dim weights import smirk"):
        load_encoder("smirk", None, "cpu")
    imported = import_file("smirk", smirk[0])
    assert imported == tmp_path / "home" / "smirk.safetensors"
    a, b = (load_encoder("smirk", path, "cpu")(pictures) for path in (smirk[0], None))
    np.testing.assert_array_equal(a.expression, b.expression)


def test_emocas_folder_gives_the_best_checkpoint_of_its_detail_stage(tmp_path):
    model = tmp_path / "EMOCA_v2_lr_mse_20"
    (model / "cfg.yaml").parent.mkdir(parents=True)
    (model / "cfg.yaml").write_text("coarse: {}\ndetail: {}\n")
    best = "deca-epoch=10-val_loss/dataloader_idx_0=3.25.ckpt"
    for name in (
        *("coarse/checkpoints/deca-epoch=01-val_loss/dataloader_idx_0=1.50.ckpt",),
        *("detail/checkpoints/deca-epoch=05-val_loss/dataloader_idx_0=13.25.ckpt",),
        *(f"detail/checkpoints/{best}", "detail/checkpoints/last.ckpt"),
    ):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(b"checkpoint")
    assert find_checkpoint(model, "emoca") == model / "detail" / "checkpoints" / best
    (tmp_path / "home").mkdir()
    with pytest.raises(InputError, match=r"has no \*\.ckpt"):
        find_checkpoint(tmp_path / "home", "emoca")


def one_line(error: pytest.ExceptionInfo[InputError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_checkpoint_of_another_tracker_is_told_what_it_is_for(smirk, deca):
    with pytest.raises(InputError) as error:
        load_encoder("deca", smirk[0], "cpu")
    message = one_line(error)
    assert "269 missing (E_flame.encoder.bn1.bias, E_flame.encoder.bn1.running_mean" in message
    assert message.endswith("it is for --tracker smirk")
    with pytest.raises(InputError, match=r"missing.*it is for --tracker deca"):
        load_encoder("smirk", deca[0], "cpu")
    with pytest.raises(InputError, match=r"missing \(E_expression\..*it is for --tracker deca"):
        load_encoder("emoca", deca[0], "cpu")


def test_missing_unexpected_and_misshapen_tensors_are_named(tmp_path, smirk):
    state = {f"smirk_encoder.{name}": tensor for name, tensor in smirk[1].items()}
    del state["smirk_encoder.pose_encoder.encoder.conv_stem.weight"]
    state["smirk_encoder.pose_encoder.encoder.blocks.9.0.conv.weight"] = placeholder(1)
    state["smirk_encoder.shape_encoder.shape_layers.0.bias"] = placeholder(100)
    torch.save(state, tmp_path / "odd.pt")
    with pytest.raises(InputError) as error:
        load_encoder("smirk", tmp_path / "odd.pt", "cpu")
    message = one_line(error)
    assert "1 missing (pose_encoder.encoder.conv_stem.weight)" in message
    assert "1 unexpected (pose_encoder.encoder.blocks.9.0.conv.weight)" in message
    assert "1 of another shape (shape_encoder.shape_layers.0.bias [100] for [300])" in message


def test_batch_norms_counters_may_be_missing(tmp_path, smirk):
    state = {
        f"smirk_encoder.{name}": tensor
        for name, tensor in smirk[1].items()
        if not name.endswith("num_batches_tracked")
    }
    torch.save(state, tmp_path / "old.pt")
    load_encoder("smirk", tmp_path / "old.pt", "cpu")


def test_files_that_are_no_checkpoint_are_named(tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(InputError, match=r"text\.pt: not a readable"):
        load_encoder("smirk", tmp_path / "text.pt", "cpu")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(InputError, match=r"list\.pt: holds no tensors"):
        load_encoder("smirk", tmp_path / "list.pt", "cpu")
    with pytest.raises(InputError, match="unknown; known: landmarks, emoca, deca, smirk"):
        loaded_encoder("mica", tmp_path / "list.pt", "cpu")


@pytest.mark.parametrize("layout", ["deca_model.tar", "best.ckpt", "SMIRK_em1.pt"])
def test_a_checkpoint_that_calls_anything_is_refused(tmp_path, layout):
    class Caller:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "called",))

    content = {
        "deca_model.tar": {"E_flame": {"encoder.conv1.weight": Caller()}},
        "best.ckpt": {"state_dict": {"deca.w": torch.ones(1)}, "hyper_parameters": Caller()},
        "SMIRK_em1.pt": {"smirk_encoder.w": Caller()},
    }[layout]
    torch.save(content, tmp_path / layout)
    tracker = {"deca_model.tar": "deca", "best.ckpt": "emoca", "SMIRK_em1.pt": "smirk"}[layout]
    with pytest.raises(InputError, match="refused"):
        load_encoder(tracker, tmp_path / layout, "cpu")
    assert not (tmp_path / "called").exists()
