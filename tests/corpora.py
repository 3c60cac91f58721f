"""Small corpora, made to the letter of what their owners distribute."""

import csv
import io
import json
import os
import pickle
import subprocess
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import lmdb
import numpy as np

from dimcli.core.motion import Motion

RLD_COLUMNS = (
    "attitude", "audio", "listener", "speaker", "listener_id", "speaker_id", "data_split",
)  # fmt: skip


def moving(frames: int, fps: float = 30.0, seed: int = 0) -> np.ndarray:
    """Motion [frames, 56], pose 6 then expression 50, as faces move: jaws hardly turn sideways.

    A function of time and seed alone, so that what is resampled can be compared with it.
    """
    random = np.random.default_rng(seed)
    time = np.arange(frames)[:, None] / fps
    size = np.concatenate([[0.2] * 3, [0.15, 0.004, 0.004], [0.5] * 50])
    rate, phase = random.uniform(0.2, 1.0, 56), random.uniform(0, 6.28, 56)
    return (size * np.sin(6.28 * rate * time + phase)).astype(np.float32)


def heard(rows: int, rate: float = 50.0, width: int = 768, first_s: float = 0.0125) -> np.ndarray:
    """Feature rows [rows, width] that are functions of time: column c is sin(t + c)."""
    time = np.arange(rows)[:, None] / rate + first_s
    return np.sin(time + np.arange(width)).astype(np.float32)


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A csv file with a header."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def write_pickle(path: Path, content: object) -> None:
    """A plain pickle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))


class Bomb:
    """Pickled, a program that makes a file when an ordinary reader loads it."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return os.system, (f"touch '{self.target}'",)


def vico_rows(count: int) -> list[tuple[object, ...]]:
    """Rows of ``RLD_data.csv``: ids hold underscores, stems a dot; the last quarter is test."""
    rows = []
    for index in range(count):
        name = f"vid_{index % 7:02d}-x_{index:06d}_{index + 5:06d}"
        side = index % 2
        rows.append(
            (
                ("positive", "neutral", "negative")[index % 3],
                name,
                f"{name}.{side}",
                f"{name}.{1 - side}",
                index % 5,
                100 + index % 7,
                "test" if index >= count * 3 // 4 else "train",
            )
        )
    return rows


def vico_processed(root: Path, count: int = 8, frames: int = 40) -> list[tuple[object, ...]]:
    """``vico_processed_30fps/<id>.pkl`` with the table; returns the table's rows."""
    rows = vico_rows(count)
    folder = root / "vico_processed_30fps"
    folder.mkdir(parents=True)
    for index, row in enumerate(rows):
        content = {
            "audio": heard(frames, rate=30.0, first_s=0.0),
            "video_speaker": moving(frames, seed=2 * index),
            "video_listener": moving(frames, seed=2 * index + 1),
        }
        write_pickle(folder / f"{row[1]}.pkl", content)
    write_table(root / "RLD_data.csv", RLD_COLUMNS, rows)
    return rows


