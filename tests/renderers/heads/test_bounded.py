import numpy as np
import torch
from scipy.optimize import lsq_linear

from renderers.heads.fitting import bounded_least_squares


def problems(count: int, seed: int = 0, alike: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Matrices [N, 40, 12], their columns ``alike``, and targets [N, 40]."""
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(count, 40, 12))
    matrix += alike * generator.normal(size=(count, 40, 1))
    return matrix, 3 * generator.normal(size=(count, 40))


def solve(matrix: np.ndarray, target: np.ndarray, lower: np.ndarray, upper: np.ndarray):
    rows, aims = torch.from_numpy(matrix), torch.from_numpy(target)
    normal = rows.transpose(1, 2) @ rows
    right = (rows.transpose(1, 2) @ aims[..., None]).squeeze(-1)
    bounds = (torch.from_numpy(bound) for bound in (lower, upper))
    return bounded_least_squares(normal, right, *bounds).numpy()


def test_each_of_many_problems_equals_scipys_solution() -> None:
    lower, upper = np.zeros(12), np.full(12, 0.3)
    on_bounds = 0
    for alike in (0.0, 3.0):
        matrix, target = problems(30, alike=alike)
        found = solve(matrix, target, lower, upper)
        for index in range(30):
            wanted = lsq_linear(matrix[index], target[index], (lower, upper), tol=1e-14).x
            np.testing.assert_allclose(found[index], wanted, atol=1e-5)
            on_bounds += int(((found[index] == 0) | (found[index] == 0.3)).sum())
    assert on_bounds > 100


def test_bounds_that_do_not_bind_give_the_plain_solution() -> None:
    matrix, target = problems(3)
    found = solve(matrix, target, np.full(12, -99.0), np.full(12, 99.0))
    for index in range(3):
        wanted = np.linalg.lstsq(matrix[index], target[index], rcond=None)[0]
        np.testing.assert_allclose(found[index], wanted, atol=1e-9)


def test_each_problem_may_have_its_own_bounds() -> None:
    matrix, target = problems(2)
    lower = np.zeros((2, 12))
    upper = np.array([np.zeros(12), np.ones(12)])
    found = solve(matrix, target, lower, upper)
    assert (found[0] == 0).all()
    wanted = lsq_linear(matrix[1], target[1], (0, 1), tol=1e-14).x
    np.testing.assert_allclose(found[1], wanted, atol=1e-5)
