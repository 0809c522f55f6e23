"""Simplify a border to the polygon with the fewest vertices within a tolerance.

Vertices are first placed on the border by dynamic programming, which is optimal for every number of
them at once (Perez and Vidal, Optimum polygonal approximation of digitized curves, Pattern
Recognition Letters 15, 1994), then moved off it to where the lines between them fit the border best
in least absolute distance. The second step matters most: an inscribed polygon lies on one side of
the curve and wastes vertices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely import LinearRing

from serverless.polygon.contour import Ring, Toggles, area, corners, pixels_between, toggles

_CANDIDATES = 120  # initial positions of vertices on the border
_MOST = 56  # maximum vertices of the dynamic programme; longer borders are only thinned
_SAMPLES = 800  # points of the border used by the fit
_FIT_STEPS = (2, 3)
_HOPELESS = 1.3  # times the permitted wrong pixels: the later, finer fit rarely corrects more
# Wrong pixels of a fit, of the inscribed polygon's root mean square distance times its length.
_GUESS = 0.3
_REACH = 24  # samples that a vertex may move along the border in one step
_MOMENTS = 6


@dataclass(frozen=True)
class Tolerance:
    """pixels: maximum on the wrong side. distance: maximum of border and polygon, in pixels."""

    pixels: float
    distance: float


@dataclass(frozen=True)
class _Border:
    """A border prepared for the search.

    ring: one point per pixel edge. samples: (S, 2) points along it. places: (M + 1,) samples where
    vertices may start, the last closing the ring. back: (K + 1, M + 1) of the dynamic programme.
    errors: (K + 1,) least sum of squared distances with that many vertices. frame: (width, height)
    that vertices stay within.
    """

    ring: Ring
    samples: Ring
    places: NDArray[np.int64]
    back: NDArray[np.int64]
    errors: NDArray[np.float64]
    crossings: Toggles
    stride: int
    frame: tuple[float, float]


def simplify(
    ring: Ring, tolerance: Tolerance, *, frame: tuple[float, float], most: int | None = None
) -> Ring:
    """Return the simple ring of fewest vertices found within the tolerance.

    ring: of `contour.rings`. frame: (width, height); no vertex leaves 0..width, 0..height. most:
    maximum number of vertices, at least 3; takes precedence over the tolerance.
    """
    exact = corners(ring)
    if len(exact) <= min(4, most or 4):
        return exact
    border = _prepare(ring, frame)
    best = _fewest(border, tolerance, most)
    if best is None and (most is None or most >= len(exact)):
        best = _keep_most(border, exact, tolerance)
    return _closest(border, exact, most or 3) if best is None else best


def _fewest(border: _Border, tolerance: Tolerance, most: int | None) -> Ring | None:
    """Search the number of vertices: a bracketed search guided by the error of the last fit.

    For a smooth border the wrong pixels decrease with the second to third power of the vertices.
    """
    ceiling = min(len(border.errors) - 1, most or _MOST)
    guess = _GUESS * np.sqrt(border.errors * len(border.samples)) * len(border.ring)
    enough = np.flatnonzero(guess / len(border.samples) <= tolerance.pixels)
    # All numbers up to low are too few; high suffices, and best is its ring.
    low, high, best = min(3, ceiling) - 1, ceiling + 1, None
    at = int(enough[0]) if len(enough) else ceiling
    while high - low > 1:
        at = min(max(at, low + 1), high - 1)
        ring, excess = _tried(border, at, tolerance)
        if ring is None:
            low = at
        else:
            high, best = at, ring
        if high <= ceiling and high - low <= 4:
            at = (low + high) // 2
        else:
            pointed = at * min(max(excess, 0.2), 5.0) ** (1 / 3)
            at = int(pointed) if ring is not None else math.ceil(pointed)
    return best


def _tried(border: _Border, count: int, tolerance: Tolerance) -> tuple[Ring | None, float]:
    """Return a ring of count vertices within the tolerance, and wrong over permitted pixels.

    None if no fit is within the tolerance; hopeless ones are not refined.
    """
    excess = math.inf
    for ring in _fits(border, count):
        excess = _error(border, ring) / max(tolerance.pixels, 1e-9)
        if excess <= 1 and _near(border, ring, tolerance):
            return ring, excess
        if excess > _HOPELESS:
            break
    return None, excess


def _keep_most(border: _Border, exact: Ring, tolerance: Tolerance) -> Ring:
    """Simplify the border by Douglas-Peucker, as far as the tolerance allows."""
    for epsilon in (2.0, 1.4, 1.0, 0.7, 0.5):
        thinned = _thin(exact, epsilon)
        if len(thinned) >= 3 and _simple(thinned) and _within(border, thinned, tolerance):
            return thinned
    return exact


def _closest(border: _Border, exact: Ring, most: int) -> Ring:
    """Return the best within a budget of vertices that is too small for the tolerance."""
    for count in range(min(most, len(border.errors) - 1), 2, -1):
        for fitted in _fits(border, count):
            if _simple(fitted):
                return fitted
    hull = np.asarray(cv2.convexHull(exact.astype(np.float32))[:, 0], np.float64)
    few = np.linspace(0, len(hull), min(most, len(hull)), endpoint=False).astype(int)
    return np.asarray(hull[few], np.float64)


def _prepare(ring: Ring, frame: tuple[float, float]) -> _Border:
    width, height = int(np.ceil(frame[0])), int(np.ceil(frame[1]))
    # The midpoints of pixel edges lie symmetrically around a slanted line, their ends do not.
    middles = (ring + np.roll(ring, -1, axis=0)) / 2
    block = -(-len(middles) // _SAMPLES)
    starts = np.arange(0, len(middles), block)
    counts = np.diff(np.append(starts, len(middles)))
    samples = np.add.reduceat(middles, starts, axis=0) / counts[:, None]
    places = _places(samples)
    # A closed border has no first point: the sharpest vertex of a rough solution becomes it.
    costs, _ = _costs(samples, places)
    few = min(8, len(places))
    _, back = _programme(costs, few)
    rough = places[_trace(back, few)]
    first = rough[_sharpest(samples[rough])]
    samples = np.roll(samples, -first, axis=0)
    places = np.sort((places - first) % len(samples))
    costs, closed = _costs(samples, places)
    errors, back = _programme(costs, min(_MOST, len(places)))
    stride = width + 1
    return _Border(
        ring, samples, closed, back, errors, toggles(ring, stride, height), stride, frame
    )


def _sharpest(vertices: Ring) -> int:
    """Return the vertex that spans the largest triangle with its neighbours."""
    before, after = (
        np.roll(vertices, 1, axis=0) - vertices,
        np.roll(vertices, -1, axis=0) - vertices,
    )
    return int(np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]).argmax())


def _places(samples: Ring) -> NDArray[np.int64]:
    epsilon = 0.45
    index = {tuple(point): i for i, point in enumerate(samples.astype(np.float32).tolist())}
    while len(kept := _thin(samples, epsilon)) > _CANDIDATES:
        epsilon *= 1.3
    places: list[int] = sorted({index[tuple(point)] for point in kept.astype(np.float32).tolist()})
    if len(places) < 3:
        places = sorted({0, len(samples) // 3, 2 * len(samples) // 3})
    return np.array(places, np.int64)


def _costs(
    samples: Ring, places: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the sum of squared distances to every chord, (M + 1, M + 1), and the closed positions.

    Uses cumulative sums of the samples' moments, so that the cost of a chord is independent of its
    length.
    """
    turned = np.roll(samples, -places[0], axis=0)
    closed = np.append(places - places[0], len(samples))
    points = np.vstack([turned, turned[:1]])
    points = points - points.mean(axis=0)
    x, y = points.T
    moments = np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y])
    sums = np.concatenate([np.zeros((_MOMENTS, 1)), np.cumsum(moments, axis=1)], axis=1)
    n, sx, sy, sxx, syy, sxy = sums[:, None, closed + 1] - sums[:, closed, None]
    px, py = points[closed].T
    dx, dy = px[None] - px[:, None], py[None] - py[:, None]
    length = np.maximum(np.hypot(dx, dy), 1e-9)
    nx, ny = -dy / length, dx / length
    o = nx * px[:, None] + ny * py[:, None]
    costs = nx * nx * sxx + ny * ny * syy + 2 * nx * ny * sxy - 2 * o * (nx * sx + ny * sy)
    costs = np.maximum(costs + o * o * n, 0)
    costs[length < 1e-6] = np.inf
    costs[np.tril_indices(len(closed))] = np.inf
    return costs, closed


