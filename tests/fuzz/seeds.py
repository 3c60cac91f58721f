"""Small valid inputs of every kind that a command reads, made once into a folder."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import torch

from dimcli.core.motion import Motion
from dimcli.data.synthetic.phones import Phone
from dimcli.data.synthetic.synthetic import Recipe, write_synthetic
from dimcli.media import read_picture
from examples.recipes.textgrid import write_textgrid
from tests import corpora, scan_files
from tests.corpora import ffmpeg, moving
from tests.flame_files import flame_arrays, landmark_places, mediapipe_embedding, model_pickle
from tests.pickle_writing import call, group, name, program, text
from tests.stores import make_store
from tests.study_results import complete_results
from weights.importing import import_file

EXAMPLES = Path(__file__).parents[2] / "examples"
WEIGHTS = Path(__file__).parents[2] / "weights"
SIDE = 160


def make_seeds(root: Path) -> None:
    """Everything, in the order of need: later parts are made of earlier ones."""
    root.mkdir(parents=True)
    os.environ["DIM_HOME"] = str(root / "home")
    torch.set_num_threads(1)
    media(root)
    motions(root)
    licensed(root)
    hostile(root)
    make_corpora(root)
    stores(root)
    runs(root)
    study(root)


def study(root: Path) -> None:
    """Two methods' videos, a study of them, and the results of two participants."""
    from dimcli.jobs.study import StudyOptions, make_study

    folders = [root / name for name in ("films_a", "films_b")]
    for folder in folders:
        folder.mkdir()
        for film in ("one.mp4", "two.mp4"):
            shutil.copy(root / "clip.mp4", folder / film)
    made = make_study(StudyOptions(list(map(str, folders)), root / "study")).study
    (root / "study_results").mkdir()
    for number in (1, 2):
        answers = json.dumps(complete_results(made, number))
        (root / "study_results" / f"{number}.json").write_text(answers)


def media(root: Path) -> None:
    """A second of a speaker, a face, their voice, in several containers."""
    clip = root / "clip.mp4"
    source = ("-ss", "1", "-t", "0.6", "-i", EXAMPLES / "speaker.mp4")
    small = ("-vf", f"scale={SIDE}:{SIDE}", "-pix_fmt", "yuv420p")
    ffmpeg(*source, *small, "-ac", "1", "-ar", "16000", clip)
    ffmpeg("-i", clip, "-c", "copy", root / "clip.mkv")
    ffmpeg("-i", clip, "-c", "copy", root / "clip.mov")
    ffmpeg("-i", clip, "-c:v", "libvpx", "-b:v", "200k", "-c:a", "libopus", root / "clip.webm")
    ffmpeg("-i", clip, "-c:v", "mjpeg", "-c:a", "pcm_s16le", root / "clip.avi")
    ffmpeg("-i", clip, "-vf", "fps=10,scale=96:96", root / "clip.gif")
    ffmpeg("-i", clip, "-c", "copy", "-f", "mpegts", root / "clip.ts")
    ffmpeg(*source, "-vn", "-ac", "1", "-ar", "16000", root / "voice.wav")
    for suffix in ("mp3", "flac", "ogg", "m4a"):
        ffmpeg("-i", root / "voice.wav", root / f"voice.{suffix}")
    corpora.tone(root / "tone.wav", 0.6, hertz=(180.0, 240.0))
    face = cv2.resize(read_picture(EXAMPLES / "listener.png"), (SIDE, SIDE), interpolation=3)
    for suffix in ("png", "jpg", "webp", "bmp", "tif"):
        cv2.imwrite(str(root / f"face.{suffix}"), face[..., ::-1])


def motions(root: Path) -> None:
    """Motion files of both spaces, and EMOCA's folder."""
    values = moving(12, 25.0)
    Motion(values, fps=25, space="flame").save(root / "flame.npz")
    values[:, 6:] = np.abs(values[:, 6:])
    Motion(values, fps=25, meta={"source": "clip.mp4"}).save(root / "motion.npz")
    for frame in range(5):
        folder = root / "emoca_folder" / f"{frame:06d}_000"
        folder.mkdir(parents=True)
        np.save(folder / "pose.npy", values[frame, :6])
        np.save(folder / "exp.npy", values[frame, 6:])


