"""What a change of structure must not change: hashes of what the commands make, to the byte.

    python -m tests.fingerprints before.json        # on the tree as it was
    python -m tests.fingerprints after.json --than before.json

Everything goes through the command line, so that it does not matter where the code lives. The
figures are of one machine: compare only what the same machine made. ``--only NAME`` makes one part.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors import safe_open

REPOSITORY = Path(__file__).parent.parent
EXAMPLES, VOICES = REPOSITORY / "examples", REPOSITORY / "weights" / "held-out-speech"
SHORT = ("--set", "training.steps=8", "--set", "training.validate_every=4")
TRAINED = ("rlhg", "l2l", "elp", "nearest-audio", "nearest-motion")
SPEAKERS = ("faceformer", "codetalker", "meshtalk")
ABLATIONS = (
    *("no-vq", "no-pretraining", "frozen-decoder", "no-contrast", "one-branch"),
    *("motion-only", "audio-only", "online", "autoregressive"),
)
UNTRAINED = ("mean", "random", "mirror", "oracle")
_LOCAL = ("command", "path", "taken_s", "written", "weights", "report")
"""Keys of printed figures that name places and times, not results."""


def dim(*arguments: object, folder: Path) -> str:
    """Run a command in ``folder``; its standard output."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "dimcli", *map(str, arguments)]
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)}\n{ended.stderr}")
    return ended.stdout


def of_bytes(content: bytes) -> str:
    """A short hash."""
    return hashlib.sha256(content).hexdigest()[:16]


def of_file(path: Path) -> str:
    """A file's hash."""
    return of_bytes(path.read_bytes())


def of_motion(path: Path) -> str:
    """A motion file's hash: numbers, and what it says of itself but for places."""
    with np.load(path, allow_pickle=False) as stored:
        meta = json.loads(str(stored["meta"]))
        meta.pop("source", None)
        parts = [stored[key].tobytes() for key in ("values", "fps", "valid")]
    return of_bytes(b"".join(parts) + json.dumps(meta, sort_keys=True).encode())


def of_tensors(path: Path) -> str:
    """A weights file's hash: names, types and numbers."""
    digest = hashlib.sha256()
    with safe_open(path, "np") as stored:
        for name in sorted(stored.keys()):
            values = stored.get_tensor(name)
            digest.update(f"{name} {values.dtype} {values.shape}".encode() + values.tobytes())
    return digest.hexdigest()[:16]


def of_figures(printed: str) -> str:
    """The hash of printed figures, less places and times."""
    return of_bytes(json.dumps(_timeless(json.loads(printed)), sort_keys=True).encode())


def _timeless(found: object) -> object:
    if isinstance(found, dict):
        return {key: _timeless(value) for key, value in found.items() if key not in _LOCAL}
    return [_timeless(each) for each in found] if isinstance(found, list) else found


def of_folder(folder: Path) -> dict[str, str]:
    """Hashes of a data set's files; of tensors without their notes, which have file times."""
    return {
        str(path.relative_to(folder)): (of_tensors if path.suffix == ".safetensors" else of_file)(
            path
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".safetensors", ".jsonl", ".yaml", ".json")
    }


def listener(folder: Path) -> dict[str, str]:
    """The demo, its exports and a mesh."""
    dim(
        *("generate-listener", EXAMPLES / "speaker.mp4", "--ref", EXAMPLES / "listener.png"),
        *("--layout", "side-by-side", "--attitude", "positive", "--seed", 3, "--samples", 2),
        *("--save-motion", "listener.npz", "-o", "demo.mp4"),
        folder=folder,
    )
    found = {f"motion {i}": of_motion(folder / f"listener-{i}.npz") for i in (1, 2)}
    found |= {f"video {i}": of_file(folder / f"demo-{i}.mp4") for i in (1, 2)}
    for name in ("out.glb", "out.csv", "out.json"):
        dim("export", "listener-1.npz", "-o", name, folder=folder)
        found[name] = of_file(folder / name)
    dim("visualize", "listener-1.npz", "-o", "mesh.mp4", "--size", 128, folder=folder)
    return found | {"mesh": of_file(folder / "mesh.mp4")}


