from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from dimcli.core.errors import InputError
from dimcli.data.clip import ClipRecord
from dimcli.data.conversations import conversation_path
from dimcli.data.store import ClipStore
from dimcli.data.writer import Dyads, Span, StoreWriter, split_conversations
from tests.stores import make_store


def record(conversation: str = "a", start: int = 0, stop: int = 20, **more: str) -> ClipRecord:
    fields = {"split": "train", "speaker": "s", "listener": "l"} | more
    return ClipRecord(
        id=f"{conversation}-{start}", conversation=conversation, start=start, stop=stop, **fields
    )


def arrays(frames: int = 40, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "speaker": random.normal(size=(frames, 56)).astype(np.float32),
        "listener": random.normal(2.0, 3.0, size=(frames, 56)).astype(np.float32),
        "audio": random.normal(size=(frames, 5)).astype(np.float32),
    }


def writer(out: Path) -> StoreWriter:
    return StoreWriter(out, name="made", fps=25.0, space="arkit", encoder="mel", audio_dim=5)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    out = tmp_path / "data"
    made = writer(out)
    made.add("a", **arrays(seed=0), notes={})
    made.add("b", **arrays(seed=1), notes={})
    records = [record("a"), record("a", 20, 40), record("b", split="val", attitude="positive")]
    made.finish(records, {"prepare": "made"})
    return out


def test_slices_of_a_clip_are_slices_of_its_conversation(root: Path) -> None:
    store = ClipStore(root)
    clip = store.load(store.clips("train")[1], 5, 12)
    np.testing.assert_array_equal(clip.speaker.values, arrays(seed=0)["speaker"][25:32])
    np.testing.assert_array_equal(clip.speaker_audio, arrays(seed=0)["audio"][25:32])
    assert (clip.start, len(clip), clip.speaker.fps, clip.attitude) == (5, 7, 25.0, "unknown")


def test_statistics_are_those_of_the_train_split_and_are_kept(root: Path) -> None:
    found = ClipStore(root).statistics()
    values = arrays(seed=0)["listener"]
    np.testing.assert_allclose(found["listener"].mean, values.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(found["listener"].std, values.std(axis=0), atol=1e-4)
    conversation_path(root, "a").unlink()
    np.testing.assert_array_equal(
        ClipStore(root).statistics()["listener"].mean, found["listener"].mean
    )


def test_an_unfinished_data_set_says_so(tmp_path: Path) -> None:
    writer(tmp_path / "data").add("a", **arrays(), notes={})
    with pytest.raises(InputError, match="interrupted; run it again"):
        ClipStore(tmp_path / "data")


def test_a_folder_that_is_no_data_set_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a data set"):
        ClipStore(tmp_path)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"format": 99}, "format 99"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_header_of_another_kind_is_refused(root: Path, change: dict, line: str) -> None:
    header = yaml.safe_load((root / "dataset.yaml").read_text()) | change
    (root / "dataset.yaml").write_text(yaml.safe_dump(header))
    with pytest.raises(InputError, match=line):
        ClipStore(root)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"split": "holdout"}, "line 1.*holdout"),
        ({"stop": 0}, "line 1.*start < stop"),
        ({"surprise": 1}, "line 1.*surprise"),
        ({"attitude": "bored"}, "line 1.*bored"),
        ({"split": "test"}, "conversation a is in"),
    ],
)
def test_a_bad_index_line_is_named(root: Path, change: dict, line: str) -> None:
    lines = (root / "clips.jsonl").read_text().splitlines()
    lines[0] = json.dumps(json.loads(lines[0]) | change)
    (root / "clips.jsonl").write_text("\n".join(lines))
    with pytest.raises(InputError, match=line):
        ClipStore(root)


def test_a_missing_a_truncated_and_a_short_conversation_are_named(root: Path) -> None:
    store = ClipStore(root)
    first = store.clips("train")[0]
    path = conversation_path(root, "a")
    content = path.read_bytes()
    path.write_bytes(content[:200])
    with pytest.raises(InputError, match=r"a\.safetensors.*prepare it again"):
        store.load(first)
    path.unlink()
    with pytest.raises(InputError, match=r"a\.safetensors"):
        store.load(first)
    writer(root).add("a", **arrays(10), notes={})
    with pytest.raises(InputError, match="expected at least"):
        store.load(first)


