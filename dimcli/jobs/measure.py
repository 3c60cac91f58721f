"""``dim measure``: how the faces in videos and motion files behave, a row a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dimcli import media
from dimcli.audio import ACTIVITY, SAMPLE_RATE, mel
from dimcli.core.errors import InputError, about
from dimcli.core.files import atomic_output, check_output
from dimcli.core.motion import Motion, Reals
from dimcli.core.progress import Progress, silent
from dimcli.evaluation.intervals import figures_of
from dimcli.evaluation.measures.events import COLUMNS, PARTS, EventTally, describe
from dimcli.evaluation.measures.family import Shares
from dimcli.evaluation.metrics import draw_clips
from dimcli.evaluation.score_table import Row, ScoreTable
from dimcli.evaluation.writing import to_csv
from dimcli.jobs.batch import MOTIONS, VIDEOS
from dimcli.tracking.geometry import lip_gaps
from dimcli.tracking.landmarks import track_face

SHORTEST_S = 2.0
SLOWEST_FPS = 5.0
"""Fewer frames a second hold neither nods nor blinks."""


@dataclass(frozen=True)
class MeasureOptions:
    """What to measure: ``inputs`` are videos, motion files or folders of them, a row of the table
    each. ``speaker_sound``: a video's sound is that of whom its face listens to, as in what
    ``dim generate-listener`` writes. Intervals are over clips, of ``bootstrap`` draws."""

    inputs: Sequence[Path]
    speaker_sound: bool = False
    bootstrap: int = 1000
    seed: int = 0
    csv: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class Measured:
    """The table, and how many clips and seconds each of its rows has."""

    table: ScoreTable
    clips: dict[str, int]
    seconds: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        figures = {
            row.name: {
                part: {name: vars(figure) for name, figure in each.items()}
                for part, each in row.figures.items()
            }
            for row in self.table.rows
        }
        return {"clips": self.clips, "seconds": self.seconds, "figures": figures}


def measure_behaviour(options: MeasureOptions, progress: Progress = silent) -> Measured:
    """Track what is not motion yet, and measure it. Raises InputError."""
    if options.csv is not None:
        check_output(options.csv, force=options.force, kind="csv file", suffixes=(".csv",))
    groups = {_name(path, options.inputs): _files(path) for path in options.inputs}
    total, done = sum(map(len, groups.values())), 0
    rows, clips, seconds = [], {}, {}
    for name, files in groups.items():
        shares: list[Shares] = []
        seconds[name] = 0.0
        for path in files:
            motion, gap, active = _seen(path, options.speaker_sound)
            if motion.duration_s < SHORTEST_S:
                raise InputError(
                    f"{path}: {motion.duration_s:.1f} s long; behaviour needs {SHORTEST_S:g} s"
                )
            if motion.fps < SLOWEST_FPS:
                raise InputError(
                    f"{path}: {motion.fps:g} frames a second; behaviour needs {SLOWEST_FPS:g}"
                )
            shares.append(describe(motion, None, active, gap))
            seconds[name] += motion.duration_s
            done += 1
            progress("measuring", done, total)
        clips[name] = len(files)
        tallies = EventTally.by_part([shares])
        draws = None
        if len(files) > 1 and options.bootstrap > 1:
            draws = draw_clips(list(map(str, files)), options.bootstrap, options.seed)
        rows.append(Row(f"{name} ({len(files)})", figures_of(tallies, draws)))
    notes = (
        "In brackets: clips. Figures a minute are means over clips, others medians over the clips "
        "that have one; –: no clip has. Intervals: bootstrap over clips.",
    )
    table = ScoreTable("Behaviour", tuple(rows), COLUMNS, tuple(PARTS), notes)
    if options.csv is not None:
        with atomic_output(options.csv, force=options.force) as temporary:
            temporary.write_text(to_csv(table), encoding="utf-8")
    return Measured(table, clips, seconds)


def _seen(path: Path, speaker_sound: bool) -> tuple[Motion, Reals | None, Reals | None]:
    """The motion, its lips' gap [T] as a video shows it, and whether its speaker is heard [T]."""
    if path.suffix.lower() in MOTIONS:
        motion = Motion.load(path)
        with about(path):
            motion.require_space("arkit")
        return motion, None, None
    track = track_face(path, keep_landmarks=True)
    active = None
    if speaker_sound:
        samples = media.read_audio(path, SAMPLE_RATE)
        if not len(samples):
            raise InputError(f"{path}: has no sound; leave out --speaker-sound")
        active = mel(samples, SAMPLE_RATE, track.motion.fps, len(track.motion))[:, ACTIVITY]
    assert track.landmarks is not None
    return track.motion, lip_gaps(track.landmarks), active


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        if path.suffix.lower() not in (*VIDEOS, *MOTIONS):
            raise InputError(
                f"{path}: expected a video ({', '.join(VIDEOS)}), a motion file (.npz) or a folder"
            )
        return [path]
    files = sorted(each for each in path.iterdir() if each.suffix.lower() in (*VIDEOS, *MOTIONS))
    if not files:
        raise InputError(f"{path}: holds no video and no motion file")
    return files


def _name(path: Path, among: Sequence[Path]) -> str:
    """A row's name: the file's or folder's own, or its path where two are called the same."""
    own = path.resolve().name
    return own if [each.resolve().name for each in among].count(own) == 1 else str(path)
