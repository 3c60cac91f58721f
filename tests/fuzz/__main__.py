"""``python -m tests.fuzz --runs 2000 --seed 1``: mutated inputs to every command."""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import os
import pkgutil
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from importlib import import_module
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

from tests.command_line import keep_commands
from tests.fuzz.expected import expected
from tests.fuzz.runs import REPOSITORY, Outcome, run


def main() -> int:
    """Run them, say what is wrong, keep the inputs of what is."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the others count up")
    parser.add_argument("--only", type=int, help="one run, whose folder is kept")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--keep", type=Path, default=REPOSITORY / "out" / "fuzz")
    parser.add_argument("--seeds", type=Path, help="folder of valid inputs, made if it is missing")
    parser.add_argument("--times", action="store_true", help="print how long each command takes")
    given = parser.parse_args()
    given.keep = given.keep.resolve()
    started = time.monotonic()
    # no TemporaryDirectory: each forked process would remove it when it ends
    scratch = Path(tempfile.mkdtemp(prefix="dim-fuzz-"))
    try:
        seeds = (given.seeds or scratch / "seeds").resolve()
        making = None
        if not seeds.exists():
            making = subprocess.Popen([sys.executable, "-m", "tests.fuzz.seeds", seeds])
        import_everything()
        if making is not None and making.wait():
            return 1
        warm_up(seeds, scratch)
        ready = time.monotonic() - started
        numbers = [given.only] if given.only else range(given.seed, given.seed + given.runs)
        failed, seen = work(list(numbers), seeds, scratch, given)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    taken = time.monotonic() - started
    print(
        f"{len(numbers)} runs, {seen['0']} done, {seen['2']} refused, {seen['expected']} failed as "
        f"expected, {failed} failed; {ready:.0f} s to make inputs, {taken:.0f} s in all; slowest "
        f"{seen['slowest'] / 1000:.1f} s, largest {seen['largest']} MB"
    )
    return 1 if failed else 0


def import_everything() -> None:
    """What commands import when they run, once for all of them."""
    import torch
    import torch._dynamo  # optimisers import it

    torch.set_num_threads(1)
    keep_commands()
    for package in ("dimcli", "renderers", "weights"):
        for module in pkgutil.walk_packages(import_module(package).__path__, package + "."):
            if not module.name.endswith("__main__"):
                import_module(module.name)


def warm_up(seeds: Path, scratch: Path) -> None:
    """Run what loads modules and bundled files on its first use, for all runs to come."""
    import cv2

    from dimcli.cli import main

    cv2.setNumThreads(1)  # a forked process has none of the threads
    out = ("-o", str(scratch / "warm.mp4"), "--size", "64", "--force")
    for words in (
        ("export", str(seeds / "motion.npz"), "-o", str(scratch / "warm.csv")),
        ("visualize", str(seeds / "motion.npz"), *out),
        ("generate-speaker", str(seeds / "voice.wav"), "--renderer", "mesh", *out),
    ):
        with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
            main(list(words))
    gc.collect()
    gc.freeze()


def work(
    numbers: list[int], seeds: Path, scratch: Path, given: argparse.Namespace
) -> tuple[int, Counter[str]]:
    """Run all in forked workers and print what failed; returns how many, and counts of all."""
    reader, writer = os.pipe()
    jobs = min(given.jobs, len(numbers))
    workers = []
    for job in range(jobs):
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            work_alone(numbers[job::jobs], seeds, scratch / f"job-{job}", given, writer)
        workers.append(pid)
    os.close(writer)
    failed, seen = 0, Counter[str]()
    times: dict[str, list[float]] = defaultdict(list)
    with os.fdopen(reader) as reports:
        for line in reports:
            report = json.loads(line)
            seen[str(report["code"])] += 1
            seen["slowest"] = max(seen["slowest"], round(report["seconds"] * 1000))
            seen["largest"] = max(seen["largest"], round(report["megabytes"]))
            times[report["command"]].append(report["seconds"])
            if report["expected"]:
                seen["expected"] += 1
            elif report["faults"]:
                failed += 1
            slow = given.times and report["seconds"] > 8
            if given.only or slow or (report["faults"] and not report["expected"]):
                print(report["text"], flush=True)
    for pid in workers:
        if os.waitpid(pid, 0)[1]:
            failed += 1
            print("a worker ended early")
    if given.times:
        for command, taken in sorted(times.items(), key=lambda item: -sum(item[1])):
            print(f"{command:<20}{len(taken):>6} runs {sum(taken) / len(taken):>6.2f} s each")
    return failed, seen


def work_alone(
    numbers: list[int], seeds: Path, folder: Path, given: argparse.Namespace, writer: int
) -> None:
    """In a forked worker: its share of the runs, a line of JSON each."""
    from tests.fuzz.commands import make_plan

    code = 1
    try:
        for number in numbers:
            outcome = run(make_plan(number, seeds, folder))
            why = expected(outcome)
            if (outcome.faults and not why) or given.only:
                kept = given.keep / str(number)
                shutil.rmtree(kept, ignore_errors=True)
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copytree(folder, kept, symlinks=True, ignore=special_files)
            report = {
                "code": outcome.code,
                "seconds": outcome.seconds,
                "megabytes": outcome.megabytes,
                "faults": outcome.faults,
                "expected": why,
                "command": " ".join(outcome.plan.arguments[:1]),
                "text": describe(outcome, given.keep / str(number)),
            }
            os.write(writer, (json.dumps(report) + "\n").encode())
            shutil.rmtree(folder, ignore_errors=True)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def special_files(folder: str, names: list[str]) -> list[str]:
    """Pipes, which cannot be copied."""
    return [name for name in names if (Path(folder) / name).is_fifo()]


def describe(outcome: Outcome, kept: Path) -> str:
    """A run in words: what was done, what is wrong, how to do it again."""
    plan = outcome.plan
    words = " ".join(shlex.quote(word[:200]) for word in plan.arguments)
    said = outcome.said.strip().splitlines()
    return (
        "\n".join(
            (
                f"--- --only {plan.seed}: exit {outcome.code}, {outcome.seconds:.1f} s, "
                f"{outcome.megabytes:.0f} MB",
                f"    dim {words}"[:1500],
                f"    changed: {'; '.join(plan.changes)}"[:500],
                *(f"    FAULT: {fault}" for fault in outcome.faults),
                *(f"    | {line[:300]}" for line in said[-6:]),
                f"    kept in {kept}",
            )
        )
        .encode("utf-8", "backslashreplace")
        .decode()
    )


if __name__ == "__main__":
    sys.exit(main())
