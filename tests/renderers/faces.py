"""A drawn face for renderer tests: flat colours, landmarks that are known because it is drawn."""

import cv2
import numpy as np

from dimcli.core.motion import JAW_OPEN_RAD, MOTION_DIM, expression_index
from renderers.base import Reference
from renderers.heads.contours import (
    EYES,
    FACE_OVAL,
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    OUTER_LIP_LOWER,
    OUTER_LIP_UPPER,
)
from renderers.portrait.expression import FaceExpression
from weights.canonical_face import canonical_face

SKIN, HAIR, WALL = (214, 170, 150), (90, 60, 40), (120, 140, 160)
IRIS, WHITE, LIP, TOOTH = (20, 60, 200), (240, 240, 236), (190, 80, 90), (250, 250, 240)
NOSE_DOT, BROW_DOT, CORNER_DOT = (0, 255, 0), (255, 0, 255), (255, 255, 0)

WIDTH, HEIGHT, SCALE = 360, 400, 12.0
CENTRE = (180.0, 190.0)
IRIS_CM = 0.58


def drawn_gaps(values: np.ndarray) -> np.ndarray:
    """How far motion ``values`` [T, 56] part the canonical face's lips, over the distance of the
    outer eye corners: [T], 0 where they are closed."""
    resting = canonical_face().vertices.astype(np.float32)
    face = FaceExpression(np.zeros(MOTION_DIM, np.float32), resting)
    posed = np.stack([resting + face.offsets(each) for each in values])
    apart = (posed[:, 13, 1] - posed[:, 14, 1]) - (resting[13, 1] - resting[14, 1])
    return apart / np.linalg.norm(resting[33] - resting[263])


def frame(**channels: float) -> np.ndarray:
    """A motion frame [56]: ``pitch``, ``yaw``, ``roll`` in degrees, ``jaw`` 0..1, ARKit names, or
    ARKit names without their side for both sides."""
    values = np.zeros(MOTION_DIM, np.float32)
    axes = {"pitch": 0, "yaw": 1, "roll": 2}
    for name, value in channels.items():
        if name in axes:
            values[axes[name]] = np.radians(value)
        elif name == "jaw":
            values[3] = value * JAW_OPEN_RAD
        else:
            for side in ("Left", "Right"):
                values[expression_index(name + side)] = value
    return values


def drawn_face(*, teeth_gap_cm: float = 0.0, seed: int = 0, **own: float) -> Reference:
    """A face of flat colours with a dot on the nose, the brow's middle and the mouth's corners.

    ``teeth_gap_cm`` parts the lips and shows teeth between them; ``own`` is the picture's frame.
    """
    vertices = canonical_face().vertices.copy()
    vertices[INNER_LIP_LOWER[1:-1], 1] = vertices[INNER_LIP_UPPER[1:-1], 1] - 0.05
    if teeth_gap_cm:
        for row in (INNER_LIP_LOWER, OUTER_LIP_LOWER):
            arch = np.sin(np.linspace(0, np.pi, len(row)))
            vertices[row, 1] -= teeth_gap_cm * arch
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:468] = vertices * [SCALE, -SCALE, -SCALE] + [*CENTRE, 0]
    for eye in EYES.values():
        middle = landmarks[eye.upper[[0, -1]]].mean(0) - [0, 0.1 * SCALE, 0]
        ring = np.array([[0, 0], [1, 0], [0, -1], [-1, 0], [0, 1]]) * IRIS_CM * SCALE
        landmarks[eye.iris] = middle
        landmarks[eye.iris, :2] += ring.astype(np.float32)
    image = np.full((HEIGHT, WIDTH, 3), WALL, np.uint8)
    random = np.random.default_rng(seed)

    def fill(rows: np.ndarray, colour: tuple[int, int, int]) -> None:
        points = np.round(landmarks[rows, :2]).astype(np.int32)
        cv2.fillPoly(image, [points], colour)

    def dot(row: int, colour: tuple[int, int, int]) -> None:
        cv2.circle(image, np.round(landmarks[row, :2]).astype(int).tolist(), 4, colour, -1)

    cv2.ellipse(image, (180, 170), (115, 140), 0, 0, 360, HAIR, -1)
    cv2.rectangle(image, (130, 260), (230, HEIGHT), SKIN, -1)
    fill(FACE_OVAL, SKIN)
    for eye in EYES.values():
        fill(np.concatenate([eye.upper, eye.lower[::-1]]), WHITE)
        opening = np.zeros(image.shape[:2], np.uint8)
        outline = np.round(landmarks[np.concatenate([eye.upper, eye.lower[::-1]]), :2])
        cv2.fillPoly(opening, [outline.astype(np.int32)], 1)
        iris = np.zeros_like(opening)
        centre = np.round(landmarks[eye.iris[0], :2]).astype(int).tolist()
        cv2.circle(iris, centre, round(IRIS_CM * SCALE), 1, -1)
        image[(opening & iris) > 0] = IRIS
    fill(np.concatenate([OUTER_LIP_UPPER, OUTER_LIP_LOWER[::-1]]), LIP)
    if teeth_gap_cm:
        fill(np.concatenate([INNER_LIP_UPPER, INNER_LIP_LOWER[::-1]]), TOOTH)
    dot(1, NOSE_DOT)
    dot(9, BROW_DOT)
    for corner in (61, 291):
        dot(corner, CORNER_DOT)
    grain = random.integers(-4, 5, image.shape)
    image = np.clip(image.astype(int) + grain, 0, 255).astype(np.uint8)
    return Reference(image, landmarks, frame(**own))


