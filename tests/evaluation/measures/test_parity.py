"""The measures against what their sources' own code gave on the same arrays."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from dimcli.core.motion import EXPRESSION, Motion
from dimcli.evaluation import metrics
from dimcli.evaluation.measures import dualtalk, listening, reaction, timing, unils
from dimcli.evaluation.measures.listening import PooledEntropy, voiced
from dimcli.evaluation.measures.rdgg import Energies, Interval, Listener, Reference, _shifts
from dimcli.evaluation.measures.rdgg_inputs import reactive
from dimcli.evaluation.metrics import Gaussian
from tests.evaluation.measures import fixtures
from tests.evaluation.measures.fixtures import EXPECTED, FPS


def near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-6, abs=1e-6)


def joint_distance(shared: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    first, second = (Gaussian.fit(np.hstack([shared, each])) for each in (one, other))
    return first.distance(second)


@pytest.mark.parametrize("variant", ["full", "listening"])
@pytest.mark.parametrize("part", fixtures.PARTS)
def test_the_classic_figures_are_those_of_the_si184_benchmark(variant: str, part: str) -> None:
    expected, columns = EXPECTED["classic"][variant], fixtures.PARTS[part]
    clips = []
    for (speaker, truth, prediction), voice in zip(fixtures.walks(), fixtures.VOICES, strict=True):
        kept = np.ones(len(truth), bool)
        if variant == "listening":
            kept = ~voiced(*map(np.float32, voice), len(truth))
        clips.append([track[kept][:, columns] for track in (speaker, truth, prediction)])
    assert [len(truth) for _, truth, _ in clips] == expected["kept"]
    rpcc, tlcc = expected["rpcc"][part], expected["tlcc"][part]
    gaps = [listening.rpcc(*clip) for clip in clips]
    assert [*gaps, np.mean(gaps)] == near([*rpcc["per_clip"], rpcc["mean"]])
    for key, index in (("pcc_gt", 1), ("pcc_gen", 2)):
        found = [listening.flat_correlation(clip[0], clip[index]) for clip in clips]
        assert found == near(rpcc[key])
    lags = [timing.tlcc(speaker, prediction, FPS) for speaker, _, prediction in clips]
    for name, key in (("peak", "peak"), ("offset", "offset"), ("longest", "max_lag_used")):
        assert [getattr(lag, name) for lag in lags] == near(tlcc[key])
    means = [np.mean([abs(lag.offset) for lag in lags]), np.mean([lag.peak for lag in lags])]
    assert means == near([tlcc["mean_abs_offset"], tlcc["mean_peak"]])
    at_once = [
        timing.lagged_correlation(speaker, prediction, lag.longest)[lag.longest]
        for (speaker, _, prediction), lag in zip(clips, lags, strict=True)
    ]
    assert at_once == near(tlcc["center"])
    distances = expected["p_fd"].get(part, [])  # the others' roots are singular
    assert [joint_distance(*clip) for clip in clips][: len(distances)] == near(distances)
    truth, prediction = (np.concatenate(each) for each in list(zip(*clips, strict=True))[1:])
    clusters = PooledEntropy.fit(truth, fixtures.CLUSTERS[part])
    assert [clusters.entropy(prediction), clusters.entropy(truth)] == near(expected["sid"][part])
    assert [prediction.var(), truth.var()] == near(expected["var"][part])


def test_expressions_come_to_25_frames_a_second_as_in_the_si184_benchmark() -> None:
    # Frames without a face are dropped there, and keep their place here; rotation vectors are
    # interpolated as numbers there, and as rotations here: the pose is not to be the same.
    values, seen = fixtures.si184_motion()
    found = Motion(values[seen], 30.0, "flame").resampled(25.0).values[:, EXPRESSION]
    expected = EXPECTED["classic"]["loader"]
    assert list(found.shape) == expected["shape"]
    rows = {"row_100_sum": found[100], "last_row_sum": found[-1]}
    sums = {name: row.sum(dtype=float) for name, row in rows.items()}
    sums |= {"mean": found.mean(dtype=float), "std": found.std(dtype=float)}
    assert sums == near({name: expected[name] for name in sums})


def test_listening_frames_are_those_of_the_si184_benchmark() -> None:
    voices = [
        voiced(*map(np.float32, voice), 230) for voice in (fixtures.VOICES[1], fixtures.VOICES[0])
    ]
    frames = np.flatnonzero(reactive(*voices, FPS))
    assert [frames[0], frames[-1], len(frames)] == EXPECTED["classic"]["reactive"]


def test_the_react_figures_are_those_of_the_challenge() -> None:
    expected, made = EXPECTED["react"], fixtures.react()
    sets = [[made.listener[index] for index in row] for row in made.appropriate]
    assert made.appropriate == expected["neighbours"]
    corr = [reaction.fr_corr(*pair) for pair in zip(made.prediction, sets, strict=True)]
    dist = [
        reaction.fr_dist(*pair, reaction.ATTRIBUTES)
        for pair in zip(made.prediction, sets, strict=True)
    ]
    assert np.mean(corr) == near(expected["FRCorr_2024"])
    assert np.mean(dist) == near(expected["FRDist_2024"])
    assert np.mean([reaction.squared_apart(each) for each in made.prediction]) == near(
        expected["FRDiv_s_mse"]
    )
    assert np.mean([reaction.squared_apart(made.prediction[:, k]) for k in range(3)]) == near(
        expected["FRDvs"]
    )
    variances = [[reaction.fr_var(one) for one in each] for each in made.prediction]
    assert np.mean(variances) == near(expected["FRVar"])
    first = (made.listener[0], made.prediction[0, 0])
    assert reaction.ccc(*first) == near(expected["ccc_lis0_pred00"])
    parts = [
        reaction.warped_distance(*(one[:, c] for one in first)) for c, _ in reaction.ATTRIBUTES
    ]
    assert parts == near(expected["dtw_parts_pred00_lis0"])
    # there a positive lag is one by which the listener is late, here one by which it leads
    lags = [
        [timing.tlcc(speaker, one, FPS) for one in each]
        for speaker, each in zip(made.speaker, made.prediction, strict=True)
    ]
    offsets = -np.array([[lag.offset for lag in each] for each in lags])
    assert offsets.tolist() == expected["offsets"]
    assert np.abs(offsets).mean() == pytest.approx(expected["FRSyn_all_predictions"], rel=1e-5)
    first = np.abs(offsets[:, 0]).mean()
    assert first == pytest.approx(expected["FRSyn_first_prediction_only"], rel=1e-5)


def test_the_truth_as_a_prediction_and_mimicry_score_as_in_the_challenge() -> None:
    expected, made = EXPECTED["react"], fixtures.react()
    sets = [[made.listener[index] for index in row] for row in made.appropriate]
    three = [[each] * 3 for each in made.listener]
    corr = [reaction.fr_corr(*pair) for pair in zip(three, sets, strict=True)]
    assert np.mean(corr) == near(expected["GT_as_prediction"]["FRCorr"])
    assert reaction.fr_dist(three[0], sets[0], reaction.ATTRIBUTES) == 0.0
    lags = [timing.tlcc(*pair, FPS) for pair in zip(made.speaker, made.listener, strict=True)]
    syn = np.mean([abs(lag.offset) for lag in lags])
    assert syn == pytest.approx(expected["GT_as_prediction"]["FRSyn"], rel=1e-5)
    assert timing.tlcc(made.speaker[0], made.speaker[0], FPS).offset == expected["mime"]["FRSyn"]
    three = [[each] * 3 for each in made.speaker]
    corr = [reaction.fr_corr(*pair) for pair in zip(three, sets, strict=True)]
    assert np.mean(corr) == near(expected["mime"]["FRCorr"])


def test_reactface_and_the_lists_of_later_years_differ_in_constants_only() -> None:
    expected, made = EXPECTED["react"], fixtures.react()
    sets = [[made.listener[index] for index in row] for row in made.appropriate]
    pairs = list(zip(made.prediction, sets, strict=True))
    corr = np.mean([reaction.fr_corr(*pair, floor=1e-50) for pair in pairs])
    whole = [(slice(None), 1.0)]
    dist = np.mean([reaction.fr_dist(*pair, whole) for pair in pairs])
    theirs = expected["ReactFace"]
    assert 10 * corr / 3 == near(theirs["FRC_times_10_mean"])
    assert 10 * corr == near(theirs["FRC_mp_times_10_sum"])
    assert 10 * dist / 3 == near(theirs["FRD_unweighted_times_10_mean"])
    for name, same in (("FRDiv", "FRDiv_s_mse"), ("FRSyn", "FRSyn_all_predictions")):
        assert theirs[name] == expected[same]
    assert [theirs[name] for name in ("FRVar", "FRDvs")] == [expected["FRVar"], expected["FRDvs"]]
    speakers, targets, predictions = fixtures.ragged_react()
    lists, pairs = expected["lists_2025_2026"], list(zip(predictions, targets, strict=True))
    dist = np.mean([reaction.fr_dist(*pair, reaction.ATTRIBUTES) for pair in pairs])
    assert dist == near(lists["FRDist"])
    corr = np.mean([reaction.fr_corr(*pair) for pair in pairs])
    assert corr == near(lists["FRCorr_by_the_2024_CCC_over_the_targets"])
    assert np.mean([reaction.squared_apart(each) for each in predictions]) == near(lists["FRDiv"])
    variances = [[reaction.fr_var(one) for one in each] for each in predictions]
    assert np.mean(variances) == near(lists["FRVar"])
    lags = [timing.tlcc(s, p[0], FPS) for s, p in zip(speakers, predictions, strict=True)]
    assert np.mean([abs(lag.offset) for lag in lags]) == lists["FRSyn_first_prediction"]


def test_a_still_column_makes_no_offset_of_49_and_no_concordance() -> None:
    expected, made = EXPECTED["react"], fixtures.react()
    assert expected["FRSyn_when_speaker_AU0_is_constant"] == 49.0  # what it is there
    speaker = made.speaker[0].copy()
    speaker[:, 0] = 0
    found = timing.tlcc(speaker, made.prediction[0, 0], FPS)
    alone = timing.tlcc(speaker[:, 1:], made.prediction[0, 0][:, 1:], FPS)
    assert (found.offset, found.peak) == (alone.offset, near(alone.peak))
    prediction = made.prediction.copy()
    prediction[..., 0] = 0
    sets = [[made.listener[index] for index in row] for row in made.appropriate]
    corr = [reaction.fr_corr(*pair) for pair in zip(prediction, sets, strict=True)]
    assert np.mean(corr) == near(expected["FRCorr_when_prediction_AU0_is_constant"])


def test_the_split_is_dualtalks_and_timars() -> None:
    truth, partner, prediction = fixtures.dualtalk()
    theirs = {"fd": "fid", "p_fd": "p_fid", "mse": "mse", "sid_clip": "sid"}
    theirs |= {"sid_reverse": "reverse_sid", "rpcc_clip": "rpcc"}
    for region, columns in fixtures.REGIONS.items():
        true = dualtalk.RegionTruth(
            truth[:, columns], partner[:, columns], dualtalk.CLUSTERS[region]
        )
        for name, value in true.figures(prediction[:, columns]).items():
            assert value == near(EXPECTED["dualtalk"][f"{theirs[name]}_{region.lower()}"])


def own_figures(truth: np.ndarray, speaker: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """What the paper's figures make of one clip."""
    true = metrics.ClipTruth(truth, speaker, metrics.Clusters.fit([truth], 10))
    return dict(zip(metrics.PER_CLIP, true.share(prediction).own, strict=True))


