"""From speech to a finished 512 px video, process start included, and memory against length.

``python -m tests.bench generate_speaker``. With the speech of the real clips where they are
(DIM_CLIPS or ``../shared/clips``), else that of the shipped example. DIM_SPEAKER names other
weights. A ratio under 1 is faster than the speech lasts.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg

from dimcli.media import read_audio
from tests.bench.bench_main_job import MEASURE

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
CLIPS = Path(os.environ.get("DIM_CLIPS", REPOSITORY.parent / "shared" / "clips"))
LENGTHS_S = (10, 60)
MEMORY_S = (60, 600)


def speech_of(source: Path, length_s: float, folder: Path) -> Path:
    """``source``'s sound, again and again, until ``length_s``."""
    path = folder / f"{source.stem}-{length_s:.0f}s.wav"
    looped = ("-stream_loop", "-1", "-i", str(source), "-vn", "-t", str(length_s), "-ac", "1")
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *looped, str(path)], check=True
    )
    return path


def generated(speech: Path, folder: Path, *options: str) -> tuple[float, float]:
    """Seconds and peak MB of one run of the command."""
    command = [
        *(sys.executable, "-m", "dimcli", "generate-speaker", speech),
        *("--weights", os.environ.get("DIM_SPEAKER", "speaker-small")),
        *(*options, "-o", folder / "out.mp4", "--force"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, command)],
        capture_output=True,
        text=True,
        check=True,
    )
    code, seconds, peak_mb = json.loads(done.stdout)
    if code:
        raise SystemExit(f"it failed on {speech.name}")
    return seconds, peak_mb


def main() -> None:
    """Print the table."""
    source = CLIPS / "speech" / "hallo_1.wav"
    source = source if source.is_file() else EXAMPLES / "speaker.mp4"
    portrait = ("--ref", str(EXAMPLES / "listener.png"), "--size", "512")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{'speech s':>9}{'taken s':>9}{'ratio':>7}{'MB':>7}  ({source.name})")
        for length in LENGTHS_S:
            speech = speech_of(source, length, folder)
            length_s = len(read_audio(speech, 16000)) / 16000
            taken, peak = generated(speech, folder, *portrait)
            print(f"{length_s:>9.1f}{taken:>9.1f}{taken / length_s:>7.2f}{peak:>7.0f}", flush=True)
        mesh = ("--renderer", "mesh", "--size", "64")
        peaks = [generated(speech_of(source, s, folder), folder, *mesh)[1] for s in MEMORY_S]
        print(f"peak MB of {MEMORY_S[0]} s and {MEMORY_S[1]} s: {peaks[0]:.0f}, {peaks[1]:.0f}")


if __name__ == "__main__":
    main()
