"""Speakers against the truth: figures, doubt, what methods see, and the whole command."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.core.motion import JAW, Motion
from dimcli.data.clip import ClipRecord, Stimulus
from dimcli.data.corpora.biwi import biwi
from dimcli.data.corpora.preparing import prepare
from dimcli.data.corpora.scans import ScanMesh, true_regions
from dimcli.data.store import ClipStore
from dimcli.data.synthetic.spoken import CLOSURES
from dimcli.data.writer import StoreWriter
from dimcli.evaluation.lips import lip_agreement, lip_opening
from dimcli.evaluation.protocols import evaluate
from dimcli.evaluation.scores import Evaluation, Figure
from dimcli.evaluation.speaker_metrics import SpeakerMeasures, lip_vertex_error, released_lip_errors
from dimcli.jobs.evaluate import EvaluationOptions, run_evaluation
from dimcli.models.simple import LoudnessPredictor, MeanPredictor, RandomPredictor
from renderers.heads.regions import regions_of_space
from tests.scan_files import write_biwi

FPS, FRAMES, MEL = 25.0, 40, 32


def speaking(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A jaw that opens and shuts, and sound whose level goes with it; shut at 0.4 s."""
    random = np.random.default_rng(seed)
    time = np.arange(FRAMES) / FPS
    opening = 0.1 + 0.1 * np.sin(2 * np.pi * (1 + random.random()) * time + 6 * random.random())
    opening[9:12] = 0.0
    values = np.zeros((FRAMES, 56), np.float32)
    values[:, JAW.start] = opening
    values[:, 8] = 0.2 + 0.1 * np.sin(3 * time)
    audio = random.normal(0, 0.01, (FRAMES, MEL)).astype(np.float32) + opening[:, None]
    return values, audio.astype(np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    folder = tmp_path_factory.mktemp("speech") / "data"
    writer = StoreWriter(
        folder, name="speech", fps=FPS, space="arkit", encoder="mel", audio_dim=MEL
    )
    records = []
    for seed in range(9):
        values, audio = speaking(seed)
        name = f"made-{seed}"
        writer.add(
            name,
            speaker=values,
            listener=np.zeros_like(values),
            audio=audio,
            notes={CLOSURES: json.dumps([[0.36, 0.4]])},
        )
        split = "train" if seed < 4 else "test"
        records.append(ClipRecord(name, name, 0, FRAMES, split, "voice", "nobody", style="calm"))
    writer.finish(records, {"prepare": "speech"})
    return ClipStore(folder)


@dataclass(frozen=True)
class Late:
    """The truth some frames late: a predictor that cheats, as only a test can."""

    store: ClipStore
    frames: int
    gain: float = 1.0

    def predict(self, speech: Stimulus, seed: int) -> Motion:
        record = next(one for one in self.store.records if one.id == speech.id)
        values = self.store.load(record).speaker.values
        return speech.motion(self.gain * np.roll(values, self.frames, axis=0))


class Spy:
    """Remembers all it was given."""

    def __init__(self) -> None:
        self.seen: list[tuple[Stimulus, int]] = []

    def predict(self, speech: Stimulus, seed: int) -> Motion:
        self.seen.append((speech, seed))
        return speech.motion(np.zeros((len(speech), 56), np.float32))


def evaluate_speakers(*arguments: Any, **settings: Any) -> Evaluation:
    return evaluate(*arguments, role="speaker", **settings)


def figures(evaluation: Evaluation, method: str, part: str) -> dict[str, Figure]:
    return next(one for one in evaluation.methods if one.name == method).figures[part]


def test_the_truth_itself_has_no_error_and_a_late_one_the_lag_it_has(store: ClipStore) -> None:
    found = evaluate_speakers(store, "test", {"true": Late(store, 0), "late": Late(store, 3)})
    true, late = (figures(found, name, "open head") for name in ("true", "late"))
    assert all(figure.value == 0 for figure in true.values())
    assert late["lve"].value > 0.001
    lips = figures(found, "true", "lips")
    assert (lips["closure_hits"].value, lips["lip_offset_ms"].value) == (1.0, 0.0)
    assert lips["lip_correlation"].value == pytest.approx(1.0)
    assert figures(found, "late", "lips")["lip_shift_ms"].value == pytest.approx(120.0)
    assert figures(found, "late", "lips")["closure_hits"].value < 1
    assert found.truth["lips"]["closure_hits"].value == 1.0


def test_figures_are_those_of_the_metrics_on_the_same_clips(store: ClipStore) -> None:
    found = evaluate_speakers(store, "test", {"late": Late(store, 2, 0.7)})
    regions = regions_of_space("arkit")
    errors, released, agreements = [], [], []
    for record in store.clips("test"):
        clip = store.load(record)
        motion = Late(store, 2, 0.7).predict(clip.stimulus("speaker"), 0)
        truth, made = (regions.moved(one.values) for one in (clip.speaker, motion))
        errors.append(lip_vertex_error(truth.lips, made.lips))
        released.extend(released_lip_errors(truth.lips, made.lips))
        agreements.append(lip_agreement(lip_opening(motion), lip_opening(clip.speaker)))
    got = figures(found, "late", "open head")
    assert got["lve"].value == pytest.approx(np.mean(errors))
    assert got["lve_released"].value == pytest.approx(np.mean(released))
    assert got["fdd_released"].value > 0  # too still
    lips = figures(found, "late", "lips")
    assert lips["lip_correlation"].value == pytest.approx(
        np.mean([one.correlation for one in agreements])
    )


def test_methods_hear_the_speech_and_see_no_motion(store: ClipStore) -> None:
    spy = Spy()
    evaluate_speakers(store, "test", {"spy": spy}, samples=2, seed=5)
    assert {seed for _, seed in spy.seen} == {5, 6}
    for speech, _ in spy.seen:
        held = {k for k, v in vars(speech).items() if isinstance(v, np.ndarray | Motion)}
        assert held == {"audio"}
        assert speech.speaker is None
        assert speech.style == "calm"


def test_intervals_hold_the_figure_and_differences_are_below_zero_for_the_better(
    store: ClipStore,
) -> None:
    methods = {"late": Late(store, 3), "true": Late(store, 0)}
    found = evaluate_speakers(store, "test", methods, reference="late", bootstrap=200)
    for part in found.methods[0].figures.values():
        for figure in part.values():
            if figure.low is not None and figure.high is not None:
                assert figure.low <= figure.value <= figure.high
    better = found.methods[1].differences
    assert better is not None
    for part, name in (
        ("open head", "lve"),
        ("open head", "lve_released"),
        ("lips", "lip_correlation"),
        ("lips", "closure_hits"),
        ("lips", "lip_shift_ms"),
    ):
        assert better[part][name].value < 0, name
        assert better[part][name].excludes_zero


def test_untrained_speakers_stand_still_say_something_else_or_follow_the_volume(
    store: ClipStore,
) -> None:
    clip = store.load(store.clips("test")[0])
    mean = MeanPredictor.fit(store, "speaker").predict(clip.stimulus("speaker"), 0)
    assert np.ptp(mean.values, axis=0).max() == 0
    drawn = RandomPredictor.fit(store, "speaker")
    one, other = (drawn.predict(clip.stimulus("speaker"), seed).values for seed in (0, 0))
    np.testing.assert_array_equal(one, other)
    loud = LoudnessPredictor.fit(store).predict(clip.stimulus("speaker"), 0)
    agreement = lip_agreement(lip_opening(loud), lip_opening(clip.speaker))
    assert agreement.correlation > 0.95


def test_a_wrong_answer_an_empty_split_and_a_strange_reference_are_refused(
    store: ClipStore,
) -> None:
    class Short:
        def predict(self, speech: Stimulus, seed: int) -> Motion:
            return speech.motion(np.zeros((3, 56), np.float32))

    with pytest.raises(InputError, match="short: answered clip made-4 with 3 frames"):
        evaluate_speakers(store, "test", {"short": Short()})
    with pytest.raises(InputError, match="val split is empty"):
        evaluate_speakers(store, "val", {"short": Short()})
    with pytest.raises(InputError, match="reference 'other'"):
        evaluate_speakers(store, "test", {"short": Short()}, reference="other")


def test_scans_are_measured_by_what_was_scanned(tmp_path: Path) -> None:
    names = [*(f"F2_e{number:02d}" for number in range(1, 6)), "F2_e37", "F2_e38"]
    write_biwi(tmp_path / "biwi", names)
    prepare(biwi(tmp_path / "biwi", tmp_path / "data"), tmp_path / "data")
    store = ClipStore(tmp_path / "data")
    measures = SpeakerMeasures.of(store)
    assert measures.parts == ("BIWI scans",)  # no FLAME here
    assert any("dim weights import flame" in remark for remark in measures.remarks)
    found = evaluate_speakers(store, "test", {"same": Late(store, 0)}, measures=measures)
    mesh = ScanMesh.load(store.root)
    assert mesh is not None
    errors = []
    for record in store.clips("test"):
        truth = true_regions(store, record)
        assert truth is not None
        made = mesh.of_motion().moved(store.load(record).speaker.values)
        errors.append(lip_vertex_error(truth.lips, made.lips))
    value = figures(found, "same", "BIWI scans")["lve"].value
    assert value == pytest.approx(np.mean(errors)) and 0 < value < 0.003


def test_the_run_writes_tables_files_and_a_report(store: ClipStore, tmp_path: Path) -> None:
    from dimcli.evaluation.writing import EvaluationFiles

    files = EvaluationFiles().in_folder(tmp_path / "out")
    options = EvaluationOptions(
        dataset="synthetic", task="speaker", data=store.root, bootstrap=50, files=files
    )
    result = run_evaluation(options)
    assert [method.name for method in result.evaluation.methods] == ["mean", "random", "loudness"]
    table = result.tables[0]
    assert table.parts == ("open head", "lips")
    assert table.best("lips", "lip_correlation") == {"loudness"}
    assert "↑" in table.heading("lips", "closure_hits")
    assert "↓" in table.heading("open head", "lve")
    assert len(result.written) == 4
    saved = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert saved["protocol"] == "speaker"
    assert math.isfinite(saved["methods"][0]["figures"]["open head"]["lve"]["value"])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "LVE released" in page and "squared" in page
    assert r"\uparrow" in (tmp_path / "out" / "scores.tex").read_text()
    with pytest.raises(InputError, match="`dim prepare biwi` wrote"):
        run_evaluation(EvaluationOptions(dataset="biwi", task="speaker"))
    with pytest.raises(InputError, match="both definitions"):
        run_evaluation(EvaluationOptions(task="speaker", data=store.root, protocol="official"))
