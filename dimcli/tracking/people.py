"""Who is meant where several people are seen: the part of a video that shows them, and pictures
that leave it open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dimcli.core.config import require_choice
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats
from dimcli.media import probe_video, read_frames
from dimcli.tracking.following import enlarged
from dimcli.tracking.networks import MIN_PRESENCE, Bundle, Detection, FaceDetector, FaceMesh

LARGEST, LEFT, RIGHT = WHO = ("largest", "left", "right")
Area = tuple[int, int, int, int]
"""x, y, width, height in pixels."""

_LOOKS_A_SECOND = 2.0
_FIRST_LOOKS = 8
"""Where so many show one face only, there is one person."""
_LOOKS = 40
_SEEN = 0.25
"""Share of the looks in which a person is seen; other finds are no persons, or pass by."""
SIMILAR = 0.6
"""From this share of the largest face's size on, another person may be meant as well."""


@dataclass
class _Person:
    """A face at one place: ``low`` and ``high`` [2] px hold all that was seen of it."""

    low: Floats
    high: Floats
    sizes: list[float] = field(default_factory=list)

    @property
    def size(self) -> float:
        """The middle of its sizes, in pixels."""
        return float(np.median(self.sizes))

    def is_at(self, face: Detection) -> bool:
        """Whether the face's middle is where this person was seen."""
        middle = (face.low + face.high) / 2
        return bool(((self.low <= middle) & (middle <= self.high)).all())

    def take(self, face: Detection) -> None:
        """Add what is seen now."""
        self.low, self.high = np.minimum(self.low, face.low), np.maximum(self.high, face.high)
        self.sizes.append(float(np.sqrt(face.area)))


def area_of(video: Path, who: str | None = None) -> Area | None:
    """Where ``who`` (one of WHO) is in a video; None for the whole picture: one person is seen.

    Two looks a second, at the first twenty seconds at most. Raises InputError where nobody says
    who is meant and two faces are of similar size, and where a person's part of the picture cannot
    be told from another's.
    """
    if who is not None:
        require_choice("--speaker", who, WHO)
    info = probe_video(video)
    people, looks = _look(_faces(video))
    people = [person for person in people if len(person.sizes) >= max(2, _SEEN * looks)]
    if len(people) < 2:
        return None
    by_size = sorted(people, key=lambda person: -person.size)
    if who is None:
        alike = _similar([person.size for person in people])
        if alike < 2:
            return None
        raise InputError(
            f"{video}: shows {alike} faces of similar size; say who speaks: "
            "--speaker left, right or largest, or --region x,y,width,height"
        )
    across = sorted(people, key=lambda person: float(person.low[0] + person.high[0]))
    chosen = {LARGEST: by_size[0], LEFT: across[0], RIGHT: across[-1]}[who]
    return _apart(chosen, people, (info.width, info.height), f"{video}: --speaker {who}")


def _similar(sizes: Sequence[float]) -> int:
    """How many of some faces may be meant, by their ``sizes``."""
    return sum(size >= SIMILAR * max(sizes) for size in sizes)


def require_one_face(picture: NDArray[np.uint8]) -> None:
    """Raise InputError where an RGB picture [H, W, 3] shows several faces of similar size, also
    such as are too small in it to be seen at a look at the whole."""
    larger, _ = enlarged(picture)
    bundle = Bundle.shipped()
    mesh = FaceMesh(bundle, threads=2)
    faces = [
        face
        for face in FaceDetector(bundle).small(larger)
        if mesh(larger, face.region())[1] >= MIN_PRESENCE
    ]
    alike = _similar([float(np.sqrt(face.area)) for face in faces])
    if alike > 1:
        raise InputError(
            f"shows {alike} faces of similar size; expected one: cut out the one that is meant"
        )


def _faces(video: Path) -> Iterable[list[Detection]]:
    """The faces in each look at a video, in its pixels."""
    detector = FaceDetector(Bundle.shipped())
    with closing(read_frames(video, fps=_LOOKS_A_SECOND)) as frames:
        for frame in islice(frames, _LOOKS):
            larger, times = enlarged(frame)
            factor = np.float32(times)
            yield [
                replace(face, low=face.low / factor, high=face.high / factor)
                for face in detector(larger)
            ]


def _look(views: Iterable[list[Detection]]) -> tuple[list[_Person], int]:
    """Who is seen in some looks, and in how many looks; few are enough for one face alone."""
    people: list[_Person] = []
    looks = 0
    for looks, faces in enumerate(views, start=1):
        for face in faces:
            known = next((person for person in people if person.is_at(face)), None)
            if known is None:
                known = _Person(face.low, face.high)
                people.append(known)
            known.take(face)
        if looks >= _FIRST_LOOKS and len(people) < 2:
            break
    return people, looks


def _apart(chosen: _Person, people: list[_Person], size: tuple[int, int], what: str) -> Area:
    """The part of a picture of ``size`` (width, height) that holds nobody but ``chosen``: it ends
    half-way to the others beside, or above and below."""
    low, high = np.zeros(2), np.array(size, float)
    for other in people:
        if other is chosen:
            continue
        for axis in (0, 1):
            before, after = (
                other.high[axis] <= chosen.low[axis],
                other.low[axis] >= chosen.high[axis],
            )
            if before:
                low[axis] = max(low[axis], (other.high[axis] + chosen.low[axis]) / 2)
            if after:
                high[axis] = min(high[axis], (other.low[axis] + chosen.high[axis]) / 2)
            if before or after:
                break
        else:
            raise InputError(f"{what}: two faces cross each other; name --region x,y,width,height")
    x, y = (int(edge) for edge in np.floor(low))
    right, bottom = (int(edge) for edge in np.ceil(high))
    return x, y, right - x, bottom - y
