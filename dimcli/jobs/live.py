"""A live face: somebody's face and voice in, now, and a listener's out, into other programs; what
an agent says, the same face says."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import weights as bundled
from dimcli import media
from dimcli.core.documents import shortened, whole_number
from dimcli.core.errors import InputError
from dimcli.core.files import existing_file
from dimcli.core.motion import Picture
from dimcli.core.progress import Progress, silent
from dimcli.data.gains import AS_IS, FaceSettings, Gains
from dimcli.jobs.drawing import Face
from dimcli.jobs.extract import area_in, require_video
from dimcli.live import sinks, sources
from dimcli.live.loop import Loop
from dimcli.models.config import find_run, read_data_config
from dimcli.tracking.trackers import Region

if TYPE_CHECKING:
    from dimcli.live.session import LiveFrame, Session

TICK_S = 0.005
TELL_S = 5.0
LAST_S = 10.0
"""When it has ended, frames that are still due are waited for as long as one came in this time."""
Websocket = Callable[[int, bool, bool], AbstractContextManager[sources.Source]]
"""Opens a WebSocket at a port as a source: whether the partner is heard and seen over it, and
whether the agent's voice comes."""
WEBSOCKET_PORT = 8765
_RECENT = 1500
"""Frames whose lateness is kept: a minute's."""


@dataclass(frozen=True)
class LiveResult:
    """How a conversation went: its ``frames``, and when the last was sent; their rate; how long
    after the moment that it answers a frame was sent, at the median and the 95th percentile of the
    last minute; frames whose picture came too late, packets that were lost, and what was written.
    """

    frames: int
    seconds: float
    fps: float
    latency_s: float
    latency_95_s: float
    undrawn: int
    lost: int
    written: Path | None

    def __str__(self) -> str:
        text = (
            f"{self.fps:.1f} frames a second, each {1000 * self.latency_s:.0f} ms after what it "
            f"answers (95 %: {1000 * self.latency_95_s:.0f} ms)"
        )
        if self.undrawn:
            text += f", {self.undrawn} not drawn in time"
        return text + (f", {self.lost} packets lost" if self.lost else "")


