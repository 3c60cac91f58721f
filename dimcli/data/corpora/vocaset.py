"""VOCASET: scanned talking heads in FLAME's mesh, as FaceFormer lays it out or as it is given out.

- FaceFormer's: ``wav/<SUBJECT>_sentenceNN.wav``, ``vertices_npy/<SUBJECT>_sentenceNN.npy``
  [T, 15069] (5,023 vertices, metres), ``templates.pkl``;
- the owners': ``data_verts.npy`` [N, 5023, 3], ``raw_audio_fixed.pkl``, ``subj_seq_to_idx.pkl``,
  ``templates.pkl``.

Vertices were captured 60 times a second; as FaceFormer does, every second frame is taken. Files
that were thinned out to 30 already are known by the length of their sound. Motion is FLAME's jaw
and expression, fitted to the vertices (:mod:`renderers.heads.fitting`): it needs the user's
FLAME.

Splits are by subject: 8 train (sentences 1-40), 2 val, 2 test (21-40).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.audio import SAMPLE_RATE, AudioEncoder
from dimcli.audio.sound import checked_sound
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats
from dimcli.data.corpora.preparing import Corpus, Job
from dimcli.data.corpora.scans import (
    Scan,
    ScanMesh,
    displacements,
    names_in,
    open_vertices,
    region_lists,
    save_true_regions,
    scans,
    speech_encoder,
    spoken_clip,
    state_of,
    template_of,
)
from dimcli.data.corpora.sources import check_sound
from dimcli.data.writer import Dyads, Skipped
from dimcli.media import read_audio
from dimcli.pickles import read_pickle
from renderers.heads.fitting import FlameFitter
from renderers.heads.flame import NUM_SKIN, FlameHead, read_arrays
from renderers.heads.flame_files import NUM_VERTICES
from renderers.heads.regions import FLAME_LIPS, FLAME_UPPER, flame_mask
from weights.importing import find_imported, imported

VOCASET_FPS = 30.0
CAPTURED_FPS = 60.0
_TRAIN = "170728_03272 170904_00128 170725_00137 170915_00223 170811_03274 170913_03279 \
170904_03276 170912_03278"
SUBJECTS = {
    split: tuple(f"FaceTalk_{number}_TA" for number in numbers.split())
    for split, numbers in {
        "train": _TRAIN,
        "val": "170811_03275 170908_03277",
        "test": "170809_00138 170731_00024",
    }.items()
}
SENTENCES = {"train": range(1, 41), "val": range(21, 41), "test": range(21, 41)}
RAW = ("data_verts.npy", "raw_audio_fixed.pkl", "subj_seq_to_idx.pkl")
LICENCE = "VOCASET: non-commercial research, after registration at voca.is.tue.mpg.de"


@dataclass(frozen=True)
class _Options:
    root: Path
    out: Path
    raw: bool
    encoder: AudioEncoder
    mesh: ScanMesh | None


def vocaset(root: Path, out: Path, *, audio: str = "auto") -> Corpus:
    """VOCASET in ``root``, to be prepared into ``out``, beside whose index its regions go.

    ``audio`` is an encoder's name. Raises InputError where no sentence is in ``root`` or FLAME is
    not imported.
    """
    imported("flame", "VOCASET's motion")
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; expected VOCASET's")
    known = {
        f"{subject}_sentence{number:02d}": Scan(
            f"{subject}_sentence{number:02d}", subject, number, split
        )
        for split, subjects in SUBJECTS.items()
        for subject in subjects
        for number in SENTENCES[split]
    }
    raw = not (root / "vertices_npy").is_dir() and (root / RAW[0]).is_file()
    found, skipped = _raw_scans(root, known) if raw else scans(root, names_in(root), known)
    lists = _regions(root)
    mesh = ScanMesh("FLAME", *lists) if lists else None
    remarks = []
    if mesh is None:
        remarks.append(
            "no regions/lve.txt and fdd.txt, and no masks of FLAME (`dim weights import "
            "flame-masks FLAME_masks.pkl`): errors on the scanned vertices can't be scored"
        )
    else:
        if not out.parent.is_dir():
            raise InputError(f"{out.parent}: no such folder; make it first")
        out.mkdir(exist_ok=True)
        mesh.save(out)
    options = _Options(root, out, raw, speech_encoder(audio), mesh)
    jobs = [
        Job(scan.name, scan.split, partial(_make, options, scan), key=json.dumps(mesh is not None))
        for scan in found
    ]
    return Corpus(
        name="vocaset",
        fps=VOCASET_FPS,
        space="flame",
        encoder=options.encoder,
        jobs=jobs,
        licence=LICENCE,
        settings={"from": "raw" if raw else "vertices_npy"},
        skipped=tuple(skipped),
        remarks=tuple(remarks),
    )


def _regions(root: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Lips and upper face by the lists beside the corpus, else by the imported masks."""
    lists = region_lists(root, NUM_VERTICES)
    path = find_imported("flame-masks")
    if lists is not None or path is None:
        return lists
    masks = read_arrays(path)
    return flame_mask(masks, FLAME_LIPS), flame_mask(masks, FLAME_UPPER)


