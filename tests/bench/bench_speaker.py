"""Lips made from real speech, beside the lips that were tracked saying it.

``python -m tests.bench speaker`` with the bundled speaker, or DIM_SPEAKER=<name or run folder>;
DIM_ONLINE=1 hears as a stream does. The clips are the real ones (DIM_CLIPS or ``../shared/clips``):
sound only goes in. The truth is the ``lip`` of the reference track where there is one, else our
tracker's. Correlations are at the best lag within two frames, beside what a face that follows the
volume gets; openings are the mean, its standard deviation, and the mean inside pauses of 0.4 s and
more, made / real. Published clips are often out of step themselves, their picture ahead of the
sound: so the best correlation within 0.4 s, and the lag it takes, stand there, too.
"""

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dimcli.audio import ACTIVITY, SAMPLE_RATE, mel
from dimcli.core.motion import Motion
from dimcli.evaluation.lips import LipAgreement, lip_agreement, lip_opening
from dimcli.media import read_audio

Floats = NDArray[np.float32]
Speaker = Callable[[Floats, int, float, int], Motion]
"""Sound float32 [N], its rate in Hz, frames a second wanted, their number: motion of that size."""

REPOSITORY = Path(__file__).parents[2]
CLIPS = Path(os.environ.get("DIM_CLIPS", REPOSITORY.parent / "shared" / "clips"))
ONLINE = os.environ.get("DIM_ONLINE") == "1"
TALKERS = {
    "sadtalker_WDA_KatieHill_000": ("talking clip 1", ""),
    "liveportrait_d20": ("talking clip 2", ""),
    "vico_d5s6u96knvkp": ("dyad 1, speaker", ".speaker"),
    "vico_donfyjh9ge50": ("dyad 2, speaker", ".speaker"),
}
"""Clips in which one person talks: what they are called, and which of the reference's persons."""
PAUSE_S = 0.4
APART_S = 0.4


@dataclass(frozen=True)
class Row:
    """One ``clip``'s figures: correlations and lags in frames (positive: made later than real),
    means and deviations of the opening, and the opening in pauses; pairs are made and real.
    """

    clip: str
    made: float
    lag: int
    loud: float
    apart: LipAgreement
    opening: tuple[float, float]
    spread: tuple[float, float]
    rest: tuple[float, float]


def tracked_lips(clips: Path, clip: str, person: str) -> tuple[Floats, float]:
    """The lip opening of a talking clip, [T], and its frames a second."""
    reference = clips / "reference" / f"{clip}{person}.npz"
    if reference.is_file():
        with np.load(reference, allow_pickle=False) as track:
            return track["lip"].astype(np.float32), float(track["fps"])
    from dimcli.tracking.landmarks import track_video

    motion = track_video(clips / f"{clip}.mp4")
    return lip_opening(motion), motion.fps


def pauses_of(samples: Floats, fps: float, frames: int) -> list[tuple[float, float]]:
    """Start and end in seconds of the pauses of PAUSE_S and more that ``mel`` hears."""
    quiet = np.concatenate([[False], mel(samples, SAMPLE_RATE, fps, frames)[:, ACTIVITY] < 0.3])
    edges = np.flatnonzero(np.diff(np.append(quiet, False).astype(int)))
    pairs = edges.reshape(-1, 2) / fps
    return [(start, end) for start, end in pairs if end - start >= PAUSE_S]


def loudness(samples: Floats, rate: int, fps: float, frames: int) -> Floats:
    """Root mean square of the sound over 60 ms around each frame, in dB over -60: float32 [frames].

    What a face that only follows the volume would do: the baseline of lip sync. ``samples`` [N].
    """
    half = 0.03
    total = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    times = np.arange(frames) / fps
    first = np.clip(np.round((times - half) * rate), 0, len(samples)).astype(int)
    last = np.clip(np.round((times + half) * rate), 0, len(samples)).astype(int)
    power = (total[last] - total[first]) / np.maximum(last - first, 1)
    return np.maximum(10.0 * np.log10(power + 1e-12) + 60.0, 0.0).astype(np.float32)


def mouth_at_rest(opening: Floats, pauses: Sequence[tuple[float, float]], fps: float) -> float:
    """Mean opening inside ``pauses`` (start, end in seconds), 0.15 s from their ends: NaN if none.

    Pauses of 0.4 s and more are meant; in shorter ones mouths stay open.
    """
    inside = np.zeros(len(opening), bool)
    for start, end in pauses:
        inside[round((start + 0.15) * fps) : round((end - 0.15) * fps)] = True
    return float(opening[inside].mean()) if inside.any() else float("nan")


def compare(clips: Path, speaker: Speaker) -> list[Row]:
    """``speaker`` on every talking clip in ``clips``."""
    rows = []
    for clip, (name, person) in TALKERS.items():
        if not (clips / f"{clip}.mp4").is_file():
            continue
        truth, fps = tracked_lips(clips, clip, person)
        samples = read_audio(clips / f"{clip}.mp4", SAMPLE_RATE)
        made = lip_opening(speaker(samples, SAMPLE_RATE, fps, len(truth)))
        pauses = pauses_of(samples, fps, len(truth))
        agreement = lip_agreement(made, truth)
        volume = loudness(samples, SAMPLE_RATE, fps, len(truth))
        rows.append(
            Row(
                clip=name,
                made=agreement.correlation,
                lag=agreement.lag,
                loud=lip_agreement(volume, truth).correlation,
                apart=lip_agreement(made, truth, max_lag=round(APART_S * fps)),
                opening=(float(made.mean()), float(truth.mean())),
                spread=(float(made.std()), float(truth.std())),
                rest=(mouth_at_rest(made, pauses, fps), mouth_at_rest(truth, pauses, fps)),
            )
        )
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, and what they come to."""
    heads = ["clip", "made", "lag", "loudness", f"best within {APART_S:g} s"]
    heads += ["mean opening", "its spread", "in pauses"]
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        pairs = (row.opening, row.spread, row.rest)
        opened = [
            " / ".join("-" if np.isnan(each) else f"{each:.3f}" for each in pair) for pair in pairs
        ]
        apart = f"{row.apart.correlation:.2f} at {row.apart.lag:+d}"
        lines.append([row.clip, f"{row.made:.2f}", str(row.lag), f"{row.loud:.2f}", apart, *opened])
    better = sum(row.made > row.loud for row in rows)
    return "\n".join(
        [
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
            f"Median {statistics.median(row.made for row in rows):.2f}, and "
            f"{statistics.median(row.apart.correlation for row in rows):.2f} within {APART_S:g} s; "
            f"better than loudness on {better} of {len(rows)}.",
        ]
    )


def main() -> None:
    """Print the table."""
    from dimcli.jobs.generate import load_speaker

    model = load_speaker(os.environ.get("DIM_SPEAKER", "speaker-small"), online=ONLINE)

    def speaker(samples: Floats, rate: int, fps: float, frames: int) -> Motion:
        return model.speak(samples, rate=rate).resampled(fps, frames)

    rows = compare(CLIPS, speaker)
    print(table(rows) if rows else f"{CLIPS}: has none of {', '.join(TALKERS)}")


if __name__ == "__main__":
    main()
