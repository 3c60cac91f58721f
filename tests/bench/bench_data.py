"""Reading training data: memory over a store of 100 hours beside 1 hour, and time a batch.

``python -m tests.bench data``. The 100 hours are the conversations of one hour under other names
(hard links), so that the disk holds one hour. Each figure is from a process of its own: its peak
resident memory after opening the store and after as many batches as visit every conversation a few
times, and the time from one batch to the next without reading ahead. A loader that takes less than
a step hardly starves the model, because training reads the next batch during a step; set
DIM_BENCH_PRESETS (as in ``small,released-sizes``) to time pre-training steps on the device that is
here.
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
from dimcli.data.store import conversation_path
from dimcli.data.writer import StoreWriter

FPS = 25.0
CONVERSATION_S, CLIP_S = 60, 15
HOUR = 3600 // CONVERSATION_S
ENCODERS = {"mel": MEL, "hubert": HUBERT}
BATCHES = 300

READ = """
import json, resource, sys, time
from pathlib import Path
from dimcli.data.store import ClipStore
from dimcli.data.windows import WindowSampler

def megabytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)

before = megabytes()
opened = time.perf_counter()
store = ClipStore(Path(sys.argv[1]))
sampler = WindowSampler(
    store, "train", frames=160, batch_size=32, stride=4, centre_speaker=sys.argv[2] == "centred",
    seed=0,
)
opened = time.perf_counter() - opened
sampler.batch(0)
ready = megabytes()
started, busy = time.perf_counter(), time.process_time()
count = int(sys.argv[3])
for index in range(1, count + 1):
    sampler.batch(index)
taken, busy = time.perf_counter() - started, time.process_time() - busy
print(json.dumps([opened, before, ready, megabytes(), taken / count, busy / count]))
"""

STEP = """
import json, sys, time
from dataclasses import replace
import torch
from dimcli.data.clip import DataConfig
from dimcli.data.store import ClipStore
from dimcli.data.windows import WindowSampler
from dimcli.core.device import choose_device
from dimcli.models.dim.dim import DIM
from dimcli.models.dim.objectives import pretrain_objective
from dimcli.models.dim.config import preset
from pathlib import Path

store = ClipStore(Path(sys.argv[1]))
info = store.info
config = preset(sys.argv[2], "pretrain")
config = replace(config, data=DataConfig(info.fps, info.space, info.audio_encoder, info.audio_dim))
sampler = WindowSampler(
    store, "train", frames=160, batch_size=32, stride=config.vq.stride, centre_speaker=False, seed=0
)
device = choose_device("auto")
torch.manual_seed(0)
model = DIM(config).to(device).train()
generator = torch.Generator().manual_seed(0)
batch = sampler.batch(0).to(device)
times = []
for step in range(3):
    started = time.perf_counter()
    loss, _ = pretrain_objective(model, batch, generator, True)
    loss.backward()
    if device.type == "cuda":
        torch.cuda.synchronize()
    times.append(time.perf_counter() - started)
print(json.dumps([str(device), sum(times[1:]) / (len(times) - 1)]))
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
            repeat(hour, Path(folder) / f"{encoder}-100", encoder, 100)
            for hours in (1, 100):
                for mode in ("as it is", "centred"):
                    path = Path(folder) / f"{encoder}-{hours}"
                    figures = run(READ, path, mode, BATCHES)
                    opened, before, ready, peak, batch, busy = figures
                    print(
                        f"{encoder:<7}{hours:>4} h {mode:<9} opened in {opened:5.2f} s, "
                        f"{ready - before:5.0f} MB more; peak after {BATCHES} batches "
                        f"{peak - before:5.0f} MB more ({peak:.0f} in all); "
                        f"{1000 * batch:6.2f} ms a batch of 32 windows of 6.4 s "
                        f"({1000 * busy:.2f} ms CPU)",
                        flush=True,
                    )
            for preset in filter(None, os.environ.get("DIM_BENCH_PRESETS", "").split(",")):
                device, step = run(STEP, Path(folder) / f"{encoder}-1", preset)
                print(f"{encoder:<7}a pre-training step of `{preset}` on {device}: {step:.3f} s")


if __name__ == "__main__":
    main()
