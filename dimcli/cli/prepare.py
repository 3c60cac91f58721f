"""``dim prepare``: a corpus into a data set that every training command takes."""

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import JsonOption, SeedOption
from dimcli.errors import InputError

if TYPE_CHECKING:
    from dimcli.data.preparing import Corpus, Prepared

prepare = typer.Typer(
    help="Turn a corpus into a data set. Run again after a kill, each goes on where it stopped.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Order(StrEnum):
    """The order of the 56 numbers of a frame in other people's arrays."""

    pose_exp = "pose-exp"
    exp_pose = "exp-pose"


class Turns(StrEnum):
    """How CANDOR's transcripts are cut into turns."""

    cliffhanger = "cliffhanger"
    audiophile = "audiophile"
    backbiter = "backbiter"


class SideBySide(StrEnum):
    """Who is where in a video of two."""

    speaker_left = "speaker-left"
    speaker_right = "speaker-right"


DataOutputOption = Annotated[
    Path, typer.Option("--output", "-o", help="Data set folder to write.", show_default=False)
]
WorkersOption = Annotated[int, typer.Option(min=1, help="Processes.")]
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
SpeechAudioOption = Annotated[
    str, typer.Option("--audio", help="Encoder: mel4, mel or hubert; auto is mel4.")
]
OrderOption = Annotated[Order, typer.Option("--order", help="Order of the 56 numbers in arrays.")]
TableOption = Annotated[
    Path | None,
    typer.Option("--table", help="The csv table, where it lies elsewhere.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.add_typer(prepare, name="prepare")


@prepare.command("vico")
def prepare_vico(
    source: Annotated[Path, typer.Argument(help="ViCo's folder.")],
    output: DataOutputOption,
    kind: Annotated[
        str, typer.Option("--from", help="videos, emoca, processed, or auto: what is there.")
    ] = "auto",
    audio: AudioOption = "auto",
    fps: RateOption = None,
    order: OrderOption = Order.pose_exp,
    table: TableOption = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="What another split of the table counts as, as in ood=test."),
    ] = None,
    seed: SeedOption = 0,
    workers: WorkersOption = 1,
    shard: ShardOption = None,
    as_json: JsonOption = False,
) -> None:
    """ViCo: videos and sounds, EMOCA's folders, or DIM's processed files, and the metadata.

    SRC holds videos/ and audios/ (tracked here, space arkit), or emoca/ and hubert/, or
    vico_processed_30fps/ (space flame), with RLD_data.csv; or the 2022 challenge's files with its
    train.csv, ... Val is taken from train, by video and speaker.
    """
    from dimcli.data.vico import vico

    corpus = vico(
        source,
        source=kind,
        audio=audio,
        fps=fps,
        order=order.value,
        table=table,
        split_names=_split_names(split or []),
        seed=seed,
    )
    _prepare(corpus, output, workers, shard, as_json=as_json)


@prepare.command("lm_listener")
def prepare_lm_listener(
    source: Annotated[Path, typer.Argument(help="One listener's folder, as dataset/trevor.")],
    output: DataOutputOption,
    audio: AudioOption = "auto",
    sounds: Annotated[
        Path | None,
        typer.Option(help="Folder of the videos' sounds (<fname>.wav).", show_default=False),
    ] = None,
    fps: RateOption = None,
    workers: WorkersOption = 1,
    shard: ShardOption = None,
    as_json: JsonOption = False,
) -> None:
    """LM_Listener: segments_train.pth, segments_val.pth, segments_test.pth, with their splits.

    The corpus has no sound: features in it (hubert_feat) are taken, or the sounds in --sounds, or
    none, and the features are then one column of zeros. Reading a file of segments is most of the
    work, and each process reads its own: more of them help with --sounds only.
    """
    from dimcli.data.lm_listener import lm_listener

    corpus = lm_listener(source, audio=audio, sounds=sounds, fps=fps)
    _prepare(corpus, output, workers, shard, as_json=as_json)


@prepare.command("l2l")
def prepare_l2l(
    source: Annotated[Path, typer.Argument(help="One person's folder, as data/trevor.")],
    output: DataOutputOption,
    audio: Annotated[str, typer.Option(help="given, none or auto.")] = "auto",
    side: Annotated[
        int | None,
        typer.Option(min=0, max=1, help="Who listens: 0 left, 1 right. Default: what is there."),
    ] = None,
    fps: RateOption = None,
    seed: SeedOption = 0,
    workers: WorkersOption = 1,
    shard: ShardOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learning2Listen: train/ and test/ with p0_list_faces_clean_deca.npy and so on.

    Val is taken from train, by video.
    """
    from dimcli.data.l2l import l2l

    corpus = l2l(source, audio=audio, fps=fps, side=side, seed=seed)
    _prepare(corpus, output, workers, shard, as_json=as_json)


@prepare.command("candor")
def prepare_candor(
    source: Annotated[Path, typer.Argument(help="Folder of conversations.")],
    output: DataOutputOption,
    kind: Annotated[
        str, typer.Option("--from", help="videos, emoca (pickles), or auto: what is there.")
    ] = "auto",
    turns: Annotated[Turns, typer.Option(help="Which segmentation makes the clips.")] = (
        Turns.cliffhanger
    ),
    min_s: Annotated[float, typer.Option(help="Shorter turns are no clips, seconds.")] = 1.0,
    max_s: Annotated[float, typer.Option(help="Longer turns are cut, seconds.")] = 50.0,
    shift_ms: Annotated[
        float, typer.Option(help="Take the listener this much later, milliseconds.")
    ] = 0.0,
    audio: AudioOption = "auto",
    fps: RateOption = None,
    order: OrderOption = Order.pose_exp,
    seed: SeedOption = 0,
    workers: WorkersOption = 1,
    shard: ShardOption = None,
    as_json: JsonOption = False,
) -> None:
    """CANDOR: conversation folders with transcripts; in each turn one speaks and one listens.

    SRC holds <uuid>/transcription and <uuid>/processed (tracked here, 30 frames a second, space
    arkit); or CANDOR/<uuid>/transcription with emoca_sample_out1/ and CANDOR_audio_feats/ (5
    frames a second, space flame). 90 % of the conversations train, 5 % val, 5 % test.
    """
    from dimcli.data.candor import TurnOptions, candor

    corpus = candor(
        source,
        source=kind,
        audio=audio,
        fps=fps,
        order=order.value,
        seed=seed,
        turns=TurnOptions(turns.value, min_s, max_s, shift_ms),
    )
    _prepare(corpus, output, workers, shard, as_json=as_json)


@prepare.command("clips")
def prepare_clips(
    source: Annotated[Path, typer.Argument(help="Folder of videos.")],
    output: DataOutputOption,
    table: TableOption = None,
    layout: Annotated[
        SideBySide, typer.Option(help="Of side-by-side videos whose row says nothing.")
    ] = SideBySide.speaker_left,
    audio: Annotated[str, typer.Option(help="Encoder of the sound (mel, hubert) or none.")] = (
        "auto"
    ),
    fps: Annotated[
        float | None,
        typer.Option("--fps", min=1, max=120, help="Frames a second. Default: the first video's."),
    ] = None,
    seed: SeedOption = 0,
    workers: WorkersOption = 1,
    shard: ShardOption = None,
    as_json: JsonOption = False,
) -> None:
    """Your own dyad videos: one file side by side, or one for each person.

    A table SRC/clips.csv has a row a clip, with the columns video (both persons), or speaker and
    listener (two files), and, where wanted: layout (speaker-left, speaker-right), sound, id, start
    and stop (seconds), split (train, val, test), attitude (positive, neutral, negative),
    speaker_id, listener_id. Without it NAME.speaker.mp4 and NAME.listener.mp4 are a pair and any
    other video shows both; splits are seeded, by speaker.
    """
    from dimcli.data.clips import clips

    corpus = clips(source, table=table, layout=layout.value, audio=audio, fps=fps, seed=seed)
    _prepare(corpus, output, workers, shard, as_json=as_json)


@prepare.command("speech")
def prepare_speech(
    source: Annotated[Path, typer.Argument(help="Folder of sounds with TextGrids.")],
    output: DataOutputOption,
    audio: Annotated[str, typer.Option(help="Encoder: mel4, mel or hubert.")] = "mel4",
    fps: Annotated[float, typer.Option("--fps", min=5, max=120, help="Frames a second.")] = 25.0,
    versions: Annotated[
        int, typer.Option(min=1, max=1000, help="Of each file, each changed in its own way.")
    ] = 1,
    versions_of: Annotated[
        list[str] | None,
        typer.Option(metavar="VOICES=N", help="Other versions of some voices, as in 'anna-*=6'."),
    ] = None,
    change: Annotated[
        bool,
        typer.Option(
            "--change/--no-change",
            help="Change the sound: pitch, rate, room, noise, band, codec, level.",
        ),
    ] = True,
    clip_s: Annotated[float, typer.Option(help="Longest clip, seconds.")] = 20.0,
    rest_share: Annotated[
        float, typer.Option(min=0, max=1, help="Clips without speech, a clip with.")
    ] = 0.06,
    seed: SeedOption = 0,
    workers: WorkersOption = 1,
    shard: ShardOption = None,
    as_json: JsonOption = False,
) -> None:
    """Speech with phone times: faces that say it, made by a rule, to train a speaker on.

    SRC has a sub-folder a voice; in it NAME.wav and NAME.TextGrid with a tier 'phones' in IPA or
    ARPABET, as the Montreal Forced Aligner writes. 80 % of the voices train, 10 % val, 10 % test.
    """
    from dimcli.data.spoken import SpokenOptions, spoken

    options = SpokenOptions(
        fps=fps,
        audio=audio,
        versions=versions,
        more=_numbers(versions_of or []),
        change=change,
        clip_s=clip_s,
        rest_share=rest_share,
        seed=seed,
    )
    _prepare(spoken(source, options), output, workers, shard, as_json=as_json)


@prepare.command("biwi")
def prepare_biwi(
    source: Annotated[Path, typer.Argument(help="BIWI's folder, as FaceFormer lays it out.")],
    output: DataOutputOption,
    kind: Annotated[
        str,
        typer.Option(
            "--from", help="Motion: emoca (emoca_biwi/), motion (of dim extract), or auto."
        ),
    ] = "auto",
    audio: SpeechAudioOption = "auto",
    test: Annotated[
        str, typer.Option(help="Test split: a (train's subjects), b (the other eight), or both.")
    ] = "a",
    workers: WorkersOption = 1,
    shard: ShardOption = None,
    as_json: JsonOption = False,
) -> None:
    """BIWI: wav/, vertices_npy/, templates.pkl, and motion that a tracker made of its pictures.

    Motion is in emoca_biwi/<SUBJ>_eNN.pkl (DIM's), or in motion/<SUBJ>_eNN.npz; how it belongs to
    the 23,370 vertices is learned from train and kept beside the data, with regions/lve.txt and
    fdd.txt: dim eval scores by them.
    """
    from dimcli.data.biwi import biwi

    corpus = biwi(source, output, source=kind, audio=audio, test=test)
    _prepare(corpus, output, workers, shard, as_json=as_json)


@prepare.command("vocaset")
def prepare_vocaset(
    source: Annotated[Path, typer.Argument(help="VOCASET's folder, FaceFormer's or the owners'.")],
    output: DataOutputOption,
    audio: SpeechAudioOption = "auto",
    workers: WorkersOption = 1,
    shard: ShardOption = None,
    as_json: JsonOption = False,
) -> None:
    """VOCASET: scanned talking heads; FLAME's jaw and expression are fitted to their vertices.

    SRC holds wav/, vertices_npy/ and templates.pkl; or data_verts.npy, raw_audio_fixed.pkl,
    subj_seq_to_idx.pkl and templates.pkl. Needs your FLAME: dim weights import flame FILE.
    """
    from dimcli.data.vocaset import vocaset

    _prepare(vocaset(source, output, audio=audio), output, workers, shard, as_json=as_json)


@prepare.command("synthetic")
def prepare_synthetic(
    output: DataOutputOption,
    hours: Annotated[
        float, typer.Option(min=0.01, max=100_000, help="Hours of conversation.")
    ] = 1.0,
    seed: SeedOption = 0,
    workers: WorkersOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Draw dyads whose listener follows a known rule. Run again after a kill, it goes on."""
    from dimcli.data.store import ClipStore
    from dimcli.data.synthetic import Recipe, write_synthetic

    started = time.monotonic()
    with console.progress_display() as progress:
        write_synthetic(
            output,
            hours=hours,
            recipe=Recipe(seed=seed),
            workers=workers,
            progress=lambda done, total: progress("conversations", done, total),
        )
    store = ClipStore(output)
    clips = {split: len(store.clips(split)) for split in ("train", "val", "test")}
    taken = time.monotonic() - started
    shares = ", ".join(f"{count} {split}" for split, count in clips.items())
    console.say(f"wrote {output}: {shares} clips, {console.seconds(taken)} taken")
    if as_json:
        console.print_json({"path": str(output), "clips": clips, "taken_s": round(taken, 3)})


def _prepare(
    corpus: "Corpus", output: Path, workers: int, shard: str | None, *, as_json: bool
) -> None:
    """Make the data set, and say what is in it and what is not."""
    from dimcli.data.preparing import Shard, prepare

    started = time.monotonic()
    with console.progress_display() as progress:
        prepared = prepare(
            corpus,
            output,
            workers=workers,
            shard=Shard.parse(shard) if shard else None,
            progress=progress,
        )
    _report(prepared, time.monotonic() - started, as_json=as_json)
    if prepared.info is None and not prepared.waiting_for:
        raise InputError(f"{output}: nothing could be prepared; the reasons stand above")


def _numbers(texts: list[str]) -> tuple[tuple[str, int], ...]:
    """``natural-*=6`` and the like as pairs. Raises InputError."""
    pairs = []
    for text in texts:
        name, sign, number = text.rpartition("=")
        if not (sign and name and number.isdecimal()):
            raise InputError(f"--versions-of {text}: expected VOICES=N, as in 'anna-*=6'")
        pairs.append((name, int(number)))
    return tuple(pairs)


def _split_names(texts: list[str]) -> dict[str, str]:
    """``ood=test`` and the like as a mapping. Raises InputError."""
    names = {}
    for text in texts:
        name, sign, split = text.partition("=")
        if not sign or split not in ("train", "val", "test"):
            raise InputError(f"--split {text}: expected NAME=train, NAME=val or NAME=test")
        names[name] = split
    return names


_LINES = 20


def _report(prepared: "Prepared", taken_s: float, *, as_json: bool) -> None:
    console.say(f"{'split':<8}{'conversations':>15}{'clips':>9}{'minutes':>10}")
    for split, clips in prepared.clips.items():
        console.say(
            f"{split:<8}{prepared.conversations[split]:>15}{clips:>9}{prepared.minutes[split]:>10.1f}"
        )
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
            f"wrote {prepared.path}: {sum(info.clips.values())} clips, {info.hours:.2f} h at "
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
                "terms": prepared.licence,
                "taken_s": round(taken_s, 3),
            }
        )
