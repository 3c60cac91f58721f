"""An extra is installed from where the package came from."""

import json
from importlib import metadata
from pathlib import Path

from dimcli.core import installing


def test_in_a_checkout_its_folder_is_named():
    root = Path(installing.__file__).parents[2]
    assert (root / "pyproject.toml").is_file()
    assert installing.install("serve") == f"pip install '{root}[serve]'"


def test_elsewhere_the_folder_that_it_was_installed_from_or_its_name(tmp_path, monkeypatch):
    class Installed:
        said: str | None = json.dumps({"url": (tmp_path / "a b").as_uri(), "dir_info": {}})

        def read_text(self, name):
            assert name == "direct_url.json"
            return self.said

    monkeypatch.setattr(installing, "__file__", str(tmp_path / "site" / "dimcli" / "core" / "x.py"))
    monkeypatch.setattr(metadata, "distribution", lambda name: Installed())
    assert installing.install("serve") == "pip install 'dim-listener[serve]'"  # it is gone
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "pyproject.toml").touch()
    assert installing.install("serve") == f"pip install '{tmp_path}/a b[serve]'"
    Installed.said = None
    assert installing.install("serve") == "pip install 'dim-listener[serve]'"