def _programme(
    costs: NDArray[np.float64], most: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the minimal cost of a ring of k chords, for every k, and the back pointers."""
    size = len(costs)
    totals = np.full((most + 1, size), np.inf)
    back = np.zeros((most + 1, size), np.int64)
    totals[0, 0] = 0
    columns = np.arange(size)
    for k in range(1, most + 1):
        reached = totals[k - 1][:, None] + costs
        back[k] = reached.argmin(axis=0)
        totals[k] = reached[back[k], columns]
    return totals[:, -1], back


def _trace(back: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    at = back.shape[1] - 1
    visited = []
    for k in range(count, 0, -1):
        at = back[k, at]
        visited.append(at)
    return np.array(visited[::-1])


def _fits(border: _Border, count: int) -> Iterator[Ring]:
    """Yield successively better fits of count vertices that are close to the border."""
    if count >= len(border.errors) or not np.isfinite(border.errors[count]):
        return
    samples = border.samples
    breaks = border.places[_trace(border.back, count)]
    vertices = samples[breaks]
    frame = np.array(border.frame)
    for steps in _FIT_STEPS:
        for _ in range(steps):
            vertices = np.clip(_least_absolute(samples, vertices, breaks), 0, frame)
            breaks = _move_breaks(samples, vertices, breaks)
        whole = np.clip(np.round(vertices), 0, frame)
        yield whole if _error(border, whole) <= _error(border, vertices) else vertices


def _least_absolute(samples: Ring, vertices: Ring, breaks: NDArray[np.int64]) -> Ring:
    """Move the vertices so that the lines between them fit their samples better.

    One step of reweighted least squares; samples count by their distance from the line only.
    """
    count, size = len(vertices), len(samples)
    following = np.arange(1, count + 1) % count
    along = vertices[following] - vertices
    squared = np.maximum(along[:, 0] ** 2 + along[:, 1] ** 2, 1e-12)
    unit = along / np.sqrt(squared)[:, None]
    # Segments are runs of samples; those before the first break belong to the last segment.
    starts = breaks if breaks[0] == 0 else np.concatenate([[0], breaks])
    owner = np.arange(count) if breaks[0] == 0 else np.arange(-1, count) % count
    segment = np.repeat(owner, np.diff(starts, append=size))
    tx, ty = unit[segment].T
    offset = samples - vertices[segment]
    share = (offset[:, 0] * tx + offset[:, 1] * ty) / np.sqrt(squared)[segment]
    share = np.minimum(np.maximum(share, 0), 1)
    weight = 1 / np.maximum(np.abs(offset[:, 1] * tx - offset[:, 0] * ty), 0.3)
    target = samples[:, 1] * tx - samples[:, 0] * ty
    left = 1 - share
    terms = np.empty((5, size))
    terms[0] = weight * left * left
    terms[1] = weight * left * share
    terms[2] = weight * share * share
    terms[3] = weight * left * target
    terms[4] = weight * share * target
    runs = np.add.reduceat(terms, starts, axis=1)
    if breaks[0] != 0:
        runs[:, -1] += runs[:, 0]
        runs = runs[:, 1:]
    normal = np.stack([-unit[:, 1], unit[:, 0]], axis=1)
    outer = normal[:, :, None] * normal[:, None, :]
    here = np.arange(count)
    matrix = np.zeros((count, count, 2, 2))
    matrix[here, here] += runs[0, :, None, None] * outer
    matrix[following, following] += runs[2, :, None, None] * outer
    matrix[here, following] += runs[1, :, None, None] * outer
    matrix[following, here] += runs[1, :, None, None] * outer
    right = runs[3, :, None] * normal
    right[following] += runs[4, :, None] * normal
    # A vertex between two parallel lines could slide along them; this regularises it.
    hold = 0.01 * max(1.0, float(weight.sum()) / size)
    system = matrix.transpose(0, 2, 1, 3).reshape(2 * count, 2 * count)
    system[np.diag_indices(2 * count)] += hold
    moved = np.linalg.solve(system, (right + hold * vertices).ravel())
    return np.asarray(moved.reshape(count, 2), np.float64)


def _move_breaks(samples: Ring, vertices: Ring, breaks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Start each segment at the sample nearest to its vertex, at most halfway to its neighbours."""
    size, count = len(samples), len(breaks)
    gap = np.diff(breaks, append=breaks[0] + size)
    after = gap // 2
    before = after[np.arange(-1, count - 1)]
    width = int(min(max(1, gap.max() // 2), _REACH))
    shift = np.arange(-width, width + 1)
    near = samples[(breaks[:, None] + shift) % size] - vertices[:, None]
    distance = near[..., 0] ** 2 + near[..., 1] ** 2
    distance[(shift <= -before[:, None]) | (shift >= after[:, None])] = np.inf
    distance[:, width] = ((samples[breaks] - vertices) ** 2).sum(axis=1)
    moved = breaks + shift[distance.argmin(axis=1)]
    # The first may have moved across the start of the ring, which would reorder the segments.
    moved[0] = max(0, moved[0])
    moved[-1] = min(size - 1, moved[-1])
    return moved if np.all(np.diff(moved) > 0) else breaks


def _within(border: _Border, vertices: Ring, tolerance: Tolerance) -> bool:
    wrong = _error(border, vertices)
    return wrong <= tolerance.pixels and _near(border, vertices, tolerance)


def _near(border: _Border, vertices: Ring, tolerance: Tolerance) -> bool:
    return _distance(border.samples, vertices) <= tolerance.distance and _simple(vertices)


def _error(border: _Border, vertices: Ring) -> int:
    height = int(np.ceil(border.frame[1]))
    return pixels_between(border.crossings, toggles(vertices, border.stride, height))


def _distance(samples: Ring, vertices: Ring) -> float:
    """Return the maximum distance of border and vertices, in pixels."""
    along = np.roll(vertices, -1, axis=0) - vertices
    squared = np.maximum((along**2).sum(axis=1), 1e-12)
    offset = samples[:, None] - vertices[None]
    share = np.clip((offset * along).sum(axis=2) / squared, 0, 1)
    away = ((offset - share[..., None] * along) ** 2).sum(axis=2).min(axis=1).max()
    out = (offset**2).sum(axis=2).min(axis=0).max()
    return float(np.sqrt(max(away, out)))


def _simple(vertices: Ring) -> bool:
    ring = LinearRing(vertices)
    return bool(ring.is_simple) and area(vertices) > 0.25


def _thin(ring: Ring, epsilon: float) -> Ring:
    kept = cv2.approxPolyDP(ring.astype(np.float32)[:, None], epsilon, closed=True)
    return np.asarray(kept[:, 0], np.float64)
