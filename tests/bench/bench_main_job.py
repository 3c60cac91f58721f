"""The whole main job, process start included: by clip, by length, and beside busy processes.

``python -m tests.bench main_job``. Uses the real clips where they are (DIM_CLIPS or
``../shared/clips``), and the shipped examples always. Where other programs run, too, the seconds of
the processor tell more than the clock's. DIM_BENCH_BEFORE=FOLDER, a checkout of an older commit,
answers each of the lengths as well, in turns.

Python's compiled modules are there, as an installation has them: each program runs once before.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import imageio_ffmpeg

from dimcli import media

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
CLIPS = Path(os.environ.get("DIM_CLIPS", REPOSITORY.parent / "shared" / "clips"))

# the parent measures its child's peak memory, so each run gets a parent of its own
MEASURE = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
taken = time.perf_counter() - started
print(json.dumps([code, taken, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""

COLUMNS = {"clip s": 8, "taken s": 9, "CPU s": 7, "ratio": 7, "MB": 7}
BUSY = "while True: pass"
LENGTHS = ((2, 0), (2, 4), (10, 0), (10, 4), (60, 0), (60, 4), (300, 0))
"""Seconds that the example is looped to, and the busy processes beside it."""


class Run(NamedTuple):
    """What one run of the command took: seconds, seconds of the processor, MB at its peak."""

    taken_s: float
    cpu_s: float
    peak_mb: float


def main_job(speaker: Path, reference: Path, folder: Path, code: Path = REPOSITORY) -> Run:
    """One run of the command of the checkout ``code``."""
    as_installed = dict(os.environ)
    as_installed.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [
        *(sys.executable, "-m", "dimcli", "generate-listener", speaker, "--ref", reference),
        *("-o", folder / "out.mp4", "--force"),
        *(("--speaker", "left") if speaker.stem.startswith("vico") else ()),  # two people
    ]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, command)],
        capture_output=True,
        text=True,
        check=True,
        cwd=code,
        env=as_installed
        | {"PYTHONPATH": str(code), "PYTHONPYCACHEPREFIX": str(folder / "compiled")},
    )
    failed, *figures = json.loads(done.stdout)
    if failed:
        raise SystemExit(f"the main job failed on {speaker.name}")
    return Run(*figures)


def looped(speaker: Path, length_s: float, folder: Path) -> Path:
    path = folder / f"{speaker.stem}-{length_s:.0f}s.mp4"
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-stream_loop", "-1"),
            *("-i", str(speaker), "-t", str(length_s), "-c", "copy", str(path)),
        ],
        check=True,
    )
    return path


def main() -> None:
    portraits = [EXAMPLES / "listener.png"]
    speakers = [EXAMPLES / "speaker.mp4"]
    if CLIPS.is_dir():
        portraits += sorted((CLIPS / "portraits").iterdir())
        speakers += sorted(CLIPS.glob("*.mp4"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        main_job(looped(speakers[0], 1, folder), portraits[0], folder)  # compiles
        heads = "".join(f"{name:>{width}}" for name, width in COLUMNS.items())
        print(f"{'speaker':<34}{'portrait':<18}{heads}")
        for speaker in speakers:
            length = media.probe_video(speaker).duration_s
            for portrait in portraits:
                run = main_job(speaker, portrait, folder)
                print(
                    f"{speaker.stem:<34}{portrait.stem:<18}{length:>8.1f}{run.taken_s:>9.1f}"
                    f"{run.cpu_s:>7.1f}{run.taken_s / length:>7.2f}{run.peak_mb:>7.0f}",
                    flush=True,
                )
        by_length(speakers[0], portraits[0], folder)


def by_length(speaker: Path, portrait: Path, folder: Path) -> None:
    """``speaker`` looped to each of some lengths, alone and beside busy processes."""
    codes = {"": REPOSITORY}
    if before := os.environ.get("DIM_BENCH_BEFORE"):
        codes["before, "] = Path(before).resolve()
    peaks = {}
    for code in codes.values():
        main_job(looped(speaker, 1, folder), portrait, folder, code)  # compiles
    for length, busy in LENGTHS:
        clip = looped(speaker, length, folder)
        others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(busy)]
        try:
            for label, code in codes.items():
                load = os.getloadavg()[0]
                run = main_job(clip, portrait, folder, code)
                peaks[label, length, busy] = run.peak_mb
                print(
                    f"{label}looped to {length:>3} s, beside {busy} busy processes: "
                    f"{run.taken_s:.1f} s taken, {run.taken_s / length:.2f} of its length, "
                    f"{run.cpu_s:.1f} s CPU, peak {run.peak_mb:.0f} MB [load {load:.1f} before]",
                    flush=True,
                )
        finally:
            for other in others:
                other.kill()
                other.wait()
    print(f"memory of 300 s over 10 s: {peaks['', 300, 0] / peaks['', 10, 0]:.2f}")


if __name__ == "__main__":
    main()
