"""The main job: a clip of a speaker in, videos of a listener who reacts out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dimcli import media
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.core.progress import Progress, silent
from dimcli.jobs.render import (
    Picture,
    VideoResult,
    check_motion_output,
    check_renderer,
    make_renderer,
    read_reference,
    write_video,
)

if TYPE_CHECKING:
    from dimcli.audio import LoadedEncoder
    from dimcli.models.methods import TrainedListener
    from renderers.base import Reference, Renderer

SOUND_RATE = 16000


def beside(speaker: Path, frames: Iterator[Picture], fps: float) -> Iterator[Picture]:
    """Each frame with the speaker's frame of the same moment on its left, equally high."""
    import cv2

    for right, left in zip(frames, media.read_frames(speaker, fps=fps), strict=False):
        height = right.shape[0]
        width = max(1, round(left.shape[1] * height / left.shape[0]))
        how = cv2.INTER_AREA if height < left.shape[0] else cv2.INTER_CUBIC
        yield np.hstack([cv2.resize(left, (width, height), interpolation=how), right])


def numbered(path: Path, index: int, count: int) -> Path:
    """``out.mp4`` as it is when only one is made, else ``out-1.mp4``, ``out-2.mp4``, ..."""
    return path if count == 1 else path.with_stem(f"{path.stem}-{index + 1}")


class Listener:
    """A trained listener that has watched a speaker and can react to them, again and again."""

    def __init__(self, model: TrainedListener, hear: LoadedEncoder, online: bool = False) -> None:
        """``hear`` is the audio encoder that the model was trained with; ``online`` hears and
        answers as if the clip were still going on."""
        self._model, self._hear, self._online = model, hear, online

    @classmethod
    def load(cls, run: Path, device: str = "auto", *, online: bool = False) -> Listener:
        """The listener of a run directory, and the audio encoder that the run names.

        Raises InputError where the run cannot generate listeners or its encoder isn't here, or
        where one of the two cannot work ``online``.
        """
        from dimcli.audio import load_encoder
        from dimcli.models.methods import load_trained

        model = load_trained(run, device, online=online)
        data = model.config.data
        hear = load_encoder(data.audio_encoder, device)
        if hear.encoder.dim != data.audio_dim:
            raise InputError(
                f"{run}: was trained on {data.audio_dim} features of '{data.audio_encoder}', which "
                f"gives {hear.encoder.dim} here; expected the model that it was trained with"
            )
        if online and hear.encoder.name != "mel":
            raise InputError(
                f"--online: the audio encoder of {run} is '{data.audio_encoder}', which hears "
                "whole clips; expected weights that were trained on 'mel'"
            )
        return cls(model, hear, online)

    @property
    def told_attitudes(self) -> bool:
        """Whether an attitude makes a difference to this model."""
        return self._model.config.told_attitudes

    def watch(self, clip: Path, motion: Motion, progress: Progress = silent) -> None:
        """Take in the speaker of ``clip``: its tracked ``motion`` and its sound."""
        rate = self._model.config.data.fps
        self._clip_fps, self._clip_frames = motion.fps, len(motion)
        self._speaker = motion.resampled(rate)
        samples = media.read_audio(clip, SOUND_RATE)
        if self._online:
            from dimcli.audio.online_mel import online_mel

            self._heard = online_mel(samples, rate, len(self._speaker))
            return
        self._heard = self._hear(samples, SOUND_RATE, rate, len(self._speaker), progress)

    def react(
        self, seed: int, temperature: float | None, steps: int | None, attitude: str = "unknown"
    ) -> Motion:
        """A listener's motion at the clip's rate and length."""
        motion = self._model.generate(
            self._speaker,
            self._heard,
            seed=seed,
            temperature=temperature,
            steps=steps,
            attitude=attitude,
        )
        return motion.resampled(self._clip_fps, frames=self._clip_frames)


def anchored(motion: Motion, reference: Reference) -> Motion:
    """Generated motion about the picture's own pose and face, instead of about zero."""
    from renderers.anchor import anchor

    return replace(motion, values=anchor(motion.values, reference.values))


def tracker_for(space: str, tracker: str | None, weights: str) -> str:
    """The tracker for a model of ``space``: ``tracker``, by default the built-in one or EMOCA.

    Raises InputError where that one measures in another space; ``weights`` names the model.
    """
    from dimcli.jobs.extract import BUILT_IN, space_of

    if tracker is None:
        return BUILT_IN if space == "arkit" else "emoca"
    if space_of(tracker) != space:
        raise InputError(
            f"--tracker {tracker}: measures in the '{space_of(tracker)}' space and {weights} "
            f"lives in '{space}'; leave --tracker out, or take other --weights"
        )
    return tracker


