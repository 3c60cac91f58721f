"""Lists of weights and checks as text that fits 100 columns, on a terminal and in a pipe."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dimcli.jobs.doctor import Check
    from weights.catalogue import Entry

WIDTH = 100
_COMMAND = re.compile(r"`[^`]*`|pip install \S+")
_GLUE = "\N{NO-BREAK SPACE}"
MARKS = {"works": ("ok", "green"), "optional": ("--", "yellow"), "broken": ("!!", "red")}
SECTIONS = {
    "bundled": "Bundled",
    "importable": "To import: licensed by their owners, who give them out themselves",
    "fetchable": "To fetch from the Hugging Face hub",
}


def width() -> int:
    """Columns to write: the terminal's, at most 100; 100 in a pipe."""
    return min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)


def styled(text: str, style: str) -> str:
    """``text`` in a rich style on a terminal, as it is elsewhere."""
    if not sys.stdout.isatty():
        return text
    from rich.console import Console
    from rich.text import Text

    console = Console()
    with console.capture() as captured:
        console.print(Text(text, style=style), end="")
    return captured.get()


def _wrapped(text: str, indent: int) -> str:
    """``text`` below and to the right, in lines that fit; commands and addresses stay whole."""
    glued = _COMMAND.sub(lambda command: command[0].replace(" ", _GLUE), text)
    filled = textwrap.fill(
        glued,
        width(),
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace(_GLUE, " ")


def megabytes(size: int | None) -> str:
    """Bytes for people."""
    return "" if size is None else f"{size / 1e6:.1f} MB"


def show_weights(entries: list[Entry]) -> None:
    """The list of ``dim weights list``."""
    for source, group in groupby(entries, key=lambda entry: entry.source):
        print(styled(SECTIONS[source], "bold"))
        for entry in group:
            mark, colour = MARKS["works" if entry.present else "optional"]
            facts = ", ".join(filter(None, (megabytes(entry.size), entry.licence)))
            print(f"  {styled(mark, colour)}  {styled(entry.name, 'bold')}  ({facts})")
            print(_wrapped(entry.what, 6))
            if not entry.present and entry.how:
                print(_wrapped(entry.how, 6))
        print()


def show_weight(entry: Entry) -> None:
    """The page of ``dim weights show``."""
    print(styled(entry.name, "bold"))
    lines = {
        "what": entry.what,
        "licence": entry.licence,
        "size": megabytes(entry.size),
        "here": str(entry.path) if entry.path else "no",
        "get it": "" if entry.present else entry.how,
    }
    for label, text in lines.items():
        if text:
            print(f"  {label:<10}{_wrapped(text, 12).lstrip()}")


def show_checks(checks: list[Check]) -> None:
    """The list of ``dim doctor``."""
    for group, members in groupby(checks, key=lambda check: check.group):
        print(styled(group, "bold"))
        for check in members:
            mark, colour = MARKS[check.state]
            text = _wrapped(check.detail, 30).lstrip() if check.detail else ""
            print(f"  {styled(mark, colour)}  {check.name:<24}{text}".rstrip())
            if check.fix:
                print(_wrapped(f"-> {check.fix}", 30))
    print(
        f"\n{MARKS['works'][0]}: works    {MARKS['optional'][0]}: optional, not here    "
        f"{MARKS['broken'][0]}: broken"
    )