def test_our_own_figures_of_a_clip_are_those_of_lm_listener_and_dualtalk() -> None:
    (truth, partner, prediction), expected = fixtures.dualtalk(), EXPECTED["lm_listener"]
    found = own_figures(truth, partner, prediction)
    theirs = {"fd": "fid", "p_fd": "fid2", "mse": "l2", "var": "var_pred"}
    assert {key: found[name] for name, key in theirs.items()} == near(
        {key: expected[key] for key in theirs.values()}
    )
    assert own_figures(truth, partner, truth)["var"] == near(expected["var_gt"])
    for region, columns in fixtures.REGIONS.items():
        for kind, motion in (("pre", prediction), ("gt", truth)):
            one = own_figures(*(each[:, columns] for each in (truth, partner, motion)))
            assert one["var"] == near(EXPECTED["dualtalk"][f"variance_{kind}_{region.lower()}"])


def test_distances_of_vertices_are_those_of_unils() -> None:
    made, expected = fixtures.heads(), EXPECTED["unils"]
    everywhere = np.ones(len(made.speech), bool)
    assert made.speech.sum() == expected["speaking_frames"]
    lips, upper = fixtures.LIPS, fixtures.UPPER
    for kept, found in (
        (everywhere, {name: expected["all_frames"][name] for name in ("LVE", "MHD", "FDD")}),
        (made.speech, _of_mask("S_")),
        (~made.speech, _of_mask("L_")),
    ):
        truth, prediction = made.truth[kept], made.prediction[kept]
        codes = [codes[kept][:, 100:104, None] for codes in (made.true_codes, made.codes)]
        values = {
            "LVE": unils.lip_error(truth[:, lips], prediction[:, lips]),
            "MHD": unils.head_error(truth, prediction),
            "FDD": unils.dynamics_error(truth[:, upper], prediction[:, upper]),
            "PDD": unils.dynamics_error(*(each[:, :3] for each in codes)),
            "JDD": unils.dynamics_error(*(each[:, 3:] for each in codes)),
        }
        assert {name: values[name] for name in found} == near(found)


