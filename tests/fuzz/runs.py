"""One command in a process of its own, and everything that is wrong with what it did.

The process is forked from one that has imported everything, so that a run costs what it does. It
has a folder of its own, with a ``canary`` beside it that no command is told of.
"""

from __future__ import annotations

import atexit
import ctypes
import getpass
import os
import re
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

REPOSITORY = Path(__file__).parents[2]
SECONDS, MEGABYTES, LINE = 60.0, 2000, 300
"""What a run may take, and the longest line it may say."""
PROGRESS = re.compile(
    r"(note: |wrote |evaluated |scored |fetched |imported |pushed |step \d+|\d+ of \d+ whole)"
    r"|.* \.\.\.$|.*: \d+( of \d+(, about .* left)?)?$|failed, \d+ of \d+:$|  .*: "
    r"|No gain: |.* is nearer to |figures of |go on with: "
    r"|to .+|listening to |saying what |open http|\d+ frames in |\d+ s: \d+ frames|ended by "
)
"""What a command says besides its last line."""

PROGRAMS = ("ffmpeg", "/sbin/ldconfig")
"""What a command may start; the second looks for the libraries of a Python package."""
CACHES = (f"tmp/torchinductor_{getpass.getuser()}",)
"""What libraries keep in the folder for temporary files."""


@dataclass
class Plan:
    """What is run, in a folder that is laid out for it."""

    seed: int
    arguments: list[str]
    folder: Path
    """Holds ``work`` (where it runs), ``home``, ``tmp`` and ``canary``."""
    outputs: list[str] = field(default_factory=list)
    """Names that new files may begin with, relative to ``work``."""
    changes: list[str] = field(default_factory=list)
    """What was done to its inputs, in words."""
    keeps: bool = False
    """Whether what a failed run made is kept, to go on from."""
    homes: bool = False
    """Whether it writes into the user's folder."""
    online: bool = False
    """Whether it talks to a server."""


@dataclass
class Outcome:
    """What came of a plan."""

    plan: Plan
    code: int
    said: str
    seconds: float
    megabytes: float
    faults: list[str]


def run(plan: Plan) -> Outcome:
    """Run it to its end and look at what it left."""
    before = snapshot(plan.folder)
    secret = plan.folder / "canary" / "secret.mp4"
    os.utime(secret, ns=(0, secret.stat().st_mtime_ns))
    become_reaper()
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        become_command(plan)
    code, megabytes = wait(pid, started)
    seconds = time.monotonic() - started
    faults = [f"left a process: {name}" for name in left_processes()]
    heard = plan.folder / "events"
    faults += heard.read_text(errors="replace").splitlines()[:5] if heard.exists() else []
    out, errors = (
        (plan.folder / name).read_text("utf-8", "replace") for name in ("stdout", "stderr")
    )
    if code is None:
        faults.append(f"still ran after {SECONDS:.0f} s")
    elif code not in (0, 2):
        faults.append(f"exit {code}" if code > 0 else f"ended by {signal.Signals(-code).name}")
    if megabytes > MEGABYTES:
        faults.append(f"took {megabytes:.0f} MB")
    if secret.stat().st_atime_ns:
        faults.append("the canary was read")
    faults += faults_of_text(code, out, errors)
    # of several inputs some may have been made before another failed, and were told
    told = re.findall(r"^wrote (.+?), ", errors, re.MULTILINE)
    faults += faults_of_files(plan, code, before, snapshot(plan.folder), told)
    return Outcome(plan, -1 if code is None else code, errors or out, seconds, megabytes, faults)


def faults_of_text(code: int | None, out: str, errors: str) -> list[str]:
    """What is wrong with what a command said."""
    faults = []
    if "Traceback (most" in errors + out:
        faults.append("traceback: " + errors.strip().splitlines()[-1][:200])
        return faults
    lines = errors.splitlines()
    final = [line for line in lines if line.startswith("error: ")]
    if code == 2 and len(final) != 1 and not errors.startswith("Usage:"):
        faults.append(f"{len(final)} lines of error")
    if "not enough memory" in errors:
        faults.append("asked for more memory than there may be")
    if code == 0 and final:
        faults.append("an error with exit 0")
    if any(len(line) > LINE + 60 for line in final):
        faults.append(f"a line of {max(map(len, final))} characters")
    noise = [each for each in lines if each not in final and not PROGRESS.match(each)]
    if noise and not errors.startswith("Usage:") and "minutes\n" not in errors:
        faults.append(f"noise: {noise[0][:120]}")
    return faults


Listing = dict[str, tuple[int, int]]


