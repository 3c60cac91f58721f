from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.corpora.candor import TurnOptions, candor
from dimcli.data.corpora.preparing import prepare
from dimcli.data.corpora.sources import MotionPlan
from dimcli.data.corpora.tables import read_turns
from dimcli.data.store import ClipStore
from tests import corpora


def test_in_each_turn_one_speaks_and_the_other_listens_at_the_same_time(tmp_path: Path) -> None:
    corpora.candor_pickles(tmp_path / "candor")
    prepared = prepare(candor(tmp_path / "candor"), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    info = store.info
    assert (info.fps, info.space, info.audio_encoder) == (5.0, "flame", "hubert")
    assert "no synthetic media" in prepared.licence
    assert "no synthetic media" in info.made_by["licence"]
    # the turn of 0.4 s is no clip
    first = [record for record in store.records if record.conversation == "0000-uuid"]
    assert [(r.id[-5:], r.speaker, r.listener) for r in first] == [
        ("00000", "ann", "bob"), ("00002", "bob", "ann"), ("00003", "ann", "bob"),
    ]  # fmt: skip
    ann, bob = corpora.moving(100, 5.0, seed=0), corpora.moving(100, 5.0, seed=1)
    clip = store.load(first[1])
    np.testing.assert_array_equal(clip.speaker.values, bob[25:60])
    np.testing.assert_array_equal(clip.listener.values, ann[25:60])
    # a mean over 0.2 s of sin(t + c)
    wanted = np.sin(np.arange(25, 60)[:, None] / 5.0 + np.arange(768))
    np.testing.assert_allclose(clip.speaker_audio, wanted, atol=0.02)


def test_a_shift_moves_the_listener_alone(tmp_path: Path) -> None:
    corpora.candor_pickles(tmp_path / "candor", conversations=1)
    options = TurnOptions(shift_ms=200)
    prepare(candor(tmp_path / "candor", turns=options), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    clip = store.load(store.records[0])
    np.testing.assert_array_equal(clip.speaker.values, corpora.moving(100, 5.0, seed=0)[0:20])
    np.testing.assert_array_equal(clip.listener.values, corpora.moving(100, 5.0, seed=1)[1:21])


def test_long_turns_are_cut_into_equal_pieces(tmp_path: Path) -> None:
    corpora.candor_pickles(tmp_path / "candor", conversations=1)
    prepare(candor(tmp_path / "candor", turns=TurnOptions(max_s=4.0)), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    assert [(r.id[10:], len(r)) for r in store.records] == [
        ("00000", 20), ("00002", 17), ("00002-1", 18), ("00003", 14), ("00003-1", 14),
    ]  # fmt: skip


def test_splits_are_by_conversation(tmp_path: Path) -> None:
    for index in range(40):
        (tmp_path / "candor" / f"{index:04d}" / "transcription").mkdir(parents=True)
    counts = {"train": 0, "val": 0, "test": 0}
    for job in candor(tmp_path / "candor").jobs:
        counts[job.split] += 1
    assert counts == {"train": 36, "val": 2, "test": 2}


def test_gaps_in_frame_keys_are_filled_and_turns_without_a_face_left_out(tmp_path: Path) -> None:
    root = tmp_path / "candor"
    corpora.candor_pickles(root, conversations=1)
    values = corpora.moving(100, 5.0, seed=0)
    # two frames lost in the first turn, nearly all of the second
    lost = {3, 4, *range(27, 55)}
    content = {f"{i:06d}": values[i] for i in range(100) if i not in lost}
    corpora.write_pickle(root / "emoca_sample_out1" / "0000-uuid_ann.pkl", content)
    prepared = prepare(candor(root), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    clip = store.load(store.records[0])
    np.testing.assert_array_equal(clip.speaker.values[:3], values[:3])
    step = (values[5, 6:] - values[2, 6:]) / 3
    np.testing.assert_allclose(clip.speaker.values[3, 6:], values[2, 6:] + step, atol=1e-5)
    assert [(s.name, s.reason) for s in prepared.skipped] == [
        ("0000-uuid-00002", "the listener's face is seen in 20% of the frames")
    ]


def test_every_planted_fault_of_pickles_is_named_and_survived(tmp_path: Path) -> None:
    root = tmp_path / "candor"
    corpora.candor_pickles(root, conversations=9)
    values = corpora.moving(100, 5.0)

    def path(index: int, person: str = "ann") -> Path:
        return root / "emoca_sample_out1" / f"{index:04d}-uuid_{person}.pkl"

    def keyed(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {f"{i:06d}": row for i, row in enumerate(rows)}

    path(0).unlink()
    corpora.write_pickle(path(1), keyed(values[:40]))
    bad = values.copy()
    bad[9] = np.nan
    corpora.write_pickle(path(2), keyed(bad))
    corpora.write_pickle(path(3), corpora.Bomb(tmp_path / "boom"))
    corpora.write_pickle(path(4), keyed(np.concatenate([values[:, 6:], values[:, :6]], axis=1)))
    corpora.write_pickle(root / "CANDOR_audio_feats" / "0005-uuid.pkl", [corpora.heard(500)])
    transcript = root / "CANDOR" / "0006-uuid" / "transcription" / "transcript_cliffhanger.csv"
    corpora.transcript(transcript, [("ann", 0.0, 4.0)])
    corpora.write_pickle(path(7), {"000001": values[0], "99999999999": values[1]})
    prepared = prepare(candor(root), tmp_path / "data")
    said = {skip.name: skip.reason for skip in prepared.skipped}
    for name, words in {
        "0000-uuid": "no such pickle",
        "0001-uuid-00002": "the listener's recording is 8.00 s",
        "0001-uuid-00003": "the speaker's recording is 8.00 s",
        "0002-uuid": "000009 has NaN",
        "0003-uuid": "refused",
        "0004-uuid": "order were exp-pose",
        "0005-uuid-00002": "the sound is 10.00 s long",
        "0005-uuid-00003": "the sound is 10.00 s long",
        "0006-uuid": "has 1 speakers; expected 2",
        "0007-uuid": "no frame number",
    }.items():
        assert words in said.pop(name), name
    assert not said
    assert sum(prepared.clips.values()) == 5
    assert not (tmp_path / "boom").exists()


def test_a_transcript_with_unbalanced_quotes_loses_those_rows_alone(tmp_path: Path) -> None:
    path = tmp_path / "transcript_cliffhanger.csv"
    corpora.transcript(path, [("ann", float(i), i + 1.0) for i in range(6)])
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace('it is"', "it is")
    lines[4] = "3,ann,3.0,4.0,short"
    # an utterance may hold a line break
    lines[5] = lines[5].replace("so, ", "so,\nand ")
    path.write_text("\n".join(lines) + "\n")
    turns, damaged = read_turns(path)
    assert [turn.number for turn in turns] == [0, 2, 4, 5]
    assert damaged == 2


@pytest.mark.slow
def test_videos_are_tracked_and_each_voice_is_its_own_channel(
    tmp_path: Path, examples: Path
) -> None:
    root = tmp_path / "candor"
    folder = root / "0000-uuid"
    source = examples / "speaker.mp4"
    for index, person in enumerate(("ann", "bob")):
        video = folder / "processed" / f"{person}.mp4"
        corpora.face_video(source, video, start=2.0 * index, seconds=3.0)
    # the left voice buzzes in even half seconds, the right one in odd ones
    corpora.tone(tmp_path / "both.wav", 3.0, 48000, hertz=(180.0, 240.0))
    corpora.ffmpeg("-i", tmp_path / "both.wav", folder / "processed" / "0000-uuid.mp3")
    corpora.channel_map(folder / "processed" / "channel_map.json", left="ann", right="bob")
    transcript = folder / "transcription" / "transcript_cliffhanger.csv"
    corpora.transcript(transcript, [("ann", 0.0, 1.4), ("bob", 1.5, 3.0)])
    prepared = prepare(candor(root), tmp_path / "data")
    assert not prepared.skipped
    store = ClipStore(tmp_path / "data")
    info = store.info
    assert (info.fps, info.space, info.audio_encoder) == (30.0, "arkit", "mel")
    ann, bob = (store.load(record) for record in store.records)
    np.testing.assert_array_less(0.5, ann.speaker_audio[3:13, 29])
    np.testing.assert_array_less(ann.speaker_audio[20:28, 29], 0.5)
    # the second turn begins at 1.5 s, when the right voice does
    np.testing.assert_array_less(0.5, bob.speaker_audio[3:13, 29])
    # who listens talks in between, as the tracks have it
    voice = store.listener_voice(store.records[0])
    assert voice is not None and voice[18:27].all() and not voice[3:13].any()
    # the videos are pieces of one, two seconds apart
    assert np.abs(bob.speaker.values).max() > 0.05


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"kind": "monologue"}, "--turns monologue"),
        ({"min_s": 9.0, "max_s": 3.0}, "min <= max"),
        ({"shift_ms": 1e9}, "--shift-ms"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict, line: str) -> None:
    with pytest.raises(InputError, match=line):
        TurnOptions(**options)


def test_every_file_is_numbered_alike_also_where_a_persons_first_frame_is_lost(
    tmp_path: Path,
) -> None:
    root = tmp_path / "candor"
    corpora.candor_pickles(root, conversations=1)
    values = corpora.moving(100, 5.0, seed=0)
    late = {f"{frame:06d}": values[frame] for frame in range(1, 100)}
    corpora.write_pickle(root / "emoca_sample_out1" / "0000-uuid_ann.pkl", late)
    prepare(candor(root), tmp_path / "data")
    clip = ClipStore(tmp_path / "data").load(ClipStore(tmp_path / "data").records[1])
    np.testing.assert_array_equal(clip.listener.values, values[25:60])
    prepared = prepare(candor(root, first_frame=1), tmp_path / "from_one")
    assert "has frame 0; --first-frame says they begin at 1" in prepared.skipped[0].reason
    assert any("--shift-ms 200" in remark for remark in candor(root).remarks)
    shifted = candor(root, turns=TurnOptions(shift_ms=200))
    assert not any("--shift-ms" in remark for remark in shifted.remarks)


def test_media_and_tracked_motion_may_lie_apart_from_the_transcripts(tmp_path: Path) -> None:
    root, media = tmp_path / "candor", tmp_path / "media"
    name, turns = "0000-uuid", [("L", 0.0, 2.0), ("R", 2.0, 4.0)]
    corpora.transcript(root / name / "transcription" / "transcript_cliffhanger.csv", turns)
    recordings = media / name / "processed"
    corpora.channel_map(recordings / "channel_map.json", "ann", "bob")
    corpora.tone(recordings / f"{name}.mp3.wav", 4.0, rate=16000, hertz=(180.0, 240.0))
    corpora.ffmpeg("-i", recordings / f"{name}.mp3.wav", recordings / f"{name}.mp3")
    (tmp_path / "tracked").mkdir()
    for seed, person in enumerate(("ann", "bob")):
        motion = Motion(corpora.moving(120, seed=seed), 30.0, "flame")
        motion.save(tmp_path / "tracked" / f"{name}_{person}.npz")
    plan = MotionPlan.choose(None, None, tmp_path / "tracked")
    prepared = prepare(candor(root, motion=plan, media=media), tmp_path / "data")
    assert prepared.info is not None, prepared.skipped
    assert (prepared.info.space, prepared.info.fps) == ("flame", 30.0)
    store = ClipStore(tmp_path / "data")
    clip = store.load(store.records[0])
    assert (clip.record.speaker, clip.record.listener) == ("ann", "bob")
    np.testing.assert_array_equal(clip.listener.values, corpora.moving(120, seed=1)[:60])
    assert clip.speaker_audio.std() > 0.1


def test_a_turn_whose_number_has_thousands_of_digits_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "transcript.csv"
    path.write_text(f"turn_id,speaker,start,stop\n0,ann,0,1\n{'9' * 5000},bob,1,2\n")
    turns, damaged = read_turns(path)
    assert [turn.speaker for turn in turns] == ["ann"] and damaged == 1
