"""A rating study of videos: the folder that participants get, and the figures of their answers."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from dimcli.core.documents import read_text
from dimcli.core.errors import InputError
from dimcli.core.files import check_folder, temporary_beside
from dimcli.core.progress import Progress, silent
from dimcli.evaluation.report.page import study_page
from dimcli.evaluation.study import (
    Answers,
    Study,
    kept_answers,
    long_rows,
    new_study,
    read_answers,
    read_study,
)
from dimcli.evaluation.study_scores import OVERALL, StudyScores, score_study
from dimcli.evaluation.writing import EvaluationFiles, to_csv, to_latex, write_texts
from dimcli.jobs.batch import VIDEOS, files_in
from dimcli.jobs.evaluate import label_and_name
from dimcli.media import VideoInfo, probe_video
from dimcli.media.ffmpeg import command, rate_text, reading, run, source_url
from dimcli.media.probe import sound_track

PUBLIC, KEY, PAGE, FILMS = "public", "key.json", "index.html", "videos"
ANSWERS = "answers.csv"
HEIGHT = 480
"""Pixels of a video, at most."""
_HIGHEST_FPS = 60.0
_APART_S = 0.5
"""How much longer than others a stimulus' video may be without a word."""
_TOLD = 8
_MOST_RESULTS = 10_000
_TEXT_BYTES = 20_000
_COMMENT = "Shown in a study; it may be synthetic."


@dataclass(frozen=True)
class StudyOptions:
    """How a study is made.

    ``methods`` are folders, or ``LABEL=FOLDER``; ``speaker`` a folder of the speakers' videos,
    shown to the left of each listener. ``consent`` is a text file in place of the built-in words,
    ``post`` where the page sends results, ``code`` what it shows at the end.
    """

    methods: Sequence[str]
    output: Path
    speaker: Path | None = None
    pairs: bool = False
    checks: int = 2
    seed: int = 0
    title: str = "How do these listeners listen?"
    consent: Path | None = None
    post: str | None = None
    code: str | None = None
    force: bool = False


@dataclass(frozen=True)
class StudyMade:
    """A study that was written: its folder, and what there is to know of it."""

    study: Study
    folder: Path
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class StudyScored:
    """A study's figures, and the files they were written to."""

    scores: StudyScores
    written: tuple[Path, ...]


