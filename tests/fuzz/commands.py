"""How each command is called: a valid call of small inputs, and options that its help lists.

Which options there are, and of what type, is asked of the command line itself.
"""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from types import UnionType
from typing import Literal, Union, get_args, get_origin

import typer
from typer.models import OptionInfo

from tests.fuzz.mutations import NUMBERS, STRANGE_PATHS, change_file, change_folder, strange_name
from tests.fuzz.runs import Plan, lay_out


@dataclass(frozen=True)
class In:
    """An input: one of these seeds, files or folders."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Again(In):
    """An input that the command goes on with and writes to."""


@dataclass(frozen=True)
class Out:
    """An output of this name."""

    name: str


def of(*names: str) -> In:
    return In(names)


CLIPS = of(
    *("clip.mp4", "clip.mp4", "clip.mkv", "clip.mov", "clip.webm", "clip.avi", "clip.ts"),
    "clip.gif",
)
SOUNDS = of(
    *("voice.wav", "voice.wav", "tone.wav", "clip.mp4"),
    *("voice.mp3", "voice.flac", "voice.ogg", "voice.m4a"),
)
FACES = of("face.png", "face.png", "face.jpg", "face.webp", "face.bmp", "face.tif")
MOTION = of("motion.npz", "motion.npz", "motion.npz", "flame.npz")
RUNS = of("l2l_run", "vq")
VICO = of("vico", "vico_emoca")
STORES = of("store", "synthetic")
TINY = ("--preset", "tiny", "--steps", "1", "--device", "cpu", "--set", "training.batch_size=2")

Part = str | In | Out


@dataclass(frozen=True)
class Command:
    """A call of a command, and how often it is made."""

    weight: float
    parts: tuple[Part, ...]
    home: bool = False
    """Whether FLAME is imported."""

    @property
    def words(self) -> tuple[str, ...]:
        """The command itself."""
        grouped = self.parts[0] in ("prepare", "study", "weights")
        first = self.parts[:2] if grouped else self.parts[:1]
        return tuple(str(part) for part in first)


def call(weight: float, *parts: Part, home: bool = False) -> Command:
    return Command(weight, parts, home)


SMALLEST, VIDEO, DATA = ("--size", "64"), ("-o", Out("out.mp4")), ("-o", Out("data"))
MESH, FEW, RUN = ("--renderer", "mesh"), ("--bootstrap", "10"), ("-o", Out("run"))

COMMANDS = (
    call(2, "generate-listener", CLIPS, "--ref", FACES, *SMALLEST, *VIDEO),
    call(1, "generate-listener", CLIPS, *MESH, *SMALLEST, "--save-motion", Out("a.npz"), *VIDEO),
    call(1, "generate-listener", of("clip.mp4"), *MESH, "--weights", RUNS, *SMALLEST, *VIDEO),
    call(1, "generate-listener", MOTION, "--audio", SOUNDS, *MESH, *SMALLEST, *VIDEO),
    call(0.5, "extract", CLIPS, MOTION, "-o", Out("folder")),
    call(2, "generate-speaker", SOUNDS, *MESH, *SMALLEST, *VIDEO),
    call(2, "generate-speaker", of("voice.wav"), "--ref", FACES, *SMALLEST, *VIDEO),
    call(0.7, "generate-dyad", SOUNDS, SOUNDS, *MESH, *SMALLEST, *VIDEO),
    call(0.5, "live", "--from", CLIPS, "--to", "file", "-o", Out("face.npz"), "--seconds", "0.4"),
    call(6, "extract", CLIPS, "-o", Out("seen.npz")),
    call(3, "extract", of("emoca_folder"), "-o", Out("seen.npz")),
    call(1, "extract", of("clip.mp4"), "--tracker", "emoca", "--checkpoint",
         of("network.pth", "flame_masks.pkl"), "-o", Out("seen.npz")),
    call(5, "visualize", MOTION, *SMALLEST, *VIDEO),
    call(2, "visualize", of("motion.npz"), MOTION, "--audio", SOUNDS, *SMALLEST, *VIDEO),
    call(5, "render", of("motion.npz"), "--ref", FACES, *SMALLEST, *VIDEO),
    call(2, "convert", MOTION, "--to", "arkit", "-o", Out("other.npz"), home=True),
    call(4, "export", MOTION, "-o", Out("out.csv")),
    call(2, "export", MOTION, "-o", Out("out.json")),
    call(2, "export", MOTION, "-o", Out("out.glb")),
    call(1, "prepare", "vico", VICO, *DATA),
    call(1, "prepare", "vico", VICO, "--table", of("vico/RLD_data.csv"), *DATA),
    call(1, "prepare", "vico", of("vico_emoca"), "--motion", of("vico_emoca/emoca"), *DATA),
    call(2, "prepare", "lm_listener", of("lm_listener"), *DATA),
    call(2, "prepare", "l2l", of("l2l"), *DATA),
    call(2, "prepare", "candor", of("candor"), *DATA),
    call(1, "prepare", "dualtalk", of("dualtalk"), *DATA),
    call(1, "prepare", "si184", of("si184"), *DATA),
    call(1, "prepare", "unilstalk", of("unilstalk"), *DATA),
    call(1, "prepare", "react", of("react"), "--motion", of("react_motion"), *DATA),
    call(3, "prepare", "clips", of("clips"), *DATA),
    call(1, "prepare", "synthetic", "--hours", "0.01", "--reacting", *DATA),
    call(3, "prepare", "speech", of("speech"), *DATA),
    call(1, "prepare", "biwi", of("biwi"), *DATA),
    call(1, "prepare", "vocaset", of("vocaset"), *DATA, home=True),
    call(2, "train-vq", STORES, "--role", "listener", *TINY, *RUN),
    call(1, "pretrain", STORES, "--vq-speaker", RUNS, "--vq-listener", RUNS, *TINY, *RUN),
    call(1, "finetune", STORES, "--init", RUNS, *TINY, *RUN),
    call(2, "train", STORES, "--method", "nearest-motion", *TINY, *RUN),
    call(1, "train", STORES, "--method", "l2l", "--vq-listener", RUNS, *TINY, *RUN),
    call(1.5, "train", of("store"), "--method", "l2l", "--vq-listener", of("vq"), *TINY[:6],
         "--resume", "-o", Again(("l2l_run",))),
    call(1, "prepare", "lm_listener", of("lm_listener"), "-o", Again(("prepared",))),
    call(1, "generate-listener", of("clip.mp4"), *MESH, "--weights", of("listener"), *SMALLEST,
         *VIDEO),
    call(1, "generate-speaker", of("voice.wav"), *MESH, "--weights", of("speaker"), *SMALLEST,
         *VIDEO),
    call(2, "render", of("motion.npz"), "--ref", of("face.png"), "--renderer", of("renderer"),
         *SMALLEST, *VIDEO),
    call(0.5, "train-renderer", of("clip.mp4"), "--preset", "tiny", "--steps", "1", *RUN),
    call(5, "eval", "--data", STORES, "--baseline", "mean", *FEW, "-o", Out("scores")),
    call(0.5, "finetune", STORES, "--init", of("listener"), "--preset", "adapt",
         "--steps", "1", "--device", "cpu", "--set", "training.batch_size=2", *RUN),
    call(0.5, "eval", "--data", STORES, "--weights", RUNS, "--folds", *FEW, "--csv", Out("a.csv")),
    call(4, "eval", "--data", STORES, "--weights", RUNS, *FEW, "--csv", Out("a.csv")),
    call(1, "eval", "--data", STORES, "--baseline", "mean", "--measures", "all", *FEW,
         "--csv", Out("a.csv")),
    call(1, "measure", MOTION, CLIPS, "--bootstrap", "10", "--csv", Out("a.csv")),
    call(0.5, "table", "3", "--dataset", "synthetic", "--data", of("store"), *TINY[:2], *FEW,
         "--set", "training.steps=1", "-o", Out("tables")),
    call(1, "study", "make", of("films_a"), of("films_b"), "-o", Out("study")),
    call(1, "study", "make", of("films_a"), of("films_b"), "--pairs", "-o", Out("study")),
    call(2, "study", "score", of("study"), of("study_results"), *FEW, "-o", Out("scores")),
    call(0.5, "weights", "list", home=True),
    call(0.5, "weights", "show", "flame", home=True),
    call(1, "weights", "verify", home=True),
    call(0.4, "weights", "import", "flame", of("flame_model.pkl")),
    call(2, "weights", "import", "flame-landmarks", of("embedding.npz")),
    call(2, "weights", "import", "flame-masks", of("flame_masks.pkl")),
    call(2, "weights", "import", "vgg19", of("network.pth")),
    call(2, "weights", "import", "emoca", of("network.pth")),
    call(0.3, "weights", "fetch", "nobody/nothing"),
    call(0.3, "weights", "push", RUNS, "--to", "nobody/nothing"),
    call(0.5, "doctor"),
    call(0.5, "serve", "--port", "0", "--folder", Out("videos")),
)  # fmt: skip

SMALL: dict[str, tuple[str, ...]] = {
    "--origin": ("http://localhost:3000", "localhost", "http://", "null", "*", "http://a/b"),
    "--host": ("127.0.0.1", "localhost", "0.0.0.0", "::1", "203.0.113.7", "x" * 300, "", "1"),
    "--hours": ("0.01", "0", "-1", "nan", "x", "1e9"),
    "--background": ("keep", "blur", "grey", "#12345", "transparent", "../canary", "a/b"),
    "--traits": ("nods=1.2", "nods=0", "x=1", "nods", "nods=nan"),
    **{
        f"--{gain}": ("0", "0.7", "1.5", "2.1", "-1", "nan", "x")
        for gain in ("smile", "brows", "blinks", "gaze")
    },
    "--head": ("0", "0.7", "2.1", "nan", "open", "flame", "x"),  # a gain, or a kind of head
    "--seconds": ("0.4", "nan", "-1", "inf", "x"),
    "--size": ("64", "65", "127", "63", "4097", "0", "-64", "1e2"),
    "--samples": ("1", "2", "0", "101", "-1", "9" * 30),
    "--steps": ("1", "2", "0", "-1", "x", "1.5"),
    "--versions": ("1", "2", "0", "1001"),
    "--minutes": ("0.001", "-1", "nan", "x", "1e300", "inf"),
    "--preset": ("tiny", "adapt", "x", ""),
    "--speaker": ("left", "right", "largest", "middle", ""),
    "--folds": ("3", "2", "0", "-1", "9" * 30),
    "--method": ("x", "", "nearest-audio"),
    "--device": ("cpu", "auto", "tpu", ""),
    "--tracker": ("landmarks", "emoca", "smirk", "x"),
    "--audio-encoder": ("mel", "hubert", "hubert:nowhere", "hubert:", "x", "", "mel4"),
    "--region": (
        *("0,0,64,64", "0,0,9999,9999", "-1,0,5,5", "0,0,1,1", "²,0,2,2", ",,,", "9" * 400),
        *("1e1,0,64,64", "nan,0,1,1", "0,0,0,0", "10,10,64,64,5"),
    ),
    "--set": (
        *("training.batch_size=0", "training.learning_rate=nan", "x", "=", "a=b", "seed=[[[["),
        *("training.batch_size=-1", "data.audio_dim=10000000000", "training.learning_rate=1e300"),
        *("training.validate_every=0", "training={}", "a.b.c.d=1", "data.fps=0"),
    ),
    "--baseline": ("mean", "random", "oracle", "x", "", "A=mean", "=mean", "mean=random"),
    "--measures": (
        *("paper", "listening", "timing", "reaction", "dualtalk", "unils", "behaviour", "all"),
        *("x", ""),
    ),
    "--weights": ("x", "", "listener-small", "L=", "../canary", "a/b"),
    "--split": ("train", "val", "test", "x", "ood=test", "=", "x=y"),
    "--identity": ("x", "a=", "=b", "a=clip.mp4", "../x=clip.mp4", "=".join("ab" * 50)),
    "--versions-of": ("*=2", "x", "=1", "[=1", "ann=0", "ann=99999999999"),
    "--shard": ("1/1", "1/2", "0/1", "2/1", "x", "1/0", "-1/2", "1/99999999999"),
    "--ablation": ("x", ""),
    "--renderer": ("mesh", "portrait", "x", "", "vq", ".."),
    "--style": ("calm", "x", "", "unknown"),
    "--revision": ("main", "", "../x", "x" * 300),
    "--to": ("flame", "arkit", "file", "osc", "camera", "x", "a/b", ""),
    "--audio": ("auto", "mel", "none", "given", "x", "", "hubert:nowhere", "voice.wav"),
    "--from": ("auto", "videos", "emoca", "processed", "motion", "x", ""),
    "--dataset": ("synthetic", "vico", "x", "", "d" * 5000),
}
"""Values of options that would ask for long honest work, or whose words are worth knowing."""
TEXTS = (
    "",
    " ",
    "x",
    "a=b",
    "ü",
    "\udcff",
    "x" * 5000,
    "../canary",
    "\n",
    "--",
    "[",
    "{",
    "%s",
    "0",
)


@dataclass(frozen=True)
class Option:
    """An option of a command."""

    flags: tuple[str, ...]
    kind: type | None
    """bool, int, float, Path or str; None for one of a few words."""
    choices: tuple[str, ...]


@cache
def tree() -> dict[tuple[str, ...], tuple[Option, ...]]:
    """Every command of the command line by its words, with its options."""
    from dimcli.cli.app import app

    return dict(walk(app, ()))


def walk(
    group: typer.Typer, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[Option, ...]]]:
    for command in group.registered_commands:
        assert command.name and command.callback
        parameters = inspect.signature(command.callback, eval_str=True).parameters.values()
        found = tuple(map(option, parameters))
        yield (*words, command.name), tuple(each for each in found if each is not None)
    for inner in group.registered_groups:
        assert inner.typer_instance
        yield from walk(inner.typer_instance, (*words, str(inner.name)))


def option(parameter: inspect.Parameter) -> Option | None:
    """The option that a parameter of a command's function is; None for an argument."""
    kind, *notes = get_args(parameter.annotation)
    (info,) = notes
    if not isinstance(info, OptionInfo):
        return None
    while get_origin(kind) in (Union, UnionType, list):
        kind = get_args(kind)[0]
    flags = tuple(each for part in info.param_decls or () for each in part.split("/"))
    flags = flags or ("--" + parameter.name.replace("_", "-"),)
    if get_origin(kind) is Literal:
        return Option(flags, None, tuple(map(str, get_args(kind))))
    return Option(flags, kind, ())


