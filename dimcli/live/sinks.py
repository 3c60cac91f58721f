"""Where a live face goes: into avatar programs by UDP, a virtual camera, or a file.

Blend shapes are ARKit's 52 from 0 to 1, whatever the program (``jawOpen`` is read off the jaw, and
``tongueOut`` is 0). Turns of the head differ in their axes:

========  ==========================================================================================
livelink  Epic's Live Link Face, one packet a frame: yaw, pitch and roll in radians; + yaw turns the
          nose to the image's right (the subject's left), + pitch the chin down, + roll the head
          counter-clockwise in the image. Eyes likewise.
vmc       Virtual Motion Capture protocol: quaternions (x, y, z, w) of Unity's axes, left-handed, +x
          to the subject's right, +y up, +z out of the face. A third of the head's turn is the
          neck's.
osc       dim's own axis-angle in radians: right-handed, +x to the subject's left, +y up, +z out of
          the face
========  ==========================================================================================

``osc`` sends, for each frame::

    /dim/frame   index (int)  time_s (float)  speaking (int 0, 1)  seen (int 0, 1)
    /dim/head    x  y  z (float)
    /dim/face/NAME  value (float)      52 times; NAME as ARKit writes it: mouthSmileLeft

in bundles that fit an Ethernet frame; the bundle with ``/dim/frame`` comes last. Sources: Epic's
engine, which reads packets of version 6 (``AppleARKitLiveLinkSource``); protocol.vmc.info; the OSC
1.0 specification.
"""

from __future__ import annotations

import csv
import json
import socket
import struct
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dimcli import media
from dimcli.audio import SAMPLE_RATE
from dimcli.audio.mixing import Mix
from dimcli.core import limits
from dimcli.core.errors import InputError, needing
from dimcli.core.files import atomic_output, check_output
from dimcli.core.motion import HEAD, Floats, Motion, Picture
from dimcli.core.rotations import Rotations
from dimcli.live.live_link import SHAPES, angles, shapes
from dimcli.live.sources import sound_devices

if TYPE_CHECKING:
    from dimcli.live.session import LiveFrame

NETWORK = {"livelink": 11111, "vmc": 39539, "osc": 9000}
"""What goes by UDP, and the port that programs listen at if nobody changed it."""
KINDS = (*NETWORK, "camera", "sound", "file")
STEADY_S = 0.08
"""A loudspeaker waits so long for frames that come unevenly."""
FILES = (".npz", ".csv", ".jsonl", ".mp4")
NECK_SHARE = 1 / 3
BUNDLE_BYTES = 1400
"""A bundle this long is sent in one piece over Ethernet."""
BUNDLE = b"#bundle\0" + struct.pack(">Q", 1)
"""How a bundle begins that is to be played at once."""
CALIBRATED, NORMAL, TRACKING = 3, 0, 1
"""VMC's states of a sender who is ready."""


@dataclass
class Sink:
    """What takes the frames of a live face: its ``name`` for people; ``send``, called with each
    frame, and where it needs ``pictures`` with its picture, None for the one before; how many
    packets were ``lost``."""

    name: str
    send: Callable[[LiveFrame, Picture | None], None]
    pictures: bool = False
    lost: int = 0


def arkit_names() -> list[str]:
    """The 52 blend shapes as ARKit writes them, in the order of :data:`SHAPES`."""
    return [name[0].lower() + name[1:] for name in SHAPES]


def _shapes(frame: LiveFrame) -> list[float]:
    return list(shapes(frame.values[None])[0].tolist())


def live_link_packet(frame: LiveFrame, fps: float, *, device: str, subject: str = "dim") -> bytes:
    """One frame as Live Link Face sends it, big-endian: version 6 (uint8); ``device`` and
    ``subject``, each its length (int32) and UTF-8; frame number (int32), sub-frame (float32), rate
    as a fraction (2 int32); 61 (uint8) and so many float32: shapes, then turns of head and eyes.
    """
    values = [*_shapes(frame), *angles(frame.values[None])[0].tolist()]
    whole = round(fps) if abs(fps - round(fps)) < 1e-6 else 0
    rate = (whole, 1) if whole else (round(fps * 1001), 1001)
    named = b"".join(
        struct.pack(">i", len(text)) + text for text in (device.encode(), subject.encode())
    )
    timed = struct.pack(">ifii", frame.index & 0x7FFFFFFF, 0.0, *rate)
    return (
        struct.pack(">B", 6)
        + named
        + timed
        + struct.pack(f">B{len(values)}f", len(values), *values)
    )


def unity_turn(head: Floats, share: float = 1.0) -> list[float]:
    """``share`` of a turn [3] (axis-angle, radians) as a quaternion x, y, z, w of Unity's axes."""
    x, y, z, w = Rotations.of_vectors(np.asarray(head, float) * share).quaternions.tolist()
    return [x, -y, -z, w]  # seen in a mirror: x runs the other way


