"""``dim weights``: what is bundled, imported and fetched; ``dim doctor``: what works here."""

from pathlib import Path
from typing import Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import ForceOption, JsonOption
from dimcli.cli.resuming import resumable

NameArgument = Annotated[str, typer.Argument(help="A name that dim weights list shows.")]


group = typer.Typer(
    help="Weights and model files: what there is, how to get it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@group.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List what is bundled, what you can import and what you can fetch."""
    from dimcli.cli.tables import show_weights
    from weights.catalogue import entries

    listed = entries()
    if as_json:
        console.print_json({"weights": [one.as_dict() for one in listed]})
    else:
        show_weights(listed)


@group.command("show")
def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show one of them: what it is, its licence, where it is or how to get it."""
    from dimcli.cli.tables import show_weight
    from weights.catalogue import entry

    one = entry(name)
    if as_json:
        console.print_json(one.as_dict())
    else:
        show_weight(one)


@group.command("import")
def import_(
    kind: Annotated[str, typer.Argument(help="What it is: flame, flame-landmarks, ...")],
    file: Annotated[Path, typer.Argument(help="The file as its owners distribute it.")],
    force: ForceOption = False,
) -> None:
    """Check a licensed file and convert it once into your own folder."""
    from weights.importing import import_file

    path = import_file(kind, file, force=force)
    console.say(
        f"imported {file} as {kind}: {path}, {path.stat().st_size / 1e6:.2f} MB; "
        "commands that need it find it there"
    )


@group.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="hubert, or owner/name of a run on the hub.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
) -> None:
    """Fetch weights from the Hugging Face hub; an interrupted download goes on."""
    from dimcli.jobs.hub import fetch as fetch_from_hub
    from weights import user_folder

    with resumable(user_folder(), ".*.arriving", "what has arrived"):
        fetched = fetch_from_hub(name, revision=revision)
    console.say(f"fetched {name}: {fetched.folder}, {fetched.size / 1e6:.1f} MB, verified")


@group.command("verify")
def verify(as_json: JsonOption = False) -> None:
    """Check every file that is here against the hash it must have."""
    from dimcli.core.errors import ToldError
    from weights.catalogue import verify as verify_all

    faults = verify_all()
    if as_json:
        console.print_json({"faults": {name: fault for name, fault in faults.items() if fault}})
    else:
        for name, fault in faults.items():
            print(f"{name}: {fault or 'whole'}")
    wrong = [name for name, fault in faults.items() if fault]
    if wrong:
        raise ToldError(f"{wrong[0]}: {faults[wrong[0]]} ({len(wrong)} of {len(faults)} wrong)")
    console.say(f"{len(faults)} of {len(faults)} whole")


@group.command("push")
def push(
    run: Annotated[Path, typer.Argument(help="Run directory to give out.")],
    to: Annotated[str, typer.Option(help="owner/name on the Hugging Face hub.")],
    private: Annotated[bool, typer.Option("--private", help="For your eyes only.")] = False,
) -> None:
    """Give out a run, with its card, on the Hugging Face hub."""
    from dimcli.jobs.hub import push as push_to_hub

    console.say(f"pushed {run}: {push_to_hub(run, to, private=private)}")


def doctor(as_json: JsonOption = False) -> None:
    """Say what works here, and how to get the rest."""
    from dataclasses import asdict

    from dimcli.cli.tables import show_checks
    from dimcli.core.errors import ToldError
    from dimcli.jobs.doctor import checks

    results = checks()
    if as_json:
        console.print_json({"checks": [asdict(check) for check in results]})
    else:
        show_checks(results)
    broken = [check for check in results if check.state == "broken"]
    if broken:
        raise ToldError(f"{broken[0].name}: {broken[0].detail}; {broken[0].fix}")
