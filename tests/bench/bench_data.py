"""Reading training data: the paper's 850 hours beside 1 hour, in memory, time and waiting.

``python -m tests.bench data``. The 850 hours are the conversations of one hour under other names
(hard links), so that the disk holds one hour; DIM_BENCH_HOURS says another number. Each line is of
a process of its own: how long the store takes to open; the time that a batch takes; the share of
the time that steps wait for their batches when each takes as long as one of `paper` on one GPU
(``examples/research.md``) and leaves the processor to the thread that reads; and the peak resident
memory, of the open store, after these steps and after four times as many batches. What training
waits for on this machine, ``python -m tests.bench training`` says.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from dimcli.audio import HUBERT, MEL
from dimcli.data.clip import ClipRecord
from dimcli.data.conversations import conversation_path
from dimcli.data.writer import StoreWriter

FPS = 25.0
CONVERSATION_S, CLIP_S = 60, 15
HOUR = 3600 // CONVERSATION_S
HOURS = int(os.environ.get("DIM_BENCH_HOURS", "850"))
ENCODERS = {"mel": MEL, "hubert": HUBERT}
BATCHES = 250
STEP_S = 0.04

READ = """
import json, resource, sys, time
from pathlib import Path
from dimcli.data.store import ClipStore
from dimcli.data.windows import ReadAhead, WindowSampler

def megabytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)

before = megabytes()
opened, opening = time.perf_counter(), time.process_time()
store = ClipStore(Path(sys.argv[1]))
sampler = WindowSampler(
    store, "train", frames=160, batch_size=32, stride=1, centre_speaker=sys.argv[2] == "centred",
    seed=0,
)
opened, opening = time.perf_counter() - opened, time.process_time() - opening
sampler.batch(0)
memory = [megabytes() - before]
count, step = int(sys.argv[3]), float(sys.argv[4])
started, busy = time.perf_counter(), time.process_time()
for index in range(count // 4):
    sampler.batch(index)
taken, busy = time.perf_counter() - started, time.process_time() - busy
ahead = ReadAhead(sampler.batch, 4 * count)
ahead(0)
ahead.waited_s, started = 0.0, time.perf_counter()
for index in range(1, count):
    time.sleep(step)
    ahead(index)
waited = ahead.waited_s / (time.perf_counter() - started)
memory.append(megabytes() - before)
for index in range(count, 4 * count):
    ahead(index)
ahead.close()
memory.append(megabytes() - before)
print(json.dumps([opened, opening, memory, 4 * taken / count, 4 * busy / count, waited]))
"""


def writer_of(out: Path, encoder: str) -> StoreWriter:
    return StoreWriter(
        out,
        name="bench",
        fps=FPS,
        space="arkit",
        encoder=encoder,
        audio_dim=ENCODERS[encoder].dim,
    )


def make_hour(out: Path, encoder: str) -> Path:
    """One hour of dyads: smooth motion and noise for sound."""
    random = np.random.default_rng(0)
    width = ENCODERS[encoder].dim
    writer = writer_of(out, encoder)
    frames = round(CONVERSATION_S * FPS)
    for index in range(HOUR):
        motion = np.cumsum(random.normal(size=(2, frames, 56)).astype(np.float32), axis=1) * 0.01
        audio = random.normal(size=(frames, width)).astype(np.float32)
        writer.add(name(index), speaker=motion[0], listener=motion[1], audio=audio, notes={})
    writer.finish(records(HOUR), {"prepare": "bench"})
    return out


def name(index: int) -> str:
    return f"made-{index:06d}"


def records(conversations: int) -> list[ClipRecord]:
    """The clips of so many conversations; one in ten is in val."""
    length = round(CLIP_S * FPS)
    return [
        ClipRecord(
            id=f"{name(index)}-{start:05d}",
            conversation=name(index),
            start=start,
            stop=start + length,
            split="val" if index % 10 == 9 else "train",
            speaker=f"speaker-{index}",
            listener=f"listener-{index}",
            attitude="neutral",
        )
        for index in range(conversations)
        for start in range(0, round(CONVERSATION_S * FPS), length)
    ]


def repeat(hour: Path, out: Path, encoder: str, hours: int) -> None:
    """The same hour again and again, under other names."""
    writer = writer_of(out, encoder)
    for index in range(hours * HOUR):
        os.link(conversation_path(hour, name(index % HOUR)), conversation_path(out, name(index)))
    writer.finish(records(hours * HOUR), {"prepare": "bench"})


def run(program: str, *arguments: object) -> list:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print a line for each store."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("DIM_BENCH_TMP")) as folder:
        for encoder in ENCODERS:
            hour = make_hour(Path(folder) / f"{encoder}-1", encoder)
            repeat(hour, Path(folder) / f"{encoder}-{HOURS}", encoder, HOURS)
            for hours, mode in ((1, "as it is"), (HOURS, "as it is"), (HOURS, "centred")):
                path = Path(folder) / f"{encoder}-{hours}"
                opened, opening, memory, batch, busy, waited = run(
                    READ, path, mode, BATCHES, STEP_S
                )
                first, then, last = memory
                print(
                    f"{encoder:<7}{hours:>4} h {mode:<9} opened in {opened:5.2f} s "
                    f"({opening:.2f} s CPU); "
                    f"{1000 * batch:6.2f} ms a batch of 32 windows of 6.4 s ({1000 * busy:.2f} ms "
                    f"CPU); steps of {STEP_S:g} s wait {100 * waited:.2f} %; {first:.0f} MB, after "
                    f"{BATCHES} batches {then:.0f} MB, after {4 * BATCHES} {last:.0f} MB "
                    f"[load {os.getloadavg()[0]:.1f}]",
                    flush=True,
                )


if __name__ == "__main__":
    main()
