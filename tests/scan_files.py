"""BIWI and VOCASET in small, in the layouts that FaceFormer, CodeTalker and DIM read."""

import pickle
import wave
from pathlib import Path

import numpy as np
import torch

from renderers.heads.flame import FlameHead
from tests.corpora import moving

BIWI_VERTICES, FLAME_VERTICES = 23_370, 5_023
RATE = 16_000
BIWI_FRAMES = 14


def write_sound(path: Path, seconds: float, rate: int = RATE) -> None:
    """A 16-bit wav file of a gliding tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate)) / rate
    sound = 8000 * np.sin(6.28 * (200 + 80 * np.sin(5 * time)) * time)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.astype("<i2").tobytes())


def biwi_truth(seed: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Motion [T, 56] and the displacement [T, 23370, 3] that goes with it: a linear map.

    Both have eight degrees of freedom, so that a few clips show them all.
    """
    random = np.random.default_rng(99)
    mixed = random.normal(size=(8, 56)).astype(np.float32)
    values = moving(frames, 25.0, seed)[:, 6:14] @ mixed * 0.2
    few = random.normal(size=(53, 12)) / 7
    moves = random.normal(size=(12, BIWI_VERTICES * 3)).astype(np.float32) * 1e-3
    moved = (values[:, 3:] @ few).astype(np.float32) @ moves
    return values, moved.reshape(frames, BIWI_VERTICES, 3)


def write_biwi(
    root: Path, names: list[str], *, frames: int = BIWI_FRAMES, untracked: tuple[str, ...] = ()
) -> None:
    """Clips by name, each of one second and a bit at 25 frames a second."""
    random = np.random.default_rng(1)
    subjects = sorted({name.partition("_")[0] for name in names})
    templates = {
        subject: random.normal(size=(BIWI_VERTICES, 3)).astype(np.float64) * 0.1
        for subject in subjects
    }
    for folder in ("vertices_npy", "emoca_biwi", "regions"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    # as the authors' machine with Python 2 wrote it
    (root / "templates.pkl").write_bytes(pickle.dumps(templates, protocol=2))
    (root / "regions" / "lve.txt").write_text(", ".join(map(str, range(100, 160))))
    (root / "regions" / "fdd.txt").write_text(", ".join(map(str, range(9000, 9100))))
    for seed, name in enumerate(names):
        write_sound(root / "wav" / f"{name}.wav", frames / 25.0, 44_100)
        values, moved = biwi_truth(seed, frames)
        vertices = templates[name.partition("_")[0]] + moved
        np.save(root / "vertices_npy" / f"{name}.npy", vertices.reshape(frames, -1).astype("f4"))
        if name not in untracked:
            content = {
                f"frame_{index:03d}": {
                    "exp": row[None, 6:],
                    "pose": row[None, :6],
                    "cam": np.zeros((1, 3), np.float32),
                    "shape": np.zeros((1, 100), np.float32),
                }
                for index, row in enumerate(values)
            }
            (root / "emoca_biwi" / f"{name}.pkl").write_bytes(pickle.dumps(content))


def flame_speech(seed: int, frames: int) -> np.ndarray:
    """FLAME motion [T, 56] at 60 frames a second that a speaking scan could have: upright."""
    values = moving(frames, 60.0, seed)
    values[:, :6] = np.array([0, 0, 0, 1, 0, 0]) * np.abs(values[:, :6])
    return values


def flame_scans(
    flame: FlameHead, subjects: list[str], names: list[str], frames: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Resting faces [5023, 3] by subject and vertices [T, 5023, 3] by name, with FLAME's motion."""
    random = np.random.default_rng(2)
    shapes = {
        subject: torch.from_numpy(random.normal(size=(1, 10)).astype(np.float32))
        for subject in subjects
    }
    templates = {
        subject: flame.shaped(shape, torch.zeros(1, 1))[0].numpy()
        for subject, shape in shapes.items()
    }
    scanned = {}
    for seed, name in enumerate(names):
        subject = name.rpartition("_")[0]
        values = torch.from_numpy(flame_speech(seed, frames))
        neck = flame.joints(shapes[subject], torch.zeros(1, 1))[0, 1]
        scanned[name] = (flame.vertices(values, shapes[subject]) + neck).numpy()
    return templates, scanned


def write_vocaset(root: Path, flame: FlameHead, names: list[str], *, frames: int = 60) -> None:
    """FaceFormer's layout: 60 frames a second."""
    subjects = sorted({name.rpartition("_")[0] for name in names})
    templates, scanned = flame_scans(flame, subjects, names, frames)
    (root / "vertices_npy").mkdir(parents=True)
    (root / "templates.pkl").write_bytes(pickle.dumps(templates, protocol=2))
    for name, vertices in scanned.items():
        write_sound(root / "wav" / f"{name}.wav", frames / 60.0, 22_000)
        flat = vertices.reshape(frames, -1)
        np.save(root / "vertices_npy" / f"{name}.npy", flat)


def write_raw_vocaset(root: Path, flame: FlameHead, names: list[str], *, frames: int = 60) -> None:
    """The owners' layout: all frames of all clips in one array."""
    root.mkdir(parents=True, exist_ok=True)
    subjects = sorted({name.rpartition("_")[0] for name in names})
    templates, scanned = flame_scans(flame, subjects, names, frames)
    (root / "templates.pkl").write_bytes(pickle.dumps(templates, protocol=2))
    np.save(root / "data_verts.npy", np.concatenate([scanned[name] for name in names]))
    rows: dict[str, dict[str, dict[int, int]]] = {}
    sounds: dict[str, dict[str, dict[str, object]]] = {}
    time = np.arange(round(frames / 60.0 * 22_000)) / 22_000
    sound = (8000 * np.sin(6.28 * 200 * time)).astype(np.int16)
    for index, name in enumerate(names):
        subject, _, sentence = name.rpartition("_")
        first = index * frames
        rows.setdefault(subject, {})[sentence] = {t: first + t for t in range(frames)}
        sounds.setdefault(subject, {})[sentence] = {"audio": sound, "sample_rate": 22_000}
    (root / "subj_seq_to_idx.pkl").write_bytes(pickle.dumps(rows, protocol=2))
    (root / "raw_audio_fixed.pkl").write_bytes(pickle.dumps(sounds, protocol=2))
