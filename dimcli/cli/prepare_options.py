"""What the commands of ``dim prepare`` share: options, the one run of them all, its report."""

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dimcli.cli import console
from dimcli.cli.options import (
    AudioTrackOption,
    CheckpointOption,
    EngineOption,
    JsonOption,
    SchedulerOption,
    Tracker,
    WorkersOption,
    with_options,
)
from dimcli.cli.resuming import resumable
from dimcli.core.documents import shortened, whole_number
from dimcli.core.errors import InputError, ToldError

if TYPE_CHECKING:
    from dimcli.data.corpora.preparing import Corpus, Prepared
    from dimcli.data.corpora.sources import MotionPlan
else:
    Corpus = Any
    """Commands name it, and what they name is looked up; its own module takes long to import."""


Order = Literal["pose-exp", "exp-pose"]
Turns = Literal["cliffhanger", "audiophile", "backbiter"]
SideBySide = Literal["speaker-left", "speaker-right"]

DataOutputOption = Annotated[
    Path, typer.Option("--output", "-o", help="Data set folder to write.", show_default=False)
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Make share I of N into the same folder, here or on another machine; whichever is "
        "last writes the index.",
        show_default=False,
    ),
]
StoreOption = Annotated[
    Literal["float32", "float16"],
    typer.Option("--store", help="Numbers of audio features on the disk; motion is float32."),
]
RateOption = Annotated[
    float | None,
    typer.Option("--fps", min=1, max=120, help="Frames a second. Default: the corpus's own."),
]
AudioOption = Annotated[
    str,
    typer.Option(
        "--audio",
        help="Speaker's sound: an encoder to run (mel, hubert), given (features that lie there), "
        "none, or auto (features, else mel, else none).",
    ),
]
GivenAudioOption = Annotated[str, typer.Option("--audio", help="given, none or auto.")]
SpeechAudioOption = Annotated[
    str, typer.Option("--audio", help="Encoder: mel4, mel or hubert; auto is mel4.")
]
OrderOption = Annotated[Order, typer.Option("--order", help="Order of the 56 numbers in arrays.")]
TrackerOption = Annotated[
    Tracker | None,
    typer.Option(
        "--tracker",
        help="Of videos: landmarks (default, space arkit), emoca, deca or smirk (space flame).",
        show_default=False,
    ),
]
MotionOption = Annotated[
    Path | None,
    typer.Option(
        "--motion",
        help="Folder of motion tracked before: NAME.npz of dim extract, or EMOCA's NAME/.",
        show_default=False,
    ),
]
SplitNamesOption = Annotated[
    list[str] | None,
    typer.Option("--split", help="What another of the corpus's splits counts as, as in ood=test."),
]
TableOption = Annotated[
    Path | None,
    typer.Option("--table", help="The csv table, where it lies elsewhere.", show_default=False),
]


@dataclass(frozen=True, kw_only=True)
class Preparing:
    """The options of every command that prepares a corpus."""

    output: DataOutputOption
    workers: WorkersOption = 1
    engine: EngineOption = "local"
    scheduler: SchedulerOption = None
    as_json: JsonOption = False
    shard: ShardOption = None
    store: StoreOption = "float32"
    audio_track: AudioTrackOption = None


@dataclass(frozen=True, kw_only=True)
class PreparingVideos(Preparing):
    """Those of a corpus of videos, too."""

    tracker: TrackerOption = None
    checkpoint: CheckpointOption = None
    motion: MotionOption = None

    def plan(self) -> "MotionPlan":
        """Where the motion comes from. Raises InputError."""
        from dimcli.data.corpora.sources import MotionPlan

        return MotionPlan.choose(self.tracker, self.checkpoint, self.motion)


def preparing(command: Callable[..., Corpus]) -> Callable[..., None]:
    """A command that prepares the corpus which ``command`` gives, with the options of
    :class:`Preparing`, or of its parameter ``how``."""
    how = inspect.signature(command, eval_str=True).parameters.get("how")

    def run(own: dict[str, Any], common: Preparing) -> None:
        started = time.monotonic()
        with new_data(common.output):
            _prepare(command(**own, **({"how": common} if how else {})), common, started)

    return with_options(command, how.annotation if how else Preparing, run)


def _prepare(corpus: Corpus, how: Preparing, started: float) -> None:
    """Make the data set, and say what is in it and what is not."""
    from dimcli.data.corpora.preparing import HALF, STORED, TRACK, Shard, prepare
    from dimcli.data.workers import Engine

    if how.store == HALF:
        corpus = replace(corpus, settings={**corpus.settings, STORED: HALF})
    if how.audio_track is not None:
        corpus = replace(corpus, settings={**corpus.settings, TRACK: how.audio_track})
    engine = Engine(how.workers, how.engine, how.scheduler)
    shard = Shard.parse(how.shard) if how.shard else None
    with console.progress_display() as progress:
        prepared = prepare(corpus, how.output, engine=engine, shard=shard, progress=progress)
    _report(prepared, time.monotonic() - started, as_json=how.as_json)
    if prepared.info is None and not prepared.waiting_for:
        raise ToldError(f"{how.output}: nothing could be prepared; the reasons stand above")


