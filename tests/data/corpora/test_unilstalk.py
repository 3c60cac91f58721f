from __future__ import annotations

import io
import json
from pathlib import Path

import lmdb
import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.data.corpora.lmdb_file import LmdbFile
from dimcli.data.corpora.preparing import prepare
from dimcli.data.corpora.unilstalk import unilstalk
from dimcli.data.store import ClipStore
from tests import corpora

LARGEST = 1_000_000


def put(path: Path, values: dict[str, bytes]) -> None:
    with lmdb.open(str(path), map_size=1 << 28) as file, file.begin(write=True) as change:
        for key, value in values.items():
            change.put(key.encode(), value)


def test_the_first_of_a_pair_listens_to_the_second(tmp_path: Path) -> None:
    keys = corpora.unilstalk(tmp_path / "src")
    prepared = prepare(unilstalk(tmp_path / "src"), tmp_path / "data")
    assert prepared.clips == {"train": 1, "val": 1, "test": 1} and not prepared.skipped
    store = ClipStore(tmp_path / "data")
    assert (store.info.name, store.info.fps, store.info.space) == ("unilstalk", 25, "flame")
    (record,) = store.clips("test")
    assert (record.id, record.listener, record.speaker) == ("test-1", keys[2], keys[3])
    clip = store.load(record)
    for motion, seed in ((clip.listener, 2), (clip.speaker, 3)):
        want = corpora.moving(60, 25.0, seed=seed)
        want[:, 4:6] = 0  # the corpus has the jaw's opening alone
        np.testing.assert_allclose(motion.values, want, atol=1e-5)
    assert clip.speaker_audio.shape == (60, store.info.audio_dim) and clip.speaker_audio.any()
    talks = store.listener_voice(record)
    assert talks is not None and np.flatnonzero(talks).tolist() == list(range(10, 20))
    silent = prepare(unilstalk(tmp_path / "src", audio="none"), tmp_path / "silent")
    assert silent.info is not None and silent.info.audio_encoder == "none"


def test_planted_faults_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    source = tmp_path / "src"
    keys = corpora.unilstalk(source, pairs=8)
    with LmdbFile(source / "data_lmdb") as file:
        good = dict(np.load(io.BytesIO(file.get(keys[0], LARGEST) or b"")))

    def packed(**changed: object) -> bytes:
        content = io.BytesIO()
        np.savez(content, **{k: v for k, v in (good | changed).items() if v is not None})
        return content.getvalue()

    faults = {
        keys[4]: ("lacks speech_mask", packed(speech_mask=None)),
        keys[6]: ("motioncode has shape (60, 108)", packed(motioncode=good["motioncode"][:, :108])),
        keys[8]: ("speech_mask has shape (59,)", packed(speech_mask=np.zeros(59, bool))),
        keys[10]: ("not a UniLS-Talk file", b"nonsense"),
        keys[13]: ("motion 2.40 s, sound 1.20 s", packed(audio=good["audio"][:19200])),
    }
    put(source / "data_lmdb", {key: content for key, (_, content) in faults.items()})
    table = json.loads((source / "seamless_interaction_pairs.json").read_text())
    table["train"] |= {"more": ["a/nobody", f"a/{keys[0]}", 60], "bad": [1, 2], "worse": None}
    table["extra"] = {}
    (source / "seamless_interaction_pairs.json").write_text(json.dumps(table))
    prepared = prepare(unilstalk(source), tmp_path / "data")
    reasons = {skip.name: skip.reason for skip in prepared.skipped}
    for number, (said, _) in zip((2, 3, 4, 5, 6), faults.values(), strict=True):
        assert said in reasons.pop(f"train-{number}")
    assert "has no 'nobody'" in reasons.pop("train-more")
    assert "expected [first, second, frames]" in reasons.pop("seamless_interaction_pairs.json: bad")
    assert set(reasons) == {
        f"seamless_interaction_pairs.json: {each}" for each in ("worse", "extra")
    }
    assert sum(prepared.clips.values()) == 3


def test_what_is_no_such_corpus_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"seamless_interaction_pairs\.json: no such"):
        unilstalk(tmp_path)
    (tmp_path / "seamless_interaction_pairs.json").write_text("{}")
    with pytest.raises(InputError, match="data_lmdb"):
        unilstalk(tmp_path)
    put(tmp_path / "data_lmdb", {})
    with pytest.raises(InputError, match="has no pair"):
        unilstalk(tmp_path)
    (tmp_path / "data_lmdb" / "data.mdb").write_bytes(bytes(9000))
    with pytest.raises(InputError, match="not an LMDB file of version 1"):
        unilstalk(tmp_path)


def test_an_lmdb_file_is_read_as_its_own_library_reads_it(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    wanted: dict[str, bytes] = {}
    for batch in range(30):
        sizes = [*random.integers(0, 400, 60), 5000, 70_000]
        values = {f"{random.integers(10**9)}-{'x' * (batch % 40)}": random.bytes(n) for n in sizes}
        put(tmp_path / "db", values)
        wanted |= values
        dropped = list(wanted)[:: 7 + batch]
        with lmdb.open(str(tmp_path / "db")) as file, file.begin(write=True) as change:
            for key in dropped:
                change.delete(key.encode())
        for key in dropped:
            del wanted[key]
    with LmdbFile(tmp_path / "db") as read:
        assert {key: read.get(key, LARGEST) for key in wanted} == wanted
        assert read.get("nothing", LARGEST) is None
        assert all(read.get(key, LARGEST) is None for key in dropped)
        large = max(wanted, key=lambda key: len(wanted[key]))
        with pytest.raises(InputError, match="a value of 0 MB; expected at most 0 MB"):
            read.get(large, 10_000)


def test_a_damaged_lmdb_file_ends_in_one_line(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    values = {f"key{n}": random.bytes(300) for n in range(300)} | {"long": random.bytes(20_000)}
    put(tmp_path / "db", values)
    whole = (tmp_path / "db" / "data.mdb").read_bytes()
    damaged, refused = tmp_path / "damaged.mdb", 0
    for _ in range(200):
        content = np.frombuffer(whole, np.uint8).copy()
        # in the pages' heads, where the numbers are that are followed
        pages = random.integers(0, len(whole) // 4096, 20) * 4096
        content[pages + random.integers(0, 200, 20)] = random.integers(0, 256, 20)
        damaged.write_bytes(content.tobytes()[: random.integers(1, 2 * len(whole))])
        try:
            with LmdbFile(damaged) as file:
                for key in ("key0", "key77", "key299", "long", "none"):
                    file.get(key, LARGEST)
        except InputError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1
    assert refused > 20
