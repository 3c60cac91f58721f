"""BIWI 3D Audiovisual Corpus, as FaceFormer and CodeTalker lay it out, with the motion beside it.

``wav/<SUBJ>_eNN.wav``, ``vertices_npy/<SUBJ>_eNN.npy`` [T, 70110] (23,370 vertices, 25 frames a
second, no head motion), ``templates.pkl``; ``regions/lve.txt`` and ``regions/fdd.txt`` where they
are. Motion is what a tracker made of the corpus's pictures: ``emoca_biwi/<SUBJ>_eNN.pkl``, DIM's
(frame_NNN to exp, pose, cam, shape), or ``motion/<SUBJ>_eNN.npz`` of ``dim extract``. A map between
motion and vertices is learned from train (:mod:`renderers.heads.vertex_converter`); through it
vertices are scored, and clips that no tracker saw get their motion.

Splits are FaceFormer's: of six subjects sentences 1-32 train, 33-36 val, 37-40 test (BIWI-Test-A);
of the other eight 37-40 are BIWI-Test-B.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from dimcli.audio import SAMPLE_RATE, AudioEncoder
from dimcli.core.config import require_choice
from dimcli.core.errors import InputError
from dimcli.core.motion import MOTION_DIM, NUM_EXPRESSION, NUM_POSE, Motion
from dimcli.data.corpora.preparing import Corpus, Job
from dimcli.data.corpora.scans import (
    Scan,
    ScanMesh,
    displacements,
    names_in,
    open_vertices,
    region_lists,
    same_length,
    save_true_regions,
    scans,
    speech_encoder,
    spoken_clip,
    template_of,
)
from dimcli.data.corpora.sources import numbers
from dimcli.data.writer import Dyads
from dimcli.media import read_audio
from dimcli.pickles import read_pickle
from dimcli.tracking.postprocessing import fill_motion, finite_rows
from renderers.heads.vertex_converter import VertexConverter

BIWI_FPS = 25.0
NUM_VERTICES = 23_370
SEEN = ("F2", "F3", "F4", "M3", "M4", "M5")
UNSEEN = ("F1", "F5", "F6", "F7", "F8", "M1", "M2", "M6")
SENTENCES = {"train": range(1, 33), "val": range(33, 37), "test": range(37, 41)}
TESTS = ("a", "b", "both")
SOURCES = {"emoca": ("emoca_biwi", ".pkl"), "motion": ("motion", ".npz")}
LICENCE = "BIWI 3D Audiovisual Corpus: research only, by agreement with ETH Zurich"
EXAMPLES = 800
"""Frames that the map between motion and vertices is learned from."""

_FRAME = re.compile(r"frame_?(\d{1,9})")


@dataclass(frozen=True)
class _Options:
    root: Path
    out: Path
    source: str
    encoder: AudioEncoder
    fps: float
    space: str


def biwi(
    root: Path, out: Path, *, source: str = "auto", audio: str = "auto", test: str = "a"
) -> Corpus:
    """BIWI in ``root``, to be prepared into ``out``, beside whose index its mesh goes.

    ``source`` is one of SOURCES or ``auto``; ``audio`` an encoder's name; ``test`` which subjects
    the test split has: ``a`` those of train, ``b`` the others. Raises InputError where no sentence,
    or no motion to learn from, is in ``root``.
    """
    require_choice("--test", test, TESTS)
    found, skipped = scans(root, names_in(root), _sentences(test))
    source = _choose_source(root, source)
    options = _Options(root, out, source, speech_encoder(audio), BIWI_FPS, _space(root, source))
    tracked = {scan.name for scan in found if _motion_path(options, scan.name).is_file()}
    mesh = _mesh(options, [scan for scan in found if scan.name in tracked])
    assert mesh.converter is not None
    remarks = [
        f"motion explains {mesh.converter.explained:.0%} of how vertices move (held-out frames; "
        f"{mesh.converter.missed:.2g} of the corpus's unit root mean square is left)"
    ]
    converted = len(found) - len(tracked)
    if converted:
        remarks.append(f"{converted} clips without tracked motion got theirs from their vertices")
    if not len(mesh.lips):
        remarks.append("no regions/lve.txt and fdd.txt: errors on BIWI's vertices can't be scored")
    jobs = [
        Job(
            scan.name,
            scan.split,
            partial(_make, options, scan, scan.name in tracked, mesh.key),
            key=json.dumps([scan.name in tracked, mesh.key]),
        )
        for scan in found
    ]
    return Corpus(
        name="biwi",
        fps=BIWI_FPS,
        space=options.space,
        encoder=options.encoder,
        jobs=jobs,
        licence=LICENCE,
        settings={"from": source},
        choices={"test": test},
        skipped=tuple(skipped),
        remarks=tuple(remarks),
    )


def _sentences(test: str) -> dict[str, Scan]:
    """The clips of all splits by name."""
    tested = {"a": SEEN, "b": UNSEEN, "both": (*SEEN, *UNSEEN)}
    subjects = {"train": SEEN, "val": SEEN, "test": tested[test]}
    return {
        f"{subject}_e{number:02d}": Scan(f"{subject}_e{number:02d}", subject, number, split)
        for split, sentences in SENTENCES.items()
        for subject in subjects[split]
        for number in sentences
    }


def _choose_source(root: Path, wanted: str) -> str:
    if wanted != "auto":
        require_choice("--from", wanted, tuple(SOURCES))
    there = [name for name, (folder, _) in SOURCES.items() if (root / folder).is_dir()]
    for name in there:
        if wanted in ("auto", name):
            return name
    raise InputError(
        f"{root}: has no motion; expected emoca_biwi/<SUBJ>_eNN.pkl (EMOCA's of the corpus's "
        "pictures, as DIM's) or motion/<SUBJ>_eNN.npz (of `dim extract`)"
    )


def _motion_path(options: _Options, name: str) -> Path:
    folder, suffix = SOURCES[options.source]
    return options.root / folder / f"{name}{suffix}"


def _space(root: Path, source: str) -> str:
    if source == "emoca":
        return "flame"
    first = min((root / "motion").glob("*.npz"), default=None)
    if first is None:
        raise InputError(f"{root / 'motion'}: has no <SUBJ>_eNN.npz of `dim extract`")
    return Motion.load(first).space


def _tracked(options: _Options, scan: Scan) -> Motion:
    """A clip's motion as the tracker saw it, at the corpus's rate."""
    path = _motion_path(options, scan.name)
    if options.source == "emoca":
        return read_emoca_biwi(path)
    motion = Motion.load(path)
    if motion.space != options.space:
        raise InputError(f"{path}: is in {motion.space}, others in {options.space}")
    return motion.resampled(options.fps)


def read_emoca_biwi(path: Path) -> Motion:
    """DIM's pickle of a clip: frame_NNN to a dictionary with exp (50 or more) and pose (6).

    Frames that are absent or not finite are taken from their neighbours. Raises InputError.
    """
    content = read_pickle(path)
    frames: dict[int, Any] = {}
    for key, one in content.items() if isinstance(content, dict) else ():
        named = _FRAME.fullmatch(str(key))
        if named and isinstance(one, dict) and {"exp", "pose"} <= set(one):
            frames[int(named[1])] = one
    if not frames:
        raise InputError(f"{path}: expected a dictionary of frame_NNN with exp and pose")
    first, last = min(frames), max(frames)
    if last - first + 1 > 2 * len(frames):
        raise InputError(f"{path}: has {len(frames)} frames of {first} to {last}; most are absent")
    values = np.full((last - first + 1, MOTION_DIM), np.nan, np.float32)
    for number, one in frames.items():
        parts = [np.asarray(one[key], np.float32).reshape(-1) for key in ("pose", "exp")]
        if len(parts[0]) != NUM_POSE or len(parts[1]) < NUM_EXPRESSION:
            raise InputError(
                f"{path}: frame {number} has pose {len(parts[0])} and exp {len(parts[1])} long; "
                f"expected {NUM_POSE} and {NUM_EXPRESSION}"
            )
        values[number - first] = np.concatenate([parts[0], parts[1][:NUM_EXPRESSION]])
    valid = finite_rows(values)
    if not valid.any():
        raise InputError(f"{path}: all frames are NaN")
    filled = numbers(fill_motion(values, valid), str(path))
    return Motion(filled, fps=BIWI_FPS, space="flame", valid=valid)


def _mesh(options: _Options, tracked: list[Scan]) -> ScanMesh:
    """The map between motion and vertices, learned once from train and kept in the data set."""
    learned_from = [scan for scan in tracked if scan.split == "train"]
    key = _key(options, learned_from)
    if options.out.is_dir():
        mesh = ScanMesh.load(options.out)
        if mesh is not None and mesh.key == key:
            return mesh
    motions, moved, failures = [], [], []
    share = max(1, EXAMPLES // max(len(learned_from), 1))
    for scan in learned_from:
        try:
            motion = _tracked(options, scan)
            vertices = open_vertices(_vertices_path(options, scan), NUM_VERTICES)
            motion, count = same_length(motion, len(vertices))
            rows = np.unique(np.linspace(0, count - 1, min(share, count)).astype(int))
            template = template_of(options.root, scan.subject, NUM_VERTICES)
            moved.append(displacements(vertices[rows], template, scan.name))
            motions.append(motion.values[rows])
        except InputError as error:
            failures.append(str(error))
    if not motions:
        reason = f" ({failures[0]})" if failures else ""
        raise InputError(
            f"{options.root}: no train clip has both motion and vertices, from which to learn "
            f"how they belong together{reason}"
        )
    converter = VertexConverter.fit(np.concatenate(motions), np.concatenate(moved))
    none = np.zeros(0, np.int64)
    lips, upper = region_lists(options.root, NUM_VERTICES) or (none, none)
    mesh = ScanMesh("BIWI", lips, upper, converter, key)
    if not options.out.parent.is_dir():
        raise InputError(f"{options.out.parent}: no such folder; make it first")
    options.out.mkdir(exist_ok=True)
    mesh.save(options.out)
    return mesh


def _key(options: _Options, scans_used: list[Scan]) -> str:
    paths = [options.root / "templates.pkl"]
    paths += [options.root / "regions" / name for name in ("lve.txt", "fdd.txt")]
    for scan in scans_used:
        paths += [_motion_path(options, scan.name), _vertices_path(options, scan)]
    facts = [[path.name, path.stat().st_size] for path in paths if path.is_file()]
    return hashlib.sha256(json.dumps([EXAMPLES, facts]).encode()).hexdigest()[:16]


def _vertices_path(options: _Options, scan: Scan) -> Path:
    return options.root / "vertices_npy" / f"{scan.name}.npy"


@lru_cache(maxsize=1)
def _kept_mesh(out: Path, key: str) -> ScanMesh:
    """The mesh, read once a process; ``key`` says which."""
    mesh = ScanMesh.load(out)
    if mesh is None or mesh.key != key:
        raise InputError(f"{out}: another preparation writes there; name an empty folder")
    return mesh


def _make(options: _Options, scan: Scan, tracked: bool, key: str) -> Dyads:
    """One clip's arrays; for val and test also its true vertices."""
    mesh = _kept_mesh(options.out, key)
    assert mesh.converter is not None
    vertices = open_vertices(_vertices_path(options, scan), NUM_VERTICES)
    template = template_of(options.root, scan.subject, NUM_VERTICES)
    moved = displacements(vertices, template, scan.name)
    if tracked:
        motion, count = same_length(_tracked(options, scan), len(moved))
    else:
        motion = Motion(mesh.converter.motion(moved), fps=options.fps, space=options.space)
        count = len(moved)
    moved = moved[:count]
    left = moved - mesh.converter.displacements(motion.values)
    residual = float(np.square(left).sum() / max(float(np.square(moved).sum()), 1e-30))
    samples = read_audio(options.root / "wav" / f"{scan.name}.wav", SAMPLE_RATE)
    clip = spoken_clip(scan, motion, samples, options.encoder, residual)
    if scan.split != "train" and len(mesh.lips):
        save_true_regions(options.out, scan.name, mesh.cut(moved))
    return clip
