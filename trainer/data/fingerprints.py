"""Perceptual hashes of images, and the search for near-duplicates by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.near_duplicates import connected

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
    its smallest name; see near_duplicates.connected.
    """
    if not hashes:
        return {}
    codes = np.frombuffer(bytes.fromhex("".join(hashes.values())), np.uint8)
    codes = np.ascontiguousarray(codes.reshape(len(hashes), BITS // 8))
    rows, place = np.unique(codes.view(f"V{BITS // 8}").ravel(), return_inverse=True)
    unique = rows.view(np.uint8).reshape(len(rows), BITS // 8)
    groups = connected(unique, within=within)[place.reshape(-1)].tolist()
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