def vico_emoca(root: Path, count: int = 4, frames: int = 30) -> list[tuple[object, ...]]:
    """``emoca/<stem>/EMOCA_v2_lr_mse_20/<frame>/{exp,pose}.npy`` and ``hubert/<id>.pkl``."""
    rows = vico_rows(count)
    for index, row in enumerate(rows):
        for role, stem in enumerate((row[3], row[2])):
            values = moving(frames, seed=2 * index + role)
            for frame in range(frames):
                folder = root / "emoca" / str(stem) / "EMOCA_v2_lr_mse_20" / f"{frame + 1:06d}_000"
                folder.mkdir(parents=True)
                np.save(folder / "pose.npy", values[frame, :6])
                np.save(folder / "exp.npy", values[frame, 6:])
        write_pickle(root / "hubert" / f"{row[1]}.pkl", [heard(frames * 50 // 30)[None]])
    write_table(root / "RLD_data.csv", RLD_COLUMNS, rows)
    return rows


def lm_segment(index: int, frames: int = 40, video: str = "guest_a.mp4") -> dict[str, object]:
    """A segment of LM_Listener: p0 listens, p1 speaks."""
    segment: dict[str, object] = {
        "fname": video,
        "split_start_frame": 30 * index,
        "split_end_frame": 30 * index + frames,
        "split_start_time": float(index),
        "split_end_time": index + frames / 30,
        "before_words": [{"text": "well", "start": 0.1, "end": 0.3}],
        "during_words": [],
    }
    for person in (0, 1):
        values = moving(frames, seed=10 * index + person)
        segment |= {
            f"p{person}_pose": values[:, :6],
            f"p{person}_exp": values[:, 6:],
            f"p{person}_shape": np.zeros((frames, 100), np.float32),
            f"p{person}_detail": np.zeros((frames, 128), np.float32),
        }
    return segment


def lm_listener(root: Path, sizes: tuple[int, int, int] = (4, 2, 2)) -> None:
    """``segments_{train,val,test}.pth``; two segments a video."""
    import torch

    root.mkdir(parents=True)
    first = 0
    for split, count in zip(("train", "val", "test"), sizes, strict=True):
        segments = [
            lm_segment(first + i, video=f"guest_{(first + i) // 2}.mp4") for i in range(count)
        ]
        torch.save(segments, root / f"segments_{split}.pth")
        first += count


def l2l(root: Path, windows: int = 8, frames: int = 64) -> None:
    """``{train,test}/p{0,1}_*_clean_deca.npy`` for output side 0; two windows a video. The sound is
    1 + sin(t + c) in column c."""
    for split in ("train", "test"):
        folder = root / split
        folder.mkdir(parents=True)
        for person, seed in (("p0_list", 1), ("p1_speak", 2)):
            faces = np.zeros((windows, frames, 184), np.float32)
            for index in range(windows):
                values = moving(frames, seed=seed + 10 * index)
                faces[index, :, :50], faces[index, :, 50:56] = values[:, 6:], values[:, :6]
            np.save(folder / f"{person}_faces_clean_deca.npy", faces)
        rows = np.stack([1 + heard(4 * frames, 120.0, 128, 0.0)] * windows)
        np.save(folder / "p1_speak_audio_clean_deca.npy", rows)
        names = np.array(
            [
                [[f"video{index // 2}", "R", str(frame)] for frame in range(frames)]
                for index in range(windows)
            ]
        )
        np.save(folder / "p1_speak_files_clean_deca.npy", names)


TURN_COLUMNS = (
    "turn_id", "speaker", "start", "stop", "utterance", "interval", "delta", "questions",
    "end_question", "overlap", "n_words",
)  # fmt: skip


def transcript(path: Path, turns: Sequence[tuple[str, float, float]]) -> None:
    """``transcript_cliffhanger.csv`` of (speaker, start, stop)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        (number, who, start, stop, 'so, "yes" it is', 0.1, stop - start, 0, False, False, 4)
        for number, (who, start, stop) in enumerate(turns)
    ]
    write_table(path, TURN_COLUMNS, rows)


def candor_pickles(root: Path, conversations: int = 4, seconds: int = 20) -> None:
    """What DIM's code reads of CANDOR: transcripts, 5 fps pickles by frame key, HuBERT pickles."""
    for index in range(conversations):
        name = f"{index:04d}-uuid"
        transcript(
            root / "CANDOR" / name / "transcription" / "transcript_cliffhanger.csv",
            [("ann", 0.0, 4.0), ("bob", 4.2, 4.6), ("bob", 5.0, 12.0), ("ann", 12.4, 18.0)],
        )
        for number, person in enumerate(("ann", "bob")):
            values = moving(5 * seconds, 5.0, seed=2 * index + number)
            content = {f"{frame:06d}": values[frame] for frame in range(len(values))}
            write_pickle(root / "emoca_sample_out1" / f"{name}_{person}.pkl", content)
        write_pickle(root / "CANDOR_audio_feats" / f"{name}.pkl", [heard(50 * seconds)])


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg quietly."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def face_video(
    source: Path, out: Path, *, start: float = 0.0, seconds: float = 1.0, fps: float = 30.0
) -> None:
    """A piece of a video of a made-up person, 192 px, without sound."""
    out.parent.mkdir(parents=True, exist_ok=True)
    ffmpeg(
        *("-ss", str(start), "-t", str(seconds), "-i", source, "-an"),
        *("-vf", f"fps={fps:g},scale=192:192", "-pix_fmt", "yuv420p", out),
    )


def side_by_side(left: Path, right: Path, sound: Path | None, out: Path) -> None:
    """One video of two, with a sound."""
    heard_too = () if sound is None else ("-i", sound, "-map", "2:a", "-shortest")
    ffmpeg(
        *("-i", left, "-i", right, *heard_too, "-filter_complex", "[0:v][1:v]hstack[both]"),
        *("-map", "[both]", "-pix_fmt", "yuv420p", out),
    )


def tone(
    path: Path, seconds: float, rate: int = 44100, hertz: tuple[float, ...] = (180.0,)
) -> None:
    """A wav file of buzzing bursts of half a second, a channel for each pitch, in turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * rate)) / rate
    channels = []
    for index, pitch in enumerate(hertz):
        buzz = np.sign(np.sin(6.28 * pitch * time)) * 0.3
        channels.append(buzz * ((time * 2).astype(int) % len(hertz) == index))
    samples = (np.stack(channels, axis=1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(hertz))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def channel_map(path: Path, left: str, right: str) -> None:
    """``channel_map.json``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"L": left, "R": right}))


