"""``python -m dimcli`` is ``dim``."""

from dimcli.cli import main

main()