def near(image: np.ndarray, colour: tuple[int, int, int], tolerance: int = 45) -> np.ndarray:
    """Where ``image`` [H, W, 3] has about ``colour``: bool [H, W]."""
    return (np.abs(image.astype(int) - colour) < tolerance).all(-1)


def centre_of(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Mean position (x, y) of a colour in ``image``."""
    rows, columns = np.nonzero(near(image, colour, 90))
    assert len(rows) > 0, f"no pixel has the colour {colour}"
    return np.array([columns.mean(), rows.mean()])


def drawn_dog(seed: int, side: int = 400) -> np.ndarray:
    """A plush dog's face, in which the tracker finds a human one: uint8 [side, side, 3]."""
    random = np.random.default_rng(seed)
    image = np.full((side, side, 3), random.integers(90, 200, 3), np.uint8)
    fur = random.integers([120, 80, 40], [220, 160, 110])
    middle, black, white = side // 2, (30, 20, 20), (235, 230, 225)
    snout = middle + round(0.14 * side)

    def blob(x: float, y: float, width: float, height: float, colour, turned: float = 0) -> None:
        sizes = (round(width * side), round(height * side))
        colour = np.clip(colour, 0, 255).tolist()
        cv2.ellipse(
            image, (round(x), round(y)), sizes, turned, 0, 360, colour, -1, lineType=cv2.LINE_AA
        )

    for half in (-1, 1):
        blob(middle + half * 0.27 * side, 0.33 * side, 0.09, 0.2, fur * 0.5, turned=-20 * half)
    blob(middle, middle, random.uniform(0.24, 0.3), random.uniform(0.3, 0.36), fur)
    blob(middle, snout, random.uniform(0.12, 0.18), random.uniform(0.12, 0.17), fur * 1.25)
    apart, above = random.uniform(0.1, 0.14) * side, random.uniform(0.04, 0.12) * side
    for half in (-1, 1):
        blob(middle + half * apart, middle - above, 0.045, 0.045, white)
        blob(middle + half * apart, middle - above, 0.034, 0.034, black)
    blob(middle, snout - 0.05 * side, 0.055, 0.035, black)
    cv2.line(image, (middle, snout), (middle, snout + round(0.05 * side)), black, 3)
    for half in (-1, 1):
        lip = (middle + half * round(0.04 * side), snout + round(0.05 * side))
        cv2.ellipse(image, lip, (round(0.04 * side), round(0.025 * side)), 0, 0, 180, black, 3)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.004 * side), np.uint8)
