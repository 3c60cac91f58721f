from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import weights
from dimcli.core.errors import InputError
from dimcli.data.corpora.clips import clips
from dimcli.data.corpora.preparing import prepare
from dimcli.data.store import BY_RECORDING, SPEAKERS, ClipStore
from dimcli.models.config import read_data_config
from tests import corpora


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> Path:
    """Two pieces of a made-up person's video, side by side and as two files."""
    root = tmp_path_factory.mktemp("dyads")
    source = examples / "speaker.mp4"
    corpora.face_video(source, root / "a.speaker.mp4", start=0.0, seconds=1.2, fps=25)
    corpora.face_video(source, root / "a.listener.mp4", start=3.0, seconds=1.2, fps=25)
    corpora.tone(root / "buzz.wav", 1.2, hertz=(180.0, 0.0))
    pair = (root / "a.speaker.mp4", root / "a.listener.mp4")
    corpora.side_by_side(*pair, root / "buzz.wav", root / "both.mp4")
    return root


@pytest.mark.slow
def test_halves_are_told_apart_and_agree_with_two_files(made: Path, tmp_path: Path) -> None:
    corpora.write_table(
        made / "clips.csv",
        ("id", "video", "speaker", "listener", "sound", "layout", "split", "attitude"),
        [
            ("left", "both.mp4", "", "", "", "", "train", "positive"),
            ("right", "both.mp4", "", "", "", "speaker-right", "test", ""),
            ("two", "", "a.speaker.mp4", "a.listener.mp4", "buzz.wav", "", "val", ""),
            ("gone", "nowhere.mp4", "", "", "", "", "train", ""),
            ("mute", "", "a.speaker.mp4", "a.listener.mp4", "", "", "train", ""),
            ("none", "", "a.speaker.mp4", "", "", "", "train", ""),
        ],
    )
    prepared = prepare(clips(made), tmp_path / "data")
    said = {skip.name: skip.reason for skip in prepared.skipped}
    assert "no such video file" in said.pop("gone")
    assert "has no sound" in said.pop("mute")
    assert "a speaker's and a listener's" in said.pop("none")
    assert not said
    store = ClipStore(tmp_path / "data")
    by_id = {record.id: store.load(record) for record in store.records}
    left, right, two = by_id["left"], by_id["right"], by_id["two"]
    assert (store.info.fps, left.attitude, two.record.split) == (25.0, "positive", "val")
    np.testing.assert_array_equal(left.speaker.values, right.listener.values)
    np.testing.assert_array_equal(left.listener.values, right.speaker.values)
    # the same faces, encoded once more
    assert np.abs(left.speaker.head - two.speaker.head).max() < 0.05
    assert np.abs(left.speaker.values - left.listener.values).max() > 0.1
    np.testing.assert_allclose(left.speaker_audio[:28, 29], two.speaker_audio[:28, 29], atol=0.1)