def flame_mesh(renderer: str, size: int | None) -> Renderer:
    """What shows motion in the ``flame`` space: a mesh of the imported head. InputError else."""
    if renderer != "mesh":
        raise InputError(
            f"--renderer {renderer}: moves pictures by motion in the 'arkit' space, and these "
            "--weights live in 'flame'; expected --renderer mesh"
        )
    from dimcli.jobs.visualize import MeshStyle, mesh_renderer
    from renderers.heads.flame import load_head

    return mesh_renderer(load_head("flame"), 1.0, MeshStyle(size=size))


def generate_listener_videos(
    speaker: Path,
    reference: Path | None,
    output: Path | None = None,
    *,
    weights: str,
    renderer: str = "portrait",
    side_by_side: bool = False,
    samples: int = 1,
    seed: int = 0,
    temperature: float | None = None,
    steps: int | None = None,
    attitude: str = "unknown",
    online: bool = False,
    size: int | None = None,
    save_motion: Path | None = None,
    tracker: str | None = None,
    checkpoint: Path | None = None,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> list[VideoResult]:
    """The main job: watch ``speaker``, generate a listener, render it on ``reference``.

    Writes ``samples`` videos (by default ``<speaker>-listener.mp4`` in this folder), each with the
    speaker's frame rate, number of frames and sound; sample i is drawn with ``seed + i``.
    ``tracker`` (see :func:`dimcli.jobs.extract.face_tracker`, also for ``checkpoint``) is by
    default one that measures in the model's space. ``online`` answers with causal masks and a
    bounded look-back, as for a speaker who is still talking. Every input is checked before long
    work starts. Raises InputError for what is wrong with them.
    """
    import weights as bundled
    from dimcli.core.background import Background
    from dimcli.jobs.extract import face_tracker
    from dimcli.models.config import read_config

    started = time.monotonic()
    output = output or Path(f"{speaker.stem}-listener.mp4")
    outputs = [numbered(output, i, samples) for i in range(samples)]
    kept = [numbered(save_motion, i, samples) if save_motion else None for i in range(samples)]
    for path in outputs:
        media.check_video_output(path, force=force)
        if path.exists() and speaker.exists() and path.samefile(speaker):
            raise InputError(f"--output {path}: is the speaker's clip itself; name another file")
    for motion_path in filter(None, kept):
        check_motion_output(motion_path, force=force)
    check_renderer(renderer)
    run = bundled.resolve(weights)
    # the module that loads runs takes seconds to import; see below
    space = read_config(run / "config.yaml").data.space
    tracker = tracker_for(space, tracker, weights)
    media.probe_video(speaker)

    # The model's library takes seconds to import: it comes up while the speaker is tracked.
    loading = Background(lambda: Listener.load(run, device, online=online))
    fitted, remarks = read_reference(reference) if reference else (None, ())
    ready = (
        make_renderer(renderer, fitted, size, device)
        if space == "arkit"
        else flame_mesh(renderer, size)
    )
    remarks += ready.remarks
    track = face_tracker(speaker, tracker, checkpoint, device=device)

    def tracking(stage: str, done: int, total: int | None) -> None:
        # a model that cannot be loaded is told at once, not when a long clip is tracked
        loading.raise_if_failed()
        progress(stage, done, total)

    watched = track(tracking)
    if not watched.valid.all():
        missing = 1 - float(watched.valid.mean())
        remarks += (f"{speaker} shows no face in {missing:.1%} of its frames",)
    if watched.meta.get("most_faces", 1) > 1:
        remarks += (f"{speaker} shows several faces; the largest was followed",)
    listener = loading.result()
    if attitude != "unknown" and not listener.told_attitudes:
        remarks += (f"{weights} was trained without attitudes: --attitude {attitude} is ignored",)
    listener.watch(speaker, watched, progress)

    results = []
    for i, path in enumerate(outputs):
        motion = listener.react(seed + i, temperature, steps, attitude)
        if fitted is not None and space == "arkit":
            motion = anchored(motion, fitted)
        frames = ready.render(motion.values)
        if side_by_side:
            frames = beside(speaker, frames, motion.fps)
        stage = "rendering" if samples == 1 else f"rendering {i + 1} of {samples}"
        results.append(
            write_video(path, motion, frames, speaker, force, progress, started, remarks, stage)
        )
        if (kept_path := kept[i]) is not None:
            source = {"source": str(speaker.resolve())}  # whose sound is to be heard
            replace(motion, meta=motion.meta | source).save(kept_path, force=force)
        started = time.monotonic()
    return results
