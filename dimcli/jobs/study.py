"""A rating study of videos: the folder that participants get, and the figures of their answers."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections.abc import Sequence
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
from dimcli.jobs.batch import files_in
from dimcli.jobs.study_videos import Methods, matched, planned

PUBLIC, KEY, PAGE, FILMS = "public", "key.json", "index.html", "videos"
ANSWERS = "answers.csv"
_TOLD = 8
_MOST_RESULTS = 10_000
_TEXT_BYTES = 20_000


@dataclass(frozen=True)
class StudyOptions:
    """How a study is made.

    ``methods`` are folders of videos, runs or bundled weights, or ``LABEL=`` one of them;
    ``speaker`` a folder of the speakers' videos, shown to the left of each listener, which runs
    answer with the face of the picture ``ref`` (``force_face``: whatever it is like). ``consent``
    is a text file in place of the built-in words, ``post`` where the page sends results, ``code``
    what it shows at the end.
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
    ref: Path | None = None
    force_face: bool = False


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
    methods = Methods.named(options.methods)
    if methods.runs and not (options.speaker and options.ref):
        raise InputError(
            f"{next(iter(methods.runs))} is a run: give the videos that it answers (--speaker) and "
            "a picture of its listener (--ref)"
        )
    if options.ref and not methods.runs:
        raise InputError(f"--ref {options.ref}: no method is a run; only runs need a picture")
    videos, remarks = matched(methods.folders, options.speaker)
    study = new_study(
        list(methods.labels),
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
        made_by = []
        if options.ref:
            answers = folder.with_name("answers")
            made_by = methods.answer(
                videos, options.ref, answers, options.seed, progress, options.force_face
            )
        plans = {stimulus: planned(found, methods.labels) for stimulus, found in videos.items()}
        for done, (name, (stimulus, method)) in enumerate(study.videos.items()):
            progress("encoding videos", done, len(study.videos))
            plan = plans[stimulus]
            plan.encode(method, films / f"{name}.mp4")
            seconds += plan.seconds * (len(methods.labels) - 1 if options.pairs else 1)
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
        readme = _readme(study, minutes, options, made_by)
        (folder / "README.md").write_text(readme, encoding="utf-8")
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


def _readme(study: Study, minutes: int, options: StudyOptions, made_by: Sequence[str]) -> str:
    sent = (
        f"The page sends results to {options.post} and offers them as a file, too."
        if options.post
        else "At the end the page offers a results file, which participants send you."
    )
    made = "".join(f"- {line}.\n" for line in made_by)
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
{made}"""


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
