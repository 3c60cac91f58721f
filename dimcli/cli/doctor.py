"""``dim doctor``: what works on this machine, and what is missing."""

from dimcli.cli import console
from dimcli.cli.options import JsonOption


def doctor(as_json: JsonOption = False) -> None:
    """Say what works here, and the one line that would mend what does not."""
    from dataclasses import asdict

    from dimcli.cli.tables import show_checks
    from dimcli.core.errors import InputError
    from dimcli.jobs.doctor import checks

    found = checks()
    if as_json:
        console.print_json({"checks": [asdict(check) for check in found]})
    else:
        show_checks(found)
    broken = [check for check in found if check.state == "broken"]
    if broken:
        raise InputError(f"{broken[0].name}: {broken[0].detail}; {broken[0].fix}")
