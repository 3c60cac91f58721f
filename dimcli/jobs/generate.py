"""A clip of a speaker to videos of a listener who reacts, and speech to a video of a talking face.

The listener and the speaker are two roles of one program. A role takes in a file (a listener
a clip of a speaker, a speaker recorded speech), its model answers with motion, and the motion is
rendered. What differs between the two is in :data:`ROLES`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

import weights as bundled
from dimcli import media
from dimcli.core.config import require_choice
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats, Motion, check_motion_output
from dimcli.core.progress import Background, Progress, silent
from dimcli.data.clip import ATTITUDES, UNKNOWN_STYLE, Stimulus
from dimcli.data.gains import AS_IS, Gains
from dimcli.data.traits import Traits, traits_said
from dimcli.jobs.extract import area_in, require_video, track, tracker_for
from dimcli.jobs.render import (
    KEEP,
    TRANSPARENT,
    Picture,
    VideoResult,
    as_high,
    check_renderer,
    check_video,
    default_video,
    load_motion,
    read_reference,
    renderer_for,
    require_picture,
    write_video,
)
from dimcli.models.config import NEEDS_FACE, find_run, read_data_config
from dimcli.tracking.trackers import Region, face_tracker

if TYPE_CHECKING:
    from dimcli.audio import LoadedEncoder
    from dimcli.models.registry import Model

SOUND_RATE = 16000
OTHER_LENGTH_S = 0.5
"""Sound and video that differ by so much are told of: another file's, perhaps."""
LEAD_S = 0.04
"""Recorded speech is heard so much early. With 0.12 s lips ran 0.08 s ahead of the same speakers'
tracked jaws, as was reported of 13 clips."""


@dataclass(frozen=True)
class Source:
    """What a role takes in: mono ``samples`` [N] at SOUND_RATE, the ``motion`` of the speaker whom
    a listener watches, remarks worth telling, the file of the ``sound``, and the ``area`` of the
    picture (x, y, width, height px) that shows the speaker, None for all of it."""

    samples: Floats
    motion: Motion | None = None
    remarks: tuple[str, ...] = ()
    sound: Path | None = None
    area: Region | None = None


@dataclass(frozen=True)
class Perceived:
    """A source as a model takes it, and the rate and length that the answer is to have."""

    stimulus: Stimulus
    fps: float
    frames: int