def extract(folder: Path) -> dict[str, str]:
    """The tracker and its rendering."""
    dim(
        *("extract", EXAMPLES / "speaker.mp4", "-o", "speaker.npz", "--audio-encoder", "mel"),
        folder=folder,
    )
    dim(
        *("render", "speaker.npz", "--ref", EXAMPLES / "listener.png", "-o", "back.mp4"),
        folder=folder,
    )
    return {
        "motion": of_motion(folder / "speaker.npz"),
        "video": of_file(folder / "back.mp4"),
        **{path.name: of_file(path) for path in folder.glob("*features*")},
    }


def speaker(folder: Path) -> dict[str, str]:
    """A talking face, whole and as a stream."""
    found = {}
    for name, more in {"whole": (), "online": ("--online",)}.items():
        dim(
            *("generate-speaker", VOICES / "natural-9000.ogg", "--renderer", "mesh"),
            *("--style", "lively", "--seed", 5, "--size", 96),
            *("--save-motion", f"{name}.npz", "-o", f"{name}.mp4", *more),
            folder=folder,
        )
        found[name] = of_motion(folder / f"{name}.npz")
        found[f"{name} video"] = of_file(folder / f"{name}.mp4")
    return found


def dyad(folder: Path) -> dict[str, str]:
    """Both sides of a conversation."""
    dim(
        *("generate-dyad", VOICES / "natural-9001.ogg", VOICES / "espeak-9001.ogg"),
        *("--renderer", "mesh", "--size", 96, "--seed", 2),
        *("--save-motion", "both.npz", "-o", "both.mp4"),
        folder=folder,
    )
    found = {side: of_motion(folder / f"both-{side}.npz") for side in "ab"}
    return found | {"video": of_file(folder / "both.mp4")}


def prepare(folder: Path) -> dict[str, str]:
    """Synthetic dyads."""
    dim("prepare", "synthetic", "-o", "data", "--hours", 0.2, "--seed", 4, folder=folder)
    dim(
        *("prepare", "speech", VOICES, "-o", "speech"),
        folder=folder,
    )
    return {
        **{f"data/{name}": value for name, value in of_folder(folder / "data").items()},
        **{f"speech/{name}": value for name, value in of_folder(folder / "speech").items()},
    }


def _runs(folder: Path) -> dict[str, str]:
    runs = sorted(folder.glob("runs/**/model.safetensors"))
    return {str(path.parent.relative_to(folder)): of_tensors(path) for path in runs}


def _train(data: str, method: str, run: str, *more: object, folder: Path) -> None:
    dim(
        *("train", data, "--method", method, "-o", run, "--preset", "tiny", "--device", "cpu"),
        *(SHORT if not method.startswith("nearest") else ()),
        *more,
        folder=folder,
    )


def listeners(folder: Path) -> dict[str, str]:
    """Every method of listeners at tiny, every ablation, and the figures of all of them."""
    (folder / "runs").mkdir()
    dim("prepare", "synthetic", "-o", "data", "--hours", 0.2, "--seed", 4, folder=folder)
    _train("data", "dim", "runs/dim", folder=folder)
    for ablation in ABLATIONS:
        _train("data", "dim", f"runs/{ablation}", "--ablation", ablation, folder=folder)
    for method in TRAINED:
        _train("data", method, f"runs/{method}", folder=folder)
    _train("data", "rlhg", "runs/rlhg-more", "--init", "runs/rlhg", folder=folder)
    names = ("dim", *ABLATIONS, *TRAINED, "listener-small")
    weights = [w for n in names for w in ("--weights", n if n.endswith("small") else f"runs/{n}")]
    baselines = [word for name in UNTRAINED for word in ("--baseline", name)]
    chosen = ("eval", "--dataset", "synthetic", "--data", "data", "--device", "cpu")
    every = ("--samples", 2, "--json", "-o", "scores", "--clips", 1)
    found = _runs(folder)
    found["eval"] = of_figures(dim(*chosen, *weights, *baselines, *every, folder=folder))
    for name in ("scores.csv", "scores.tex"):
        found[name] = of_file(folder / "scores" / name)
    found["online"] = of_figures(
        dim(*chosen, "--weights", "runs/online", "--online", "--json", folder=folder)
    )
    found["official"] = of_figures(
        dim(
            *(*chosen, "--weights", "runs/dim", "--protocol", "official", "--samples", 3),
            "--json",
            folder=folder,
        )
    )
    return found


