"""The driver: parallel, resumable, sharded, and past what fails."""

from __future__ import annotations

import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster

from dimcli.audio import AudioEncoder
from dimcli.core import limits
from dimcli.core.errors import DimError, InputError
from dimcli.core.files import temporary_beside
from dimcli.data.corpora.preparing import TRACK, Corpus, Job, Shard, file_name, prepare
from dimcli.data.corpora.tables import columns_of, read_table, read_turns
from dimcli.data.store import ClipStore
from dimcli.data.workers import Engine
from dimcli.data.writer import Dyads, Span
from dimcli.media import read_audio
from tests import corpora


def made(index: int) -> Dyads:
    """Conversation ``index``; every seventh cannot be used, and one is a bug of ours."""
    if index % 7 == 3:
        raise InputError(f"file-{index}.mp4: no such video file")
    if index == 5:
        raise ZeroDivisionError("surprise")
    values = corpora.moving(20, seed=index)
    span = Span(f"clip-{index}", 0, 20, "a", "b")
    return Dyads(values, values, np.full((20, 2), index, np.float32), (span,))


def died(index: int) -> Dyads:
    os.kill(os.getpid(), signal.SIGKILL)
    return made(index)


def killed_once(index: int, marker: Path) -> Dyads:
    """Conversation ``index``; the first worker that makes the seventh is killed."""
    if index == 6 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return made(index)


def corpus(count: int = 12, **changes: object) -> Corpus:
    fields = {
        "name": "made",
        "fps": 25.0,
        "space": "flame",
        "encoder": AudioEncoder("two", 2),
        "jobs": [
            Job(f"c{index:02d}", "val" if index == 1 else "train", partial(made, index))
            for index in range(count)
        ],
        "licence": "none",
    }
    return Corpus(**(fields | changes))


def loudest(path: Path) -> Dyads:
    raise InputError(f"{np.abs(read_audio(path)).max():.1f}")


def test_a_corpus_is_heard_by_the_sound_track_that_is_asked_for(tmp_path: Path) -> None:
    corpora.tone(tmp_path / "loud.wav", 0.5, hertz=(200.0, 0.0))
    sounds = ("-i", tmp_path / "loud.wav", "-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=0.5")
    corpora.ffmpeg(*sounds, "-map", "0", "-map", "1", "-c:a", "flac", tmp_path / "two.mka")
    jobs = [Job("a", "train", partial(loudest, tmp_path / "two.mka"))]
    for track, level in ((None, r"0\.[1-9]"), (1, r"0\.[1-9]"), (2, r"0\.0")):
        wanted = corpus(jobs=jobs, settings={} if track is None else {TRACK: track})
        (skip,) = prepare(wanted, tmp_path / f"data-{track}").skipped
        assert re.fullmatch(level, skip.reason)
    assert corpus(settings={TRACK: 2}).recipe() != corpus().recipe()


def test_what_fails_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    prepared = prepare(corpus(), tmp_path / "data")
    assert {skip.name: skip.reason for skip in prepared.skipped} == {
        "c03": "file-3.mp4: no such video file",
        "c05": "unexpected ZeroDivisionError: surprise",
        "c10": "file-10.mp4: no such video file",
    }
    assert prepared.clips == {"train": 8, "val": 1, "test": 0}
    store = ClipStore(tmp_path / "data")
    assert [record.id for record in store.clips("val")] == ["clip-1"]
    assert store.load(store.clips("train")[2]).speaker_audio[0, 0] == 4.0
    assert len((tmp_path / "data" / "skipped.jsonl").read_text().splitlines()) == 3


