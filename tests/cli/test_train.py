"""The paper's training from the command line, at a size that only shows that it works."""

import json

import pytest

pytestmark = pytest.mark.slow


def test_prepare_train_and_generate_with_the_result(dim, short_speaker, tmp_path):
    tiny = ("--preset", "tiny", "--steps", 4, "--device", "cpu")
    small_batches = ("--set", "training.batch_size=2", "--set", "training.validate_every=2")
    assert dim("prepare", "synthetic", "-o", "data", "--hours", 0.05, "--seed", 1).code == 0
    for role in ("speaker", "listener"):
        ended = dim("train-vq", "data", "--role", role, "-o", f"vq-{role}", *tiny, *small_batches)
        assert ended.code == 0, ended.err
    ended = dim(
        *("pretrain", "data", "--vq-speaker", "vq-speaker", "--vq-listener", "vq-listener"),
        *("-o", "pre", *tiny, *small_batches),
    )
    assert ended.code == 0, ended.err
    ended = dim("finetune", "data", "--init", "pre", "-o", "tuned", *tiny, *small_batches, "--json")
    assert ended.code == 0, ended.err
    figures = json.loads(ended.out)
    assert (figures["step"], figures["reason"]) == (4, "steps")
    lines = (tmp_path / "tuned" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 2, 4, 4]

    ended = dim(
        *("generate-listener", short_speaker, "--renderer", "mesh", "--size", 64),
        *("--weights", "tuned", "-o", "out.mp4", "--device", "cpu"),
    )
    assert ended.code == 0, ended.err
    assert (tmp_path / "out.mp4").stat().st_size > 0

    # an existing run is kept, and a run of the other role is refused
    ended = dim("finetune", "data", "--init", "pre", "-o", "tuned", *tiny)
    assert ended.code == 2
    assert "--resume or --force" in ended.err
    ended = dim("finetune", "data", "--init", "vq-speaker", "-o", "other", *tiny)
    assert ended.code == 2
    assert not (tmp_path / "other").exists()


def test_a_wrong_preset_or_setting_lists_the_known_ones(dim, made_dyads):
    ended = dim("train-vq", made_dyads, "--role", "speaker", "-o", "run", "--preset", "huge")
    assert ended.code == 2
    assert "paper, released-sizes, small, live, speaker, table, tiny" in ended.err
    ended = dim(
        "train-vq", made_dyads, "--role", "speaker", "-o", "run", "--set", "training.stpes=3"
    )
    assert ended.code == 2
    assert "stpes" in ended.err
    assert "steps" in ended.err