def vmc_messages(frame: LiveFrame) -> list[tuple[str, list[Any]]]:
    """One frame in VMC's words: address and arguments of each message."""
    head = frame.values[HEAD]
    bones = (("Neck", NECK_SHARE), ("Head", 1 - NECK_SHARE))
    turns: list[tuple[str, list[Any]]] = [
        ("/VMC/Ext/Bone/Pos", [name, 0.0, 0.0, 0.0, *unity_turn(head, share)])
        for name, share in bones
    ]
    values = zip(SHAPES, _shapes(frame), strict=True)
    return [
        ("/VMC/Ext/OK", [1, CALIBRATED, NORMAL, TRACKING]),
        ("/VMC/Ext/T", [float(frame.time_s)]),
        *turns,
        *(("/VMC/Ext/Blend/Val", [name, value]) for name, value in values),
        ("/VMC/Ext/Blend/Apply", []),
    ]


def osc_messages(frame: LiveFrame) -> list[tuple[str, list[Any]]]:
    """One frame in this module's own words."""
    values = zip(arkit_names(), _shapes(frame), strict=True)
    return [
        *((f"/dim/face/{name}", [value]) for name, value in values),
        ("/dim/head", frame.values[HEAD].astype(float).tolist()),
        ("/dim/frame", [frame.index, float(frame.time_s), int(frame.speaking), int(frame.seen)]),
    ]


def osc_message(address: str, arguments: Sequence[str | int | float]) -> bytes:
    """An OSC message: its address, the types of its arguments, and they themselves, big-endian;
    texts end with a zero and are as long as some 4 bytes."""
    kinds = {str: "s", int: "i", float: "f"}
    message = _osc_text(address) + _osc_text("," + "".join(kinds[type(a)] for a in arguments))
    for argument in arguments:
        if isinstance(argument, str):
            message += _osc_text(argument)
        else:
            message += struct.pack(f">{kinds[type(argument)]}", argument)
    return message


@cache
def _osc_text(text: str) -> bytes:
    return text.encode("ascii") + bytes(4 - len(text) % 4)


def bundles(messages: Sequence[tuple[str, list[Any]]]) -> Iterator[bytes]:
    """``messages`` in OSC bundles to be played at once, none longer than BUNDLE_BYTES."""
    bundle = BUNDLE
    for address, arguments in messages:
        message = osc_message(address, arguments)
        if len(bundle) + 4 + len(message) > BUNDLE_BYTES:
            yield bundle
            bundle = BUNDLE
        bundle += struct.pack(">i", len(message)) + message
    yield bundle


@contextmanager
def network(kind: str, host: str, port: int, fps: float, subject: str) -> Iterator[Sink]:
    """Each frame as UDP packets; a program that is not there yet may come later. Raises InputError
    where there is no such host, or where not even the first packet can be sent; later ones may be
    lost, as on a network that goes away for a while."""
    device = str(uuid.uuid4()).upper()  # the app names its phone; a new one a run does no harm

    def packets(frame: LiveFrame) -> Iterator[bytes]:
        if kind == "livelink":
            yield live_link_packet(frame, fps, device=device, subject=subject)
        else:
            yield from bundles(vmc_messages(frame) if kind == "vmc" else osc_messages(frame))

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise InputError(
            f"--host {host}: no such host; expected an address as in 127.0.0.1"
        ) from None
    family, how, protocol, _, address = found[0]
    sent = False

    def send(frame: LiveFrame, picture: Picture | None) -> None:
        nonlocal sent
        for packet in packets(frame):
            try:
                udp.sendto(packet, address)
                sent = True
            except OSError as error:
                if not sent:
                    raise InputError(
                        f"--host {host}: nothing can be sent there ({error.strerror})"
                    ) from None
                sink.lost += 1

    sink = Sink(f"{kind} at {host}:{port}", send)
    with socket.socket(family, how, protocol) as udp:
        yield sink


@contextmanager
def camera(fps: float) -> Iterator[Sink]:
    """A camera for other programs (OBS's, v4l2loopback), opened by the first picture. Raises
    InputError where the system has none, MissingDependencyError."""
    with needing("--to camera: needs pyvirtualcam; install it with `pip install pyvirtualcam`"):
        import pyvirtualcam
    with ExitStack() as stack:
        opened: list[Any] = []

        def send(frame: LiveFrame, picture: Picture | None) -> None:
            if picture is None:
                return
            if not opened:
                height, width = picture.shape[:2]
                try:
                    found = pyvirtualcam.Camera(width=width, height=height, fps=fps)
                except RuntimeError as error:
                    raise InputError(
                        f"--to camera: {error}; install OBS, or on Linux load v4l2loopback"
                    ) from None
                opened.append(stack.enter_context(found))
            opened[0].send(picture)

        yield Sink("the virtual camera", send, pictures=True)