def test_features_in_16_bits_are_read_as_float32_and_motion_is_kept_whole(tmp_path: Path) -> None:
    for name, half in (("whole", False), ("half", True)):
        make_store(tmp_path / name, encoder="mel", half=half)
    whole, half = (
        store.load(store.clips("train")[1], 3, 20)
        for store in (ClipStore(tmp_path / name) for name in ("whole", "half"))
    )
    np.testing.assert_array_equal(half.listener.values, whole.listener.values)
    assert half.speaker_audio.dtype == np.float32
    np.testing.assert_allclose(half.speaker_audio, whole.speaker_audio, rtol=2**-11, atol=1e-7)
    sizes = [
        conversation_path(tmp_path / name, "made-0").stat().st_size for name in ("whole", "half")
    ]
    assert sizes[0] - sizes[1] == pytest.approx(2 * 60 * 5, abs=16)


def test_frames_outside_a_clip_are_refused(root: Path) -> None:
    store = ClipStore(root)
    with pytest.raises(InputError, match="outside its 20 frames"):
        store.load(store.clips("train")[0], 10, 30)


@pytest.mark.parametrize("number", [np.nan, np.inf, -1e30])
def test_numbers_that_nothing_can_be_computed_from_are_neither_written_nor_read(
    root: Path, tmp_path: Path, number: float
) -> None:
    made = writer(tmp_path / "data")
    bad = arrays()
    bad["listener"][3, 3] = number
    with pytest.raises(InputError, match="listener has NaN, infinite or huge"):
        made.add("a", **bad, notes={})
    store = ClipStore(root)
    first = store.clips("train")[0]
    path = conversation_path(root, first.conversation)
    content = bytearray(path.read_bytes())
    content[-4:] = np.float32(number).tobytes()
    path.write_bytes(content)
    with pytest.raises(InputError, match="has NaN, infinite or huge values; prepare it again"):
        for record in store.records:
            store.load(record)


def test_nothing_bad_is_written(tmp_path: Path) -> None:
    made = writer(tmp_path / "data")
    with pytest.raises(InputError, match="audio has shape"):
        made.add("a", **(arrays() | {"audio": np.zeros((40, 7), np.float32)}), notes={})
    assert not list((tmp_path / "data" / "conversations").iterdir())


def test_missing_parents_are_made_but_not_below_a_file(tmp_path: Path) -> None:
    writer(tmp_path / "new" / "deep" / "data")
    assert (tmp_path / "new" / "deep" / "data" / "conversations").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: is a file; expected a folder"):
        writer(tmp_path / "file" / "data")


def test_splits_depend_on_the_names_and_the_seed_alone() -> None:
    names = [f"c{index}" for index in range(20)]
    splits = split_conversations(names, 0)
    assert splits == split_conversations(names[::-1] + names, 0)
    assert splits != split_conversations(names, 1)
    counts = {split: list(splits.values()).count(split) for split in ("train", "val", "test")}
    assert counts == {"train": 16, "val": 2, "test": 2}


@pytest.mark.parametrize("fps", [25.0, 29.97, 30.0, 60.0])
def test_who_talks_comes_back_frame_by_frame(tmp_path: Path, fps: float) -> None:
    random = np.random.default_rng(3)
    talks = random.random(20_000) < 0.5
    writer = StoreWriter(tmp_path, name="x", fps=fps, space="arkit", encoder="mel", audio_dim=2)
    still = np.zeros((len(talks), 56), np.float32)
    dyads = Dyads(still, still, still[:, :2], (Span("c", 5, 19_990, "s", "l"),), talks=talks)
    writer.add(
        "c", speaker=still, listener=still, audio=still[:, :2], notes=dyads.notes(writer.fps)
    )
    writer.finish([ClipRecord("c", "c", 5, 19_990, "train", "s", "l")], {})
    store = ClipStore(tmp_path)
    np.testing.assert_array_equal(store.listener_voice(store.records[0]), talks[5:19_990])