def make_plan(seed: int, seeds: Path, folder: Path) -> Plan:
    """Lay out the inputs of a run that follows from the seed alone."""
    random = Random(seed)
    lay_out(folder, seeds)
    command = random.choices(COMMANDS, [each.weight for each in COMMANDS])[0]
    plan = Plan(seed, [], folder)
    plan.online = command.words in (("weights", "fetch"), ("weights", "push"), ("serve",))
    plan.keeps = command.words[0] == "prepare"
    plan.homes = command.words in (("weights", "import"), ("train-renderer",))
    if command.home:
        shutil.copytree(seeds / "home", folder / "home", dirs_exist_ok=True)
    inputs = [index for index, part in enumerate(command.parts) if isinstance(part, In)]
    options = tree()[command.words]
    aims = ["input"] * 7 * bool(inputs) + ["option"] * 3 * bool(options)
    aims += ["output"] * any(isinstance(part, Out) for part in command.parts)
    aims += ["home"] * 8 * command.home + ["word"]
    aim = random.choice(aims)
    spoilt = random.choice(inputs) if aim == "input" and inputs else None
    for index, part in enumerate(command.parts):
        if isinstance(part, In):
            plan.arguments.append(place(plan, part, seeds, random, spoil=index == spoilt))
            if isinstance(part, Again):
                plan.outputs.append(plan.arguments[-1].removeprefix("./"))
        elif isinstance(part, Out):
            plan.arguments.append(name_output(plan, part, random, strange=aim == "output"))
        else:
            plan.arguments.append(part)
    if aim == "option":
        for _ in range(random.choice((1, 1, 2, 3))):
            add_option(plan, random.choice(options), seeds, random)
    elif aim == "home":
        plan.changes.append(change_folder(folder / "home", stock(seeds), random))
    elif aim == "word":
        spoil_words(plan, random)
    there = {path.name for path in (plan.folder / "work").iterdir()} - set(plan.outputs)
    for word in plan.arguments[1:]:  # any of them may be taken for the name of an output
        name = word.removeprefix("./")
        if name not in there:
            # beside out.mp4 some commands write out-1.mp4; a folder "." is where it runs
            plan.outputs.append("" if name == "." else name.removesuffix(Path(name).suffix))
    return plan