class Generator:
    """A trained model of one role with the audio encoder that it was trained with."""

    role: ClassVar[str]

    def __init__(self, model: Model, encoder: LoadedEncoder) -> None:
        self._model, self._encoder = model, encoder

    @classmethod
    def load(cls, run: Path, device: str = "auto", *, online: bool = False) -> Self:
        """The model of a run directory, and the audio encoder that the run names.

        ``online`` answers as a stream would, without waiting for what comes later. Raises
        InputError where the run cannot generate this role, its encoder isn't here, or one of the
        two cannot work ``online``.
        """
        from dimcli.audio import NO_SOUND, is_encoder, load_encoder
        from dimcli.models.answers import load_model

        model = load_model(run, cls.role, device, online=online)
        data = model.config.data
        name = data.audio_encoder if model.config.hears else NO_SOUND.name
        if not is_encoder(name):
            raise InputError(
                f"{run}: was trained on '{name}', features that came with its corpus and that "
                "nothing here makes of a sound; expected weights of data prepared with --audio "
                "none or an encoder's name"
            )
        encoder = load_encoder(name, device, online=online and model.config.hears)
        if model.config.hears and encoder.encoder.dim != data.audio_dim:
            raise InputError(
                f"{run}: was trained on {data.audio_dim} features of '{data.audio_encoder}', which "
                f"gives {encoder.encoder.dim} here; expected the model that it was trained with"
            )
        return cls(model, encoder)

    @property
    def space(self) -> str:
        """The space of the motion that comes out."""
        return self._model.config.data.space

    @property
    def trait_conditioned(self) -> bool:
        """Whether traits make a difference to this model."""
        return self.role == "listener" and self._model.config.trait_conditioned

    @property
    def attitude_conditioned(self) -> bool:
        """Whether an attitude makes a difference to this model."""
        return self.role == "listener" and self._model.config.attitude_conditioned

    @property
    def answers_voices(self) -> bool:
        """Whether this is a listener who also answers a voice without a face."""
        return self.role == "listener" and self._model.config.face_optional

    def perceive(self, source: Source, progress: Progress = silent) -> Perceived:
        """Compute the audio features of ``source``, and resample its motion, at the model's rate.

        Without motion, the last frame begins before the sound ends. Raises InputError for a
        listener who needs the speaker's face, where there is none.
        """
        from dimcli.models.dim.online import OnlineModel
        from dimcli.tracking.streaming import watched

        data = self._model.config.data
        if self.role == "listener" and source.motion is None and not self.answers_voices:
            named = f"{source.sound}: has no picture, only sound; " if source.sound else ""
            raise InputError(named + NEEDS_FACE)
        seen = source.motion and source.motion.resampled(data.fps)
        if seen is not None and source.motion is not None and isinstance(self._model, OnlineModel):
            seen = watched(source.motion, data.fps, len(seen))
        if seen is None or source.motion is None:
            frames = max(1, int(np.ceil(len(source.samples) / SOUND_RATE * data.fps - 1e-6)))
            fps, answered = data.fps, frames
        else:
            frames, fps, answered = len(seen), source.motion.fps, len(source.motion)
        audio = self._encoder(source.samples, SOUND_RATE, data.fps, frames, progress)
        if not self._model.config.hears:
            audio = np.zeros((frames, data.audio_dim), np.float32)
        if self.role == "speaker":
            audio = advanced(audio, data.fps)
        stimulus = Stimulus("", audio, data.audio_encoder, data.fps, data.space, seen)
        return Perceived(stimulus, fps, answered)

    def answer(
        self,
        perceived: Perceived,
        *,
        seed: int = 0,
        temperature: float | None = None,
        steps: int | None = None,
        attitude: str = "unknown",
        style: str = UNKNOWN_STYLE,
        traits: Traits = (),
        gains: Gains = AS_IS,
    ) -> Motion:
        """Motion for ``perceived``, of its rate and length; the same seed gives the same motion.

        ``temperature`` and ``steps`` default to the run's; a role or method that has no use for
        an option ignores it. Raises InputError for a ``style`` that the model does not know, and
        ``gains`` that its space does not.
        """
        require_choice("--attitude", attitude, ATTITUDES)
        if self.role == "speaker":
            known = self._model.config.data.style_names
            if style not in known:
                raise InputError(f"--style {style}: expected one of {', '.join(known)}")
        stimulus = replace(perceived.stimulus, attitude=attitude, style=style, traits=traits)
        motion = self._model.answer(stimulus, seed=seed, temperature=temperature, steps=steps)
        return gains.apply(motion).resampled(perceived.fps, frames=perceived.frames)


class Listener(Generator):
    """A trained listener."""

    role = "listener"

    def listen(
        self,
        speaker: Motion | Path | str | None,
        audio: Floats | Path | str | None = None,
        *,
        rate: int = SOUND_RATE,
        seed: int = 0,
        attitude: str = "unknown",
        style: str | None = None,
        traits: str = "",
        temperature: float | None = None,
        steps: int | None = None,
        gains: Gains = AS_IS,
    ) -> Motion:
        """A listener's motion for a speaker, at the speaker's frame rate and length.

        ``speaker`` is a video, or motion that was tracked in one; ``audio`` is the speaker's sound:
        a file, or mono samples [N] at ``rate`` Hz; by default the video's. A sound file as
        ``speaker``, or None, is a voice alone, for weights such as ``listener-live``; the motion
        then has the model's rate. ``style`` and ``traits`` say who listens
        (:func:`dimcli.data.traits.traits_said`), ``gains`` how much of it the face does
        (:class:`dimcli.data.gains.Gains`). Raises InputError.
        """
        said = traits_said(style, traits)
        if speaker is not None and not isinstance(speaker, Motion):
            audio = speaker if audio is None else audio
            speaker = track(speaker) if media.has_video(Path(speaker)) else None
        if audio is None:
            raise InputError("audio: is missing; motion has no sound, so name the speaker's")
        perceived = self.perceive(Source(_samples(audio, rate), speaker))
        return self.answer(
            perceived,
            seed=seed,
            temperature=temperature,
            steps=steps,
            attitude=attitude,
            traits=said,
            gains=gains,
        )


