"""What goes over a session's WebSocket; ``examples/stream-api.md`` is its description.

A text is a JSON object with a ``type``. Bytes begin with a kind: what comes in is one byte of kind
and then 16-bit samples or a picture's file; what goes out has a head of 16 bytes, :data:`HEAD`.
Everything in here is plain functions of what came, so that it can be tried without a server.
"""

from __future__ import annotations

import io
import json
import math
import struct
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dimcli.core.documents import parse_json
from dimcli.core.errors import InputError, printable
from dimcli.core.limits import JPEG_SCANS, LARGEST_SEED
from dimcli.core.motion import ARKIT_EXPRESSIONS, HEAD, JAW, JAW_OPEN_RAD, Floats, Picture
from dimcli.data import gains
from dimcli.data.gains import FaceSettings
from dimcli.media.pictures import has_too_many_scans
from dimcli.web import limits

if TYPE_CHECKING:
    from dimcli.live.session import LiveFrame, Session

POSES = ("headPitch", "headYaw", "headRoll", "jawPitch", "jawYaw", "jawRoll")
HEARD, SEEN, SAID, FACE = 1, 2, 3, 4
"""Kinds of bytes that come in: the partner's sound and picture, the agent's own voice, and the
picture of the face that is to be drawn."""
DRAWN, MOVED = 1, 2
"""Kinds that go out: a JPEG, and 56 numbers (float32)."""
PACKED = struct.Struct("<BBHId")
"""Kind, flags (1: speaking, 2: the partner's face is seen), 0, index, time in seconds."""
NAMES = [*POSES, *ARKIT_EXPRESSIONS]
"""The 56 numbers of binary motion, in order; the first six are in radians."""
KINDS = {HEARD: "sound", SEEN: "picture", SAID: "voice", FACE: "face"}
AS_IS = FaceSettings()
SETTINGS = ("attitude", *gains.NAMES)
REASON_BYTES = 123


STOPPED, UNREADABLE, AGAINST_RULES, TOO_BIG, FAULT, LATER = 1000, 1003, 1008, 1009, 1011, 1013
"""WebSocket's codes: as was asked, what cannot be read, is not allowed or too big, our fault, come
later."""


class RefusedError(Exception):
    """A session ends, with a reason and a WebSocket ``code``."""

    def __init__(self, reason: str, code: int = AGAINST_RULES) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = printable(reason).encode()[:REASON_BYTES].decode(errors="ignore")


class Allowance:
    """So much a second, and ``at_once`` without waiting for it."""

    def __init__(
        self, a_second: float, at_once: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._a_second, self._at_once, self._clock = a_second, at_once, clock
        self._left, self._when = at_once, clock()

    def take(self, amount: float) -> bool:
        """Whether ``amount`` is allowed now; then it is used."""
        now = self._clock()
        self._left = min(self._at_once, self._left + (now - self._when) * self._a_second)
        self._when = now
        if amount > self._left:
            return False
        self._left -= amount
        return True


@dataclass(frozen=True)
class Start:
    """What a session is begun with."""

    picture: str | None = None
    """A face that comes with the server; None: the one that was sent, if any."""
    frames: bool = False
    """Whether pictures are drawn."""
    motion: Literal["json", "binary", "none"] = "json"
    size: int = 512
    seed: int = 0
    settings: FaceSettings = AS_IS


def read_json(text: str | bytes, source: str) -> Any:
    """The value of a client's JSON, all of which can be sent back: ``parse_json`` also takes halves
    of characters (``"\\ud800"``), which no answer can hold. Raises InputError."""
    value = parse_json(text, source)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError(f"{source}: not Unicode (half of a character)") from None
    return value


def read_text(text: str) -> dict[str, Any]:
    """The object that a text message is. Raises RefusedError."""
    if len(text) > limits.TEXT_BYTES:
        raise RefusedError(f"a text of more than {limits.TEXT_BYTES} characters")
    try:
        message = read_json(text, "text message")
    except InputError as error:
        raise RefusedError(str(error), UNREADABLE) from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise RefusedError("text message: expected a JSON object with a type", UNREADABLE)
    return message


def read_start(message: dict[str, Any], faces: tuple[str, ...]) -> Start:
    """The settings of a ``start`` message. Raises RefusedError."""
    said = {name: value for name, value in message.items() if name != "type"}
    settings = {name: said.pop(name) for name in SETTINGS if name in said}
    known = [each.name for each in fields(Start) if each.name != "settings"]
    _require_known(said, [*known, *SETTINGS])
    picture, size, seed = said.get("picture"), said.get("size", 512), said.get("seed", 0)
    if picture is not None and picture not in faces:
        raise RefusedError(f"picture: expected one of {', '.join(faces)}, or null")
    if not isinstance(said.get("frames", False), bool):
        raise RefusedError("frames: expected true or false")
    if said.get("motion", "json") not in ("json", "binary", "none"):
        raise RefusedError("motion: expected json, binary or none")
    if type(size) is not int or not limits.SIZE[0] <= size <= limits.SIZE[1]:
        raise RefusedError(f"size: expected {limits.SIZE[0]} to {limits.SIZE[1]}")
    if type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
        raise RefusedError(f"seed: expected 0 to {LARGEST_SEED}")
    return Start(**said, settings=read_settings(settings, FaceSettings()))


def read_settings(said: dict[str, Any], before: FaceSettings) -> FaceSettings:
    """``before`` with what a ``settings`` message says of it. Raises RefusedError."""
    said = {name: value for name, value in said.items() if name != "type"}
    _require_known(said, list(SETTINGS))
    for name in gains.NAMES:
        if type(said.get(name, 1.0)) not in (int, float):
            raise RefusedError(f"{name}: expected a number, 1 for as it is")
    try:
        return replace(before, **said)
    except InputError as error:
        raise RefusedError(str(error).removeprefix("--")) from None


def _require_known(said: dict[str, Any], known: list[str]) -> None:
    for name in said:
        if name not in known:
            raise RefusedError(f"{name[:20]}: unknown; known: {', '.join(known)}")


def read_samples(data: bytes) -> Floats:
    """Mono samples [N] in -1..1 of little-endian 16-bit ones. Raises RefusedError."""
    if len(data) % 2:
        raise RefusedError("sound of an odd number of bytes; expected 16-bit samples", UNREADABLE)
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)


