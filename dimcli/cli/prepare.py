"""``dim prepare``: a corpus into a data set that every training command takes; of speakers alone:
:mod:`dimcli.cli.prepare_speech`."""

import time
from pathlib import Path
from typing import Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import (
    EngineOption,
    JsonOption,
    ReactingOption,
    SchedulerOption,
    SeedOption,
    WorkersOption,
)
from dimcli.cli.prepare_options import (
    AudioOption,
    Corpus,
    DataOutputOption,
    GivenAudioOption,
    OrderOption,
    PreparingVideos,
    RateOption,
    SideBySide,
    SplitNamesOption,
    TableOption,
    Turns,
    new_data,
    preparing,
    split_names,
)

prepare = typer.Typer(
    help="Turn a corpus into a data set. Run again after a kill, each goes on where it stopped.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@prepare.command("vico")
@preparing
def prepare_vico(
    source: Annotated[Path, typer.Argument(help="ViCo's folder.")],
    kind: Annotated[
        str, typer.Option("--from", help="videos, emoca, processed, or auto: what is there.")
    ] = "auto",
    audio: AudioOption = "auto",
    fps: RateOption = None,
    order: OrderOption = "pose-exp",
    table: TableOption = None,
    split: SplitNamesOption = None,
    seed: SeedOption = 0,
    *,
    how: PreparingVideos,
) -> Corpus:
    """ViCo: videos and sounds, EMOCA's folders, or DIM's processed files, and the metadata.

    SRC holds videos/ and audios/ (tracked here, or with --motion DIR and STEM.npz or STEM/ in it),
    or emoca/ and hubert/, or vico_processed_30fps/ (space flame), with RLD_data.csv; or the 2022
    challenge's files with its train.csv, ... Val is taken from train, by video and speaker.
    """
    from dimcli.data.corpora.vico import vico

    return vico(
        source,
        source=kind,
        motion=how.plan(),
        audio=audio,
        fps=fps,
        order=order,
        table=table,
        split_names=split_names(split or []),
        seed=seed,
    )


@prepare.command("lm_listener")
@preparing
def prepare_lm_listener(
    source: Annotated[Path, typer.Argument(help="One listener's folder, as dataset/trevor.")],
    audio: AudioOption = "auto",
    sounds: Annotated[
        Path | None,
        typer.Option(help="Folder of the videos' sounds (<fname>.wav).", show_default=False),
    ] = None,
    fps: RateOption = None,
) -> Corpus:
    """LM_Listener: segments_train.pth, segments_val.pth, segments_test.pth, with their splits.

    The corpus has no sound: features in it (hubert_feat) are taken, or the sounds in --sounds, or
    none, and the features are then one column of zeros. Reading a file of segments is most of the
    work, and each process reads its own: more of them help with --sounds only.
    """
    from dimcli.data.corpora.lm_listener import lm_listener

    return lm_listener(source, audio=audio, sounds=sounds, fps=fps)


@prepare.command("l2l")
@preparing
def prepare_l2l(
    source: Annotated[Path, typer.Argument(help="One person's folder, as data/trevor.")],
    audio: GivenAudioOption = "auto",
    side: Annotated[
        int | None,
        typer.Option(min=0, max=1, help="Who listens: 0 left, 1 right. Default: what is there."),
    ] = None,
    fps: RateOption = None,
    seed: SeedOption = 0,
) -> Corpus:
    """Learning2Listen: train/ and test/ with p0_list_faces_clean_deca.npy and so on.

    Val is taken from train, by video.
    """
    from dimcli.data.corpora.l2l import l2l

    return l2l(source, audio=audio, fps=fps, side=side, seed=seed)


@prepare.command("dualtalk")
@preparing
def prepare_dualtalk(
    source: Annotated[Path, typer.Argument(help="Folder with train/, test/, ood/.")],
    audio: AudioOption = "auto",
    split: SplitNamesOption = None,
    fps: RateOption = None,
    seed: SeedOption = 0,
) -> Corpus:
    """DualTalk: files NAME_speaker1.npz and NAME_speaker2.npz with their sounds.

    Each pair is two conversations, in which one and then the other listens. Val is taken from
    train, by video.
    """
    from dimcli.data.corpora.dualtalk import dualtalk

    names = split_names(split or [])
    return dualtalk(source, audio=audio, fps=fps, split_names=names, seed=seed)


@prepare.command("si184")
@preparing
def prepare_si184(
    source: Annotated[Path, typer.Argument(help="Folder with pairs184.txt and GT/.")],
    audio: GivenAudioOption = "auto",
    fps: RateOption = None,
) -> Corpus:
    """SI-184 (R-DGG): the true listeners of the benchmark, all of them a test split.

    Motion is brought to 25 frames a second, the rate of the published figures.
    """
    from dimcli.data.corpora.si184 import si184

    return si184(source, audio=audio, fps=fps)


@prepare.command("unilstalk")
@preparing
def prepare_unilstalk(
    source: Annotated[Path, typer.Argument(help="Folder with data_lmdb and its table of pairs.")],
    audio: AudioOption = "auto",
    fps: RateOption = None,
) -> Corpus:
    """UniLS-Talk: data_lmdb and seamless_interaction_pairs.json; the first of each pair listens."""
    from dimcli.data.corpora.unilstalk import unilstalk

    return unilstalk(source, audio=audio, fps=fps)


@prepare.command("react")
@preparing
def prepare_react(
    source: Annotated[Path, typer.Argument(help="Folder with train/, val/, test/.")],
    audio: AudioOption = "auto",
    fps: RateOption = None,
    *,
    how: PreparingVideos,
) -> Corpus:
    """REACT 2023/24 (train.csv, train/Video_files) or MARS (train/facial-attributes): videos.

    They are tracked here, or --motion DIR has <split>-<path, with - for />.npz.
    """
    from dimcli.data.corpora.react import react

    return react(source, motion=how.plan(), audio=audio, fps=fps)


@prepare.command("candor")
@preparing
def prepare_candor(
    source: Annotated[Path, typer.Argument(help="Folder of conversations.")],
    kind: Annotated[
        str, typer.Option("--from", help="videos, emoca (pickles), or auto: what is there.")
    ] = "auto",
    turns: Annotated[Turns, typer.Option(help="Which segmentation makes the clips.")] = (
        "cliffhanger"
    ),
    min_s: Annotated[float, typer.Option(help="Shorter turns are no clips, seconds.")] = 1.0,
    max_s: Annotated[float, typer.Option(help="Longer turns are cut, seconds.")] = 50.0,
    shift_ms: Annotated[
        float, typer.Option(help="Take the listener this much later, milliseconds.")
    ] = 0.0,
    media: Annotated[
        Path | None,
        typer.Option(help="Folder of <uuid>/processed, where not SRC.", show_default=False),
    ] = None,
    audio: AudioOption = "auto",
    fps: RateOption = None,
    order: OrderOption = "pose-exp",
    first_frame: Annotated[
        int, typer.Option(min=0, max=1, help="Number of the pickles' first frame.")
    ] = 0,
    seed: SeedOption = 0,
    *,
    how: PreparingVideos,
) -> Corpus:
    """CANDOR: conversation folders with transcripts; in each turn one speaks and one listens.

    SRC holds <uuid>/transcription and <uuid>/processed (tracked here, 30 frames a second, or with
    --motion DIR and <uuid>_<user id>.npz in it); or CANDOR/<uuid>/transcription with
    emoca_sample_out1/ and CANDOR_audio_feats/ (5 frames a second, space flame). 90 % of the
    conversations train, 5 % val, 5 % test.
    """
    from dimcli.data.corpora.candor import TurnOptions, candor

    return candor(
        source,
        source=kind,
        motion=how.plan(),
        media=media,
        audio=audio,
        fps=fps,
        order=order,
        first_frame=first_frame,
        seed=seed,
        turns=TurnOptions(turns, min_s, max_s, shift_ms),
    )


@prepare.command("clips")
@preparing
def prepare_clips(
    source: Annotated[Path, typer.Argument(help="Folder of videos.")],
    table: TableOption = None,
    layout: Annotated[
        SideBySide, typer.Option(help="Of side-by-side videos whose row says nothing.")
    ] = "speaker-left",
    audio: Annotated[str, typer.Option(help="Encoder of the sound (mel, hubert) or none.")] = (
        "auto"
    ),
    fps: Annotated[
        float | None,
        typer.Option(
            "--fps", min=1, max=120, help="Frames a second. Default: 25, as the bundled models."
        ),
    ] = None,
    seed: SeedOption = 0,
    *,
    how: PreparingVideos,
) -> Corpus:
    """Your own dyad videos: one file side by side, or one for each person.

    A table SRC/clips.csv has a row a clip, with the columns video (both persons), or speaker and
    listener (two files), and, optionally: layout (speaker-left, speaker-right), sound, id, start
    and stop (seconds), split (train, val, test), attitude (positive, neutral, negative),
    speaker_id, listener_id. Without it NAME.speaker.mp4 and NAME.listener.mp4 are a pair and any
    other video shows both; splits are seeded, by speaker. Two talks, the first of which counts for
    both of its people:

    \b
    video,layout,speaker_id,listener_id
    talk1.mp4,speaker-left,anna,ben
    talk1.mp4,speaker-right,ben,anna
    talk2.mp4,speaker-left,cem,anna
    """
    from dimcli.data.corpora.clips import clips

    plan = how.plan()
    return clips(source, table=table, layout=layout, motion=plan, audio=audio, fps=fps, seed=seed)


@prepare.command("synthetic")
def prepare_synthetic(
    output: DataOutputOption,
    hours: Annotated[
        float, typer.Option(min=0.01, max=100_000, help="Hours of conversation.")
    ] = 1.0,
    reacting: ReactingOption = False,
    seed: SeedOption = 0,
    workers: WorkersOption = 1,
    engine: EngineOption = "local",
    scheduler: SchedulerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw dyads whose listener follows a known rule. Run again after a kill, it goes on."""
    from dimcli.data.store import ClipStore
    from dimcli.data.synthetic.rule import ReactionRule
    from dimcli.data.synthetic.synthetic import Recipe, write_synthetic
    from dimcli.data.workers import Engine

    started = time.monotonic()
    with new_data(output), console.progress_display() as progress:
        write_synthetic(
            output,
            hours=hours,
            recipe=Recipe(seed=seed, reaction=ReactionRule() if reacting else None),
            engine=Engine(workers, engine, scheduler),
            progress=lambda done, total: progress("conversations", done, total),
        )
    store = ClipStore(output)
    clips = {split: len(store.clips(split)) for split in ("train", "val", "test")}
    taken = time.monotonic() - started
    shares = ", ".join(f"{count} {split}" for split, count in clips.items())
    console.say(f"wrote {output}: {shares} clips, {console.seconds(taken)} taken")
    if as_json:
        console.print_json({"path": str(output), "clips": clips, "taken_s": round(taken, 3)})
