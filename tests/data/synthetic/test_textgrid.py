"""TextGrids: what aligners write is read, what is broken is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from dimcli.core.errors import InputError
from dimcli.data.synthetic.phones import Phone, read_textgrid
from examples.recipes.textgrid import write_textgrid

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "{name}words"
        xmin = 0
        xmax = 1.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = "he said {quote}map 12{quote}"
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 1.5
        points: size = 1
        points [1]:
            number = 0.7
            mark = "x"
    item [3]:
        class = "IntervalTier"
        name = "{name}phones"
        xmin = 0
        xmax = 1.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "sil"
        intervals [2]:
            xmin = 0.5
            xmax = 0.75
            text = "M"
        intervals [3]:
            xmin = 0.75
            xmax = 1.5
            text = "AE1"
"""
LONG_FORM = LONG.format(name="", quote='""')
PHONES = [Phone("", 0.0, 0.5), Phone("M", 0.5, 0.75), Phone("AE1", 0.75, 1.5)]


@pytest.mark.parametrize("name", ["", "anna - "])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_aligners_long_form_is_read(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(LONG.format(name=name, quote='""'), encoding=encoding)
    assert read_textgrid(path) == PHONES


def test_what_is_written_is_read_again_and_gaps_are_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    write_textgrid(path, [Phone("ˈaɪ", 0.25, 0.5), Phone("m", 0.5, 0.625)], 1.0)
    assert read_textgrid(path) == [
        Phone("", 0.0, 0.25),
        Phone("ˈaɪ", 0.25, 0.5),
        Phone("m", 0.5, 0.625),
        Phone("", 0.625, 1.0),
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("hello", "not a TextGrid"),
        (LONG_FORM[:600], "damaged TextGrid"),
        (LONG_FORM.replace('"phones"', '"sounds"'), "has words, sounds; expected one"),
        (LONG_FORM.replace("xmin = 0.75", "xmin = 0.6"), "overlaps the one before"),
        (LONG_FORM.replace("xmax = 0.75", "xmax = 0.5"), "has no length"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(
    tmp_path: Path, content: str, complaint: str
) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(content)
    with pytest.raises(InputError, match=complaint) as caught:
        read_textgrid(path)
    assert "a.TextGrid" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.TextGrid: no such"):
        read_textgrid(tmp_path / "none.TextGrid")
