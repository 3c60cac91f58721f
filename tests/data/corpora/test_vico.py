from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import Motion
from dimcli.data.corpora.preparing import Prepared, prepare
from dimcli.data.corpora.sources import MotionPlan
from dimcli.data.corpora.vico import vico
from dimcli.data.store import ClipStore
from dimcli.tracking.emoca_folder import read_emoca_folder
from tests import corpora


def reasons(prepared: Prepared) -> dict[str, str]:
    return {skip.name: skip.reason for skip in prepared.skipped}


def test_processed_files_arrive_as_they_are_with_ids_attitudes_and_splits(tmp_path: Path) -> None:
    rows = corpora.vico_processed(tmp_path / "vico", count=40)
    prepared = prepare(vico(tmp_path / "vico"), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    info = store.info
    assert (info.fps, info.space, info.audio_encoder, info.audio_dim) == (
        30,
        "flame",
        "hubert",
        768,
    )
    assert "ViCo" in info.made_by["licence"]
    assert any("60 %" in remark for remark in prepared.remarks)
    by_id = {record.id: record for record in store.records}
    assert len(by_id) == 40
    for index, row in enumerate(rows[:3]):
        record = by_id[row[1]]
        assert (record.attitude, record.speaker, record.listener) == (
            row[0],
            str(row[5]),
            str(row[4]),
        )
        clip = store.load(record)
        np.testing.assert_array_equal(clip.speaker.values, corpora.moving(40, seed=2 * index))
        np.testing.assert_array_equal(clip.listener.values, corpora.moving(40, seed=2 * index + 1))
        np.testing.assert_array_equal(clip.speaker_audio, corpora.heard(40, 30.0, first_s=0.0))

    assert {row[1] for row in rows if row[6] == "test"} == {r.id for r in store.clips("test")}
    people = {split: {r.speaker for r in store.clips(split)} for split in ("train", "val")}
    assert people["val"] and not people["val"] & people["train"]


def test_val_depends_on_the_seed_and_never_takes_from_test(tmp_path: Path) -> None:
    rows = corpora.vico_processed(tmp_path / "vico", count=40)
    test = {row[1] for row in rows if row[6] == "test"}
    chosen = []
    for seed in range(6):
        jobs = vico(tmp_path / "vico", seed=seed).jobs
        val = frozenset(job.conversation for job in jobs if job.split == "val")
        assert val and not val & test
        chosen.append(val)
    assert len(set(chosen)) > 1


def test_columns_in_the_other_order_are_found_out_and_can_be_said(tmp_path: Path) -> None:
    rows = corpora.vico_processed(tmp_path / "vico", count=2)
    values = corpora.moving(40)
    turned = np.concatenate([values[:, 6:], values[:, :6]], axis=1)
    content = {"audio": corpora.heard(40), "video_speaker": turned, "video_listener": turned}
    for row in rows:
        corpora.write_pickle(tmp_path / "vico" / "vico_processed_30fps" / f"{row[1]}.pkl", content)
    wrong = prepare(vico(tmp_path / "vico"), tmp_path / "wrong")
    assert wrong.info is None
    assert all("order were exp-pose" in reason for reason in reasons(wrong).values())
    prepare(vico(tmp_path / "vico", order="exp-pose"), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    np.testing.assert_array_equal(store.load(store.records[0]).speaker.values, values)


def test_emoca_folders_and_hubert_pickles_are_resampled_in_time(tmp_path: Path) -> None:
    corpora.vico_emoca(tmp_path / "vico", count=2, frames=60)
    prepare(vico(tmp_path / "vico", fps=25.0), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    assert (store.info.fps, store.info.space, store.info.audio_encoder) == (25.0, "flame", "hubert")
    clip = store.load(store.records[0])
    assert len(clip) == 50
    for motion, seed in ((clip.speaker, 0), (clip.listener, 1)):
        # the same functions of time, drawn at the new rate
        np.testing.assert_allclose(motion.values, corpora.moving(50, 25.0, seed), atol=0.01)
    time = np.arange(50)[2:-2, None] / 25.0
    wanted = np.sin(time + np.arange(768))
    np.testing.assert_allclose(clip.speaker_audio[2:-2], wanted, atol=0.01)


def test_every_planted_fault_of_processed_files_is_named_and_survived(tmp_path: Path) -> None:
    rows = corpora.vico_processed(tmp_path / "vico", count=12)
    folder = tmp_path / "vico" / "vico_processed_30fps"
    names = [str(row[1]) for row in rows]
    good = corpora.moving(40)

    def replace(index: int, **changes: object) -> None:
        content = {"audio": corpora.heard(40), "video_speaker": good, "video_listener": good}
        corpora.write_pickle(folder / f"{names[index]}.pkl", content | changes)

    (folder / f"{names[0]}.pkl").unlink()
    replace(1, video_listener=good[:30])
    bad = good.copy()
    bad[7, 3] = np.nan
    replace(2, video_speaker=bad)
    replace(3, video_speaker=good[:, :50])
    replace(4, audio=corpora.heard(40, width=80))
    corpora.write_pickle(folder / f"{names[5]}.pkl", corpora.Bomb(tmp_path / "boom"))
    (folder / f"{names[6]}.pkl").write_bytes(b"not a pickle")
    corpora.write_pickle(folder / f"{names[7]}.pkl", [1, 2])

    prepared = prepare(vico(tmp_path / "vico"), tmp_path / "data")
    said = reasons(prepared)
    for index, words in enumerate(
        (
            "no such", "video_listener 30", "NaN", "shape (40, 50)", "shape (40, 80)",
            "system", "not a readable pickle", "expected a dictionary",
        )
    ):  # fmt: skip
        assert words in said.pop(names[index]), index
    assert not said
    assert sum(prepared.clips.values()) == 4
    assert not (tmp_path / "boom").exists()


def test_a_wrong_length_of_hubert_and_a_missing_emoca_folder_are_named(tmp_path: Path) -> None:
    rows = corpora.vico_emoca(tmp_path / "vico", count=3, frames=30)
    corpora.write_pickle(tmp_path / "vico" / "hubert" / f"{rows[0][1]}.pkl", [corpora.heard(100)])
    stem = tmp_path / "vico" / "emoca" / str(rows[1][3])
    stem.rename(stem.with_name("elsewhere"))
    prepared = prepare(vico(tmp_path / "vico"), tmp_path / "data")
    said = reasons(prepared)
    assert "motion 1.00 s, features 2.00 s" in said[str(rows[0][1])]
    assert "no such folder" in said[str(rows[1][1])]
    assert sum(prepared.clips.values()) == 1


@pytest.mark.slow
def test_videos_are_tracked_at_their_own_rates_and_faults_are_survived(
    tmp_path: Path, examples: Path
) -> None:
    root = tmp_path / "vico"
    rows = corpora.vico_rows(4)
    source = examples / "speaker.mp4"
    for row in rows[:3]:
        # one of the two at another rate: real resampling brings them together
        corpora.face_video(source, root / "videos" / f"{row[3]}.mp4", seconds=1.2, fps=30)
        corpora.face_video(source, root / "videos" / f"{row[2]}.mp4", seconds=1.2, fps=15)
        corpora.tone(root / "audios" / f"{row[1]}.wav", 1.2)
    corpora.tone(root / "audios" / f"{rows[1][1]}.wav", 4.0)
    (root / "videos" / f"{rows[2][2]}.mp4").unlink()
    corpora.ffmpeg(
        *("-f", "lavfi", "-i", "color=gray:s=192x192:d=1.2:r=30"),
        root / "videos" / f"{rows[3][3]}.mp4",
    )
    corpora.write_table(root / "RLD_data.csv", corpora.RLD_COLUMNS, rows)
    prepared = prepare(vico(root), tmp_path / "data")
    said = reasons(prepared)
    assert "motion 1.20 s, sound 4.00 s" in said[str(rows[1][1])]
    assert "no such video file" in said[str(rows[2][1])]
    assert "show no face" in said[str(rows[3][1])]
    store = ClipStore(tmp_path / "data")
    assert (store.info.space, store.info.audio_encoder, store.info.fps) == ("arkit", "mel", 30.0)
    clip = store.load(store.records[0])
    assert len(clip) == 36
    # both show the same person in the same moments
    speaker, listener = clip.speaker.column("jawOpen"), clip.listener.column("jawOpen")
    assert np.corrcoef(speaker, listener)[0, 1] > 0.8
    assert clip.speaker_audio.std() > 0.05


def test_the_challenge_packaging_is_read(tmp_path: Path) -> None:
    root = tmp_path / "vico"
    (root / "videos").mkdir(parents=True)
    (root / "audios").mkdir()
    columns = ("video_id", "uuid", "speaker_id", "listener_id")
    corpora.write_table(
        root / "train.csv", columns, [(f"v{i}", f"uuid{i:08d}", i, 50 + i) for i in range(6)]
    )
    corpora.write_table(root / "valid.csv", columns, [("v9", "uuid00000009", 9, 59)])
    corpora.write_table(root / "ood.csv", columns, [("v8", "uuid00000008", 8, 58)])
    corpus = vico(root)
    splits = {job.conversation: job.split for job in corpus.jobs}
    assert splits == {f"uuid{i:08d}": "train" for i in range(6)} | {"uuid00000009": "val"}
    assert "--split ood=test" in corpus.skipped[0].reason
    taken = vico(root, split_names={"ood": "test"})
    assert {job.conversation: job.split for job in taken.jobs}["uuid00000008"] == "test"
    prepared = prepare(corpus, tmp_path / "data")
    assert "uuid00000000.speaker.mp4: no such video file" in reasons(prepared)["uuid00000000"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"source": "videos"}, "no folder 'videos'"),
        ({"source": "tape"}, "expected one of auto, emoca"),
        ({"audio": "mel"}, "no sound to encode"),
        ({"audio": "wav2vec"}, "unknown; known: mel"),
        ({"table": Path("nowhere.csv")}, "no such csv file"),
    ],
)
def test_an_option_at_fault_says_what_is_there(tmp_path: Path, options: dict, line: str) -> None:
    corpora.vico_processed(tmp_path / "vico", count=2)
    if options.get("audio") == "mel":
        options = options | {"source": "processed"}
    with pytest.raises(InputError, match=line):
        vico(tmp_path / "vico", **options)


