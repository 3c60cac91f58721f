"""The videos of a study: of folders, or answers of runs to the speakers' videos, shown alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dimcli.core.errors import InputError
from dimcli.core.progress import Progress
from dimcli.jobs.batch import VIDEOS, files_in
from dimcli.jobs.evaluate import describe, label_and_name
from dimcli.jobs.generate import Models, generate_videos
from dimcli.media import VideoInfo, probe_video
from dimcli.media.ffmpeg import command, rate_text, reading, run, source_url
from dimcli.media.probe import sound_track
from dimcli.models.checkpoint import CONFIG
from dimcli.models.config import find_run

SPEAKER = ""
"""What the speaker's videos are called among the methods'."""
HEIGHT = 480
"""Pixels of a video, at most."""
_HIGHEST_FPS = 60.0
_APART_S = 0.5
"""How much longer than others a stimulus' video may be without a word."""
_COMMENT = "Shown in a study; it may be synthetic."


@dataclass(frozen=True)
class Methods:
    """What a study compares: ``labels`` in the order given, and of each the folder of its videos,
    or the run that answers the speakers' videos."""

    labels: tuple[str, ...]
    folders: Mapping[str, Path]
    runs: Mapping[str, str]

    @classmethod
    def named(cls, methods: Sequence[str]) -> Methods:
        """Methods as a user names them: ``NAME=FOLDER``, or a folder, run or bundled weights.
        Raises InputError."""
        labels: list[str] = []
        folders: dict[str, Path] = {}
        runs: dict[str, str] = {}
        for one in methods:
            label, name = label_and_name(one)
            folder = Path(name)
            videos = folder.is_dir() and not (folder / CONFIG).is_file()
            if not videos:
                _check_run(name)
            label = label if label != name.rstrip("/") else folder.resolve().name
            if not label.isprintable() or not 0 < len(label) <= 60:
                raise InputError(f"{name}: name the method, as NAME={name}, in at most 60 letters")
            if label in labels:
                raise InputError(f"two methods are called '{label}'; write NAME={name} for one")
            labels.append(label)
            if videos:
                folders[label] = folder
            else:
                runs[label] = name
        return cls(tuple(labels), folders, runs)

    def answer(
        self,
        videos: Mapping[str, dict[str, Path]],
        reference: Path,
        folder: Path,
        seed: int,
        progress: Progress,
        force_face: bool = False,
    ) -> list[str]:
        """Let every run answer the speakers' ``videos`` of :func:`matched` with the face of the
        picture ``reference``, into ``folder``, and add what it made to them. Returns what made
        them, a line a run. Raises InputError."""
        models, told = Models(), []
        for number, (label, name) in enumerate(self.runs.items()):
            made = folder / str(number)
            made.mkdir(parents=True)
            for stimulus, paths in videos.items():
                output = made / f"{stimulus}.mp4"
                generate_videos(
                    "listener", paths[SPEAKER], reference, output, weights=name, seed=seed,
                    models=models, force_face=force_face, progress=progress,
                )  # fmt: skip
                paths[label] = output
            told.append(f"{label}: {describe(name)}, seed {seed}, with the face of {reference}")
        return told


def _check_run(name: str) -> None:
    try:
        find_run(name, "--weights")
    except InputError:
        raise InputError(
            f"{name}: no such folder, run or bundled weights; expected a folder of a method's "
            "videos, or what answers the speakers'"
        ) from None


def matched(
    folders: Mapping[str, Path], speaker: Path | None
) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """The videos of each stimulus by method (SPEAKER is the speaker's), and what was left out.
    Raises InputError where no video is in all folders."""
    found: dict[str, dict[str, Path]] = {}
    sources = {**folders, **({SPEAKER: speaker} if speaker else {})}
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
class Plan:
    """How the videos of a stimulus are shown alike: all as high, as fast and as long."""

    videos: Mapping[str, VideoInfo]
    height: int
    fps: float
    seconds: float
    remarks: tuple[str, ...]

    def encode(self, method: str, output: Path) -> None:
        """Write a method's video, to the right of the speaker if there is one, without anything in
        the file that tells the method."""
        shown = [self.videos[name] for name in (SPEAKER, method) if name in self.videos]
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


def planned(paths: Mapping[str, Path], methods: Sequence[str]) -> Plan:
    """How a stimulus' videos by method are to be shown, as high, fast and long as all allow."""
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
    if SPEAKER not in videos and len({video.has_audio for video in own}) > 1:
        remarks.append(f"{name}: some videos have sound and some do not; give all the same")
    height = min(HEIGHT, *(video.height for video in videos.values())) // 2 * 2
    fps = min(_HIGHEST_FPS, max(video.fps for video in videos.values()))
    return Plan(videos, max(2, height), fps, min(lengths), tuple(remarks))