@contextmanager
def motion_file(path: Path, fps: float, *, force: bool) -> Iterator[Sink]:
    """Motion as a ``.npz``, written at the end; of a longer conversation the first
    :data:`dimcli.core.limits.MOTION_FRAMES`, which is what such a file may hold."""
    frames: list[LiveFrame] = []

    def keep(frame: LiveFrame, picture: Picture | None) -> None:
        if len(frames) < limits.MOTION_FRAMES:
            frames.append(frame)

    yield Sink(str(path), keep)
    if frames:
        values = np.stack([frame.values for frame in frames])
        Motion(values, fps, meta={"generated": "dim", "live": True}).save(path, force=force)


@contextmanager
def rows(path: Path, *, force: bool) -> Iterator[Sink]:
    """Frames as rows of a ``.csv``, or objects of a ``.jsonl``, a line each."""
    about = ("index", "time_s", "speaking", "seen")
    names = ("head_x_rad", "head_y_rad", "head_z_rad", *arkit_names())

    def send(frame: LiveFrame, picture: Picture | None) -> None:
        said = (frame.index, round(frame.time_s, 6), int(frame.speaking), int(frame.seen))
        numbers = [*frame.values[HEAD].tolist(), *_shapes(frame)]
        row = (*said, *(round(number, 6) for number in numbers))
        if as_json:
            file.write(json.dumps(dict(zip((*about, *names), row, strict=True))) + "\n")
        else:
            csv.writer(file, lineterminator="\n").writerow(row)

    as_json = path.suffix.lower() == ".jsonl"
    with (
        atomic_output(path, force=force) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        if not as_json:
            csv.writer(file, lineterminator="\n").writerow((*about, *names))
        yield Sink(str(path), send)


@contextmanager
def loudspeaker(fps: float) -> Iterator[Sink]:
    """The agent's voice, heard as the face says it, :data:`STEADY_S` later. Raises InputError where
    there is no loudspeaker, MissingDependencyError."""
    sounddevice = sound_devices("--to sound")
    silence = np.zeros(round(SAMPLE_RATE / fps), np.float32)
    waiting = np.zeros(round(STEADY_S * SAMPLE_RATE), np.float32)
    using = threading.Lock()

    def send(frame: LiveFrame, picture: Picture | None) -> None:
        nonlocal waiting
        with using:
            more = silence if frame.said is None else frame.said
            # a loudspeaker whose clock is slower than ours falls no further behind
            waiting = np.concatenate([waiting, more])[-round(4 * STEADY_S * SAMPLE_RATE) :]

    def play(out: Any, count: int, *_: Any) -> None:
        nonlocal waiting
        with using:
            now, waiting = waiting[:count], waiting[count:]
        out[: len(now), 0] = now
        out[len(now) :] = 0

    try:
        stream = sounddevice.OutputStream(SAMPLE_RATE, channels=1, dtype="float32", callback=play)
    except sounddevice.PortAudioError as error:
        raise InputError(f"--to sound: no loudspeaker can be opened ({error.args[0]})") from None
    with stream:
        yield Sink("the loudspeaker", send)


@contextmanager
def video(
    path: Path, fps: float, sound: Path | None, *, speaks: bool, force: bool
) -> Iterator[Sink]:
    """A video of the drawn face, with the sound of the clip that it listens to, if it is one, and
    the agent's voice where it ``speaks``."""
    with ExitStack() as stack:
        mix = stack.enter_context(closing(Mix())) if speaks else None
        if mix is not None:
            if sound is not None:
                mix.add(media.read_audio(sound, SAMPLE_RATE), 0.0)
            sound = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "sound.wav"
        writer = stack.enter_context(
            media.VideoWriter(path, fps=fps, audio_from=sound, force=force)
        )

        def send(frame: LiveFrame, picture: Picture | None) -> None:
            if picture is None:
                writer.hold()
            else:
                writer.write(picture)
            if mix is not None and frame.said is not None:
                mix.add(frame.said, frame.time_s)

        yield Sink(str(path), send, pictures=True)
        if mix is not None and sound is not None:
            mix.write(sound, writer.frames / fps)
            with media.audio_track(None):  # the one that was chosen is the clip's
                stack.close()


def file(
    path: Path, fps: float, sound: Path | None = None, *, speaks: bool = False, force: bool
) -> AbstractContextManager[Sink]:
    """What writes ``path``, by its suffix, one of FILES. Raises InputError."""
    check_output(path, sound, force=force, kind="live face", suffixes=FILES)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return motion_file(path, fps, force=force)
    if suffix == ".mp4":
        return video(path, fps, sound, speaks=speaks, force=force)
    return rows(path, force=force)
