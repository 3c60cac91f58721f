"""Outputs that appear whole or not at all, whoever else writes and whatever was killed."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from dimcli.core.errors import InputError
from dimcli.core.files import (
    atomic_output,
    check_output,
    existing_file,
    remove_unfinished,
    temporary_beside,
)


def test_of_two_writers_of_one_output_the_second_is_told(tmp_path):
    path = tmp_path / "out.txt"
    told = pytest.raises(InputError, match=r"out\.txt: another program made it")
    with told, atomic_output(path, force=False) as slow:
        slow.write_text("slow")
        with atomic_output(path, force=False) as quick:
            quick.write_text("quick")
    assert path.read_text() == "quick"
    with atomic_output(path, force=True) as again:
        again.write_text("again")
    assert path.read_text() == "again"
    assert [file.name for file in tmp_path.iterdir()] == ["out.txt"]


def write_for_ever(path: Path) -> None:
    with temporary_beside(path) as temporary:
        temporary.write_text("half")
        time.sleep(60)


@pytest.mark.skipif(os.name == "nt", reason="forks")
def test_what_a_killed_process_left_goes_and_what_is_being_written_stays(tmp_path):
    process = multiprocessing.get_context("fork").Process(
        target=write_for_ever, args=(tmp_path / "out.mp4",)
    )
    process.start()
    while not list(tmp_path.glob(".*.part/whole.mp4")):
        time.sleep(0.01)
    remove_unfinished(tmp_path)
    assert list(tmp_path.glob(".*.part/whole.mp4"))
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["https://x.invalid/a.mp4", "rtsp://x/a", "file:///a.mp4"])
def test_an_address_is_told_to_be_one(name):
    said = name.replace(":///", "://") + r": is an address \(URL\); download it"
    with pytest.raises(InputError, match=said):
        existing_file(Path(name), "video")


def test_an_output_that_is_a_folder_is_told_to_be_one(tmp_path):
    with pytest.raises(InputError, match="is a folder; expected a file name"):
        check_output(tmp_path, force=True)