def dualtalk(root: Path, pairs: Sequence[str], folder: str = "test", frames: int = 50) -> None:
    """``<folder>/<pair>_speaker{1,2}.{npz,wav}``: head, jaw, expression, 25 frames a second."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    for index, pair in enumerate(pairs):
        for person in (1, 2):
            stem = root / folder / f"{pair}_speaker{person}"
            values = moving(frames, 25.0, seed=10 * index + person)
            np.savez(f"{stem}.npz", exp=values[:, 6:], pose=values[:, :6])
            tone(Path(f"{stem}.wav"), frames / 25, hertz=(200.0 * person,))


def si184(root: Path, people: int = 4, frames: int = 60) -> list[str]:
    """``pairs184.txt`` and ``GT/LS_AL_{emoca,hubert,vad}`` at 30 frames a second; the stems. Each
    interaction has two people, of whom each listens to the other."""
    stems = [f"V00_S{1 + i // 2}_I{1 + i // 2:03d}_P{10 + i}A" for i in range(people)]
    lines = [f"{stem}.wav {stems[index ^ 1]}.wav" for index, stem in enumerate(stems)]
    kinds = {kind: root / "GT" / f"LS_AL_{kind}" for kind in ("emoca", "hubert", "vad")}
    for folder in kinds.values():
        folder.mkdir(parents=True)
    (root / "pairs184.txt").write_text("\n".join(lines) + "\n")
    for index, stem in enumerate(stems):
        values = moving(frames, 30.0, seed=index)
        seen = np.ones(frames, np.uint8)
        seen[10:14] = 0
        np.savez(
            kinds["emoca"] / f"{stem}.npz",
            posecode=values[:, :6],
            expcode=values[:, 6:],
            face_ok=seen,
            fps=np.float32(30),
            n_frames=np.int32(frames),
            more=np.zeros(3),
        )
        rows = heard(frames * 50 // 30)
        np.savez(
            kinds["hubert"] / f"{stem}.npz", feat_l09=rows.astype(np.float16), fps=np.float32(50)
        )
        np.savez(
            kinds["vad"] / f"{stem}.npz",
            speech_starts=np.float32([0.5]),
            speech_ends=np.float32([1.25]),
            audio_seconds=np.float32(frames / 30),
            mask_25fps=np.zeros(50, np.uint8),
        )
    return stems


def unilstalk(root: Path, pairs: int = 3, frames: int = 60) -> list[str]:
    """``data_lmdb`` and its table of ``pairs``, of which the first are of val and test; the keys of
    their people, two a pair. Person i moves as :func:`moving` does with the seed i, talks from 0.4
    to 0.8 s, and sounds all the time."""
    root.mkdir(parents=True)
    keys = [f"V00_S{i // 2:04d}_I{i:08d}_P{i:04d}" for i in range(2 * pairs)]
    with lmdb.open(str(root / "data_lmdb"), map_size=1 << 26) as values:
        for index, key in enumerate(keys):
            motion = moving(frames, 25.0, seed=index)
            codes = np.zeros((frames, 112), np.float32)
            codes[:, :50], codes[:, 100:104] = motion[:, 6:], motion[:, :4]
            codes[:, 50:100] = 0.5
            talks = np.zeros(frames, bool)
            talks[10:20] = True
            content = io.BytesIO()
            sound = np.sin(np.arange(frames * 640) / 20).astype(np.float32)
            np.savez(content, audio=sound, motioncode=codes, speech_mask=talks)
            with values.begin(write=True) as change:
                change.put(key.encode(), content.getvalue())
    table: dict[str, dict[str, list[Any]]] = {"val": {}, "test": {}, "train": {}}
    for pair in range(pairs):
        split = ("val", "test")[pair] if pair < 2 else "train"
        first, second = (f"talk/{key}" for key in keys[2 * pair : 2 * pair + 2])
        table[split][str(pair)] = [first, second, frames]
    (root / "seamless_interaction_pairs.json").write_text(json.dumps(table))
    return keys


def react(root: Path, motion: Path, clips: Sequence[str], frames: int = 50) -> None:
    """REACT's ``train.csv``, and sounds of ``clips`` (``<corpus>/<chat>/<person>/<clip>``); the
    listener is the person ``novice``. Their videos are not there, but their motion is."""
    motion.mkdir(parents=True)
    rows = []
    for index, clip in enumerate(clips):
        corpus, chat, _, name = clip.split("/")
        paths = [f"{corpus}/{chat}/{person}/{name}" for person in ("expert", "novice")]
        rows.append([index, *paths])
        for role, path in enumerate(paths):
            values = moving(frames, 25.0, seed=2 * index + role)
            name = f"train-{path.replace('/', '-')}.npz"
            Motion(values, fps=25.0, space="flame").save(motion / name)
            tone(root / "train" / "Audio_files" / f"{path}.wav", frames / 25)
    (root / "train" / "Video_files").mkdir()
    write_table(root / "train.csv", ("", "speaker_path", "listener_path"), rows)