def make_study(options: StudyOptions, progress: Progress = silent) -> StudyMade:
    """Write a study's folder, whole or not at all: ``public`` for participants, ``key.json``,
    which says whose video is whose, and ``README.md`` for who runs it. Raises InputError."""
    output = check_folder(options.output)
    if output.exists() and not (options.force and (output / KEY).is_file()):
        fix = "pass --force to replace it" if (output / KEY).is_file() else "name another --output"
        raise InputError(f"{output}: already exists; {fix}")
    _check_texts(options)
    consent = read_text(options.consent, "text", _TEXT_BYTES) if options.consent else ""
    folders = _folders(options.methods)
    videos, remarks = _matched(folders, options.speaker)
    study = new_study(
        list(folders),
        list(videos),
        title=options.title,
        mode="pairs" if options.pairs else "rating",
        checks=options.checks,
        seed=options.seed,
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(output) as folder:
        films = folder / PUBLIC / FILMS
        films.mkdir(parents=True)
        seconds = 0.0
        plans = {stimulus: _plan(found, list(folders)) for stimulus, found in videos.items()}
        for done, (name, (stimulus, method)) in enumerate(study.videos.items()):
            progress("encoding videos", done, len(study.videos))
            plan = plans[stimulus]
            plan.encode(method, films / f"{name}.mp4")
            seconds += plan.seconds * (len(folders) - 1 if options.pairs else 1)
        progress("encoding videos", len(study.videos), len(study.videos))
        minutes = math.ceil(1.5 * seconds / 60 + 2)
        page = study_page(
            study,
            consent=[part.strip() for part in consent.split("\n\n") if part.strip()],
            minutes=minutes,
            beside=options.speaker is not None,
            post=options.post,
            code=options.code,
        )
        (folder / PUBLIC / PAGE).write_text(page, encoding="utf-8", errors="replace")
        (folder / KEY).write_text(study.as_json() + "\n", encoding="utf-8")
        (folder / "README.md").write_text(_readme(study, minutes, options), encoding="utf-8")
        if options.force and output.exists():
            shutil.rmtree(output)
        try:
            folder.rename(output)
        except OSError:  # it refuses a folder with something in it
            raise InputError(
                f"{output}: another program made it in the meantime; pass --force to replace it"
            ) from None
    told = (*remarks, *(line for plan in plans.values() for line in plan.remarks))
    if len(told) > _TOLD:
        told = (*told[:_TOLD], f"and {len(told) - _TOLD} more of this kind")
    return StudyMade(study, output, told)


def _check_texts(options: StudyOptions) -> None:
    if options.post is not None:
        try:
            parts = urlsplit(options.post)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            fits = False
        if not fits:
            raise InputError(f"--post {options.post}: expected an address, as https://host/path")
    for flag, text, most in (("--title", options.title, 120), ("--code", options.code or "", 120)):
        if len(text) > most or not text.isprintable() or not (text or flag == "--code"):
            raise InputError(f"{flag}: expected one line of 1 to {most} letters")


def _folders(methods: Sequence[str]) -> dict[str, Path]:
    """The folder of each method by its name."""
    folders: dict[str, Path] = {}
    for one in methods:
        label, name = label_and_name(one)
        folder = Path(name)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; expected one of a method's videos")
        label = label if label != name.rstrip("/") else folder.resolve().name
        if not label.isprintable() or not 0 < len(label) <= 60:
            raise InputError(f"{folder}: name the method, as NAME={name}, in at most 60 letters")
        if label in folders:
            raise InputError(f"two methods are called '{label}'; write NAME={name} for one")
        folders[label] = folder
    return folders


def _matched(
    folders: Mapping[str, Path], speaker: Path | None
) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """The videos of each stimulus by method ('' is the speaker), and what was left out."""
    found: dict[str, dict[str, Path]] = {}
    sources = {**folders, **({"": speaker} if speaker else {})}
    for method, folder in sources.items():
        if not folder.is_dir():
            raise InputError(f"--speaker {folder}: no such folder; expected one of videos")
        for path in files_in(folder, VIDEOS):
            of_stimulus = found.setdefault(path.stem, {})
            if method in of_stimulus:
                raise InputError(f"{path}: {of_stimulus[method].name} has the same name; keep one")
            of_stimulus[method] = path
    remarks = []
    for stimulus, videos in found.items():
        missing = [str(folder) for method, folder in sources.items() if method not in videos]
        if missing:
            remarks.append(f"left out {stimulus}: it is not in {', '.join(missing)}")
    whole = {name: found[name] for name in sorted(found) if len(found[name]) == len(sources)}
    if not whole:
        names = ", ".join(map(str, sources.values()))
        raise InputError(f"{names}: no video is in all of them; give the same file names")
    return whole, remarks


@dataclass(frozen=True)
class _Plan:
    """How the videos of a stimulus are shown alike: all as high, as fast and as long."""

    videos: Mapping[str, VideoInfo]
    height: int
    fps: float
    seconds: float
    remarks: tuple[str, ...]

    def encode(self, method: str, output: Path) -> None:
        """Write a method's video, to the right of the speaker if there is one, without anything in
        the file that tells the method."""
        shown = [self.videos[name] for name in ("", method) if name in self.videos]
        heard = next((at for at, video in enumerate(shown) if video.has_audio), None)
        same = f"fps={rate_text(self.fps)},scale=-2:{self.height},setsar=1,format=yuv420p"
        graph = [f"[{at}:v:0]{same}[v{at}]" for at in range(len(shown))]
        if len(shown) > 1:
            graph.append("[v0][v1]hstack=shortest=1[v]")
        sound: list[str] = []
        if heard is not None:
            track = sound_track(shown[heard].path)
            sound = ["-map", f"{heard}:a:{track.index if track else 0}"]
            sound += ["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000"]
        complaint = run(
            command(
                *("-v", "error", *(one for video in shown for one in reading(video.path))),
                *("-filter_complex", ";".join(graph), "-map", "[v]" if shown[1:] else "[v0]"),
                *(*sound, "-t", f"{self.seconds:.3f}", "-map_metadata", "-1"),
                *("-map_chapters", "-1", "-metadata", f"comment={_COMMENT}"),
                *("-fflags", "+bitexact"),
                *("-c:v", "libx264", "-preset", "veryfast", "-crf", "18"),
                *("-movflags", "+faststart", source_url(output)),
            )
        )
        if complaint:
            raise InputError(f"{shown[-1].path}: cannot be encoded ({complaint})")


def _plan(paths: Mapping[str, Path], methods: Sequence[str]) -> _Plan:
    videos = {name: probe_video(path) for name, path in paths.items()}
    lengths = [video.picture_s or video.duration_s for video in videos.values()]
    own = [videos[method] for method in methods]
    name = own[0].path.stem
    remarks = []
    if max(lengths) - min(lengths) > _APART_S:
        remarks.append(
            f"{name}: videos of {min(lengths):.1f} to {max(lengths):.1f} s; all are cut to the "
            "shortest"
        )
    if len({round(video.width / video.height, 2) for video in own}) > 1:
        remarks.append(f"{name}: pictures of different shapes; participants can tell methods by it")
    if "" not in videos and len({video.has_audio for video in own}) > 1:
        remarks.append(f"{name}: some videos have sound and some do not; give all the same")
    height = min(HEIGHT, *(video.height for video in videos.values())) // 2 * 2
    fps = min(_HIGHEST_FPS, max(video.fps for video in videos.values()))
    return _Plan(videos, max(2, height), fps, min(lengths), tuple(remarks))


def _readme(study: Study, minutes: int, options: StudyOptions) -> str:
    sent = (
        f"The page sends results to {options.post} and offers them as a file, too."
        if options.post
        else "At the end the page offers a results file, which participants send you."
    )
    return f"""# {study.title}

{len(study.methods)} methods, {len(study.stimuli)} videos each, {len(study.questions)} questions, \
about {minutes} minutes.

- `{PUBLIC}/` is what participants get: put it on any web server, or open `{PUBLIC}/{PAGE}`.
- `{KEY}` says which video is whose. Keep it to yourself.
- Number your participants, so that orders are balanced among them: \
`{PAGE}?session=1&participant=NAME`, then `session=2` and so on. Without numbers each draws one; \
`PROLIFIC_PID` in the address is taken as the name.
- {sent}
- `dim study score STUDY RESULTS/*.json` gives the figures.
"""


def score_results(
    folder: Path,
    results: Sequence[Path],
    *,
    output: Path | None = None,
    csv: Path | None = None,
    latex: Path | None = None,
    bootstrap: int = 2000,
    seed: int = 0,
    model: bool = True,
    force: bool = False,
) -> StudyScored:
    """The figures of the results files (or folders of them) of the study in ``folder``, written
    where asked. Raises InputError where a file is none of this study's, or no answers count."""
    study = read_study(Path(folder) / KEY)
    files = EvaluationFiles(csv=csv, latex=latex).in_folder(output)
    files = replace(files, report=None)
    files.check(force=force)
    kept, excluded = kept_answers(_read_all(results, study))
    if not kept:
        first = excluded[0]
        raise InputError(
            f"{first.path}: {first.reason}; no results count ({len(excluded)} excluded)"
        )
    scores = score_study(study, kept, excluded, resamples=bootstrap, seed=seed, model=model)
    tables = [scores.table, *filter(None, [scores.difference_table])]
    texts = {
        files.json: json.dumps(scores.as_dict(), indent=2) + "\n",
        files.csv: to_csv(scores.table),
        files.latex: "\n".join(to_latex(replace(table, parts=(OVERALL,))) for table in tables),
        output / ANSWERS if output else None: _answers_csv(study, kept),
    }
    wanted = {path: text for path, text in texts.items() if path is not None}
    return StudyScored(scores, tuple(write_texts(wanted, output, force=force)))


def _read_all(results: Sequence[Path], study: Study) -> list[Answers]:
    paths = []
    for path in results:
        paths += files_in(path, (".json",)) if path.is_dir() else [path]
    if not paths:
        raise InputError(f"{results[0]}: has no results files (.json)")
    if len(paths) > _MOST_RESULTS:
        raise InputError(f"{len(paths)} results files; expected at most {_MOST_RESULTS}")
    return [read_answers(path, study) for path in dict.fromkeys(paths)]


def _answers_csv(study: Study, answers: Sequence[Answers]) -> str:
    rows = long_rows(study, answers)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
