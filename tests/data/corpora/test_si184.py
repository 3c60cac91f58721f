from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.data.corpora.preparing import prepare
from dimcli.data.corpora.si184 import si184
from dimcli.data.store import ClipStore
from tests import corpora


def test_true_listeners_come_at_the_rate_of_the_published_figures(tmp_path: Path) -> None:
    stems = corpora.si184(tmp_path / "src")
    prepared = prepare(si184(tmp_path / "src"), tmp_path / "data")
    assert prepared.clips == {"train": 0, "val": 0, "test": 4} and not prepared.skipped
    store = ClipStore(tmp_path / "data")
    info = store.info
    assert (info.fps, info.space) == (25, "flame")
    assert (info.audio_encoder, info.audio_dim) == ("hubert-layer-9", 768)
    for index, record in enumerate(sorted(store.clips("test"), key=lambda each: each.id)):
        clip = store.load(record)
        assert record.id == stems[index]
        assert (record.listener, record.speaker) == (f"P{10 + index}", f"P{10 + (index ^ 1)}")
        assert len(clip.listener) == 50
        for motion, seed in ((clip.listener, index), (clip.speaker, index ^ 1)):
            want = corpora.moving(50, 25.0, seed=seed)
            np.testing.assert_allclose(motion.values[15:], want[15:], atol=0.01)
        want = np.sin(np.arange(50)[:, None] / 25 + np.arange(768))
        np.testing.assert_allclose(clip.speaker_audio[5:45], want[5:45], atol=0.02)
        talks = store.listener_voice(record)
        assert talks is not None
        assert np.flatnonzero(talks).tolist() == list(range(12, 32))  # 0.5 to 1.25 s


def test_planted_faults_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    source = tmp_path / "src"
    stems = corpora.si184(source, people=16, frames=30)
    emoca, hubert, vad = (source / "GT" / f"LS_AL_{kind}" for kind in ("emoca", "hubert", "vad"))
    arrays = dict(np.load(emoca / f"{stems[0]}.npz"))
    faults = {
        0: ("lacks face_ok", {k: v for k, v in arrays.items() if k != "face_ok"}),
        2: ("posecode has shape (30, 6); expected (31, 6)", arrays | {"n_frames": np.int32(31)}),
        4: ("face_ok has shape", arrays | {"face_ok": arrays["face_ok"][:5]}),
        6: ("fps is", arrays | {"fps": np.float32(0)}),
        8: ("face is seen in 0%", arrays | {"face_ok": np.zeros(30, np.uint8)}),
        10: ("fps has shape", arrays | {"fps": np.zeros(2, np.float32)}),
    }
    for number, (_, changed) in faults.items():
        np.savez(emoca / f"{stems[number]}.npz", **changed)
    rows = corpora.heard(50)
    np.savez(hubert / f"{stems[12]}.npz", feat_l09=rows, fps=np.float32(49))
    late = {"speech_starts": np.float32([2]), "speech_ends": np.float32([1])}
    np.savez(vad / f"{stems[14]}.npz", **late, audio_seconds=np.float32(1))
    with (source / "pairs184.txt").open("a") as file:
        file.write("nonsense\n\n../../x.wav y.wav\n")
    prepared = prepare(si184(source), tmp_path / "data")
    reasons = {skip.name: skip.reason for skip in prepared.skipped}
    for number, (said, _) in faults.items():
        both = [reasons[stems[each]] for each in (number, number + 1)]
        assert all(said in reason for reason in both), both
    assert "fps is 49.0; expected 50" in reasons[stems[13]]
    assert "ends before it begins" in reasons[stems[14]]
    assert {"pairs184.txt: line 17", "pairs184.txt: line 19"} <= reasons.keys()
    assert prepared.clips["test"] == 2


def test_what_is_no_benchmark_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pairs184\.txt: no such"):
        si184(tmp_path)
    (tmp_path / "pairs184.txt").write_text("x\n")
    with pytest.raises(InputError, match="no such folder; it holds the motion"):
        si184(tmp_path)
    (tmp_path / "GT" / "LS_AL_emoca").mkdir(parents=True)
    with pytest.raises(InputError, match="has no line"):
        si184(tmp_path)
    with pytest.raises(InputError, match="--audio mel"):
        si184(tmp_path, audio="mel")