def test_a_folder_without_its_table_or_of_something_else_says_so(tmp_path: Path) -> None:
    corpora.vico_processed(tmp_path / "vico", count=2)
    (tmp_path / "vico" / "RLD_data.csv").unlink()
    with pytest.raises(InputError, match="no metadata table"):
        vico(tmp_path / "vico")
    with pytest.raises(InputError, match="expected ViCo's folder"):
        vico(tmp_path)


def test_motion_that_was_tracked_before_is_taken_by_name_in_its_own_space(tmp_path: Path) -> None:
    rows = corpora.vico_emoca(tmp_path / "vico", frames=24)
    whole = prepare(vico(tmp_path / "vico"), tmp_path / "emoca")
    (tmp_path / "vico" / "emoca").rename(tmp_path / "tracked")
    one = tmp_path / "tracked" / rows[0][3]
    motion = read_emoca_folder(one, 30.0)
    shutil.rmtree(one)
    motion.save(tmp_path / "tracked" / f"{rows[0][3]}.npz")
    plan = MotionPlan.choose(None, None, tmp_path / "tracked")
    taken = prepare(vico(tmp_path / "vico", motion=plan), tmp_path / "taken")
    assert whole.info is not None and taken.info is not None
    assert (taken.info.space, taken.info.fps, taken.clips) == ("flame", 30.0, whole.clips)
    before_it, taken_from = ClipStore(tmp_path / "emoca"), ClipStore(tmp_path / "taken")
    for record in before_it.records:
        before, after = before_it.load(record), taken_from.load(record)
        np.testing.assert_array_equal(before.speaker.values, after.speaker.values)
        np.testing.assert_array_equal(before.listener.values, after.listener.values)