def _of_mask(prefix: str) -> dict[str, float]:
    found = EXPECTED["unils"]["by_mask"].items()
    return {name.removeprefix(prefix): value for name, value in found if name.startswith(prefix)}


@cache
def systems() -> dict[str, dict[str, Listener]]:
    """Every system's listeners on the frames that are valid in the truth and in M1; the ``true``
    ones on their own."""
    made = fixtures.rdgg_listeners()
    true = made["GT"]
    surrogate = fixtures.rdgg_surrogate(true, EXPECTED["rdgg"]["surrogate_partner"])
    common = {stem: one.valid & made["M1"][stem].valid for stem, one in true.items()}
    return {"true": true} | {
        name: {stem: one.of(one.motion, one.valid & common[stem]) for stem, one in system.items()}
        for name, system in (made | {"surrogate": surrogate}).items()
    }


@cache
def reference() -> Reference:
    return Reference(systems()["true"])


@cache
def scored(name: str) -> Energies:
    return reference().score(systems()[name])


def board(interval: Interval) -> dict[str, float]:
    """As the benchmark's tables have it."""
    ends = {"point": interval.value, "lo": interval.low, "p50": interval.middle}
    ends |= {"hi": interval.high}
    return {name: 1e4 * value for name, value in ends.items()} | {"p": interval.p}


