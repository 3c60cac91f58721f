"""The whole main job, process start included: by clip, by length, and beside busy processes.

``python -m tests.bench main_job``. Uses the real clips where they are (DIM_CLIPS or
``../shared/clips``), and the shipped examples always.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

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
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([code, time.perf_counter() - started, peak / 1024]))
"""

BUSY = "while True: pass"


def main_job(speaker: Path, reference: Path, folder: Path) -> tuple[float, float]:
    """Seconds and peak MB of one run of the command."""
    import json

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
    )
    code, seconds, peak_mb = json.loads(done.stdout)
    if code:
        raise SystemExit(f"the main job failed on {speaker.name}")
    return seconds, peak_mb


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
        print(f"{'speaker':<34}{'portrait':<18}{'clip s':>8}{'taken s':>9}{'ratio':>7}{'MB':>7}")
        for speaker in speakers:
            length = media.probe_video(speaker).duration_s
            for portrait in portraits:
                taken, peak = main_job(speaker, portrait, folder)
                print(
                    f"{speaker.stem:<34}{portrait.stem:<18}{length:>8.1f}{taken:>9.1f}"
                    f"{taken / length:>7.2f}{peak:>7.0f}",
                    flush=True,
                )
        peaks = {}
        for length, busy in ((2, 0), (2, 4), (10, 0), (10, 4), (300, 0)):
            clip = looped(speakers[0], length, folder)
            others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(busy)]
            try:
                taken, peaks[length, busy] = main_job(clip, portraits[0], folder)
            finally:
                for other in others:
                    other.kill()
                    other.wait()
            print(
                f"looped to {length:>3} s, beside {busy} busy processes: {taken:.1f} s taken, "
                f"{taken / length:.2f} of its length, peak {peaks[length, busy]:.0f} MB",
                flush=True,
            )
        print(f"memory of 300 s over 10 s: {peaks[300, 0] / peaks[10, 0]:.2f}")


if __name__ == "__main__":
    main()