@pytest.mark.slow
def test_workers_and_shards_write_the_same_bytes_as_one_process(tmp_path: Path) -> None:
    prepare(corpus(), tmp_path / "one")
    prepare(corpus(), tmp_path / "three", engine=Engine(3))
    first = prepare(corpus(), tmp_path / "shards", shard=Shard(2, 2), engine=Engine(2))
    assert (first.info, first.waiting_for) == (None, ("1/2",))
    assert not (tmp_path / "shards" / "dataset.yaml").exists()
    last = prepare(corpus(), tmp_path / "shards", shard=Shard(1, 2))
    assert last.info is not None
    assert len(last.skipped) == 3
    wanted = corpora.contents(tmp_path / "one")
    assert corpora.contents(tmp_path / "three") == wanted
    assert corpora.contents(tmp_path / "shards") == wanted
    # a scheduler that starts a share again finds nothing to do
    again = prepare(corpus(), tmp_path / "shards", shard=Shard(2, 2))
    assert again.info is not None
    assert corpora.contents(tmp_path / "shards") == wanted


def test_what_was_mended_is_brought_in_and_the_rest_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "data"
    prepare(corpus(), out)
    kept = out / "conversations" / "c00.safetensors"
    before = kept.stat().st_mtime_ns
    mended = [Job(job.conversation, job.split, partial(made, 0)) for job in corpus().jobs]
    prepared = prepare(corpus(jobs=mended), out)
    assert (sum(prepared.clips.values()), prepared.skipped) == (12, ())
    assert not (out / "skipped.jsonl").exists()
    assert kept.stat().st_mtime_ns == before


def test_a_conversation_whose_row_changed_is_made_again(tmp_path: Path) -> None:
    prepare(corpus(3), tmp_path / "data")
    changed = [Job("c00", "train", partial(made, 2), key="other"), *corpus(3).jobs[1:]]
    prepare(corpus(jobs=changed), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    assert store.load(store.clips("train")[0]).speaker_audio[0, 0] == 2.0


def test_other_settings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    prepare(corpus(3), tmp_path / "data")
    with pytest.raises(InputError, match="other settings"):
        prepare(corpus(3, settings={"order": "exp-pose"}), tmp_path / "data")


def test_two_jobs_of_one_name_are_said_to_be_so(tmp_path: Path) -> None:
    jobs = [*corpus(3).jobs, Job("C01", "train", partial(made, 4))]
    prepared = prepare(corpus(jobs=jobs), tmp_path / "data")
    assert [skip.reason for skip in prepared.skipped] == ["listed twice; the first one was taken"]


def test_a_worker_that_dies_is_an_error_and_no_hang(tmp_path: Path) -> None:
    jobs = [Job(f"c{index}", "train", partial(died, index)) for index in range(4)]
    with pytest.raises(DimError, match="fewer --workers"):
        prepare(corpus(jobs=jobs), tmp_path / "data", engine=Engine(2))


@pytest.mark.slow
def test_a_worker_of_a_cluster_that_is_killed_changes_no_byte(tmp_path: Path) -> None:
    prepare(corpus(), tmp_path / "here")
    marker = tmp_path / "killed"
    jobs = [
        replace(job, make=partial(killed_once, index, marker))
        for index, job in enumerate(corpus().jobs)
    ]
    told: list[int] = []
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        local_directory=tmp_path,
        silence_logs=logging.CRITICAL,
    ) as cluster:
        prepared = prepare(
            corpus(jobs=jobs),
            tmp_path / "there",
            engine=Engine(name="dask", scheduler=cluster.scheduler_address),
            progress=lambda _, done, __: told.append(done),
        )
    assert marker.exists()
    assert told == list(range(13))
    assert len(prepared.skipped) == 3
    assert corpora.contents(tmp_path / "there") == corpora.contents(tmp_path / "here")


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"name": "dask"}, "--scheduler: missing"),
        ({"scheduler": "tcp://localhost:1"}, "is of --engine dask"),
        ({"name": "spark"}, "expected one of local, dask"),
    ],
)
def test_an_engine_that_is_none_is_refused(given: dict[str, str], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        Engine(**given)


def test_a_scheduler_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dimcli.data.workers._ANSWER_S", 0.1)
    engine = Engine(name="dask", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(InputError, match=r"--scheduler tcp://127.0.0.1:9: no Dask scheduler"):
        prepare(corpus(2), tmp_path / "data", engine=engine)


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/-2", "1/" + "9" * 5000])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--shard .*expected i/n"):
        Shard.parse(text)


def test_names_of_files_are_safe_and_differ_where_texts_do() -> None:
    texts = ["a/b", "a%2Fb", "a\\b", ".hidden", "-o", "x" * 300, "x" * 299 + "y", "ü", "a.0", "a:b"]
    names = [file_name(text) for text in texts]
    assert len(set(names)) == len(texts)
    assert all(name[0] not in ".-" and "/" not in name and len(name) < 200 for name in names)
    assert file_name("0jhYr0nhSAE_000053_000059.0") == "0jhYr0nhSAE_000053_000059.0"


KILLS = 5


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    # of all corpora the one whose conversations take longest to read
    corpora.candor_pickles(tmp_path / "candor", conversations=40)
    (tmp_path / "candor" / "CANDOR_audio_feats" / "0030-uuid.pkl").unlink()
    command = [sys.executable, "-m", "dimcli", "prepare", "candor", str(tmp_path / "candor"), "-o"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def start(out: Path, *options: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, str(out), *options], env=environment, stderr=subprocess.PIPE
        )

    whole = start(tmp_path / "whole")
    assert whole.wait() == 0, whole.stderr.read().decode()

    out = tmp_path / "killed"
    chance = random.Random(0)
    kills = 0
    while kills < KILLS:
        running = start(out, *(("--workers", "2") if kills % 3 == 2 else ()))
        there = len(list((out / "conversations").glob("*.safetensors")))
        more = chance.randint(0, 3)
        deadline = time.monotonic() + 60
        # wait until it has made some, so that every kill meets it at work
        while running.poll() is None and time.monotonic() < deadline:
            if len(list((out / "conversations").glob("*.safetensors"))) >= there + more:
                break
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.01))
        running.send_signal(signal.SIGKILL)
        running.wait()
        if running.returncode != -signal.SIGKILL:
            break  # it was quicker
        kills += 1
    assert kills == KILLS, f"all was made after {kills} kills; there must be more to make"
    last = start(out)
    assert last.wait() == 0, last.stderr.read().decode()
    assert corpora.contents(out) == corpora.contents(tmp_path / "whole")