def place(plan: Plan, part: In, seeds: Path, random: Random, *, spoil: bool) -> str:
    """Copy a seed to where the command runs, spoil it, and give its name there."""
    source = seeds / random.choice(part.names)
    name = f"{len(list((plan.folder / 'work').iterdir()))}-{source.name}"
    if spoil and random.random() < 0.12:
        name = strange_name("" if source.is_dir() else source.suffix, random)
        plan.changes.append(f"{source.name} is called {name!r}")
    target = plan.folder / "work" / name
    if os.path.lexists(target):
        return place(plan, part, seeds, random, spoil=spoil)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)
    if spoil and random.random() < 0.93:
        if source.is_dir():
            plan.changes.append(change_folder(target, stock(seeds), random))
        else:
            same = sorted((seeds / "hostile").glob(f"*{source.suffix}"))
            if same and random.random() < 0.08:
                other = random.choice(same)
                shutil.copy(other, target)
                plan.changes.append(f"{name} is {other.name}")
            else:
                plan.changes.append(change_file(target, stock(seeds), random))
    return name if random.random() < 0.9 else f"./{name}"


@cache
def stock(seeds: Path) -> list[Path]:
    """Single files of every kind, to be called something else."""
    found = [*seeds.iterdir(), *(seeds / "hostile").iterdir()]
    return sorted(path for path in found if path.is_file() and path.stat().st_size < 10**7)