def test_what_does_not_go_with_motion_files_is_told(tmp_path: Path) -> None:
    corpora.vico_emoca(tmp_path / "vico", count=1, frames=2)
    (tmp_path / "tracked").mkdir()
    with pytest.raises(InputError, match=r"--motion .*has no motion"):
        MotionPlan.choose(None, None, tmp_path / "tracked")
    Motion(corpora.moving(9), 30.0, "arkit").save(tmp_path / "tracked" / "a.npz")
    plan = MotionPlan.choose(None, None, tmp_path / "tracked")
    assert plan.space == "arkit"
    Motion(corpora.moving(9), 30.0, "flame").save(tmp_path / "tracked" / "b.npz")
    with pytest.raises(InputError, match=r"b\.npz: is in the 'flame' space, other files"):
        plan.motion(tmp_path / "b.mp4", "b", 30.0)
    with pytest.raises(InputError, match=r"c\.npz: no such motion file"):
        plan.motion(tmp_path / "c.mp4", "c", 30.0)
    with pytest.raises(InputError, match=r"--tracker: --motion .* has motion already"):
        MotionPlan.choose("emoca", None, tmp_path / "tracked")
    with pytest.raises(InputError, match="--from emoca: --tracker and --motion are of videos"):
        vico(tmp_path / "vico", source="emoca", motion=plan)
    with pytest.raises(InputError, match=r"--checkpoint .*: --tracker landmarks has its own"):
        MotionPlan.choose(None, tmp_path / "x.ckpt", None)
    with pytest.raises(InputError, match=r"x\.ckpt: no such"):
        MotionPlan.choose("emoca", tmp_path / "x.ckpt", None)


def test_an_attitude_is_read_where_dim_reads_it_and_what_is_none_is_counted(tmp_path: Path) -> None:
    rows = corpora.vico_processed(tmp_path / "vico", count=4, frames=4)
    rows = [(("Positive", "neutral", "happy", "happy")[i], *row[1:]) for i, row in enumerate(rows)]
    columns = ("sentiment", *corpora.RLD_COLUMNS[1:])
    corpora.write_table(tmp_path / "vico" / "RLD_data.csv", columns, rows)
    corpus = vico(tmp_path / "vico")
    assert [json.loads(job.key)[2] for job in corpus.jobs] == [
        "positive", "neutral", "unknown", "unknown",
    ]  # fmt: skip
    said = " ".join(corpus.remarks)
    assert "no column 'attitude'; took the first, 'sentiment'" in said
    assert "2 of 4 rows have an attitude that is none of" in said and "(such as 'happy')" in said
    turned = [(*row[1:], row[0]) for row in rows]
    corpora.write_table(
        tmp_path / "vico" / "RLD_data.csv", (*corpora.RLD_COLUMNS[1:], "sentiment"), turned
    )
    corpus = vico(tmp_path / "vico")
    assert {json.loads(job.key)[2] for job in corpus.jobs} == {"unknown"}
    assert "no column 'attitude': all attitudes are unknown" in " ".join(corpus.remarks)
