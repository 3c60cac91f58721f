"""What a report and a table need beside code goes into the wheel."""

import tomllib
from pathlib import Path

import dimcli

PACKAGE = Path(dimcli.__file__).parent
PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def test_every_template_and_data_file_is_package_data() -> None:
    settings = tomllib.loads(PYPROJECT.read_text())["tool"]["setuptools"]["package-data"]
    packed = {path for glob in settings["dimcli"] for path in PACKAGE.glob(glob)}
    needed = {
        path
        for path in PACKAGE.rglob("*")
        if path.suffix in (".html", ".css", ".js", ".yaml", ".json")
    }
    names = {path.name for path in needed}
    assert {"report.html", "figures.html", "style.css", "script.js", "paper_tables.yaml"} <= names
    assert needed <= packed