def name_output(plan: Plan, part: Out, random: Random, *, strange: bool) -> str:
    name = part.name
    if strange:
        suffix = Path(name).suffix
        roll = random.random()
        if roll < 0.5:
            name = strange_name(suffix, random)
        elif roll < 0.7:
            name = random.choice(STRANGE_PATHS)
        elif roll < 0.85:
            name = random.choice(("out.txt", "out", "OUT" + suffix.upper(), "no/folder" + suffix))
        else:
            (plan.folder / "work" / name).write_text("precious")
        plan.changes.append(f"output {name[:60]!r}")
    plan.outputs.append(name)
    return name


def add_option(plan: Plan, option: Option, seeds: Path, random: Random) -> None:
    """An option with a value that is right, nearly right or hostile."""
    flag = random.choice(option.flags)
    plan.arguments.append(flag)
    if option.kind is bool:
        plan.changes.append(flag)
        return
    long = max(option.flags, key=len)
    if long in SMALL and random.random() < 0.9:
        value = random.choice(SMALL[long])
    elif option.choices:
        value = random.choice((*option.choices, "x", ""))
    elif option.kind in (int, float):
        value = str(random.choice((*NUMBERS, "nan", "inf", "x", "", "1e5", "٣", "9" * 5000)))
    elif option.kind is Path:
        value = str(random.choice((*STRANGE_PATHS, *(["x.npz", "x.csv", "x.html", "x"] * 4))))
        if random.random() < 0.4:
            value = "extra" + (source := random.choice(stock(seeds))).suffix
            shutil.copy(source, plan.folder / "work" / value)
    else:
        value = random.choice(TEXTS)
    plan.arguments.append(value)
    plan.changes.append(f"{flag} {value[:60]!r}")


def spoil_words(plan: Plan, random: Random) -> None:
    """A word of the command line taken away, doubled or replaced."""
    at = random.randrange(1, len(plan.arguments)) if len(plan.arguments) > 1 else 0
    roll = random.random()
    if roll < 0.3:
        del plan.arguments[at]
    elif roll < 0.5:
        plan.arguments.insert(at, plan.arguments[at])
    else:
        plan.arguments[at] = random.choice((*STRANGE_PATHS, *TEXTS))
    plan.changes.append(f"words changed at {at}")
