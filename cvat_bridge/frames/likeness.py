"""Which images are nearly the same: difference hashes, and the groups that they form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trainer.data.fingerprints import BITS, difference_hash

__all__ = ["Groups", "difference_hash", "distance", "near_duplicates"]


def distance(first: str, second: str) -> int:
    """Count the bits in which two hashes differ."""
    return (int(first, 16) ^ int(second, 16)).bit_count()


def near_duplicates(hashes: Mapping[str, str], *, within: int) -> dict[str, str]:
    """Give each image its group: images joined by a chain of near-duplicates share one.

    hashes: name → difference hash. within: most bits that may differ. A group goes by its least
    name. Hashes are cut in within + 1 bands: two that differ in fewer places than there are bands
    agree in one, so only images that share a band are compared.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for name, code in sorted(hashes.items()):
        members[code].append(name)
    distinct = sorted(members, key=lambda code: members[code][0])
    codes = np.frombuffer(bytes.fromhex("".join(distinct)), np.uint8).reshape(
        len(distinct), BITS // 8
    )
    bits = np.unpackbits(codes, axis=1)
    groups = Groups(len(distinct))
    for band in np.array_split(np.arange(bits.shape[1]), within + 1):
        for rows in _alike(bits[:, band]):
            for place, row in enumerate(rows[:-1]):
                later = rows[place + 1 :]
                for other in later[(bits[later] != bits[row]).sum(axis=1) <= within]:
                    groups.join(int(row), int(other))
    return {
        name: members[distinct[groups.of(row)]][0]
        for row, code in enumerate(distinct)
        for name in members[code]
    }


class Groups:
    """A partition of 0..count - 1 that only grows coarser; a group goes by its least member."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def of(self, member: int) -> int:
        """Name the group of a member."""
        parent = self._parent
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    def join(self, first: int, second: int) -> None:
        """Make the groups of two members one."""
        least, other = sorted((self.of(first), self.of(second)))
        self._parent[other] = least


def _alike(band: NDArray[np.uint8]) -> list[NDArray[np.intp]]:
    """Give the rows that agree in this band, wherever two or more do."""
    buckets: dict[bytes, list[int]] = defaultdict(list)
    for row, code in enumerate(np.packbits(band, axis=1)):
        buckets[code.tobytes()].append(row)
    return [np.array(rows) for rows in buckets.values() if len(rows) > 1]
