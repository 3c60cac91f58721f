from __future__ import annotations

from pathlib import Path

import pytest

from dimcli.data.corpora.held_out import HELD_OUT, cache_folder, held_out_synthetic
from dimcli.data.synthetic.synthetic import Recipe

SMALL = Recipe(seed=5, conversation_s=3.0, clip_s=3.0)


def test_the_corpus_is_made_once_and_then_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIM_HOME", str(tmp_path))
    stages: list[str] = []
    first = held_out_synthetic(SMALL, 5, progress=lambda stage, done, total: stages.append(stage))
    assert first.root.parent == cache_folder() == tmp_path / "cache"
    assert stages == ["drawing held-out dyads"] * 5
    assert len(first.records) == 5 and first.clips("test")
    stages.clear()
    again = held_out_synthetic(SMALL, 5, progress=lambda stage, done, total: stages.append(stage))
    assert again.root == first.root and not stages


def test_another_recipe_lies_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIM_HOME", str(tmp_path))
    other = Recipe(seed=6, conversation_s=3.0, clip_s=3.0)
    assert held_out_synthetic(SMALL, 3).root != held_out_synthetic(other, 3).root


def test_the_shipped_listener_has_not_learnt_from_the_held_out_seed() -> None:
    assert HELD_OUT.seed not in (0, 1)
