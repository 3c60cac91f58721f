"""Motion to the vertices of a mesh without a model, and back: a map learned from examples.

BIWI's 23,370 vertices have no blendshapes. Its displacements from rest are summed up by their
principal components; jaw and expression are mapped to those, and those to jaw and expression, by
ridge regression, whose strength is what serves held-out examples best.

Legend: N examples, V vertices, K components, F = 53 numbers of jaw and expression.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimcli.core.errors import InputError
from dimcli.core.motion import JAW, MOTION_DIM, Doubles, Floats

FACE = slice(JAW.start, MOTION_DIM)
"""Scans are upright: how the head is turned has no part in them."""
COMPONENTS = 64
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Of the ridge, per example, for standardised numbers."""
HELD_OUT = 5
"""Every fifth stretch of examples chooses the ridge, of 25 stretches in all."""
LEAST_EXAMPLES = 50


@dataclass(frozen=True)
class VertexConverter:
    """The learned map: ``centre`` [3 V] and ``basis`` [K, 3 V] of displacements, ``weights``
    [F + 1, K] from jaw and expression (and a one) to components, ``back`` [K + 1, F] the other way.

    ``explained`` is the share of held-out displacement (squared) that motion explains, ``missed``
    the root mean square over vertices of what it does not. ``split`` is the number of lip vertices,
    which come first, of a converter made by :meth:`on`.
    """

    centre: Floats
    basis: Floats
    weights: Floats
    back: Floats
    explained: float = 0.0
    missed: float = 0.0
    split: int = 0

    @classmethod
    def fit(cls, values: Floats, moved: Floats) -> VertexConverter:
        """From motion [N, 56] and displacements [N, V, 3] of the same frames.

        Raises InputError for too few of them.
        """
        count = len(values)
        if count < LEAST_EXAMPLES:
            raise InputError(
                f"{count} frames with motion and vertices; the map between them needs "
                f"{LEAST_EXAMPLES} or more"
            )
        flat = moved.reshape(count, -1).astype(np.float32)
        stretch = max(1, count // (5 * HELD_OUT))
        held = np.arange(count) // stretch % HELD_OUT == HELD_OUT - 1
        found = _regressed(values[:, FACE], flat, held)
        left = flat[held] - found.displacements(values[held]).reshape(held.sum(), -1)
        share = 1.0 - float(np.square(left).sum()) / max(float(np.square(flat[held]).sum()), 1e-30)
        missed = float(np.sqrt(3.0 * np.square(left).mean()))
        return replace(found, explained=share, missed=missed)

    def displacements(self, values: Floats) -> Floats:
        """Displacements float32 [T, V, 3] of motion [T, 56]."""
        components = _with_one(values[:, FACE]) @ self.weights
        return (self.centre + components @ self.basis).reshape(len(values), -1, 3)

    def motion(self, moved: Floats) -> Floats:
        """Motion [T, 56] of displacements [T, V, 3]; the head is upright."""
        components = (moved.reshape(len(moved), -1) - self.centre) @ self.basis.T
        values = np.zeros((len(moved), MOTION_DIM), np.float32)
        values[:, FACE] = _with_one(components) @ self.back
        return values

    def on(self, lips: NDArray[np.int64], upper: NDArray[np.int64]) -> VertexConverter:
        """The same map to lip vertices, then upper-face vertices, alone."""
        chosen = np.concatenate([lips, upper])
        basis = self.basis.reshape(len(self.basis), -1, 3)[:, chosen].reshape(len(self.basis), -1)
        centre = self.centre.reshape(-1, 3)[chosen].reshape(-1)
        return replace(self, centre=centre, basis=basis, split=len(lips))

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """All of it, for a file."""
        figures = np.array([self.explained, self.missed], np.float32)
        names = ("centre", "basis", "weights", "back")
        return {"figures": figures, **{name: getattr(self, name) for name in names}}

    @classmethod
    def of_tensors(cls, tensors: dict[str, NDArray[np.float32]]) -> VertexConverter:
        """The inverse of :meth:`tensors`. Raises KeyError or ValueError."""
        explained, missed = (float(figure) for figure in tensors["figures"])
        names = ("centre", "basis", "weights", "back")
        centre, basis, weights, back = (tensors[name] for name in names)
        return cls(centre, basis, weights, back, explained, missed)


def _regressed(face: Floats, flat: Floats, held: NDArray[np.bool_]) -> VertexConverter:
    """Components and both regressions, from the examples that are not ``held`` out."""
    centre = flat[~held].mean(axis=0)
    centred = flat - centre
    # of few examples with many numbers, components come from the small product
    values, vectors = np.linalg.eigh((centred[~held] @ centred[~held].T).astype(np.float64))
    order = values.argsort()[::-1][:COMPONENTS]
    order = order[values[order] > max(values.max(), 1e-30) * 1e-9]
    scale = 1.0 / np.sqrt(values[order])
    basis = ((vectors[:, order] * scale).T.astype(np.float32) @ centred[~held]).astype(np.float32)
    components = centred @ basis.T
    weights = _ridge(face, components, held)
    back = _ridge(components, face, held)
    return VertexConverter(centre, basis, weights, back)


def _ridge(inputs: Floats, outputs: Floats, held: NDArray[np.bool_]) -> Floats:
    """Weights [inputs + 1, outputs] with the strength that serves the ``held`` examples best."""
    x, y = inputs[~held].astype(np.float64), outputs[~held].astype(np.float64)
    mean, std = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6 * max(float(x.std()), 1e-12))
    centre = y.mean(axis=0)
    standardised = (x - mean) / std
    products, pulls = standardised.T @ standardised, standardised.T @ (y - centre)
    best: tuple[float, Doubles] | None = None
    for strength in STRENGTHS:
        found = np.linalg.solve(products + strength * len(x) * np.eye(len(products)), pulls)
        weights = found / std[:, None]
        whole = np.concatenate([weights, (centre - mean @ weights)[None]])
        error = float(np.square(_with_one(inputs[held]) @ whole - outputs[held]).mean())
        if best is None or error < best[0]:
            best = error, whole
    assert best is not None
    return best[1].astype(np.float32)


def _with_one(values: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([values, np.ones((len(values), 1), values.dtype)], axis=1)
