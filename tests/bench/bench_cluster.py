"""Memory of a cluster while it prepares: of the process that hands out the work (client and
scheduler are one here) and of its workers, after every quarter of 1,000 conversations.

``python -m tests.bench cluster`` (extra ``cluster``), with DIM_BENCH_CONVERSATIONS for another
number. The conversations are made up, a minute each, so that what is measured is Dask and ours.
"""

import logging
import os
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from distributed import LocalCluster

from dimcli.audio import MEL
from dimcli.data.corpora.preparing import Corpus, Job, prepare
from dimcli.data.workers import Engine
from dimcli.data.writer import Dyads, Span

COUNT = int(os.environ.get("DIM_BENCH_CONVERSATIONS", "1000"))
FRAMES = 1500


def made(index: int) -> Dyads:
    """A minute of noise."""
    random = np.random.default_rng(index)
    motion = random.normal(size=(2, FRAMES, 56)).astype(np.float32)
    audio = random.normal(size=(FRAMES, MEL.dim)).astype(np.float32)
    return Dyads(motion[0], motion[1], audio, (Span(f"clip-{index}", 0, FRAMES, "a", "b"),))


def megabytes() -> list[int]:
    """Resident memory of this process and of its workers."""
    own = psutil.Process()
    python = [each for each in own.children(recursive=True) if "spawn_main" in str(each.cmdline())]
    return [round(each.memory_info().rss / 1e6) for each in (own, *python)]


def main() -> None:
    jobs = [Job(f"made-{index:06d}", "train", partial(made, index)) for index in range(COUNT)]
    corpus = Corpus("bench", 25.0, "arkit", MEL, jobs, "none")
    started = time.perf_counter()

    def tell(_: str, done: int, total: int | None) -> None:
        if done and done % max(1, COUNT // 4) == 0:
            own, *workers = megabytes()
            taken = time.perf_counter() - started
            memory = f"{own} MB here, workers {workers} MB"
            print(f"{done} of {total}: {memory}, {taken:.0f} s", flush=True)

    with (
        tempfile.TemporaryDirectory(dir=os.environ.get("DIM_BENCH_TMP")) as folder,
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            local_directory=folder,
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        engine = Engine(name="dask", scheduler=cluster.scheduler_address)
        prepare(corpus, Path(folder) / "data", engine=engine, progress=tell)


if __name__ == "__main__":
    main()
