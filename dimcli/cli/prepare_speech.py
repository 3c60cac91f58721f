"""``dim prepare speech|biwi|vocaset``: corpora of people who speak to nobody."""

from pathlib import Path
from typing import Annotated

import typer

from dimcli.cli.options import SeedOption
from dimcli.cli.prepare import prepare
from dimcli.cli.prepare_options import Corpus, Preparing, SpeechAudioOption, numbers, preparing


@prepare.command("speech")
@preparing
def prepare_speech(
    source: Annotated[Path, typer.Argument(help="Folder of sounds with TextGrids.")],
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
) -> Corpus:
    """Speech with phone times: faces that say it, made by a rule, to train a speaker on.

    SRC has a sub-folder a voice; in it NAME.wav and NAME.TextGrid with a tier 'phones' in IPA or
    ARPABET, as the Montreal Forced Aligner writes. 80 % of the voices train, 10 % val, 10 % test.
    """
    from dimcli.data.synthetic.spoken import SpokenOptions, spoken

    options = SpokenOptions(
        fps=fps,
        audio=audio,
        versions=versions,
        more=numbers(versions_of or []),
        change=change,
        clip_s=clip_s,
        rest_share=rest_share,
        seed=seed,
    )
    return spoken(source, options)


@prepare.command("biwi")
@preparing
def prepare_biwi(
    source: Annotated[Path, typer.Argument(help="BIWI's folder, as FaceFormer lays it out.")],
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
    *,
    how: Preparing,
) -> Corpus:
    """BIWI: wav/, vertices_npy/, templates.pkl, and motion that a tracker made of its pictures.

    Motion is in emoca_biwi/<SUBJ>_eNN.pkl (DIM's), or in motion/<SUBJ>_eNN.npz; how it belongs to
    the 23,370 vertices is learned from train and kept beside the data, with regions/lve.txt and
    fdd.txt: dim eval scores by them.
    """
    from dimcli.data.corpora.biwi import biwi

    return biwi(source, how.output, source=kind, audio=audio, test=test)


@prepare.command("vocaset")
@preparing
def prepare_vocaset(
    source: Annotated[Path, typer.Argument(help="VOCASET's folder, FaceFormer's or the owners'.")],
    audio: SpeechAudioOption = "auto",
    *,
    how: Preparing,
) -> Corpus:
    """VOCASET: scanned talking heads; FLAME's jaw and expression are fitted to their vertices.

    SRC holds wav/, vertices_npy/ and templates.pkl; or data_verts.npy, raw_audio_fixed.pkl,
    subj_seq_to_idx.pkl and templates.pkl. Needs your FLAME: dim weights import flame FILE.
    """
    from dimcli.data.corpora.vocaset import vocaset

    return vocaset(source, how.output, audio=audio)