def test_half_written_files_of_a_killed_run_are_gone_after_the_next(tmp_path: Path) -> None:
    out = tmp_path / "data"
    prepare(corpus(), out)
    wanted = corpora.contents(out)
    # c03 fails each time, so that nothing would write over its leftover
    half_written = [out / "conversations" / f"{name}.safetensors" for name in ("c00", "c03")]
    for path in (*half_written, out / "clips.jsonl"):
        with temporary_beside(path) as temporary:
            folder = temporary.parent
        folder.mkdir()
        temporary.write_bytes(b"half")
        (folder / "lock").touch()  # that nobody holds any more
    (out / "dataset.yaml").unlink()
    (out / "conversations" / "c00.safetensors").write_bytes(b"cut short")
    prepare(corpus(), out)
    assert corpora.contents(out) == wanted


@pytest.mark.parametrize("read", [lambda path: read_table(path, ()), columns_of, read_turns])
def test_a_pipe_in_the_place_of_a_table_is_not_waited_for(tmp_path, read):
    path = tmp_path / "table.csv"
    os.mkfifo(path)
    if read is columns_of:
        assert columns_of(path) == []
    else:
        with pytest.raises(InputError, match=r"table\.csv: is a pipe or a device"):
            read(path)


def test_a_table_of_any_size_is_refused_before_it_fills_the_memory(tmp_path):
    path = tmp_path / "table.csv"
    with path.open("wb") as file:
        file.truncate(limits.TABLE_BYTES + 1)
    with pytest.raises(InputError, match=r"table\.csv: is larger than 64 MB"):
        read_table(path, ())
