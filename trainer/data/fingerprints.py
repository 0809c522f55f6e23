"""Perceptual hashes of images, and the search for near-duplicates by them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 16
BITS = SIDE * SIDE
WITHIN = 8  # of 256 bits: what recompression and scaling change


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
    its smallest name. Hashes are split into within + 1 bands: two that differ in fewer bits than
    there are bands agree in at least one, so only images that share a band are compared.
    """
    from scipy.cluster.hierarchy import DisjointSet

    members: dict[str, list[str]] = defaultdict(list)
    for name, code in hashes.items():
        members[code].append(name)
    bits = _bits(list(members))
    joined = DisjointSet(range(len(members)))
    for band in np.array_split(np.arange(BITS), within + 1):
        for rows in _alike(bits[:, band]):
            for place, row in enumerate(rows[:-1]):
                later = rows[place + 1 :]
                for other in later[(bits[later] != bits[row]).sum(axis=1) <= within]:
                    joined.merge(int(row), int(other))
    codes = list(members)
    found = {}
    for subset in joined.subsets():
        names = [name for row in subset for name in members[codes[row]]]
        found.update(dict.fromkeys(names, min(names)))
    return found


def hash_distances(ours: Sequence[str], theirs: Sequence[str]) -> NDArray[np.float32]:
    """Return the Hamming distance of each pair of difference hashes, (ours, theirs)."""
    left, right = (_bits(codes).astype(np.float32) for codes in (ours, theirs))
    counts: NDArray[np.float32] = left.sum(1)[:, None] + right.sum(1)[None] - 2 * (left @ right.T)
    return counts


def _bits(codes: Sequence[str]) -> NDArray[np.uint8]:
    """Return hashes as rows of 0 and 1, (N, BITS)."""
    packed = np.frombuffer(bytes.fromhex("".join(codes)), np.uint8)
    return np.unpackbits(packed.reshape(len(codes), BITS // 8), axis=1)


def _alike(band: NDArray[np.uint8]) -> list[NDArray[np.intp]]:
    """Return the groups of two or more rows that agree in this band."""
    buckets: dict[bytes, list[int]] = defaultdict(list)
    for row, code in enumerate(np.packbits(band, axis=1)):
        buckets[code.tobytes()].append(row)
    return [np.array(rows) for rows in buckets.values() if len(rows) > 1]