def licensed(root: Path) -> None:
    """Files that are imported, as their owners write them, and a home where FLAME is imported."""
    model, masks = root / "flame_model.pkl", root / "flame_masks.pkl"
    model.write_bytes(model_pickle(flame_arrays()))
    middle = landmark_places((13, 14)).mean(axis=0)
    away = np.linalg.norm(flame_arrays()["v_template"][:3931] - middle, axis=1)
    regions = {
        "face": np.arange(0, 3931, 16),
        "lips": np.argsort(away)[:60],
        "forehead": np.arange(300, 380),
        "eye_region": np.arange(370, 420),
    }
    masks.write_bytes(pickle.dumps(regions, protocol=2))
    embedding = root / "embedding.npz"
    np.savez(embedding, **mediapipe_embedding())
    home = root / "home"
    for kind, path in (("flame", model), ("flame-masks", masks), ("flame-landmarks", embedding)):
        import_file(kind, path, folder=home)
    torch.save({"state_dict": {"features.0.weight": torch.zeros(4, 3)}}, root / "network.pth")


def hostile(root: Path) -> None:
    """Files that take the place of a valid one: what would run something, never end or fill the
    memory in an ordinary reader."""
    folder = root / "hostile"
    folder.mkdir()
    (folder / "call.pkl").write_bytes(
        program(call(name("posix", "system"), text("touch ../canary/ran")))
    )
    (folder / "deep.pkl").write_bytes(program(b"(" * 50_000 + b"N" + b"t" * 50_000))
    doubled = b"N" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    (folder / "doubled.pkl").write_bytes(program(b"}" + doubled + b"Ns"))
    (folder / "named.pkl").write_bytes(program(call(name("builtins", "eval"), group(text("1")))))
    write_bombs(folder)
    silence = "anullsrc=r=8000:cl=mono:d=10800"
    ffmpeg("-f", "lavfi", "-i", silence, "-frame_size", "65535", folder / "long.flac")
    late = ("-itsoffset", "40000", "-i", root / "clip.mp4")
    for first, path in ((late, "late.mkv"), ((), "late.mp4")):
        both = (*first, "-i", root / "clip.mp4", *(() if first else late))
        ffmpeg(*both, "-map", "0:v", "-map", "1:a", "-c", "copy", folder / path)
    for file, gap_s in (("stop.mkv", 20), ("stopped.mkv", 7200)):  # shown longer, and much too long
        stop = f"setpts='PTS+if(gte(N,6),{gap_s}/TB,0)'"
        ffmpeg("-i", root / "clip.mp4", "-vf", stop, "-fps_mode", "vfr", "-an", folder / file)
    title = ("-metadata", "title=Duration: 0:0:1.2.3", "-metadata:s:v", "language=en, 9x9 SAR")
    ffmpeg("-i", root / "clip.mp4", "-c", "copy", *title, folder / "title.mkv")


