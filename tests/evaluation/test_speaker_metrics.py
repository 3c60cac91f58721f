import math
from pathlib import Path

import numpy as np
import pytest
import torch

from dimcli.core.errors import InputError
from dimcli.core.motion import HEAD, JAW, expression_index
from dimcli.evaluation.speaker_metrics import (
    dynamics,
    dynamics_deviation,
    lip_vertex_error,
    released_dynamics_deviation,
    released_lip_errors,
)
from renderers.heads.open_head import OpenHead
from renderers.heads.regions import (
    open_head_lips,
    open_head_upper_face,
    read_region,
    regions_of_space,
)


def faces(seed: int, frames: int = 7, vertices: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, vertices, 3))


def deviation_of(lengths: list[float]) -> float:
    mean = sum(lengths) / len(lengths)
    return math.sqrt(sum((length - mean) ** 2 for length in lengths) / len(lengths))


def plain(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """The four figures number by number, without numpy's arithmetic."""
    farthest, farthest_squared = [], []
    for frame in range(len(truth)):
        distances = [
            sum((float(a) - float(b)) ** 2 for a, b in zip(one, other, strict=True))
            for one, other in zip(truth[frame], prediction[frame], strict=True)
        ]
        farthest_squared.append(max(distances))
        farthest.append(math.sqrt(max(distances)))
    gaps, squared_gaps = [], []
    for vertex in range(truth.shape[1]):
        spreads = []
        for face in (truth, prediction):
            squares = [sum(float(number) ** 2 for number in frame[vertex]) for frame in face]
            lengths = [math.sqrt(square) for square in squares]
            spreads.append((deviation_of(lengths), deviation_of(squares)))
        gaps.append(spreads[0][0] - spreads[1][0])
        squared_gaps.append(spreads[0][1] - spreads[1][1])
    return {
        "lve": sum(farthest) / len(farthest),
        "lve_released": sum(farthest_squared) / len(farthest),
        "fdd": abs(sum(gaps) / len(gaps)),
        "fdd_released": sum(squared_gaps) / len(gaps),
    }


@pytest.mark.parametrize("seed", range(5))
def test_figures_agree_with_a_plain_implementation(seed: int) -> None:
    truth, prediction = faces(seed), 1.3 * faces(seed + 100)
    wanted = plain(truth, prediction)
    assert lip_vertex_error(truth, prediction) == pytest.approx(wanted["lve"], rel=1e-9)
    released = released_lip_errors(truth, prediction).mean()
    assert released == pytest.approx(wanted["lve_released"], rel=1e-9)
    assert dynamics_deviation(truth, prediction) == pytest.approx(wanted["fdd"], rel=1e-9)
    assert released_dynamics_deviation(truth, prediction) == pytest.approx(
        wanted["fdd_released"], rel=1e-9
    )


def test_one_lip_vertex_three_and_four_away_is_five_off() -> None:
    truth = np.zeros((2, 3, 3))
    prediction = truth.copy()
    prediction[0, 1] = [3.0, 4.0, 0.0]
    assert lip_vertex_error(truth, prediction) == 2.5
    assert released_lip_errors(truth, prediction).tolist() == [25.0, 0.0]


def test_a_still_face_deviates_by_the_truths_dynamics_and_a_livelier_one_has_the_other_sign() -> (
    None
):
    truth = faces(3)
    still = np.zeros_like(truth)
    assert dynamics_deviation(truth, still) == pytest.approx(dynamics(truth).mean())
    assert released_dynamics_deviation(truth, still) > 0 > released_dynamics_deviation(still, truth)
    assert dynamics_deviation(truth, truth[::-1]) == pytest.approx(0)


@pytest.mark.parametrize("shape", [(7, 4, 3), (6, 5, 3), (7, 5, 2)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected the same"):
        lip_vertex_error(faces(0), np.zeros(shape))
    with pytest.raises(InputError, match="expected some"):
        lip_vertex_error(np.zeros((0, 5, 3)), np.zeros((0, 5, 3)))


def test_the_open_heads_regions_are_lips_and_upper_face() -> None:
    head = OpenHead.bundled()
    lips, upper = open_head_lips(head), open_head_upper_face(head)
    assert not set(lips.tolist()) & set(upper.tolist())
    rest = head.landmarks(head.template[None])[0].numpy()
    places = head.template.numpy()
    assert (places[upper, 1] > rest[4, 1]).all()
    # both lips, from corner to corner
    for corner in (61, 291, 0, 17, 13, 14):
        assert np.linalg.norm(places[lips] - rest[corner], axis=1).min() < 0.003
    for elsewhere in (1, 152, 205, 425):  # nose, chin, cheeks
        assert np.linalg.norm(places[lips] - rest[elsewhere], axis=1).min() > 0.008
    for brow in (105, 334, 159, 386):
        assert np.linalg.norm(places[upper] - rest[brow], axis=1).min() < 0.01


def test_an_open_jaw_moves_the_lips_a_raised_brow_the_upper_face_and_a_turned_head_neither() -> (
    None
):
    regions = regions_of_space("arkit")
    values = np.zeros((3, 56), np.float32)
    values[0, JAW.start] = 0.2
    values[1, expression_index("browInnerUp")] = 1.0
    values[2, HEAD] = 0.3
    moved = regions.moved(values)
    lips, upper = (np.linalg.norm(part, axis=2).max(axis=1) for part in (moved.lips, moved.upper))
    assert lips[0] > 0.015 and upper[0] < lips[0] / 5  # cheeks follow the jaw a little
    assert upper[1] > 0.002 and lips[1] < 0.0005
    assert max(lips[2], upper[2]) < 1e-6
    whole = OpenHead.bundled()
    posed = whole.vertices(torch.from_numpy(values[:1])) - whole.template
    np.testing.assert_allclose(moved.lips[0], posed[0, open_head_lips(whole)].numpy(), atol=1e-6)


def test_region_lists_are_read_with_and_without_blanks_and_strange_ones_named(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lve.txt"
    path.write_text("4, 2, 9\n")
    assert read_region(path, 10).tolist() == [2, 4, 9]
    path.write_text("4,2,9")
    assert read_region(path, 10).tolist() == [2, 4, 9]
    for content in ("4, 2, ten", "", "4, 10", "-1"):
        path.write_text(content)
        with pytest.raises(InputError, match=r"lve\.txt"):
            read_region(path, 10)


def test_flame_without_its_files_says_what_to_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIM_HOME", str(tmp_path))
    with pytest.raises(InputError, match="dim weights import flame FILE"):
        regions_of_space("flame")