def snapshot(folder: Path) -> Listing:
    """Every file below a folder, its size and when it was written."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent) / name
            facts = path.lstat()
            inside = str(path.relative_to(folder))
            changed = 0 if name in folders else facts.st_mtime_ns
            found[inside] = (0 if name in folders else facts.st_size, changed)
    for ours in ("stdout", "stderr", "events"):
        found.pop(ours, None)
    return found


def faults_of_files(
    plan: Plan, code: int | None, before: Listing, after: Listing, told: Sequence[str] = ()
) -> list[str]:
    """Files that were made, changed or taken away and should not have been; ``told`` are those that
    the command said it wrote."""
    touched = [name for name, facts in after.items() if before.get(name) != facts]
    touched += [name for name in before if name not in after]
    faults = [f"left {name}" for name in touched if ".part" in name]
    for name in touched:
        first, _, inside = name.partition(os.sep)
        if name in CACHES or inside.endswith("/statistics.json"):
            continue
        named = first == "work" and any(inside.startswith(each) for each in plan.outputs)
        named = named or any(_within(name, each) for each in plan.outputs)
        wanted = (named and (code == 0 or plan.keeps)) or (plan.homes and first == "home")
        wanted = wanted or (
            first == "work"
            and any(each == inside or each.startswith(inside + "/") for each in told)
        )
        if not wanted and ".part" not in name:
            done = "made" if name not in before else "changed" if name in after else "removed"
            faults.append(f"{done} {name}")
    return faults[:5]


def _within(name: str, output: str) -> bool:
    """Whether a file of the run's folder is an ``output`` that was named beyond ``work``, in it, or
    a folder that was made for it."""
    parts = output.split("/")
    beyond = parts[0] == ".." and len(parts) > 1 and parts[1] not in ("..", ".", "", "canary")
    return beyond and (name == parts[1] or name.startswith(parts[1] + os.sep))


# --- the process ---


def become_command(plan: Plan) -> NoReturn:
    """In the forked process: be the command, and nothing after it."""
    code = 1
    try:
        os.setpgid(0, 0)
        os.chdir(plan.folder / "work")
        os.environ.update(
            DIM_HOME=str(plan.folder / "home"),
            TMPDIR=str(plan.folder / "tmp"),
            HF_ENDPOINT="http://127.0.0.1:9",
            HF_HOME=str(plan.folder / "home"),
        )
        import tempfile

        # what the process before this one found for itself
        tempfile.tempdir = None
        os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None)
        redirect(plan.folder)
        limit()
        sys.argv = ["dim", *plan.arguments]
        sys.addaudithook(watcher(plan))
        from dimcli.cli import main

        if plan.arguments[:1] == ["serve"]:
            stop_at_serving()
        main(plan.arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            atexit._run_exitfuncs()
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def stop_at_serving() -> None:
    """A server that is ready ends, and no browser is opened."""
    import webbrowser

    import uvicorn

    uvicorn.Server.run = lambda self, sockets=None: None
    webbrowser.open = lambda url: True


def redirect(folder: Path) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


def limit() -> None:
    """A ceiling above what is allowed, so that one run cannot take the machine with it."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        there = int(file.read().split()[0]) * resource.getpagesize()
    most = there + (MEGABYTES << 20) * 2
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def watcher(plan: Plan) -> Callable[[str, tuple[Any, ...]], None]:
    """Writes down what is opened, started or connected to beyond what a command may."""
    roots = [str(plan.folder / name) for name in ("work", "home", "tmp")]
    roots += [str(plan.folder / "nowhere")]  # what a command may make where an output lies there
    roots += [str(REPOSITORY), sys.prefix, sys.base_prefix, str(Path(os.__file__).parent)]
    roots += ["/usr", "/lib", "/etc", "/proc", "/dev", "/sys", "/opt", "/bin"]
    log = os.open(plan.folder / "events", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    work = str(plan.folder / "work")
    changes = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod")
    connections = ("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto")
    programs = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn")

    def outside(path: Any) -> bool:
        if not isinstance(path, str | bytes):
            return False
        full = os.path.realpath(Path(work, os.fsdecode(path)))
        return not any(full == root or full.startswith(root + os.sep) for root in roots)

    def started(program: Any) -> bool:
        return any(each in str(program) for each in PROGRAMS)

    def note(text: str) -> None:
        os.write(log, (text[:300].replace("\n", " ") + "\n").encode("utf-8", "replace"))

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            if outside(given[0]):
                note(f"opened {given[0]!r}")
        elif event in changes:
            for path in given[:2]:
                if outside(path):
                    note(f"{event} {path!r}")
        elif event in connections and not plan.online:
            note(f"{event} {given[1:]!r}")
        elif event in programs:
            note(f"{event} {given[:1]!r}")
        elif event == "subprocess.Popen" and not plan.online and not started(given[0]):
            note(f"started {given[0]!r}")

    return hook


def wait(pid: int, started: float) -> tuple[int | None, float]:
    """How a process ended (None: it had to be ended) and the most memory that it had, in MB."""
    late = False
    while True:
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return (None if late else code), used.ru_maxrss / 1024
        taken = time.monotonic() - started
        if not late and taken > SECONDS and taken - queued(pid) > SECONDS:
            late = True
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)


def queued(pid: int) -> float:
    """Seconds that a process was ready to run and other work of a busy machine ran instead."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0


def become_reaper() -> None:
    """Processes that a run leaves behind become our children."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def left_processes(patience_s: float = 1.0) -> list[str]:
    """What still runs of a run that has ended; it is ended."""
    until = time.monotonic() + patience_s
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return []
        if not pid:
            if time.monotonic() > until:
                break
            time.sleep(0.01)
    names = []
    for pid in children():
        with suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")[:100]
            names.append(line.decode("utf-8", "replace"))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return names


def children() -> Iterable[int]:
    for task in Path("/proc/self/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


def lay_out(folder: Path, seeds: Path) -> None:
    """An empty place for a run; it is gone to, so that a relative name means what it will."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("work", "home", "tmp", "canary"):
        (folder / name).mkdir(parents=True)
    shutil.copy(seeds / "clip.mp4", folder / "canary" / "secret.mp4")
    os.chdir(folder / "work")
