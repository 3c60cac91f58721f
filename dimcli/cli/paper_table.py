"""``dim eval --table``: a table of the paper, trained and evaluated, on a terminal and in files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dimcli.cli import console

if TYPE_CHECKING:
    from dimcli.jobs.table_training import TableOptions


def make_table(options: TableOptions, settings: list[str] | None, *, as_json: bool) -> None:
    """Make the table, print it, and say where its files are."""
    from dimcli.cli.score_tables import print_table
    from dimcli.cli.train_options import overrides
    from dimcli.jobs.paper_tables import run_table

    with console.progress_display() as progress:
        result = run_table(replace(options, settings=overrides(settings)), progress)
    if as_json:
        console.print_json(result.evaluation.as_dict())
    else:
        for table in result.tables:
            print_table(table)
    ended = ", ".join(map(str, result.written))
    found = result.evaluation
    console.say(f"evaluated {len(found.methods)} methods on {found.clips} clips; wrote {ended}")