@contextmanager
def new_data(output: Path) -> Iterator[None]:
    """Within the block a data set is made: one that fails before its first conversation leaves no
    folder, and after Ctrl-C the same command goes on."""
    from dimcli.core.files import new_folder
    from dimcli.data.conversations import CONVERSATIONS

    made = f"{CONVERSATIONS}/*"
    with resumable(output, made, "the conversations that are whole"), new_folder(output, made):
        yield


def numbers(texts: list[str]) -> tuple[tuple[str, int], ...]:
    """``natural-*=6`` and the like as pairs. Raises InputError."""
    pairs = []
    for text in texts:
        name, _, digits = text.rpartition("=")
        number = whole_number(digits)
        if not name or number is None:
            raise InputError(
                f"--versions-of {shortened(text)}: expected VOICES=N, as in 'anna-*=6'"
            )
        pairs.append((name, number))
    return tuple(pairs)


def split_names(texts: list[str]) -> dict[str, str]:
    """``ood=test`` and the like as a mapping. Raises InputError."""
    names = {}
    for text in texts:
        name, sign, split = text.partition("=")
        if not sign or split not in ("train", "val", "test"):
            raise InputError(f"--split {text}: expected NAME=train, NAME=val or NAME=test")
        names[name] = split
    return names


_LINES = 20


def _hours(hours: float) -> str:
    return f"{hours:.2f} h" if hours >= 1 else f"{60 * hours:.1f} min"


def _seen_lines(prepared: "Prepared") -> list[str]:
    """In how many frames each face was found, the worst conversations first."""
    worst = sorted(prepared.seen.items(), key=lambda item: min(item[1].values()))
    lines = [
        f"  {name}: " + ", ".join(f"{role} {share:.1%}" for role, share in shares.items())
        for name, shares in worst[:_LINES]
    ]
    more = f" (the worst {_LINES} of {len(worst)})" if len(worst) > _LINES else ""
    return [f"frames in which the face was found{more}:", *lines] if lines else []


def _report(prepared: "Prepared", taken_s: float, *, as_json: bool) -> None:
    console.say(f"{'split':<8}{'conversations':>15}{'clips':>9}{'minutes':>10}")
    for split, clips in prepared.clips.items():
        console.say(
            f"{split:<8}{prepared.conversations[split]:>15}{clips:>9}{prepared.minutes[split]:>10.1f}"
        )
    for line in _seen_lines(prepared):
        console.say(line)
    if prepared.skipped:
        console.say(f"skipped {len(prepared.skipped)}:")
        for skip in prepared.skipped[:_LINES]:
            console.say(f"  {skip.name}: {skip.reason}")
        if len(prepared.skipped) > _LINES:
            rest = len(prepared.skipped) - _LINES
            console.say(f"  and {rest} more, see {prepared.path / 'skipped.jsonl'}")
    for remark in prepared.remarks:
        console.say(f"note: {remark}")
    if prepared.info is not None:
        for split in (name for name, clips in prepared.clips.items() if clips == 0):
            console.say(f"note: the {split} split is empty")
        info = prepared.info
        console.say(
            f"wrote {prepared.path}: {sum(info.clips.values())} clips, {_hours(info.hours)} at "
            f"{info.fps:g} frames a second, space {info.space}, audio {info.audio_encoder}, "
            f"{console.seconds(taken_s)} taken"
        )
    elif prepared.waiting_for:
        shards = ", ".join(prepared.waiting_for)
        console.say(
            f"this shard is done, {console.seconds(taken_s)} taken; still to come: {shards}"
        )
    console.say(f"terms: {prepared.licence}")
    if as_json:
        console.print_json(
            {
                "path": str(prepared.path),
                "finished": prepared.info is not None,
                "clips": prepared.clips,
                "conversations": prepared.conversations,
                "minutes": {name: round(value, 3) for name, value in prepared.minutes.items()},
                "skipped": [
                    {"name": skip.name, "reason": skip.reason} for skip in prepared.skipped
                ],
                "waiting_for": list(prepared.waiting_for),
                "remarks": list(prepared.remarks),
                "face_found": {name: dict(shares) for name, shares in prepared.seen.items()},
                "terms": prepared.licence,
                "taken_s": round(taken_s, 3),
            }
        )