class Speaker(Generator):
    """A trained speaker."""

    role = "speaker"

    def speak(
        self,
        speech: Floats | Path | str,
        *,
        rate: int = SOUND_RATE,
        seed: int = 0,
        style: str = UNKNOWN_STYLE,
        temperature: float | None = None,
        gains: Gains = AS_IS,
        progress: Progress = silent,
    ) -> Motion:
        """The motion of a face that says ``speech``: a file, or mono samples [N] at ``rate`` Hz.

        It is as long as the sound, at the model's frame rate. Raises InputError.
        """
        perceived = self.perceive(Source(_samples(speech, rate)), progress)
        return self.answer(perceived, seed=seed, temperature=temperature, style=style, gains=gains)


def advanced(audio: Floats, fps: float) -> Floats:
    """Features [T, D] of a recording, ``LEAD_S`` early; the last row is held at the end."""
    frames = min(round(LEAD_S * fps), len(audio) - 1)
    return np.concatenate([audio[frames:], np.repeat(audio[-1:], frames, axis=0)])


def load_listener(
    name: str | Path | None = None, device: str = "auto", *, online: bool = False
) -> Listener:
    """A trained listener by bundled name or run directory: ``listener-small``, or ``listener-live``
    to answer ``online``, where none is said. Raises InputError."""
    name = name or (bundled.LIVE_LISTENER if online else bundled.DEFAULT_LISTENER)
    return Listener.load(find_run(name, "--weights"), device, online=online)


def load_speaker(
    name: str | Path = bundled.DEFAULT_SPEAKER, device: str = "auto", *, online: bool = False
) -> Speaker:
    """A trained speaker by bundled name or run directory. Raises InputError."""
    return Speaker.load(find_run(name, "--weights"), device, online=online)


def _samples(sound: Floats | Path | str, rate: int = SOUND_RATE) -> Floats:
    if not isinstance(sound, np.ndarray):
        return media.read_audio(Path(sound), SOUND_RATE)
    from dimcli.audio.sound import checked_sound

    return checked_sound(sound, rate, SOUND_RATE)


def read_speech(path: Path) -> Source:
    """The sound of a sound or video file, and remarks worth telling.

    Raises InputError where there is none, or less than a frame of it.
    """
    samples = media.read_audio(path, SOUND_RATE)
    if len(samples) < SOUND_RATE // 25:
        raise InputError(f"{path}: has no sound; expected speech, in wav, mp3, m4a, mp4, ...")
    quiet = media.is_silent(samples)
    return Source(samples, None, (f"{path} is silent: the face stays quiet",) if quiet else ())


@dataclass(frozen=True, kw_only=True)
class Watching:
    """How a listener watches a speaker: see :func:`generate_videos`."""

    tracker: str | None = None
    checkpoint: Path | None = None
    region: str | None = None
    who: str | None = None
    audio: Path | None = None
    online: bool = False


def _open_speech(path: Path, *_: Any) -> Callable[[Progress], Source]:
    speech = replace(read_speech(path), sound=path)
    return lambda progress: speech


def _open_clip(
    path: Path, space: str, how: Watching, weights: str, device: str
) -> Callable[[Progress], Source]:
    """What tracks the speaker of a clip, with everything checked that can be wrong from the start.
    The tracker measures in ``space``, that of ``weights``."""
    if how.audio is not None and not media.has_audio(how.audio):
        raise InputError(f"--audio {how.audio}: has no sound; expected wav, mp3, m4a, mp4, ...")
    if _is_motion(path):
        return _open_motion(path, space, how)
    tracker = tracker_for(space, how.tracker, weights)
    if not media.has_video(path):
        require_video(path, how.region, how.who)
        return _open_speech(how.audio or path)
    media.probe_video(path)
    area = area_in(path, how.region, how.who)
    track_face = face_tracker(
        path, tracker, how.checkpoint, region=area, online=how.online, device=device
    )
    sound = how.audio or path
    media.bounded_track(sound)  # before the face is tracked

    def take_in(progress: Progress) -> Source:
        motion = track_face(progress)
        remarks: tuple[str, ...] = ()
        if not motion.valid.all():
            missing = 1 - float(motion.valid.mean())
            remarks += (f"{path} shows no face in {missing:.1%} of its frames",)
        if motion.meta.get("most_faces", 1) > 1:
            remarks += (f"{path} shows several faces; the largest was followed (see --speaker)",)
        heard = media.read_audio(sound, SOUND_RATE)
        return Source(heard, motion, remarks + _of_length(how.audio, heard, motion), sound, area)

    return take_in