def told(expected: dict[str, float]) -> dict[str, float]:
    """Of the benchmark's, what :func:`board` has."""
    return {name: expected[name] for name in ("point", "lo", "p50", "hi", "p")}


def test_folds_frames_and_the_shifts_of_nulls_are_the_rdgg_benchmarks() -> None:
    expected, true = EXPECTED["rdgg"], systems()["true"]
    assert {stem: one.fold for stem, one in true.items()} == expected["fold"]
    assert {len(one.motion) for one in true.values()} == {expected["grid_frames"]}
    assert _shifts(true, 0) == expected["shifts_of_the_first_null"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["GT", "M1"])
def test_energies_are_the_rdgg_benchmarks(name: str) -> None:
    found, energies = scored(name), EXPECTED["rdgg"]["energies"][name]
    assert list(found.names) == EXPECTED["rdgg"]["listeners"]
    assert found.both == near(np.array(energies["both_r"]))
    assert found.motion == near(np.array(energies["mot_r"]))
    assert found.both_null[0] == near(np.array(energies["both_n_0"]))
    assert found.motion_null[0] == near(np.array(energies["mot_n_0"]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["GT", "M1", "surrogate"])
def test_rdgg_is_the_benchmarks(name: str) -> None:
    found, wanted = scored(name), EXPECTED["rdgg"]["leaderboard"][name]
    (real, null), count = found.gains(), len(found.names)
    assert count == wanted["n_lis"]
    figures = {"net": found.net()[0], "net_med": real[0] - np.median(null), "raw": real[0]}
    figures |= {"floor": null.mean(), "floor_sd": null.std()}
    assert {key: 1e4 * value for key, value in figures.items()} == near(
        {key: wanted[key] for key in figures}
    )
    assert found.net(np.eye(count)) == near(np.array(wanted["per_listener_net_x1"]))
    for kind, cluster in (
        ("interval_identities", fixtures.person),
        ("interval_interactions", fixtures.interaction),
    ):
        interval = found.interval([cluster(stem) for stem in found.names])
        assert board(interval) == near(told(wanted[kind]))


@pytest.mark.slow
def test_the_truth_on_its_own_frames_scores_as_in_the_rdgg_benchmark() -> None:
    found = scored("true")
    interval = found.interval([fixtures.person(stem) for stem in found.names])
    assert board(interval) == near(told(EXPECTED["rdgg"]["marginal"]))


@pytest.mark.slow
def test_the_lead_of_one_system_over_another_is_the_benchmarks() -> None:
    expected = EXPECTED["rdgg"]["lead"]
    truth, other = (
        replace(
            scored(name),
            both_null=scored(name).both_null[:40],
            motion_null=scored(name).motion_null[:40],
        )
        for name in ("GT", "M1")
    )
    lead = truth.lead(other, [fixtures.person(stem) for stem in truth.names])
    found = [1e4 * value for value in (lead.value, lead.low, lead.middle, lead.high)]
    assert found == near(expected["unrounded_delta_lo_p50_hi"])
    assert lead.p == expected["p"]