@lru_cache(maxsize=1)
def _index(path: Path, state: tuple[int, int]) -> Mapping[str, Mapping[str, Mapping[Any, int]]]:
    content = read_pickle(path)
    if not isinstance(content, dict) or not all(isinstance(one, dict) for one in content.values()):
        raise InputError(f"{path}: expected subjects, their sentences and the rows of their frames")
    return content


@lru_cache(maxsize=1)
def _sounds(path: Path, state: tuple[int, int]) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected subjects, their sentences, audio and sample_rate")
    return content


def _with_state(path: Path) -> tuple[Path, tuple[int, int]]:
    return path, state_of(path)


def _raw_scans(root: Path, known: Mapping[str, Scan]) -> tuple[list[Scan], list[Skipped]]:
    absent = [name for name in (*RAW, "templates.pkl") if not (root / name).is_file()]
    if absent:
        raise InputError(f"{root}: lacks {', '.join(absent)}; expected {', '.join(RAW)}")
    there = {
        f"{subject}_{sentence}"
        for subject, sentences in _index(*_with_state(root / "subj_seq_to_idx.pkl")).items()
        for sentence in sentences
    }
    return [scan for name, scan in sorted(known.items()) if name in there], []


@lru_cache(maxsize=2)
def _fitter(root: Path, subject: str, state: tuple[int, int]) -> FlameFitter:
    """One person's; ``state`` is that of the file with the resting faces."""
    flame = FlameHead.load(imported("flame", "VOCASET's motion"))
    path = find_imported("flame-masks")
    face = read_arrays(path)["face"] if path else np.arange(NUM_SKIN)
    rest = template_of(root, subject, NUM_VERTICES)
    return FlameFitter(flame, rest, face.astype(np.int64))


def _frames(options: _Options, scan: Scan) -> NDArray[np.floating]:
    """The vertices of a clip, [T, 15069], mapped where that can be."""
    if not options.raw:
        path = options.root / "vertices_npy" / f"{scan.name}.npy"
        return open_vertices(path, NUM_VERTICES)
    rows = _index(*_with_state(options.root / "subj_seq_to_idx.pkl"))[scan.subject][
        f"sentence{scan.sentence:02d}"
    ]
    everything = open_vertices(options.root / "data_verts.npy", NUM_VERTICES)
    try:
        order = np.array([int(row) for _, row in sorted(rows.items())])
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise InputError("subj_seq_to_idx.pkl: its frames have no row numbers") from None
    if not len(order) or order.min() < 0 or order.max() >= len(everything):
        raise InputError(f"subj_seq_to_idx.pkl: rows outside of data_verts.npy's {len(everything)}")
    return everything[order]


def _samples(options: _Options, scan: Scan) -> Floats:
    """A clip's sound at SAMPLE_RATE, [N] in -1..1."""
    if not options.raw:
        return read_audio(options.root / "wav" / f"{scan.name}.wav", SAMPLE_RATE)
    try:
        entry = _sounds(*_with_state(options.root / "raw_audio_fixed.pkl"))[scan.subject][
            f"sentence{scan.sentence:02d}"
        ]
        sound, rate = np.asarray(entry["audio"]), int(entry["sample_rate"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError("raw_audio_fixed.pkl: has no sound of it") from None
    if sound.ndim != 1 or sound.dtype.kind not in "fi" or not 1000 <= rate <= 400_000:
        raise InputError(
            f"raw_audio_fixed.pkl: its sound is {sound.dtype} {sound.shape} at {rate} Hz; expected "
            "one track"
        )
    full = np.iinfo(sound.dtype).max if sound.dtype.kind == "i" else 1.0
    return checked_sound(np.asarray(sound, np.float32) / np.float32(full), rate, SAMPLE_RATE)


def _make(options: _Options, scan: Scan) -> Dyads:
    """One clip's arrays; for val and test also its true vertices."""
    samples = _samples(options, scan)
    frames = _frames(options, scan)
    seconds = len(samples) / SAMPLE_RATE
    thinned = abs(len(frames) / VOCASET_FPS - seconds) < abs(len(frames) / CAPTURED_FPS - seconds)
    frames = frames if thinned else frames[::2]
    template = template_of(options.root, scan.subject, NUM_VERTICES)
    moved = displacements(frames, template, scan.name)
    check_sound(samples, VOCASET_FPS, len(frames))  # before the work
    fitter = _fitter(options.root, scan.subject, state_of(options.root / "templates.pkl"))
    motion, residual = fitter.fit(moved, VOCASET_FPS)
    clip = spoken_clip(scan, motion, samples, options.encoder, residual)
    if options.mesh is not None and scan.split != "train":
        save_true_regions(options.out, scan.name, options.mesh.cut(moved))
    return clip