def _of_length(audio: Path | None, samples: Floats, motion: Motion) -> tuple[str, ...]:
    """A remark where a sound that was named beside a ``motion`` is of another length."""
    length_s, more_s = len(samples) / SOUND_RATE, len(samples) / SOUND_RATE - motion.duration_s
    if audio is None or abs(more_s) < OTHER_LENGTH_S:
        return ()
    rest = "the rest of it is not heard" if more_s > 0 else "the rest is silent"
    lasts = f"{audio} lasts {length_s:.1f} s, the speaker's video {motion.duration_s:.1f} s"
    return (f"{lasts}: {rest}",)


def _open_motion(path: Path, space: str, how: Watching) -> Callable[[Progress], Source]:
    """A speaker who was tracked before, with the sound of the clip that they were tracked in."""
    require_video(path, how.region, how.who)
    motion, sound, remarks = load_motion(path, how.audio, smooth=False, space=space)
    if sound is None:
        reason = remarks[0] if remarks else f"{path} names no clip; pass --audio CLIP"
        raise InputError(f"{path}: {reason}")
    heard = media.read_audio(sound, SOUND_RATE)
    remarks += _of_length(how.audio, heard, motion)
    return lambda progress: Source(heard, motion, remarks, sound)


@dataclass(frozen=True)
class Role:
    """What the jobs of the two roles differ in."""

    load: Callable[..., Generator]
    """The model of a run."""
    open: Callable[..., Callable[[Progress], Source]]
    """Checks a source file; what it returns takes the file in."""
    weights: Callable[[Path, bool], str]
    """The weights where none are named, for a source, and for an answer as of a stream."""


def default_listener(source: Path, online: bool) -> str:
    """The listener who answers ``source`` where nobody says which."""
    if online or not (_is_motion(source) or media.has_video(source)):
        return bundled.LIVE_LISTENER
    return bundled.DEFAULT_LISTENER


def _is_motion(source: Path) -> bool:
    return source.suffix.lower() == ".npz"


ROLES = {
    "listener": Role(Listener.load, _open_clip, default_listener),
    "speaker": Role(Speaker.load, _open_speech, lambda source, online: bundled.DEFAULT_SPEAKER),
}


class Models:
    """Loads each model once, for calls that follow each other."""

    def __init__(self) -> None:
        self._loading: dict[tuple[Any, ...], Background[Generator]] = {}

    def loading(
        self, load: Callable[..., Generator], run: Path, device: str, online: bool
    ) -> Background[Generator]:
        """The model of a run that is being loaded, or is there already."""
        key = load, run, device, online
        if key not in self._loading:
            self._loading[key] = Background(lambda: load(run, device, online=online))
        return self._loading[key]


