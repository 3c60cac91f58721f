"""The official protocol against figures that the released code itself gives, and plain ones."""

from __future__ import annotations

import numpy as np
import pytest

from dimcli.core.errors import InputError
from dimcli.evaluation import official
from dimcli.evaluation.official import fit_centres, nearest

Clips = list[np.ndarray]

# What the authors' print_metrics prints for `made` clips (scikit-learn 1.5.0, scipy 1.13.1, numpy
# 1.26.4); where it prints float32 only, MSE and Var, in as many digits. The short clips have fewer
# frames than expression coefficients, so that its matrix root is of a singular product.
RELEASED = {
    (5, 160): {
        "pose": {
            "fd": 10.809771740857064,
            "p_fd": 12.13636351801431,
            "mse": 2.2232277,
            "sid_pooled": 2.535708272085529,
            "var_pooled": 1.0897481,
            "rpcc": 0.40419468255864943,
            "sts": 47.96271468229313,
        },
        "expression": {
            "fd": 104.9173978472227,
            "p_fd": 112.17495485461502,
            "mse": 2.279338,
            "sid_pooled": 2.3403892152002825,
            "var_pooled": 1.0404114,
            "rpcc": 0.07080139970080845,
            "sts": 125.47228323475593,
        },
    },
    (8, 40): {
        "pose": {
            "fd": 5.08515398870586,
            "p_fd": 5.489718895409871,
            "mse": 0.9629147,
            "sid_pooled": 2.9280175432301,
            "var_pooled": 0.556164,
            "rpcc": 0.013221983542551552,
            "sts": 34.399410693233996,
        },
        "expression": {
            "fd": 39.849404498360876,
            "p_fd": 41.83420850317249,
            "mse": 0.8413385,
            "sid_pooled": 3.092687540994666,
            "var_pooled": 0.47827008,
            "rpcc": 0.11045908418033851,
            "sts": 91.79871564417944,
        },
    },
}
RELEASED_TRUTH = {
    (5, 160): {"pose": (4.208957745833204, 1.816169), "expression": (5.284052857991214, 1.8106434)},
    (8, 40): {"pose": (4.267743807850669, 1.2051088), "expression": (5.26235739613593, 1.1265019)},
}


def made(clips: int, frames: int) -> tuple[Clips, Clips, Clips]:
    """Seeded true, predicted and speaker motion, float32 [T, 56], T growing from clip to clip."""
    random = np.random.default_rng(7)
    out: tuple[Clips, Clips, Clips] = ([], [], [])
    for index in range(clips):
        base = random.normal(size=56)
        for kind in range(3):
            steps = random.normal(size=(frames + 3 * index, 56))
            motion = base * (0.5 if kind else 1.0) + np.cumsum(steps, axis=0) * 0.1 + 0.3 * kind
            out[kind].append(motion.astype(np.float32))
    return out


@pytest.mark.parametrize("shape", list(RELEASED))
@pytest.mark.parametrize("part", ["expression", "pose"])
def test_scores_are_those_of_the_released_code(shape: tuple[int, int], part: str) -> None:
    found = official.scores(*made(*shape))[part]
    assert set(found) == set(official.FIGURES)
    for name, expected in RELEASED[shape][part].items():
        assert found[name] == pytest.approx(expected, rel=1e-6, abs=1e-6), name


@pytest.mark.parametrize("shape", list(RELEASED))
def test_the_truths_scores_are_those_of_the_released_code(shape: tuple[int, int]) -> None:
    truth, _, speaker = made(*shape)
    found = official.scores(truth, truth, speaker)
    for part, (sid, var) in RELEASED_TRUTH[shape].items():
        assert found[part]["sid_pooled"] == pytest.approx(sid, abs=1e-6)
        assert found[part]["var_pooled"] == pytest.approx(var, rel=1e-6)


def plain_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Fréchet distance by the eigenvalues of the covariances' product."""
    covariances = [
        sum(np.outer(row - m.mean(0), row - m.mean(0)) for row in m) / (len(m) - 1)
        for m in (one.astype(float), other.astype(float))
    ]
    offset = one.mean(axis=0, dtype=float) - other.mean(axis=0, dtype=float)
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).astype(complex)).real
    return float(offset @ offset + sum(np.trace(c) for c in covariances) - 2 * roots.sum())