def deflated(start: bytes, block: bytes, count: int) -> bytes:
    """``start`` and ``count`` times ``block``, deflated without going through all of it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return packed + again * count + packer.flush()


def write_bombs(folder: Path) -> None:
    """A motion file and a picture of a few MB that inflate to gigabytes."""
    size = 3 << 30
    header = io.BytesIO()
    npy = {"descr": "<f4", "fortran_order": False, "shape": (size // 224, 56)}
    np.lib.format.write_array_header_1_0(header, npy)  # type: ignore[arg-type]
    start, member = header.getvalue(), "values.npy"
    data = deflated(start, bytes(1 << 20), size >> 20)
    facts = (20, 0, 8, 0, 0, 0, len(data), (len(start) + size) & 0xFFFFFFFF, len(member), 0)
    local = b"PK\3\4" + struct.pack("<HHHHHIIIHH", *facts) + member.encode()
    listed = b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", 20, *facts, 0, 0, 0, 0, 0)
    listed += member.encode()
    offset = len(local) + len(data)
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(listed), offset, 0)
    (folder / "bomb.npz").write_bytes(local + data + listed + end)

    side = 30_000
    rows = b"\x78\x01" + deflated(b"", bytes((3 * side + 1) * 10), side // 10) + bytes(4)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", rows))
    (folder / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in (*chunks, (b"IEND", b""))
        )
    )


def make_corpora(root: Path) -> None:
    """Each corpus that ``dim prepare`` reads, as small as it can be."""
    corpora.vico_processed(root / "vico", count=4, frames=12)
    corpora.vico_emoca(root / "vico_emoca", count=4, frames=4)
    corpora.lm_listener(root / "lm_listener", (2, 1, 1))
    corpora.l2l(root / "l2l", windows=2, frames=16)
    corpora.candor_pickles(root / "candor", conversations=2, seconds=14)
    corpora.dualtalk(root / "dualtalk", ["a_sub_video_0"], frames=12)
    corpora.si184(root / "si184", people=2, frames=30)
    corpora.unilstalk(root / "unilstalk", pairs=1, frames=12)
    corpora.react(root / "react", root / "react_motion", ["a/b/c/1"], frames=24)
    clips = root / "clips"
    clips.mkdir()
    shutil.copy(root / "clip.mp4", clips / "one.speaker.mp4")
    shutil.copy(root / "clip.mp4", clips / "one.listener.mp4")
    columns = ("speaker", "listener", "id", "start", "stop", "split", "attitude")
    row = ("one.speaker.mp4", "one.listener.mp4", "one", 0.0, 0.5, "train", "neutral")
    corpora.write_table(clips / "clips.csv", columns, [row])
    for voice in ("ann", "bob"):
        path = root / "speech" / voice / "take.wav"
        corpora.tone(path, 1.0, 16_000)
        phones = [Phone("b", 0.1, 0.2), Phone("a", 0.2, 0.5), Phone("m", 0.5, 0.9)]
        write_textgrid(path.with_suffix(".TextGrid"), phones, 1.0)
    scan_files.write_biwi(root / "biwi", ["F2_e01", "F2_e37"], frames=4)
    from dimcli.data.corpora.vocaset import SUBJECTS
    from renderers.heads.flame import FlameHead

    flame = FlameHead.load(root / "home" / "flame.safetensors")
    sentence = f"{SUBJECTS['train'][0]}_sentence01"
    scan_files.write_vocaset(root / "vocaset", flame, [sentence], frames=6)


def stores(root: Path) -> None:
    """Data sets to train on and to evaluate."""
    make_store(root / "store", frames=24)
    write_synthetic(
        root / "synthetic", conversations=4, recipe=Recipe(seed=1, conversation_s=3.0, clip_s=1.5)
    )


def runs(root: Path) -> None:
    """Runs: the cheapest, the bundled ones, an untrained renderer; and a data set to go on with."""
    from dimcli.data.corpora.lm_listener import lm_listener
    from dimcli.data.corpora.preparing import prepare
    from dimcli.training.methods import MethodOptions, train_method
    from dimcli.training.stages import StageOptions, train_vq

    small = {"training.batch_size": 2, "training.validate_every": 1}
    options = StageOptions(preset="tiny", overrides=small, steps=1, device="cpu")
    train_vq(root / "store", root / "vq", "listener", options)
    given = MethodOptions(
        preset="tiny", overrides=small, steps=1, device="cpu", vq_listener=root / "vq"
    )
    train_method(root / "store", root / "l2l_run", "l2l", given)
    for role in ("listener", "speaker"):
        shutil.copytree(WEIGHTS / f"{role}-small", root / role)
    prepare(lm_listener(root / "lm_listener"), root / "prepared")
    renderer(root / "renderer")


def renderer(folder: Path) -> None:
    """A run of a renderer that has learnt nothing."""
    from dimcli.tracking.landmarks import observe_picture
    from renderers.base import Reference
    from renderers.trained.lite import LiteConfig
    from renderers.trained.run import Person, build, write_config, write_network, write_people

    folder.mkdir()
    config = LiteConfig(size=64, width=8, mixtures=4)
    face = cv2.resize(read_picture(EXAMPLES / "listener.png"), (64, 64), interpolation=3)
    seen = observe_picture(face)
    home = Reference(face, seen.landmarks, seen.values)
    write_config(folder, config, ["ann"], {"seed": 0})
    write_people(folder, {"ann": Person(home, np.zeros(0, np.float32))})
    write_network(folder, build(config, ["ann"]))


if __name__ == "__main__":
    make_seeds(Path(sys.argv[1]))
