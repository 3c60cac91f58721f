"""Live Link Face CSV and JSON, and ``dim export``."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.motion import EXPRESSION, JAW, JAW_OPEN_RAD, MOTION_DIM, Motion, expression_index
from dimcli.jobs.export.live_link import ANGLES, HEADER, SHAPES, timecode, write_live_link
from tests.cli.conftest import Dim, dim

__all__ = ["dim"]

COLUMNS = (
    "EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,EyeLookUpLeft,EyeSquintLeft,"
    "EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,EyeLookOutRight,EyeLookUpRight,"
    "EyeSquintRight,EyeWideRight,JawForward,JawLeft,JawRight,JawOpen,MouthClose,MouthFunnel,"
    "MouthPucker,MouthLeft,MouthRight,MouthSmileLeft,MouthSmileRight,MouthFrownLeft,"
    "MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,MouthStretchLeft,MouthStretchRight,"
    "MouthRollLower,MouthRollUpper,MouthShrugLower,MouthShrugUpper,MouthPressLeft,MouthPressRight,"
    "MouthLowerDownLeft,MouthLowerDownRight,MouthUpperUpLeft,MouthUpperUpRight,BrowDownLeft,"
    "BrowDownRight,BrowInnerUp,BrowOuterUpLeft,BrowOuterUpRight,CheekPuff,CheekSquintLeft,"
    "CheekSquintRight,NoseSneerLeft,NoseSneerRight,TongueOut,HeadYaw,HeadPitch,HeadRoll,"
    "LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll"
)


def random_motion(frames: int = 50, fps: float = 25.0) -> Motion:
    generator = np.random.default_rng(7)
    values = np.zeros((frames, MOTION_DIM), np.float32)
    values[:, EXPRESSION] = generator.uniform(0, 1, (frames, EXPRESSION.stop - EXPRESSION.start))
    values[:, JAW.start] = generator.uniform(0, JAW_OPEN_RAD, frames)
    return Motion(values, fps=fps)


def test_the_csv_has_the_apps_header_and_rows_to_the_letter(tmp_path: Path) -> None:
    motion = random_motion(fps=60)
    write_live_link(motion, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_bytes().decode("ascii").splitlines()
    assert lines[0] == f"Timecode,BlendShapeCount,{COLUMNS}"
    assert len(lines) == 1 + len(motion)
    number = r"-?\d+\.\d+"
    row = re.compile(rf"\d\d:\d\d:\d\d:\d\d\.\d\d\d,61(,{number}){{61}}")
    assert all(row.fullmatch(line) for line in lines[1:])


def test_columns_hold_what_their_names_say(tmp_path: Path) -> None:
    motion = random_motion()
    write_live_link(motion, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name in ("mouthSmileLeft", "eyeBlinkRight", "browInnerUp", "jawLeft", "noseSneerRight"):
        found = [float(row[name[0].upper() + name[1:]]) for row in rows]
        np.testing.assert_allclose(found, motion.column(name), atol=1e-7)
    jaw = [float(row["JawOpen"]) for row in rows]
    np.testing.assert_allclose(jaw, motion.values[:, JAW.start] / JAW_OPEN_RAD, atol=1e-6)
    assert {row["TongueOut"] for row in rows} == {"0.00000000"}


def test_head_and_eye_angles_are_signed_and_scaled_as_documented(tmp_path: Path) -> None:
    values = np.zeros((4, MOTION_DIM), np.float32)
    values[0, 1], values[1, 0], values[2, 2] = 0.3, 0.2, -0.1
    values[3, expression_index("eyeLookOutLeft")] = 1
    values[3, expression_index("eyeLookInRight")] = 1
    write_live_link(Motion(values, fps=30), tmp_path / "a.csv", angle_scale=180 / np.pi)
    with (tmp_path / "a.csv").open() as file:
        rows = [{name: float(row[name]) for name in ANGLES} for row in csv.DictReader(file)]
    assert rows[0]["HeadYaw"] == pytest.approx(np.degrees(0.3), abs=1e-4)
    assert rows[1]["HeadPitch"] == pytest.approx(np.degrees(0.2), abs=1e-4)
    assert rows[2]["HeadRoll"] == pytest.approx(np.degrees(-0.1), abs=1e-4)
    # both eyes look to the subject's left, by the 25 degrees of a full eyeLookOut
    assert rows[3]["LeftEyeYaw"] == pytest.approx(25, abs=0.1)
    assert rows[3]["RightEyeYaw"] == pytest.approx(25, abs=0.1)


@pytest.mark.parametrize(
    ("frame", "fps", "wanted"),
    [
        (0, 60, "00:00:00:00.000"),
        (59, 60, "00:00:00:59.000"),
        (60, 60, "00:00:01:00.000"),
        (216_061, 60, "01:00:01:01.000"),
        (1, 29.97, "00:00:00:01.001"),
        (2997, 29.97, "00:01:40:00.000"),
        (3, 25, "00:00:00:03.000"),
    ],
)
def test_a_timecode_is_the_frames_time(frame: int, fps: float, wanted: str) -> None:
    assert timecode(frame, fps) == wanted


def test_names_are_unique_and_complete() -> None:
    assert len(SHAPES) == len(set(SHAPES)) == 52
    assert len(HEADER) == 63


def test_export_writes_each_kind_by_the_outputs_name(dim: Dim, tmp_path: Path) -> None:
    random_motion().save(tmp_path / "m.npz")
    ended = dim("export", "m.npz", "-o", "m.csv")
    assert ended.code == 0, ended.err
    assert "wrote m.csv (Live Link Face CSV), 120 frames, 2.0 s" in ended.err
    assert dim("export", "m.npz", "-o", "m.glb").code == 0
    assert (tmp_path / "m.glb").read_bytes()[:4] == b"glTF"
    assert dim("export", "m.npz", "-o", "m.json", "--fps", "50").code == 0
    content = json.loads((tmp_path / "m.json").read_text())
    assert content["fps"] == 50
    assert len(content["names"]) == len(content["frames"][0]) == MOTION_DIM
    assert len(content["frames"]) == 100


def test_export_refuses_unknown_kinds_and_existing_files(dim: Dim, tmp_path: Path) -> None:
    random_motion().save(tmp_path / "m.npz")
    ended = dim("export", "m.npz", "-o", "m.fbx")
    assert ended.code == 2
    assert "m.fbx: unknown kind; known: .csv, .glb, .json" in ended.err
    (tmp_path / "m.csv").write_text("mine")
    assert dim("export", "m.npz", "-o", "m.csv").code == 2
    assert (tmp_path / "m.csv").read_text() == "mine"


def test_the_json_of_flame_motion_needs_no_conversion(dim: Dim, tmp_path: Path) -> None:
    Motion(np.zeros((5, MOTION_DIM), np.float32), fps=25, space="flame").save(tmp_path / "f.npz")
    assert dim("export", "f.npz", "-o", "f.json").code == 0
    assert json.loads((tmp_path / "f.json").read_text())["names"][6] == "expression0"