def live(
    source: str,
    to: Sequence[str] | None = None,
    reference: Path | None = None,
    output: Path | None = None,
    *,
    voice: str | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    subject: str = "dim",
    camera: int = 0,
    region: str | None = None,
    who: str | None = None,
    weights: str = bundled.LIVE_LISTENER,
    attitude: str = "unknown",
    gains: Gains = AS_IS,
    seed: int = 0,
    seconds: float | None = None,
    size: int = 512,
    told: Callable[[str], None] = lambda line: None,
    websocket: Websocket | None = None,
    force_face: bool = False,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> LiveResult:
    """Listen to ``source`` (``camera``, ``mic``, ``ws`` or a clip) until it ends, ``seconds`` are
    over, or Ctrl-C; send the face ``to`` some of :data:`dimcli.live.sinks.KINDS`, by default to
    the file that is the ``output``.

    ``voice`` is what the agent says: a sound file, ``-`` for a pipe, or ``ws``, whose port may be
    said, as in ``ws:9001``; ``websocket`` opens it. ``region`` or ``who`` says whom to watch in a
    clip (:func:`dimcli.jobs.extract.area_in`). ``reference`` is the picture that a camera or
    an mp4 shows, its longer side ``size`` pixels; ``output`` the file of ``file``
    (:data:`dimcli.live.sinks.FILES`). ``told`` is given a line before the models are loaded,
    when everything that is named has been opened, and one of figures every few seconds. Raises
    InputError for what is wrong with them.
    """
    settings = FaceSettings(**asdict(gains), attitude=attitude)
    if seconds is not None and not 0 < seconds < math.inf:
        raise InputError(f"--seconds {seconds:g}: expected how long to listen, as in 60")
    if to is None and output is not None:
        to = ["file"]
    to = to or ()
    ports = _ports(to, port)
    draws = "camera" in to or (output is not None and output.suffix.lower() == ".mp4")
    if ("file" in to) != (output is not None):
        raise InputError("--to file and --output go together: --to file -o face.npz")
    if draws and reference is None:
        raise InputError("--ref: a camera and an mp4 show a face; name the picture of one")
    if reference is not None and not draws:
        raise InputError("--ref: only --to camera and an .mp4 show a picture; leave it out")
    clip, area, speaks = _checked(source, voice, region, who)
    if "sound" in to and not speaks:
        raise InputError("--to sound: plays what the agent says; name it with --voice")
    run = find_run(weights, "--weights")
    fps = read_data_config(run).fps
    with ExitStack() as stack:
        opened = [
            stack.enter_context(
                _opened(kind, ports, host, fps, subject, output, clip, speaks, force)
            )
            for kind in to
        ]
        given = _given(stack, source, voice, camera, websocket, area)
        runs = [run, *([find_run(bundled.DEFAULT_SPEAKER, "--weights")] if speaks else [])]
        told(f"loading {' and '.join(each.name for each in runs)} ...")
        face = None
        if draws and reference is not None:
            face = Face(reference, size, fps, force_face)
        needed = voice is not None or "sound" in to
        session = _session(runs, settings, seed, device, told if not needed else None)
        # last: who takes in while models are loaded hears what nobody answers
        for each in given:
            each.begin()
        wire = _Wire(opened)
        for sink in opened:
            told(f"to {sink.name}")
        told(f"listening to {given[0].name}; Ctrl-C ends it")
        for other in given[1:]:
            told(f"saying what comes from {other.name}")
        # a clip has an end, and who only reads a file can wait for the last of its pictures
        every = clip is not None and list(to) == ["file"]
        undrawn = _run(session, given, wire, face, fps, seconds, told, every)
        if not wire.frames:
            raise InputError("the conversation ended before its first frame; let it go on longer")
    return wire.result(undrawn, output)


def _websocket_port(name: str) -> int | None:
    """The port of what is called ``ws`` or ``ws:9001``; None for what is called otherwise. Raises
    InputError."""
    kind, colon, digits = name.partition(":")
    if kind != sources.WEBSOCKET or (colon and not digits.isdecimal()):
        return None
    port = whole_number(digits) if colon else WEBSOCKET_PORT
    if port is None or not 0 < port < 65536:
        raise InputError(
            f"{shortened(name)}: expected a port from 1 to 65535, as in ws:{WEBSOCKET_PORT}"
        )
    return port


def _checked(
    source: str, voice: str | None, region: str | None, who: str | None
) -> tuple[Path | None, Region | None, bool]:
    """The clip that is listened to, if it is one, where in it the person is who is, and whether
    anything is said. Raises InputError."""
    elsewhere = source in sources.DEVICES or _websocket_port(source) is not None
    clip = None if elsewhere else existing_file(Path(source), "clip")
    area = None
    if clip is not None and media.has_video(clip):
        area = area_in(clip, region, who)
    else:
        require_video(Path(source), region, who)
    if voice is None:
        return clip, area, _websocket_port(source) is not None
    if voice != sources.PIPE and _websocket_port(voice) is None:
        existing_file(Path(voice), "voice")
    return clip, area, True


def _session(
    runs: Sequence[Path],
    settings: FaceSettings,
    seed: int,
    device: str,
    told: Callable[[str], None] | None,
) -> Session:
    """A session of the ``runs`` of a listener and, where there are two, a speaker, ready to answer
    at once. A speaker who does not fit is left out, which is ``told``. Raises InputError, also for
    one who does not where that is None."""
    from dimcli.core.device import choose_device
    from dimcli.live.session import Session, require_fit
    from dimcli.models.checkpoint import load_dim

    listener, *speakers = (load_dim(run, choose_device(device))[1] for run in runs)
    speaker = speakers[0] if speakers else None
    if speaker is not None and told is not None:
        try:
            require_fit(listener, speaker)
        except InputError as error:  # a voice is not asked for, and may never come
            told(f"no voice can be said: {error}")
            speaker = None
    session = Session(listener, speaker, settings=settings, seed=seed)
    _warm(session, Session(listener))
    return session


def _given(
    stack: ExitStack,
    source: str,
    voice: str | None,
    camera: int,
    websocket: Websocket | None,
    area: Region | None = None,
) -> list[sources.Source]:
    """What is listened to, and what the agent says where that comes from elsewhere, opened. Raises
    InputError."""
    port, said = _websocket_port(source), None if voice is None else _websocket_port(voice)
    if port and said and said != port:
        raise InputError(f"--voice {voice}: is the WebSocket of --from {source}; leave it out")
    given = []
    if voice is not None and said is None:
        given.append(stack.enter_context(sources.voice(voice)))
    if port or said:
        if websocket is None:
            raise InputError(f"{sources.WEBSOCKET}: is opened by the command `dim live`")
        says = voice is None or said is not None
        opened = websocket(port or said or 0, port is not None, says)
        given.append(stack.enter_context(opened))
    if port is None:
        given.append(stack.enter_context(sources.opened(source, camera, area)))
    return given[::-1]


def _ports(to: Sequence[str], port: int | None) -> dict[str, int]:
    """The port of each of ``to`` that goes by UDP. Raises InputError."""
    for kind in to:
        if kind not in sinks.KINDS:
            raise InputError(f"--to {kind}: expected some of {', '.join(sinks.KINDS)}")
    if not to:
        raise InputError(
            f"--to: say where the face goes, to some of {', '.join(sinks.KINDS)}, as in: dim live "
            "--from camera --to livelink"
        )
    if len(set(to)) < len(to):
        raise InputError(f"--to: name each once, of {', '.join(sinks.KINDS)}")
    wanted = [kind for kind in to if kind in sinks.NETWORK]
    if port is not None and len(wanted) != 1:
        raise InputError("--port: is of one --to livelink, vmc or osc")
    return {kind: port or sinks.NETWORK[kind] for kind in wanted}


def _opened(
    kind: str,
    ports: dict[str, int],
    host: str,
    fps: float,
    subject: str,
    output: Path | None,
    clip: Path | None,
    speaks: bool,
    force: bool,
) -> AbstractContextManager[sinks.Sink]:
    if kind in ports:
        return sinks.network(kind, host, ports[kind], fps, subject)
    if kind == "camera":
        return sinks.camera(fps)
    if kind == "sound":
        return sinks.loudspeaker(fps)
    assert output is not None
    return sinks.file(output, fps, clip, speaks=speaks, force=force)


class _Wire:
    """Hands frames on to sinks, and counts."""

    def __init__(self, opened: Sequence[sinks.Sink]) -> None:
        self._sinks = opened
        self._late: deque[float] = deque(maxlen=_RECENT)
        self._drawn = False
        self._waiting: list[LiveFrame] = []
        self._first_s = self.last_s = 0.0
        self.now: Callable[[], float] = lambda: 0.0
        """The conversation's clock."""
        self.frames = 0

    def send(self, frame: LiveFrame, picture: Picture | None) -> None:
        """Take a frame; one that was not drawn shows the picture before it, and the first ones
        wait for the first picture."""
        drawing = [sink for sink in self._sinks if sink.pictures]
        for sink in self._sinks:
            if not sink.pictures:
                sink.send(frame, None)
        self._drawn |= picture is not None
        self._waiting += [frame] if drawing else []
        if self._drawn:
            for waiting in self._waiting:
                for sink in drawing:
                    sink.send(waiting, picture)
                picture = None
            self._waiting.clear()
        self.last_s = self.now()
        self._first_s = self._first_s if self.frames else self.last_s
        self._late.append(self.last_s - frame.time_s)
        self.frames += 1

    def result(self, undrawn: int = 0, written: Path | None = None) -> LiveResult:
        """How it went so far."""
        late = np.percentile(self._late or [0.0], [50, 95]).tolist()
        took = self.last_s - self._first_s
        rate = (self.frames - 1) / took if took > 0 else 0.0
        lost = sum(sink.lost for sink in self._sinks)
        return LiveResult(self.frames, self.last_s, rate, late[0], late[1], undrawn, lost, written)


def _warm(session: Session, other: Session) -> None:
    """Do once, before the clock runs, what takes long the first time: track, and answer a step,
    which an ``other`` session of the same model does."""
    session.track(np.zeros((64, 64, 3), np.uint8))
    other.advance(1.0)


def _run(
    session: Session,
    given: Sequence[sources.Source],
    wire: _Wire,
    face: Face | None,
    fps: float,
    seconds: float | None,
    told: Callable[[str], None],
    every: bool,
) -> int:
    """Feed ``session`` until the end, and draw ``every`` frame or those that are in time; how many
    came too late to be drawn. Raises what ended the loop."""
    ends = min([seconds or math.inf, *(source.length_s or math.inf for source in given)])
    frames = math.ceil(round(ends * fps, 6)) if ends < math.inf else math.inf

    def shown(frame: LiveFrame, picture: Picture | None) -> None:
        if frame.index < frames:
            wire.send(frame, picture)

    draw = None if face is None else face.draw
    with Loop(session, shown, draw=draw, every=every) as loop:
        wire.now, tell_s = lambda: loop.now_s, TELL_S
        try:
            while wire.frames < frames and loop.error is None:
                now_s = loop.now_s
                if now_s <= ends:
                    for source in given:
                        source.give(now_s, loop)
                elif now_s > max(ends + session.delay_s, wire.last_s) + LAST_S:
                    break
                if now_s >= tell_s:
                    tell_s += TELL_S
                    told(f"{now_s:.0f} s: {wire.result(loop.undrawn)}")
                time.sleep(TICK_S)
        except KeyboardInterrupt:
            told("ended by Ctrl-C")
    if loop.error is not None:
        raise loop.error
    return loop.undrawn