def test_a_recording_is_listed_for_both_of_its_people_as_the_readme_shows(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    table = re.search(r"```\n(video,layout.*?)```", readme, re.DOTALL)
    assert table is not None
    (tmp_path / "clips.csv").write_text(table[1])
    corpus = clips(tmp_path, fps=25)
    assert not corpus.skipped
    assert sorted(job.conversation for job in corpus.jobs) == ["talk1", "talk1-right", "talk2"]
    assert not any("a speaker of its own" in remark for remark in corpus.remarks)
    assert SPEAKERS not in corpus.choices
    splits = {job.conversation: job.split for job in corpus.jobs}
    assert splits["talk1"] == splits["talk1-right"]
    rows = [f"talk1.mp4,{who},{when}" for who in ("", "speaker-right") for when in ("2,4", "5,9")]
    (tmp_path / "parts.csv").write_text("\n".join(["video,layout,start,stop", *rows]))
    corpus = clips(tmp_path, table=tmp_path / "parts.csv", fps=25)
    assert len({job.conversation for job in corpus.jobs}) == 2
    assert corpus.choices[SPEAKERS] == BY_RECORDING
    partly = table[1].replace(",anna,", ",,", 1)
    (tmp_path / "partly.csv").write_text(partly)
    corpus = clips(tmp_path, table=tmp_path / "partly.csv", fps=25)
    assert corpus.choices[SPEAKERS] == BY_RECORDING
    assert any("each file of the 1 rows without a speaker_id" in line for line in corpus.remarks)
    assert any("a speaker of its own" in remark for remark in corpus.remarks)


@pytest.mark.slow
def test_parts_of_one_recording_are_clips_of_one_conversation(made: Path, tmp_path: Path) -> None:
    table = tmp_path / "parts.csv"
    corpora.write_table(
        table,
        ("video", "start", "stop", "speaker_id"),
        [("both.mp4", 0, 0.5, "ann"), ("both.mp4", 0.6, "", "ann"), ("both.mp4", 5, 6, "ann")],
    )
    prepared = prepare(clips(made, table=table, fps=50.0), tmp_path / "data")
    assert "the recording has 1.2" in prepared.skipped[0].reason
    store = ClipStore(tmp_path / "data")
    assert [(r.id, r.conversation, len(r), r.speaker) for r in store.records] == [
        ("both", "both.mp4", 25, "ann"), ("both-0.6", "both.mp4", 30, "ann"),
    ]  # fmt: skip


def test_without_a_table_names_say_what_belongs_together(made: Path, tmp_path: Path) -> None:
    root = tmp_path / "dyads"
    root.mkdir()
    for name in ("a.speaker.mp4", "a.listener.mp4", "both.mp4"):
        (root / name).write_bytes((made / name).read_bytes())
    corpus = clips(root)
    assert sorted(job.conversation for job in corpus.jobs) == ["a", "both"]
    assert corpus.fps == 25.0
    assert not any("frames a second" in line for line in corpus.remarks)


def test_videos_of_another_rate_are_prepared_as_the_bundled_listeners_take_them(
    examples: Path, tmp_path: Path
) -> None:
    corpora.face_video(examples / "speaker.mp4", tmp_path / "a.mp4", start=0, seconds=0.4, fps=30)
    bundled = read_data_config(weights.resolve(weights.DEFAULT_LISTENER))
    corpus = clips(tmp_path)
    assert corpus.fps == bundled.fps
    assert any("a.mp4 has 30 (--fps changes it)" in line for line in corpus.remarks)
    assert clips(tmp_path, fps=30).fps == 30


def test_val_is_taken_from_train_by_speaker_where_the_table_has_none(
    made: Path, tmp_path: Path
) -> None:
    root = tmp_path / "many"
    root.mkdir()
    for i in range(20):
        (root / f"v{i}.mp4").write_bytes((made / "both.mp4").read_bytes())
    corpora.write_table(
        root / "clips.csv",
        ("id", "video", "split", "speaker_id"),
        [
            (f"clip{i}", f"v{i}.mp4", "test" if i > 15 else "train", f"who{i % 5}")
            for i in range(20)
        ],
    )
    splits = {job.conversation: job.split for job in clips(root).jobs}
    assert {name for name, split in splits.items() if split == "test"} == {
        f"clip{i}" for i in range(16, 20)
    }
    people = {"train": set(), "val": set(), "test": set()}
    for name, split in splits.items():
        people[split].add(int(name.removeprefix("clip")) % 5)
    assert people["val"]
    assert not people["val"] & people["train"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("", "x", "y"), "start and stop are seconds"),
        (("", "3", "2"), "0 <= start < stop"),
        (("someday", "", ""), "split 'someday'"),
    ],
)
def test_a_row_at_fault_is_named(made: Path, tmp_path: Path, row: tuple, words: str) -> None:
    table = tmp_path / "clips.csv"
    rows = [("good", "both.mp4", "", "", ""), ("bad", "both.mp4", *row)]
    corpora.write_table(table, ("id", "video", "split", "start", "stop"), rows)
    corpus = clips(made, table=table)
    assert [skip.name for skip in corpus.skipped] == ["bad"]
    assert words in corpus.skipped[0].reason


def test_an_empty_folder_and_a_wrong_layout_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no videos"):
        clips(tmp_path)
    with pytest.raises(InputError, match="--layout top"):
        clips(tmp_path, layout="top")


@pytest.mark.slow
@pytest.mark.clips
def test_a_real_side_by_side_dyad_agrees_with_the_vendors_tracks(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    # by name, as the function under test has it too
    folder: Path = request.getfixturevalue("clips")
    name = "vico_d5s6u96knvkp"
    table = tmp_path / "one.csv"
    corpora.write_table(table, ("video", "attitude"), [(f"{name}.mp4", "positive")])
    prepare(clips(folder, table=table, fps=30), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    clip = store.load(store.records[0])
    assert (store.info.fps, len(clip), clip.attitude) == (30.0, 210, "positive")
    for role in ("speaker", "listener"):
        with np.load(folder / "reference" / f"{name}.{role}.npz") as track:
            seen, names = track["found"], list(track["names"])
            theirs, yaw = track["blendshapes"], track["euler"][:, 0]
        motion = clip.motion(role)
        for column in ("eyeBlinkLeft", "mouthSmileLeft", "browInnerUp"):
            wanted = theirs[seen, names.index(column)]
            assert np.corrcoef(motion.column(column)[seen], wanted)[0, 1] > 0.9, column
        assert np.corrcoef(motion.head[seen, 1], yaw[seen])[0, 1] > 0.9
    assert 0.3 < (clip.speaker_audio[:, 29] > 0.5).mean() < 0.95
