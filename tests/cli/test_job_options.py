"""Each option of a command arrives at the parameter of the job that it means."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from dimcli.cli import generate, live, motion
from dimcli.data.gains import NAMES, Gains
from dimcli.media.probe import chosen_track
from tests.fuzz.commands import tree

RENAMED = {
    "speaker": "source",
    "speech": "source",
    "clip": "source",
    "speech_a": "track_a",
    "speech_b": "track_b",
    "ref": "reference",
    "ref_a": "reference_a",
    "ref_b": "reference_b",
    "motions": "paths",
    "to": "space",
}
"""Options whose parameter of the job has another name."""

COMMANDS: list[tuple[Callable[..., None], str, dict[str, str]]] = [
    (generate.generate_listener, "generate.generate_videos", {}),
    (generate.generate_speaker, "generate.generate_videos", {}),
    (generate.generate_dyad, "dyad.generate_dyad_video", {}),
    (live.live, "live.live", {"to": "to"}),
    (motion.extract, "extract.extract_motion", {}),
    (motion.visualize, "visualize.visualize_motions", {}),
    (motion.render, "render.render_motion", {"motion": "motion_path"}),
    (motion.convert, "convert.convert_file", {"motion": "path"}),
]


class _Called(Exception):  # noqa: N818  it ends the command, before it reports
    pass


@pytest.mark.parametrize(
    ("command", "job", "own_names"), COMMANDS, ids=lambda each: getattr(each, "__name__", "")
)
def test_every_option_reaches_its_parameter(
    command: Callable[..., None],
    job: str,
    own_names: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module_name, name = job.split(".")
    module = import_module(f"dimcli.jobs.{module_name}")
    signature = inspect.signature(getattr(module, name))
    arrived: dict[str, Any] = {}

    def record(*args: Any, **kwargs: Any) -> None:
        arrived.update(signature.bind(*args, **kwargs).arguments, audio_track=chosen_track())
        raise _Called

    monkeypatch.setattr(module, name, record)
    options = inspect.signature(command).parameters
    gains = {name: 0.5 + 0.1 * i for i, name in enumerate(NAMES) if "blinks" in options}
    given = {option: gains.get(option, object()) for option in options}
    with pytest.raises(_Called):
        command(**given)

    for option in ("as_json", "workers", "engine", "scheduler"):  # of the command, or of several
        given.pop(option, None)
    given.setdefault("audio_track", None)
    if gains:
        given = {name: value for name, value in given.items() if name not in gains}
        given["gains"] = Gains(**gains)
    expected = {(RENAMED | own_names).get(option, option): value for option, value in given.items()}
    assert {name: arrived.get(name) for name in expected} == expected


WITHOUT_SOUND = {
    *("convert", "export", "train-vq", "pretrain", "finetune", "train", "train-renderer", "eval"),
    *("table", "serve", "doctor", "prepare synthetic", "study score", "weights list"),
    *("weights show", "weights import", "weights fetch", "weights verify", "weights push"),
}
"""Commands that read no sound out of a file that somebody names."""


def test_every_command_that_reads_sound_takes_the_number_of_its_track() -> None:
    given = {
        " ".join(words)
        for words, options in tree().items()
        if any("--audio-track" in option.flags for option in options)
    }
    assert given == {" ".join(words) for words in tree()} - WITHOUT_SOUND
