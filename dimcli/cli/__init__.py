"""The command line: one thin file per command group; each parses, makes one call and prints.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once. The commands
themselves (:mod:`dimcli.cli.app`) come after Ctrl-C is taken care of.
"""

from __future__ import annotations

import _thread
import errno
import gc
import io
import math
import os
import signal
import sys
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from dimcli.cli import console
from dimcli.cli.resuming import StoppedError
from dimcli.core.errors import DimError, ToldError
from dimcli.core.files import address


class _Interruption:
    """Ends the command as Ctrl-C does, so that what is half-written is removed, whatever asks.

    Asked again while it cleans up (an impatient user, a shell that signals the whole group), it
    keeps cleaning up. Asked while Python is where exceptions get lost, it asks itself again.
    """

    _CLEANING_S = 2.0
    _AGAIN_S = 0.02

    def __init__(self) -> None:
        self._since = -math.inf
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the last is unknown to Windows
            signum = getattr(signal, name, None)
            # who starts us with a signal ignored (nohup) means it
            if signum is not None and signal.getsignal(signum) is not signal.SIG_IGN:
                signal.signal(signum, self._interrupt)

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        if _loses_exceptions(frame):
            again = threading.Timer(self._AGAIN_S, _ask_main_thread, (signum,))
            again.daemon = True
            again.start()
            return
        now = time.monotonic()
        if now - self._since > self._CLEANING_S:
            self._since = now
            raise KeyboardInterrupt


def _ask_main_thread(signum: int) -> None:
    if sys.platform == "win32":
        _thread.interrupt_main(signum)
    else:  # this one also ends its sleep
        signal.pthread_kill(threading.main_thread().ident or 0, signum)


def _loses_exceptions(frame: FrameType | None) -> bool:
    """Whether Python would only print what is raised in ``frame``: in a destructor, or where the
    import system, in which a command spends its first second, lets go of a module's lock."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or (
            code.co_name == "cb" and code.co_filename == "<frozen importlib._bootstrap>"
        ):
            return True
        frame = frame.f_back
    return False


def _prepare_streams() -> None:
    """Streams that are closed lead nowhere, so that no file that is opened takes their numbers;
    a terminal that lacks a character shows another. What libraries warn of is for programmers, who
    ask for it (``python -W``)."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)  # children expect three streams, too
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  open as long as we are
        elif isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _prepare_imports(*, whole_process: bool) -> None:
    """By default Python looks for garbage hundreds of times among what libraries bring as they are
    imported, and there is none: a tenth of a short clip's work."""
    if whole_process:
        gc.set_threshold(400_000)  # torch brings 230,000 objects


_INTERRUPTED, _STDERR = 130, 2
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _leave(code: int) -> NoReturn:
    """End this process, without waiting for threads whose work nobody wants any more.

    A thread that the interpreter's own end meets inside a library aborts the process.
    """
    if threading.active_count() > 1:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line. Exit 0 done, 1 our fault, 2 the user's, 130 interrupted.

    ``arguments`` default to the process's own; only then does its end not wait for threads.
    """
    _prepare_imports(whole_process=arguments is None)
    _prepare_streams()
    _Interruption()
    try:
        from dimcli.cli.app import app

        code = app(args=arguments, standalone_mode=False) or 0
    except DimError as error:
        _tell(error, arguments or sys.argv[1:])
        _end(error.exit_code, arguments)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise  # Typer makes an exit of a broken pipe
        # who reads our output has what they want (`| head`); Python's own last flush meets nobody
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except OSError as error:
        # a name too long, no permission, a full disk: nothing that we can mend
        if error.filename is None and error.errno not in _FULL:
            raise
        console.fail(f"{error.filename or 'output'}: {error.strerror}")
        code = 2
    except Exception as error:
        if _is_out_of_memory(error):
            console.fail(
                "there is not enough memory; make the input, or training.batch_size, "
                "training.window_s or the model, smaller"
            )
            _end(2, arguments)
        # Typer's own usage errors: their class lives in a private place that moves.
        if not hasattr(error, "format_message"):
            raise
        message = error.format_message().replace("Value error, ", "")  # a library's words
        if message.startswith("Usage:"):
            console.show_usage(message)
        else:
            console.fail(f"{message} ({_hint(error)})", as_json="--json" in (arguments or sys.argv))
        code = 2
    if code == _INTERRUPTED:  # Typer returns it for an interruption
        console.fail("interrupted; nothing half-written was left")
    _end(code, arguments)


def _tell(error: DimError, arguments: list[str]) -> None:
    """Say why the command of ``arguments`` ended, and what goes on with what it left."""
    if isinstance(error, StoppedError):
        console.fail(f"interrupted; {error}")
        console.say_whole(f"go on with: {error.command(arguments)}")
        return
    told = isinstance(error, ToldError)
    console.fail(_with_address(str(error)), as_json=not told and "--json" in arguments)


def _with_address(message: str) -> str:
    """What is wrong with a path; of an address (URL) also that it is one, whoever read it."""
    option = message.partition(" ")[0] + " " if message.startswith("--") else ""
    url = address(message.removeprefix(option))
    return f"{option}{url} (an address, URL: download it)" if url and "URL" not in url else message


def _hint(error: Any) -> str:
    """How to call the command that a usage ``error`` is of."""
    from dimcli.cli.app import EXAMPLES

    command = getattr(getattr(error, "ctx", None), "command", None)
    missing = type(error).__name__ == "MissingParameter"
    example = EXAMPLES.get(getattr(command, "name", "")) if missing else None
    return f"as in: {example}; see --help" if example else "see --help"


def _end(code: int, arguments: list[str] | None) -> NoReturn:
    if arguments is None:
        _leave(code)
    sys.exit(code)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether Python, or torch on the CPU or a GPU, could not get the memory it asked for."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
