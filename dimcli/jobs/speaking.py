"""Speech in, a video of a face that says it out (the paper's section 4.4, DIM-Speaker)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dimcli import media
from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.core.progress import Progress, silent
from dimcli.data.clip import UNKNOWN_STYLE
from dimcli.jobs.listening import SOUND_RATE, anchored, flame_mesh
from dimcli.jobs.render import (
    VideoResult,
    check_motion_output,
    check_renderer,
    make_renderer,
    read_reference,
    write_video,
)
from weights import DEFAULT_SPEAKER

if TYPE_CHECKING:
    from dimcli.audio import LoadedEncoder
    from dimcli.models.dim.dim import DIM
    from renderers.base import Reference, Renderer

Floats = NDArray[np.float32]

SILENT_PEAK = 10 ** (-60 / 20)
"""Sound that never gets louder than -60 dB of full scale has nothing to say."""


class Speaker:
    """A trained speaker, ready to say what it hears."""

    def __init__(self, model: DIM, hear: LoadedEncoder, online: bool = False) -> None:
        """``hear`` is the audio encoder that the model was trained with."""
        self._model, self._hear, self._online = model, hear, online

    @classmethod
    def load(cls, run: Path, device: str = "auto", *, online: bool = False) -> Speaker:
        """The speaker of a run directory, and the audio encoder that the run names.

        ``online`` speaks as a stream would. Raises InputError where the run cannot generate
        speakers or its encoder isn't here.
        """
        from dimcli.audio import load_encoder
        from dimcli.models.dim.speaker import load_speaker

        model = load_speaker(run, device)
        data = model.config.data
        hear = load_encoder(data.audio_encoder, device)
        if hear.encoder.dim != data.audio_dim:
            raise InputError(
                f"{run}: was trained on {data.audio_dim} features of '{data.audio_encoder}', which "
                f"gives {hear.encoder.dim} here; expected the model that it was trained with"
            )
        if online:
            from dimcli.models.dim.online_speaker import require_online_encoder

            require_online_encoder(data.audio_encoder)
        return cls(model, hear, online)

    @property
    def space(self) -> str:
        """The space of the motion that comes out."""
        return self._model.config.data.space

    def check_style(self, style: str) -> None:
        """Raise InputError that lists the styles where there is no such ``style``."""
        from dimcli.models.dim.speaker import style_index

        style_index(self._model, style)

    def say(
        self,
        samples: Floats,
        rate: int,
        *,
        seed: int,
        style: str = UNKNOWN_STYLE,
        temperature: float | None = None,
        progress: Progress = silent,
    ) -> Motion:
        """The motion of somebody saying ``samples`` [N] (mono, ``rate`` Hz), as long as the sound.

        It runs at the model's frame rate; the last frame begins before the sound ends.
        """
        from dimcli.models.dim.speaker import advanced, generate_speaker

        fps = self._model.fps
        frames = max(1, int(np.ceil(len(samples) / rate * fps - 1e-6)))
        if self._online:
            from dimcli.models.dim.online_speaker import speak_online

            return speak_online(
                self._model, samples, rate, seed=seed, temperature=temperature, style=style
            )
        heard = advanced(self._hear(samples, rate, fps, frames, progress), fps)
        return generate_speaker(self._model, heard, seed=seed, temperature=temperature, style=style)


@lru_cache(maxsize=2)
def _loaded(weights: str) -> Speaker:
    import weights as bundled

    return Speaker.load(bundled.resolve(weights))


def speak(
    samples: Floats,
    rate: int,
    *,
    weights: str = DEFAULT_SPEAKER,
    seed: int = 0,
    style: str = UNKNOWN_STYLE,
    temperature: float | None = None,
) -> Motion:
    """The motion of somebody saying ``samples``; see :meth:`Speaker.say`."""
    return _loaded(weights).say(samples, rate, seed=seed, style=style, temperature=temperature)


def read_speech(path: Path) -> tuple[Floats, tuple[str, ...]]:
    """The sound of a sound or video file, mono at SOUND_RATE, and remarks worth telling.

    Raises InputError where there is none, or less than a frame of it.
    """
    samples = media.read_audio(path, SOUND_RATE)
    if len(samples) < SOUND_RATE // 25:
        raise InputError(f"{path}: has no sound; expected speech, in wav, mp3, m4a, mp4, ...")
    if not np.isfinite(samples).all():
        raise InputError(f"{path}: its sound has NaN or infinite samples; write it anew")
    if float(np.abs(samples).max()) < SILENT_PEAK:
        return samples, (f"{path} is silent: the face stays quiet",)
    return samples, ()


def renderer_for(
    space: str, renderer: str, reference: Reference | None, size: int | None, device: str
) -> Renderer:
    """What shows motion of ``space``; see :func:`dimcli.jobs.render.make_renderer`."""
    if space == "arkit":
        return make_renderer(renderer, reference, size, device)
    return flame_mesh(renderer, size)


def generate_speaker_video(
    speech: Path,
    reference: Path | None,
    output: Path | None = None,
    *,
    weights: str = DEFAULT_SPEAKER,
    renderer: str = "portrait",
    style: str = UNKNOWN_STYLE,
    seed: int = 0,
    temperature: float | None = None,
    size: int | None = None,
    save_motion: Path | None = None,
    online: bool = False,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> VideoResult:
    """Let the face of ``reference`` say ``speech`` (a sound file, or a video's sound).

    Writes a video, by default ``<speech>-speaker.mp4`` in this folder, with the speech as its
    sound. Every input is checked before long work starts. Raises InputError for what is wrong with
    them.
    """
    import weights as bundled
    from dimcli.core.background import Background
    from dimcli.models.config import read_config

    started = time.monotonic()
    output = check_speaker_output(output or Path(f"{speech.stem}-speaker.mp4"), speech, force=force)
    if save_motion is not None:
        check_motion_output(save_motion, force=force)
    check_renderer(renderer)
    run = bundled.resolve(weights)
    space = read_config(run / "config.yaml").data.space
    # The model's library takes seconds to import: it comes up while the picture is looked at.
    loading = Background(lambda: Speaker.load(run, device, online=online))
    samples, remarks = read_speech(speech)
    fitted, more_remarks = read_reference(reference) if reference else (None, ())
    ready = renderer_for(space, renderer, fitted, size, device)
    remarks += (*more_remarks, *ready.remarks)
    speaker = loading.result()
    motion = speaker.say(
        samples, SOUND_RATE, seed=seed, style=style, temperature=temperature, progress=progress
    )
    if fitted is not None and space == "arkit":
        motion = anchored(motion, fitted)
    frames: Iterator[media.Picture] = ready.render(motion.values)
    result = write_video(output, motion, frames, speech, force, progress, started, remarks)
    if save_motion is not None:
        source = {"source": str(speech.resolve())}  # whose sound is to be heard
        replace(motion, meta=motion.meta | source).save(save_motion, force=force)
    return result


def check_speaker_output(output: Path, *sources: Path, force: bool) -> Path:
    """``output``, if a video may be written there. Raises InputError where it is a source."""
    media.check_video_output(output, force=force)
    for source in sources:
        if output.exists() and source.exists() and output.samefile(source):
            raise InputError(f"--output {output}: is the speech itself; name another file")
    return output
