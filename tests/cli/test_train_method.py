"""``dim train``: whole methods from the command line, at a size that only shows that it works."""

import json

import pytest

pytestmark = pytest.mark.slow

TINY = ("--preset", "tiny", "--steps", 4, "--device", "cpu")


def test_a_method_trains_resumes_and_makes_a_listener(dim, made_dyads, short_speaker, tmp_path):
    command = ("train", made_dyads, "--method", "l2l", "-o", "run", *TINY)
    ended = dim(*command, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["reason"] == "steps"
    assert (tmp_path / "run" / "vq_listener" / "model.safetensors").is_file()
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    ended = dim(*command)
    assert ended.code == 2
    assert "exists; give another --output, --resume or --force" in ended.err
    ended = dim(*command, "--resume")
    assert ended.code == 0, ended.err
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before

    ended = dim(
        *("generate-listener", short_speaker, "--renderer", "mesh", "--size", 64),
        *("--weights", "run", "--attitude", "positive", "-o", "out.mp4", "--device", "cpu"),
    )
    assert ended.code == 0, ended.err
    assert "trained without attitudes: --attitude positive is ignored" in ended.err + ended.out
    assert (tmp_path / "out.mp4").stat().st_size > 0


def test_a_method_that_learns_nothing_says_no_loss_and_an_unknown_one_lists_the_known(
    dim, made_dyads
):
    ended = dim("train", made_dyads, "--method", "nearest-motion", "-o", "run")
    assert ended.code == 0, ended.err
    assert "wrote run" in ended.err + ended.out
    assert "loss" not in ended.err + ended.out
    ended = dim("train", made_dyads, "--method", "gpt", "-o", "other")
    assert ended.code == 2
    known = "codetalker, dim, elp, faceformer, l2l, meshtalk, nearest-audio, nearest-motion, rlhg"
    assert f"expected one of {known}" in ended.err
