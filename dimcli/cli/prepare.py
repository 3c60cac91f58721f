"""``dim prepare``: a corpus into a data set that every training command takes."""

import time
from pathlib import Path
from typing import Annotated

import typer

from dimcli.cli import console, prepare_speakers
from dimcli.cli.options import JsonOption, SeedOption
from dimcli.cli.prepare_options import (
    AudioOption,
    DataOutputOption,
    Order,
    OrderOption,
    RateOption,
    ShardOption,
    SideBySide,
    TableOption,
    Turns,
    WorkersOption,
    run_prepare,
    split_names,
)

prepare = typer.Typer(
    help="Turn a corpus into a data set. Run again after a kill, each goes on where it stopped.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    prepare_speakers.register(prepare)
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
    from dimcli.data.corpora.vico import vico

    corpus = vico(
        source,
        source=kind,
        audio=audio,
        fps=fps,
        order=order.value,
        table=table,
        split_names=split_names(split or []),
        seed=seed,
    )
    run_prepare(corpus, output, workers, shard, as_json=as_json)


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
    from dimcli.data.corpora.lm_listener import lm_listener

    corpus = lm_listener(source, audio=audio, sounds=sounds, fps=fps)
    run_prepare(corpus, output, workers, shard, as_json=as_json)


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
    from dimcli.data.corpora.l2l import l2l

    corpus = l2l(source, audio=audio, fps=fps, side=side, seed=seed)
    run_prepare(corpus, output, workers, shard, as_json=as_json)


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
    from dimcli.data.corpora.candor import TurnOptions, candor

    corpus = candor(
        source,
        source=kind,
        audio=audio,
        fps=fps,
        order=order.value,
        seed=seed,
        turns=TurnOptions(turns.value, min_s, max_s, shift_ms),
    )
    run_prepare(corpus, output, workers, shard, as_json=as_json)


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
    from dimcli.data.corpora.clips import clips

    corpus = clips(source, table=table, layout=layout.value, audio=audio, fps=fps, seed=seed)
    run_prepare(corpus, output, workers, shard, as_json=as_json)


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
    from dimcli.data.synthetic.synthetic import Recipe, write_synthetic

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
