"""Two tracks of a conversation in, one video of both faces out.

Each face is a speaker of its own track and a listener of the other's face and voice
(:mod:`dimcli.jobs.generate`). Whose turn it is follows the tracks:
where a track's voice is heard its face talks, else it listens, and it goes over from one to the
other in a fraction of a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import weights as bundled
from dimcli.audio import ACTIVITY, LEVEL, mel
from dimcli.core.errors import InputError
from dimcli.core.files import temporary_beside
from dimcli.core.masks import Bools, widened, with_gaps_filled, without_short_runs
from dimcli.core.motion import Floats, Motion, check_motion_output
from dimcli.core.progress import Background, Progress, silent
from dimcli.data.clip import UNKNOWN_STYLE
from dimcli.data.gains import AS_IS, Gains
from dimcli.jobs.generate import (
    SOUND_RATE,
    Listener,
    Source,
    Speaker,
    load_listener,
    load_speaker,
    read_speech,
    save_generated,
)
from dimcli.jobs.render import (
    KEEP,
    Picture,
    VideoResult,
    as_high,
    check_renderer,
    check_video,
    default_video,
    read_reference,
    renderer_for,
    require_picture,
    write_video,
)
from dimcli.live import turns as turns_of_face
from dimcli.media.ffmpeg import command, reading, run
from dimcli.media.probe import audio_track, sound_track
from dimcli.models.config import find_run, read_data_config

NAMES = ("a", "b")
BLEED_LEVEL = 8.0 / 30.0
"""A voice this far below the other one at the same time (8 dB, each by its own speech level) is
the other's, heard by the wrong microphone."""
LEAD_S = 0.24
"""A face goes over to talking so long before its voice begins, and"""
TRAIL_S = 0.4
"""to listening so long after it ends."""
BREATH_S = 1.0
"""A pause up to this long is the speaker's own, unless the other takes the turn in it."""
SHORTEST_S = 0.12
"""Shorter sounds are noises, not turns."""
BALANCE = 0.25
"""How much of each voice is heard on the other's side of the video."""


def turns(tracks: tuple[Floats, Floats], fps: float, frames: int) -> tuple[Bools, Bools]:
    """When each of two people talks: bool [frames] each; both may.

    ``tracks`` mono [N] at SOUND_RATE, recorded together; each may hold the other's voice faintly.
    """
    heard = [mel(samples, SOUND_RATE, fps, frames) for samples in tracks]
    talks = []
    for own, other in (heard, heard[::-1]):
        louder = own[:, LEVEL] > other[:, LEVEL] - BLEED_LEVEL
        talks.append((own[:, ACTIVITY] > 0.5) & louder)
    closed = [
        with_gaps_filled(talk, round(BREATH_S * fps), ~other)
        for talk, other in (talks, talks[::-1])
    ]
    turns_of = [without_short_runs(talk, round(SHORTEST_S * fps)) for talk in closed]
    lead, trail = round(LEAD_S * fps), round(TRAIL_S * fps)
    return widened(turns_of[0], lead, trail), widened(turns_of[1], lead, trail)


def blended(speaking: Motion, listening: Motion, talks: Bools) -> Motion:
    """Talking where ``talks`` bool [T], listening with a quiet mouth elsewhere.

    Both motions are of the same length, rate and space; so is the result.
    """
    fps, space = speaking.fps, speaking.space
    talks = np.pad(talks, turns_of_face.reach(fps), mode="edge")
    values = turns_of_face.blended(speaking.values, listening.values, talks, fps, space)
    return replace(speaking, values=values)


def side_by_side(left: Iterator[Picture], right: Iterator[Picture]) -> Iterator[Picture]:
    """Both faces in one picture, equally high."""
    for one, other in zip(left, right, strict=True):
        yield np.hstack([one, as_high(other, len(one))])


def mix(tracks: tuple[Path, Path], output: Path) -> None:
    """Both tracks as one stereo sound, each a little to its face's side. Raises DimError where
    ffmpeg cannot."""
    sides = []
    for index, track in enumerate(tracks):
        gains = (1.0, BALANCE) if index == 0 else (BALANCE, 1.0)
        sound = sound_track(track)
        assert sound is not None  # it has been heard
        sides.append(
            f"[{index}:a:{sound.index}]aresample=48000:async=1:first_pts=0,"
            "aformat=channel_layouts=mono,"
            f"pan=stereo|c0={gains[0]}*c0|c1={gains[1]}*c0[s{index}]"
        )
    graph = ";".join([*sides, "[s0][s1]amix=inputs=2:duration=longest:normalize=0,alimiter[out]"])
    inputs = [argument for track in tracks for argument in reading(track)]
    complaint = run(
        command("-v", "error", *inputs, "-filter_complex", graph, "-map", "[out]", output)
    )
    if complaint:
        raise InputError(f"{tracks[0]} and {tracks[1]}: cannot be mixed ({complaint})")


def converse(
    track_a: Path | str,
    track_b: Path | str,
    *,
    speaker: Speaker | None = None,
    listener: Listener | None = None,
    styles: tuple[str, str] = (UNKNOWN_STYLE, UNKNOWN_STYLE),
    seed: int = 0,
    temperature: float | None = None,
    gains: Gains = AS_IS,
) -> tuple[Motion, Motion]:
    """The motion of both people of a conversation that was recorded on two tracks.

    Each talks on their own track and listens to the other's; both motions are as long as the
    longer track. ``speaker`` and ``listener`` are by default the bundled ones. Both faces have
    the ``gains``. Raises InputError.
    """
    tracks = read_speech(Path(track_a)), read_speech(Path(track_b))
    conversation = _conversation(
        speaker or load_speaker(),
        listener or load_listener(),
        tracks,
        styles,
        seed=seed,
        temperature=temperature,
        gains=gains,
    )
    return blended(*conversation[0]), blended(*conversation[1])


