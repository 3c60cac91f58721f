"""A small data set for tests of windows, stages and generation: smooth random dyads."""

from pathlib import Path

import numpy as np

from dimcli.data.clip import ClipRecord
from dimcli.data.store import ClipStore
from dimcli.data.writer import StoreWriter

AUDIO_DIM = 5
FPS = 25.0


def smooth(random: np.random.Generator, frames: int, columns: int) -> np.ndarray:
    """Random curves, float32 [frames, columns]."""
    time = np.arange(frames)[:, None] / FPS
    rate = random.uniform(0.2, 2.0, columns)
    phase = random.uniform(0, 6.28, columns)
    return (0.2 * np.sin(6.28 * rate * time + phase) + 0.2).astype(np.float32)


def make_store(
    out: Path,
    frames: int = 60,
    *,
    fps: float = FPS,
    space: str = "arkit",
    encoder: str = "mel",
    audio_dim: int = AUDIO_DIM,
    half: bool = False,
) -> ClipStore:
    """Six conversations of one clip: four to train on, one for val, one for test."""
    random = np.random.default_rng(0)
    writer = StoreWriter(
        out, name="made", fps=fps, space=space, encoder=encoder, audio_dim=audio_dim, half=half
    )
    records = []
    for index, split in enumerate(("train", "train", "train", "train", "val", "test")):
        name = f"made-{index}"
        writer.add(
            name,
            speaker=smooth(random, frames, 56),
            listener=smooth(random, frames, 56),
            audio=smooth(random, frames, audio_dim) * (encoder != "none"),
            notes={},
        )
        attitude = ("neutral", "positive")[index % 2]
        records.append(ClipRecord(name, name, 0, frames, split, "a", "b", attitude))
    writer.finish(records, {"prepare": "test"})
    return ClipStore(out)


def make_split(
    out: Path,
    clips: int,
    *,
    frames: int = 60,
    clips_a_conversation: int = 1,
    train: int = 3,
    space: str = "arkit",
) -> ClipStore:
    """A data set with ``clips`` test clips, ``train`` to train on and none to validate on."""
    random = np.random.default_rng(1)
    writer = StoreWriter(
        out, name="made", fps=FPS, space=space, encoder="made", audio_dim=AUDIO_DIM
    )
    records = []
    for index in range(train + clips // clips_a_conversation):
        count = 1 if index < train else clips_a_conversation
        name = f"made-{index:03d}"
        writer.add(
            name,
            speaker=smooth(random, frames * count, 56),
            listener=smooth(random, frames * count, 56),
            audio=smooth(random, frames * count, AUDIO_DIM),
            notes={},
        )
        split = "train" if index < train else "test"
        for start in range(0, frames * count, frames):
            ends = (start, start + frames)
            records.append(ClipRecord(f"{name}-{start}", name, *ends, split, "a", "b", "neutral"))
    writer.finish(records, {"prepare": "made"})
    return ClipStore(out)
