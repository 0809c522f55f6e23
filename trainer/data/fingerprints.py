"""Perceptual hashes of images, and the search for near-duplicates by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 16
BITS = SIDE * SIDE
WITHIN = 8  # of 256 bits: what recompression and scaling change

Rows = NDArray[np.int64]
Words = NDArray[np.uint16]

_LEAST_BANDS = 4  # of 256 bits, so that a band fits a whole number of 64 bits
_CROWD = 64  # rows of one band that are divided again before they are compared
_DEEPEST = 2
_WIDE = 14  # bits of a band that is worth dividing a crowd by
_BLOCK = 1 << 16  # rows or pairs at a time
_ONES = np.array([n.bit_count() for n in range(1 << 16)], np.uint8)


def difference_hash(image: NDArray[np.uint8]) -> str:
    """Return the difference hash of an (H, W, 3) image: 256 bits as 64 hex digits.

    Each bit tells whether a cell of a 16 x 16 grid is brighter than its left neighbour, so scaling,
    recompression and small shifts change few bits (dHash: N. Krawetz, "Kind of like that", 2013,
    with a finer grid: with 64 bits, images of different cells on one background are already close).
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(small[:, 1:] > small[:, :-1]).tobytes().hex()


def near_duplicate_groups(hashes: Mapping[str, str], *, within: int) -> dict[str, str]:
    """Return the group of each image; images connected by near-duplicates share a group.

    hashes: name → difference hash. within: maximum number of differing bits. A group is named by
    its smallest name; see _connected.
    """
    if not hashes:
        return {}
    codes = np.frombuffer(bytes.fromhex("".join(hashes.values())), np.uint8)
    codes = np.ascontiguousarray(codes.reshape(len(hashes), BITS // 8))
    rows, place = np.unique(codes.view(f"V{BITS // 8}").ravel(), return_inverse=True)
    unique = rows.view(np.uint8).reshape(len(rows), BITS // 8)
    groups = _connected(unique, within=within)[place.reshape(-1)].tolist()
    first: dict[int, str] = {}
    for name, group in zip(hashes, groups, strict=True):
        if name < first.get(group, name + "\0"):
            first[group] = name
    return {name: first[group] for name, group in zip(hashes, groups, strict=True)}


def hash_distances(ours: Sequence[str], theirs: Sequence[str]) -> NDArray[np.float32]:
    """Return the Hamming distance of each pair of difference hashes, (ours, theirs)."""
    left, right = (_bits(codes).astype(np.float32) for codes in (ours, theirs))
    counts: NDArray[np.float32] = left.sum(1)[:, None] + right.sum(1)[None] - 2 * (left @ right.T)
    return counts


def _bits(codes: Sequence[str]) -> NDArray[np.uint8]:
    """Return hashes as rows of 0 and 1, (N, BITS)."""
    packed = np.frombuffer(bytes.fromhex("".join(codes)), np.uint8)
    return np.unpackbits(packed.reshape(len(codes), BITS // 8), axis=1)


def _connected(codes: NDArray[np.uint8], *, within: int) -> NDArray[np.int32]:
    """Return (N,) the group of each code; codes connected by near-duplicates share a group.

    codes: (N, B) packed bits, no two equal. within: most bits in which near-duplicates differ.
    Exact. The bits are cut into more bands than may differ, so two near-duplicates agree in at
    least one of them: rows that agree in a band are compared. Where many do (dark frames, a fixed
    camera) they are divided again by their other bits first.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    words = np.ascontiguousarray(codes).view(np.uint16)
    groups = np.arange(len(codes), dtype=np.int32)
    if len(codes) < 2 or within < 1:
        return groups
    search = _Search(codes, words, within, groups)
    bits = np.arange(8 * codes.shape[1])
    for band in np.array_split(bits, max(within + 1, _LEAST_BANDS)):
        found = list(search.pairs(np.arange(len(codes)), band, np.setdiff1d(bits, band), 1))
        if not found:
            continue
        left, right = (np.concatenate([pair[side] for pair in found]) for side in (0, 1))
        links = np.ones(len(left), np.int8)
        graph = coo_array((links, (groups[left], groups[right])), shape=(len(codes),) * 2)
        groups[:] = connected_components(graph, directed=False)[1][groups]
    return groups


class _Search:
    """Finds near pairs. groups: (N,) what is known to be connected, whose pairs are left out."""

    def __init__(
        self, codes: NDArray[np.uint8], words: Words, within: int, groups: NDArray[np.int32]
    ) -> None:
        self._codes, self._words, self._within, self._groups = codes, words, within, groups

    def pairs(
        self, rows: Rows, band: Rows, others: Rows, depth: int
    ) -> Iterator[tuple[Rows, Rows]]:
        """Yield (K,), (K,) rows that agree in the band's bits and are near.

        others: the bits in which these rows may still differ, besides the band.
        """
        keys = self._keys(rows, band)
        order = np.argsort(keys, kind="stable")
        rows, keys = rows[order], keys[order]
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        sizes = np.diff(np.append(starts, len(rows)))
        few = np.repeat(sizes <= _CROWD, sizes)
        yield from self._neighbours(rows[few], keys[few])
        for start, size in zip(starts[sizes > _CROWD], sizes[sizes > _CROWD], strict=True):
            crowd = rows[start : start + size]
            if (self._groups[crowd] == self._groups[crowd[0]]).all():
                continue
            pieces = np.array_split(others, max(self._within + 1, _LEAST_BANDS))
            narrow = depth > _DEEPEST or len(pieces[-1]) < _WIDE
            if narrow or 2 * np.count_nonzero(self._near(crowd[:1], crowd)) > size:
                yield from self._spread(crowd)
                continue
            for piece in pieces:
                yield from self.pairs(crowd, piece, np.setdiff1d(others, piece), depth + 1)

    def _keys(self, rows: Rows, band: Rows) -> NDArray[np.uint64]:
        """Return (K,) the bits of a band, at most 64, as a number."""
        keys = np.empty(len(rows), np.uint64)
        powers = np.uint64(1) << np.arange(len(band), dtype=np.uint64)
        for start in range(0, len(rows), _BLOCK):
            bits = np.unpackbits(self._codes[rows[start : start + _BLOCK]], axis=1)[:, band]
            keys[start : start + _BLOCK] = bits.astype(np.uint64) @ powers
        return keys

    def _neighbours(self, rows: Rows, keys: NDArray[np.uint64]) -> Iterator[tuple[Rows, Rows]]:
        """Compare each row with those of its key, all keys at once. keys: sorted."""
        first, step = np.arange(len(rows)), 1
        while len(first):
            first = first[first + step < len(rows)]
            first = first[keys[first] == keys[first + step]]
            for start in range(0, len(first), _BLOCK):
                left = rows[first[start : start + _BLOCK]]
                right = rows[first[start : start + _BLOCK] + step]
                apart = self._groups[left] != self._groups[right]
                left, right = left[apart], right[apart]
                near = self._near(left, right)
                if near.any():
                    yield left[near], right[near]
            step += 1

    def _spread(self, rows: Rows) -> Iterator[tuple[Rows, Rows]]:
        """Go from row to near row: each one is compared only with those not reached yet."""
        left, front = rows, rows[:0]
        while len(left):
            if not len(front):
                front, left = left[:1], left[1:]
            row, front = front[:1], front[1:]
            near = self._near(row, left)
            if near.any():
                reached, left = left[near], left[~near]
                yield np.repeat(row, len(reached)), reached
                front = np.concatenate([front, reached])

    def _near(self, left: Rows, right: Rows) -> NDArray[np.bool_]:
        """Return (K,) whether pairs differ in few bits; left may be one row for all."""
        differ = self._words[left] ^ self._words[right]
        return np.asarray(_ONES[differ].sum(axis=1, dtype=np.int64) <= self._within)