def plain_correlation(one: Clips, other: Clips) -> float:
    pairs = [
        (float(a), float(b))
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x.ravel(), y.ravel(), strict=True)
    ]
    mean_a, mean_b = (sum(pair[i] for pair in pairs) / len(pairs) for i in (0, 1))
    product = sum((a - mean_a) * (b - mean_b) for a, b in pairs)
    spread_a = sum((a - mean_a) ** 2 for a, _ in pairs)
    spread_b = sum((b - mean_b) ** 2 for _, b in pairs)
    return product / (spread_a * spread_b) ** 0.5


def test_scores_agree_with_a_plain_implementation() -> None:
    truth, prediction, speaker = made(4, 90)
    found = official.scores(truth, prediction, speaker)
    for part, columns in (("pose", slice(0, 6)), ("expression", slice(6, 56))):
        t, p, s = ([m[:, columns] for m in clips] for clips in (truth, prediction, speaker))
        both = [[np.hstack([a, b]) for a, b in zip(s, clips, strict=True)] for clips in (t, p)]
        distances = [plain_distance(a, b) for a, b in zip(t, p, strict=True)]
        numbers = np.concatenate([m.ravel() for m in p]).astype(float)
        expected = {
            "fd": np.mean(distances),
            "mse": np.mean(
                [((a - b).astype(float) ** 2).mean() for a, b in zip(t, p, strict=True)]
            ),
            "var_pooled": ((numbers - numbers.mean()) ** 2).mean(),
            "rpcc": abs(plain_correlation(t, s) - plain_correlation(p, s)),
        }
        if part == "pose":  # with 100 coefficients and 90 frames eigenvalues are no reference
            expected["p_fd"] = np.mean([plain_distance(a, b) for a, b in zip(*both, strict=True)])
        for name, value in expected.items():
            assert found[part][name] == pytest.approx(value, rel=1e-6), (part, name)


def test_pooled_diversity_agrees_with_plain_counting() -> None:
    truth, prediction, _ = made(4, 90)
    t, p = (np.concatenate([m[:, :6] for m in clips]) for clips in (truth, prediction))
    centres = fit_centres(t, 20)
    counts = [0] * 20
    for frame in p:
        counts[min(range(20), key=lambda c: ((frame - centres[c]) ** 2).sum())] += 1
    share = np.array(counts) / len(p)
    expected = -sum(one * np.log2(one + 1e-6) for one in share)
    assert official.entropy(p, centres) == pytest.approx(expected, abs=1e-9)


def test_fitted_centres_are_the_means_of_their_frames() -> None:
    frames = np.concatenate([m[:, :6] for m in made(5, 160)[0]]).astype(float)
    centres = fit_centres(frames, 20)
    labels = nearest(frames, centres)
    assert set(labels) == set(range(20))
    for cluster in range(20):
        members = frames[labels == cluster]
        assert np.abs(members.mean(axis=0) - centres[cluster]).max() < 0.1 * frames.std()


@pytest.mark.filterwarnings("error")
def test_faces_that_hold_fewer_postures_than_clusters_have_finite_centres() -> None:
    for seed in range(60):
        random = np.random.default_rng(seed)
        postures = random.standard_normal((random.integers(1, 5), random.integers(1, 4)))
        frames = postures[random.integers(0, len(postures), random.integers(8, 40))]
        centres = fit_centres(frames, 6)
        assert np.isfinite(centres).all()
        distances = np.linalg.norm(frames - centres[nearest(frames, centres)], axis=1)
        assert distances.max() < 1e-6


def test_too_few_frames_for_the_clusters_are_an_error_that_says_how_many() -> None:
    with pytest.raises(InputError, match="at least 20"):
        fit_centres(np.zeros((19, 6)), 20)


def test_the_chosen_draw_is_the_one_nearest_to_the_truth() -> None:
    truth, prediction, speaker = (clips[0] for clips in made(1, 160))
    near = truth + 0.01 * prediction
    assert official.choose(truth, [prediction, near, speaker]) == 1


def test_clips_are_paired_with_the_speaker_a_frame_before() -> None:
    motion = np.arange(5 * 56, dtype=np.float32).reshape(5, 56)
    listener, speaker = official.aligned(motion, motion)
    np.testing.assert_array_equal(listener, motion[1:])
    np.testing.assert_array_equal(speaker, motion[:-1])
