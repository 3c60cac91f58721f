"""The clips that a report shows in full: motions, events, and mesh videos side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.masks import runs
from dimcli.core.motion import Motion
from dimcli.core.progress import Progress
from dimcli.data.clip import Clip, ClipRecord, Predictor
from dimcli.data.store import ClipStore
from dimcli.evaluation.behaviour import find_blinks, find_nods
from dimcli.evaluation.protocols import predict
from dimcli.media import VideoWriter
from renderers.heads.flame import load_head
from renderers.mesh.mesh import MeshRenderer

Spans = list[tuple[float, float]]
"""Starts and ends, in seconds."""

SHOWN_S = 8.0
"""Seconds of a clip that are shown, from its start."""
TILE = 224
"""Pixels of one head; a video shows three."""
HEADS = {"arkit": "open", "flame": "flame"}
_BLINK_S = 0.12


@dataclass(frozen=True)
class Events:
    """What happens when, in one motion; ``blinks`` is None where the space cannot show them."""

    nods: Spans
    blinks: Spans | None


@dataclass(frozen=True)
class Film:
    """A video as an mp4 file's bytes, and its first picture as a JPEG file's."""

    mp4: bytes
    poster: bytes


@dataclass(frozen=True)
class ShownClip:
    """A clip's first seconds.

    ``predictions`` by method, one draw each; ``speech`` when the speaker is heard, or None where
    the audio features do not say; ``films`` by method: truth, prediction, speaker.
    """

    id: str
    attitude: str
    speaker: Motion
    truth: Motion
    predictions: Mapping[str, Motion]
    speech: Spans | None
    films: Mapping[str, Film] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.truth) / self.truth.fps


def choose(records: Sequence[ClipRecord], number: int) -> list[ClipRecord]:
    """``number`` clips at even distances through a split: not by any result."""
    number = min(number, len(records))
    return [records[int((index + 0.5) * len(records) / number)] for index in range(number)]


def show_clips(
    store: ClipStore,
    records: Sequence[ClipRecord],
    predictors: Mapping[str, Predictor],
    seed: int,
    progress: Progress,
) -> list[ShownClip]:
    """Predict and draw each of ``records``."""
    shown = []
    for index, record in enumerate(records):
        clip = store.load(record)
        answers = {
            name: _cut(predict(predictor, name, clip, seed, "listener"))
            for name, predictor in predictors.items()
        }
        one = ShownClip(
            id=record.id,
            attitude=record.attitude,
            speaker=_cut(clip.speaker),
            truth=_cut(clip.listener),
            predictions=answers,
            speech=_speech(clip),
        )
        shown.append(replace(one, films=draw_films(one)))
        progress("drawing clips", index + 1, len(records))
    return shown


def events(motion: Motion) -> Events:
    """Nods, and blinks where the motion's space has eyelids."""
    nods = find_nods(np.degrees(motion.head[:, 0]), motion.fps)
    blinks = None
    if motion.space == "arkit":
        times, widths = find_blinks(motion)
        halves = np.maximum(widths, _BLINK_S) / 2
        blinks = [(float(t - h), float(t + h)) for t, h in zip(times, halves, strict=True)]
    return Events([(nod.start, nod.end) for nod in nods], blinks)


def draw_films(clip: ShownClip) -> dict[str, Film]:
    """A video a method: the true listener, the method's, the speaker. Empty without a head.

    The true listener and the speaker are drawn once and shared by all.
    """
    try:
        head = load_head(HEADS[clip.truth.space])
    except InputError:
        return {}
    motions = [clip.truth, clip.speaker, *clip.predictions.values()]
    renderer = MeshRenderer(TILE, head=head)
    streams = [renderer.render(motion.values) for motion in motions]
    posters: dict[str, bytes] = {}
    with TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{i}.mp4" for i, name in enumerate(clip.predictions)}
        with ExitStack() as stack:
            writers = {
                name: stack.enter_context(VideoWriter(path, fps=clip.truth.fps))
                for name, path in paths.items()
            }
            for truth, speaker, *answers in zip(*streams, strict=True):
                for (name, writer), answer in zip(writers.items(), answers, strict=True):
                    picture = np.hstack([truth, answer, speaker])
                    writer.write(picture)
                    if name not in posters:
                        posters[name] = _jpeg(picture)
        return {name: Film(path.read_bytes(), posters[name]) for name, path in paths.items()}


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return encoded.tobytes()


def _speech(clip: Clip) -> Spans | None:
    if clip.activity is None:
        return None
    frames = clip.activity[: round(SHOWN_S * clip.speaker.fps)] > 0.5
    times = runs(frames) / clip.speaker.fps
    return [(float(start), float(end)) for start, end in times]


def _cut(motion: Motion) -> Motion:
    frames = round(SHOWN_S * motion.fps)
    return Motion(motion.values[:frames], fps=motion.fps, space=motion.space)
