"""Online generation from the command line."""

import pytest


def test_online_with_weights_that_look_ahead_exits_2_with_one_line(dim, examples, tmp_path):
    ended = dim(
        *("generate-listener", examples / "speaker.mp4", "--renderer", "mesh", "--online"),
        *("-o", "out.mp4", "--size", 64),
    )
    assert ended.code == 2
    assert "--ablation online" in ended.err
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.slow
def test_a_model_of_the_online_ablation_answers_a_clip_as_a_stream(
    dim, made_dyads, short_speaker, tmp_path
):
    tiny = ("--preset", "tiny", "--steps", 1, "--device", "cpu")
    ended = dim("train", made_dyads, "--method", "dim", "--ablation", "online", "-o", "run", *tiny)
    assert ended.code == 0, ended.err
    ended = dim(
        *("generate-listener", short_speaker, "--renderer", "mesh", "--size", 64),
        *("--weights", "run", "--online", "-o", "out.mp4", "--device", "cpu"),
    )
    assert ended.code == 0, ended.err
    assert (tmp_path / "out.mp4").stat().st_size > 0
    ended = dim(
        *("eval", "--data", made_dyads, "--weights", "run", "--online", "--bootstrap", 0, "--json")
    )
    assert ended.code == 0, ended.err