def generate_videos(
    role: str,
    source: Path,
    reference: Path | None,
    output: Path | None = None,
    *,
    weights: str | None = None,
    renderer: str = "portrait",
    layout: str = "listener",
    samples: int = 1,
    seed: int = 0,
    temperature: float | None = None,
    steps: int | None = None,
    attitude: str = "unknown",
    style: str = UNKNOWN_STYLE,
    traits: str | None = None,
    online: bool = False,
    background: str = KEEP,
    size: int | None = None,
    save_motion: Path | None = None,
    tracker: str | None = None,
    checkpoint: Path | None = None,
    region: str | None = None,
    who: str | None = None,
    audio: Path | None = None,
    models: Models | None = None,
    gains: Gains = AS_IS,
    force_face: bool = False,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> list[VideoResult]:
    """Generate the ``role`` that answers ``source``, and render it on the picture ``reference``.

    A ``listener`` answers the video of a speaker, their voice alone, or their motion (a ``.npz`` of
    ``dim extract``, with the sound of its clip, or ``audio``); a ``speaker`` says speech: a sound
    file, or a video's sound. Writes ``samples`` videos (by default ``<source>-<role>.mp4`` in this
    folder) with the sound of ``source``; a listener's has the speaker's frame rate and number of
    frames, and with ``layout`` ``side-by-side`` the speaker on its left. ``weights`` are by default
    the bundled ones (:func:`default_listener`). Sample i is drawn with ``seed + i``. ``tracker``
    and ``checkpoint`` (:func:`dimcli.jobs.extract.face_tracker`) are by default those that measure
    in the model's space; ``region`` or ``who`` says where the speaker
    is where several people are seen. ``style`` is how a speaker talks, or who listens, of whom
    ``traits`` say more (:func:`dimcli.data.traits.traits_said`); ``gains`` are factors on what the
    face does. ``online`` answers as a stream would: a listener with causal masks and a bounded
    look-back, a speaker with a bounded look-ahead. ``models`` keeps the model for the next call;
    for ``force_face`` see :func:`dimcli.jobs.render.read_reference`. Every input is checked before
    long work starts. Raises InputError for what is wrong with them.
    """
    started = time.monotonic()
    facts = ROLES[role]
    weights = weights or facts.weights(source, online)
    if layout == "side-by-side" and background == TRANSPARENT:
        raise InputError("--background transparent: a clip beside it is not; leave out --layout")
    require_choice("--attitude", attitude, ATTITUDES)
    output = output or default_video(f"{source.stem}-{role}", background)
    check_renderer(renderer)
    require_picture(renderer, reference)  # before a default name that exists already is told of
    outputs = [numbered(output, i, samples) for i in range(samples)]
    motion_paths = [
        numbered(save_motion, i, samples) if save_motion else None for i in range(samples)
    ]
    for path in outputs:
        check_video(path, source, reference, audio, background=background, force=force)
    for motion_path in filter(None, motion_paths):
        check_motion_output(motion_path, source, reference, force=force)
    if layout == "side-by-side" and (_is_motion(source) or not media.has_video(source)):
        raise InputError(f"--layout side-by-side: {source} is no video; give the speaker's")
    said: Traits = ()
    if role == "listener":
        said = traits_said(None if style == UNKNOWN_STYLE else style, traits)
    run = find_run(weights, "--weights")
    space = read_data_config(run).space
    gains.require_space(space)

    # The model's library takes seconds to import: it comes up while the source is taken in.
    loading = (models or Models()).loading(facts.load, run, device, online)
    how = Watching(
        tracker=tracker,
        checkpoint=checkpoint,
        region=region,
        who=who,
        audio=audio,
        online=online,
    )
    take_in = facts.open(source, space, how, weights, device)
    fitted, remarks = read_reference(reference, force_face) if reference else (None, ())
    ready = renderer_for(space, renderer, fitted, size, device, background)
    remarks += ready.remarks

    def taking_in(stage: str, done: int, total: int | None) -> None:
        # a model that cannot be loaded is reported at once, not after a long clip is tracked
        loading.raise_if_failed()
        progress(stage, done, total)

    taken_in = take_in(taking_in)
    sound = taken_in.sound or source
    remarks += taken_in.remarks
    generator = loading.result()
    if attitude != "unknown" and not generator.attitude_conditioned:
        remarks += (f"{weights} was trained without attitudes: --attitude {attitude} is ignored",)
    if said and not generator.trait_conditioned:
        remarks += (f"{weights} was trained without traits: --style and --traits are ignored",)
    perceived = generator.perceive(taken_in, progress)

    results = []
    for i, path in enumerate(outputs):
        motion = generator.answer(
            perceived,
            seed=seed + i,
            temperature=temperature,
            steps=steps,
            attitude=attitude,
            style=style,
            traits=said,
            gains=gains,
        )
        shown, more = ready.shown(motion, progress=progress)
        if shown.space == space:
            motion = shown
        frames = ready.renderer.render(shown.values)
        if layout == "side-by-side":
            frames = beside(source, frames, motion.fps, taken_in.area)
        stage = "rendering" if samples == 1 else f"rendering {i + 1} of {samples}"
        written = write_video(
            path, motion, frames, sound, force, progress, started, remarks + more, stage
        )
        results.append(replace(written, seed=seed + i))
        save_generated(motion, motion_paths[i], sound, force=force)
        started = time.monotonic()
    return results


def save_generated(motion: Motion, path: Path | None, source: Path, *, force: bool) -> None:
    """Write generated motion to ``path``, if there is one; ``source`` is the file of its sound."""
    if path is not None:
        meta = motion.meta | {"source": str(source.resolve())}
        replace(motion, meta=meta).save(path, force=force)


def beside(
    speaker: Path, frames: Iterator[Picture], fps: float, area: Region | None = None
) -> Iterator[Picture]:
    """Each frame with the speaker's frame of the same moment, or the ``area`` of it that shows the
    speaker, on its left, equally high."""
    speakers = media.read_frames(speaker, fps=fps, region=area)
    for right, left in zip(frames, speakers, strict=False):
        yield np.hstack([as_high(left, len(right)), right])


def numbered(path: Path, index: int, count: int) -> Path:
    """``out.mp4`` as it is when only one is made, else ``out-1.mp4``, ``out-2.mp4``, ..."""
    return path if count == 1 else path.with_stem(f"{path.stem}-{index + 1}")
