"""Squared distances between frames, in float32, block by block, without copying the embeddings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from active_learning.errors import InvalidPoolError
from active_learning.pool import FloatArray, IntArray

Float32Array = NDArray[np.float32]

# |x - c|² is computed as |x|² - 2xc + |c|². Below this share of |x|² it is rounding error.
_ROUNDING = np.float32(4e-6)
_BLOCK_ENTRIES = 1 << 20


class EmbeddingSpace:
    """The embeddings of a pool, centred and scaled so that 1 is the typical distance.

    The typical distance is the root mean squared distance between two frames of the pool, so that a
    radius has the same meaning for any embedding network. The array may be a np.memmap larger than
    memory; it is read in blocks and only two numbers per frame are stored.
    """

    def __init__(
        self, array: FloatArray, *, centre: NDArray[np.float64], scale: float, norms: Float32Array
    ) -> None:
        self._array, self._centre, self._scale = array, centre, scale
        self.norms = norms
        self._step = max(1, _BLOCK_ENTRIES // max(1, array.shape[1]))
        # float32 is precise enough only if the mean is not large compared with the spread.
        self._direct = array.dtype == np.float32 and float(centre @ centre) * scale**2 < 4

    @classmethod
    def of(cls, embeddings: FloatArray) -> EmbeddingSpace:
        """Measure the pool's (N, D) embeddings, in two passes.

        Raises InvalidPoolError when float32 cannot hold their squares.
        """
        count, width = embeddings.shape
        norms = np.zeros(count, np.float32)
        space = cls(embeddings, centre=np.zeros(width), scale=1.0, norms=norms)
        # Sums in float64: a million float32 terms would lose precision.
        total, largest = np.zeros(width), 0.0
        for _, block in space._raw_blocks():
            total += block.sum(axis=0, dtype=np.float64)
            largest = max(largest, float(np.abs(block).max(initial=0)))
        space._centre = total / max(1, count)
        for rows, block in space.blocks():
            norms[rows] = np.einsum("ij,ij->i", block, block)
        spread = 2 * float(norms.mean(dtype=np.float64)) if count else 0.0
        if not np.isfinite(spread):
            raise InvalidPoolError(
                "pool.embeddings are too large for float32 distances; scale them, for example to "
                "unit length"
            )
        # A spread of zero within rounding means a pool of identical frames.
        space._scale = float(1 / np.sqrt(spread)) if spread > (1e-6 * largest) ** 2 else 0.0
        norms *= np.float32(space._scale**2)
        return cls(embeddings, centre=space._centre, scale=space._scale, norms=norms)

    def subset(self, index: IntArray) -> EmbeddingSpace:
        """Return a space of these rows, with the same centre and scale."""
        return EmbeddingSpace(
            self._array[index], centre=self._centre, scale=self._scale, norms=self.norms[index]
        )

    def __len__(self) -> int:
        return len(self._array)

    @property
    def width(self) -> int:
        """Return the dimension of an embedding."""
        return int(self._array.shape[1])

    def rows(self, index: IntArray) -> Float32Array:
        """Return (K, D) embeddings of these rows, centred and scaled."""
        return self.place(self._array[index])

    def place(self, vectors: FloatArray) -> Float32Array:
        """Transform (L, D) vectors of the same network into this space.

        Raises InvalidPoolError when the width differs or a value is not finite.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.width:
            raise InvalidPoolError(
                f"labelled embeddings must be (L, {self.width}) like the pool's, found "
                f"{vectors.shape}; were they made by another model?"
            )
        kind = np.promote_types(vectors.dtype, np.float32)
        moved = (vectors - self._centre.astype(kind)) * np.asarray(self._scale, kind)
        if not np.isfinite(moved).all():
            raise InvalidPoolError("labelled embeddings contain a value that is not finite")
        return np.asarray(moved, np.float32)

    def blocks(self) -> Iterator[tuple[slice, Float32Array]]:
        """Yield (rows, (b, D) float32) over the whole pool."""
        for rows, block in self._raw_blocks():
            kind = np.promote_types(block.dtype, np.float32)
            with np.errstate(over="ignore"):
                moved = block - self._centre.astype(kind)
                moved *= np.asarray(self._scale, kind)
                yield rows, moved.astype(np.float32, copy=False)

    def shrink(self, nearest: Float32Array, centres: Float32Array) -> None:
        """Update nearest (N,), squared distances, in place with (m, D) further centres."""
        own = np.einsum("ij,ij->i", centres, centres)
        factors = np.ascontiguousarray(centres.T) * np.float32(-2)
        source = self.blocks()
        if self._direct:
            # (x - m)c = xc - mc: multiply the block itself, without a centred copy.
            own = own + 2 * self._scale * (centres.astype(np.float64) @ self._centre)
            own = own.astype(np.float32)
            factors *= np.float32(self._scale)
            source = self._raw_blocks()
        # Adding to and reducing a product that stays in cache costs nothing extra.
        step = int(np.clip((_BLOCK_ENTRIES >> 1) // max(1, len(centres)), 64, self._step))
        for rows, block in source:
            for start in range(0, len(block), step):
                part = slice(start, start + step)
                product = block[part] @ factors
                product += own
                least = product.min(axis=1)
                here = slice(rows.start + start, rows.start + start + len(least))
                norms = self.norms[here]
                least += norms
                least[least <= _ROUNDING * norms] = 0
                np.minimum(nearest[here], least, out=nearest[here])

    def nearest(self, centres: Float32Array) -> Float32Array:
        """Return (N,) squared distance of every frame to the nearest of (m, D) centres."""
        found = np.full(len(self), np.inf, np.float32)
        if len(centres):
            self.shrink(found, centres)
        return found

    def _raw_blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        for start in range(0, len(self._array), self._step):
            stop = min(start + self._step, len(self._array))
            yield slice(start, stop), np.asarray(self._array[start:stop])


def squared_distances_to(
    row: Float32Array, vectors: Float32Array, norms: Float32Array
) -> Float32Array:
    """Return (K,) squared distances of one (D,) row to (K, D) vectors of known squared norms."""
    gaps: Float32Array = vectors @ (row * np.float32(-2))
    gaps += norms
    gaps += row @ row
    gaps[gaps <= _ROUNDING * norms] = 0
    return gaps


def squared_distances(left: Float32Array, right: Float32Array) -> Float32Array:
    """Return (K, m) squared distances between (K, D) and (m, D) rows of one space."""
    own = np.einsum("ij,ij->i", left, left)
    product: Float32Array = left @ (right.T * np.float32(-2))
    product += np.einsum("ij,ij->i", right, right)
    product += own[:, None]
    product[product <= _ROUNDING * own[:, None]] = 0
    return product