def read_jpeg(data: bytes) -> Picture:
    """A camera's picture, uint8 [H, W, 3] RGB. Its size is looked at before it is decoded.
    Raises RefusedError."""
    from PIL import Image

    if has_too_many_scans(data):
        raise RefusedError(f"a picture of more than {JPEG_SCANS} scans")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes that are refused below, and of oddities
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                if image.width * image.height <= limits.PICTURE_PIXELS:
                    return np.array(image.convert("RGB"), np.uint8)
    except Image.DecompressionBombError:
        pass
    except Exception:  # decoders raise whatever damaged bytes make them stumble over
        raise RefusedError("a picture that is no whole JPEG", UNREADABLE) from None
    raise RefusedError(f"a picture of more than {limits.PICTURE_PIXELS / 1e6:.1f} million pixels")


def require_small(data: bytes) -> None:
    """Raise RefusedError where a camera's picture has more bytes than it may."""
    if len(data) > limits.PICTURE_BYTES:
        raise RefusedError(f"a picture of more than {limits.PICTURE_BYTES} bytes")


def unknown(kind: str | int, known: Iterable[str | int]) -> RefusedError:
    """What a message of a ``kind`` is refused with that is none of the ``known``: a text's, or a
    number in :data:`KINDS`."""
    if isinstance(kind, str):
        reason = f"{kind[:20]}: unknown; known: {', '.join(map(str, known))}"
    else:
        names = ", ".join(f"{each} {KINDS[each]}" for each in KINDS if each in known)
        reason = f"bytes of kind {kind}; known: {names}"
    return RefusedError(reason, UNREADABLE)


def ready(session: Session, size: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """That a session has begun; ``size`` of its pictures (width, height)."""
    return {
        "type": "ready",
        "fps": session.fps,
        "delay_s": round(session.delay_s, 4),
        "width": size[0],
        "height": size[1],
        "names": NAMES,
    }


def pong(ping: dict[str, Any], now_s: float | None) -> dict[str, Any]:
    """The answer to a ``ping``. Raises RefusedError."""
    return {"type": "pong", "id": number(ping, "id"), "time_s": now_s}


def voice(time_s: float) -> dict[str, Any]:
    """When a piece of voice is said."""
    return {"type": "voice", "time_s": time_s}


def hushed(time_s: float) -> dict[str, Any]:
    """When the face falls silent."""
    return {"type": "hushed", "time_s": time_s}


def jpeg(picture: Picture) -> bytes:
    """A picture as a JPEG file's bytes."""
    import cv2

    blue_first = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)  # a view of it costs twice the encoding
    coded, data = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert coded
    return data.tobytes()


def packed(kind: int, frame: LiveFrame, data: bytes) -> bytes:
    """A binary message that goes out."""
    flags = frame.speaking | frame.seen << 1
    return PACKED.pack(kind, flags, 0, frame.index, frame.time_s) + data


def motion_text(frame: LiveFrame) -> dict[str, Any]:
    """A frame's motion as JSON: the head in radians, and ARKit's blendshapes."""
    values = frame.values.astype(float)
    shapes = dict(zip(ARKIT_EXPRESSIONS, values[JAW.stop :], strict=True))
    shapes["jawOpen"] = min(1.0, max(0.0, values[JAW.start] / JAW_OPEN_RAD))
    return {
        "type": "motion",
        "index": frame.index,
        "time_s": round(frame.time_s, 4),
        "speaking": frame.speaking,
        "seen": frame.seen,
        "head_rad": [round(float(angle), 5) for angle in values[HEAD]],
        "arkit": {name: round(float(value), 4) for name, value in shapes.items()},
    }


def number(message: dict[str, Any], name: str) -> float:
    """A number of a message. Raises RefusedError."""
    value = message.get(name)
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    raise RefusedError(f"{name}: expected a number", UNREADABLE)