def _conversation(
    speaker: Speaker,
    listener: Listener,
    tracks: tuple[Source, Source],
    styles: tuple[str, str],
    *,
    seed: int,
    temperature: float | None,
    gains: Gains,
    progress: Progress = silent,
) -> list[tuple[Motion, Motion, Bools]]:
    """Of both people: the motion of talking, that of listening to the other, and when each talks,
    bool [T]."""
    longest = max(len(track.samples) for track in tracks)
    padded = [np.pad(track.samples, (0, longest - len(track.samples))) for track in tracks]
    talking = [
        speaker.speak(
            samples,
            seed=seed + i,
            style=styles[i],
            temperature=temperature,
            gains=gains,
            progress=progress,
        )
        for i, samples in enumerate(padded)
    ]
    listening = []
    for i in range(2):
        other = Source(tracks[1 - i].samples, talking[1 - i])
        perceived = listener.perceive(other, progress)
        listening.append(listener.answer(perceived, seed=seed + i, gains=gains))
    talks = turns((padded[0], padded[1]), talking[0].fps, len(talking[0]))
    return list(zip(talking, listening, talks, strict=True))


def generate_dyad_video(
    track_a: Path,
    track_b: Path,
    reference_a: Path | None,
    reference_b: Path | None,
    output: Path | None = None,
    *,
    weights: str = bundled.DEFAULT_SPEAKER,
    listener: str = bundled.DEFAULT_LISTENER,
    renderer: str = "portrait",
    style_a: str = UNKNOWN_STYLE,
    style_b: str = UNKNOWN_STYLE,
    seed: int = 0,
    temperature: float | None = None,
    gains: Gains = AS_IS,
    background: str = KEEP,
    size: int | None = None,
    save_motion: Path | None = None,
    force_face: bool = False,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> VideoResult:
    """Both faces of the conversation that was recorded on two tracks, side by side.

    ``weights`` are the speaker's, ``listener`` the listener's; both faces have the ``gains``.
    Writes one video, by default ``<a>-<b>-dyad.mp4`` in this folder, with both tracks mixed. Tracks
    of different lengths are as long as the longer one. Every input is checked before long work
    starts. Raises InputError for what is wrong with them.
    """
    started = time.monotonic()
    tracks, references = (track_a, track_b), (reference_a, reference_b)
    check_renderer(renderer)
    for name, reference in zip(NAMES, references, strict=True):
        require_picture(renderer, reference, f"--ref-{name}")
    output = output or default_video(f"{tracks[0].stem}-{tracks[1].stem}-dyad", background)
    check_video(output, *tracks, *references, background=background, force=force)
    motion_paths = [save_motion and save_motion.with_stem(f"{save_motion.stem}-{n}") for n in NAMES]
    for path in filter(None, motion_paths):
        check_motion_output(path, *tracks, *references, force=force)
    runs = find_run(weights, "--weights"), find_run(listener, "--listener")
    spaces = [read_data_config(directory).space for directory in runs]
    if spaces[0] != spaces[1]:
        raise InputError(
            f"--listener {listener}: is of the '{spaces[1]}' space and "
            f"{weights} of '{spaces[0]}'; name two of the same space"
        )
    gains.require_space(spaces[0])
    loading = Background(lambda: (Speaker.load(runs[0], device), Listener.load(runs[1], device)))
    remarks: tuple[str, ...] = ()
    sounds, ready = [], []
    for track, reference in zip(tracks, references, strict=True):
        sounds.append(read_speech(track))
        picture, picture_remarks = (
            read_reference(reference, force_face) if reference else (None, ())
        )
        ready.append(renderer_for(spaces[0], renderer, picture, size, device, background))
        remarks += (*sounds[-1].remarks, *picture_remarks, *ready[-1].remarks)
    lengths = [len(sound.samples) / SOUND_RATE for sound in sounds]
    if abs(lengths[0] - lengths[1]) > 1.0:
        remarks += (f"the tracks are {lengths[0]:.1f} and {lengths[1]:.1f} s long",)
    conversation = _conversation(
        *loading.result(),
        (sounds[0], sounds[1]),
        (style_a, style_b),
        seed=seed,
        temperature=temperature,
        gains=gains,
        progress=progress,
    )
    motions = []
    for (*pair, talks), face in zip(conversation, ready, strict=True):
        talking, listening = (face.shown(motion, progress=progress) for motion in pair)
        motions.append(blended(talking[0], listening[0], talks))
        remarks += talking[1] + listening[1]
    frames = side_by_side(
        *(face.renderer.render(one.values) for face, one in zip(ready, motions, strict=True))
    )
    with temporary_beside(output) as temporary:
        sound = temporary.with_suffix(".wav")
        mix(tracks, sound)
        with audio_track(None):  # the mixed sound has one
            result = write_video(
                output, motions[0], frames, sound, force, progress, started, remarks
            )
    for where, motion, track in zip(motion_paths, motions, tracks, strict=True):
        save_generated(motion, where, track, force=force)
    return result