def table(folder: Path) -> dict[str, str]:
    """A table of the paper."""
    words = ("--dataset", "synthetic", "--preset", "tiny", "-o", "made", *SHORT, "--clips", 0)
    listed = dim("--help", folder=folder)
    new = any(line.strip(" │").startswith("table ") for line in listed.splitlines())
    command = ("table", "3") if new else ("eval", "--table", "3")
    printed = dim(*command, *words, "--device", "cpu", "--json", folder=folder)
    made = folder / "made" / "table-3"
    csv, page = of_file(made / "scores.csv"), of_file(made / "table.md")
    return {"figures": of_figures(printed), "csv": csv, "page": page}


def speakers(folder: Path) -> dict[str, str]:
    """Every method of speakers at tiny, and the figures of all of them."""
    (folder / "runs").mkdir()
    dim("prepare", "speech", VOICES, "-o", "data", folder=folder)
    for method in SPEAKERS:
        _train("data", method, f"runs/{method}", folder=folder)
    common = ("--preset", "speaker", "--device", "cpu", *SHORT, "--set", "training.batch_size=4")
    dim("train-vq", "data", "--role", "speaker", "-o", "runs/vq", *common, folder=folder)
    dim(
        *("finetune", "data", "--task", "speaker", "--init", "runs/vq", "-o", "runs/dim"),
        *common,
        folder=folder,
    )
    names = (*SPEAKERS, "dim")
    weights = [word for name in names for word in ("--weights", f"runs/{name}")]
    printed = dim(
        *("eval", "--dataset", "synthetic", "--task", "speaker", *weights),
        *("--weights", "speaker-small", "--device", "cpu", "--json", "-o", "scores"),
        *("--clips", 1),
        folder=folder,
    )
    found = _runs(folder) | {"eval": of_figures(printed)}
    return found | {"csv": of_file(folder / "scores" / "scores.csv")}


def renderer(folder: Path) -> dict[str, str]:
    """A renderer of one person, trained for a few steps."""
    (folder / "runs").mkdir()
    dim(
        *("train-renderer", EXAMPLES / "speaker.mp4", "-o", "runs/made", "--steps", 6),
        *("--minutes", 0, "--device", "cpu"),
        folder=folder,
    )
    dim(
        *("generate-listener", EXAMPLES / "speaker.mp4", "--ref", EXAMPLES / "listener.png"),
        *("--renderer", "runs/made", "--size", 128, "-o", "out.mp4"),
        folder=folder,
    )
    return _runs(folder) | {"video": of_file(folder / "out.mp4")}


PARTS: dict[str, Callable[[Path], dict[str, str]]] = {
    part.__name__: part
    for part in (listener, extract, speaker, dyad, prepare, listeners, table, speakers, renderer)
}


def main() -> None:
    """Make the hashes; with ``--than`` compare them and exit 1 where one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--than", type=Path, help="What they must be equal to.")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="One part.")
    given = parser.parse_args()
    found = {}
    for name in given.only or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "home"
            home.mkdir()
            os.environ["DIM_HOME"] = str(home)
            work = Path(folder) / "work"
            work.mkdir()
            found[name] = PARTS[name](work)
        print(f"{name}: {len(found[name])} figures", flush=True)
    given.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if given.than is None:
        return
    before = json.loads(given.than.read_text(encoding="utf-8"))
    count = 0
    for part, figures in found.items():
        for name in sorted({*figures, *before[part]}):
            count += 1
            if figures.get(name) != before[part].get(name):
                print(f"DIFFERS {part}: {name}")
                count = -10_000
    if count < 0:
        raise SystemExit(1)
    print(f"all {count} figures are equal")


if __name__ == "__main__":
    main()
