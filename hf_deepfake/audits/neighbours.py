"""All pairs of codes within a Hamming distance, without comparing all pairs: multi-index hashing.

The 63 coarse bits are cut in three bands of 21. Of two codes whose coarse bits differ in at most 3 r + 2 places, some
band differs in at most r, so it is enough to look up every band with up to r bits flipped (Norouzi, Punjani and Fleet,
"Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012, section 3). Nothing within the distances is missed.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hf_deepfake.audits.fingerprint import Codes

_BAND = 21  # bits; three bands make the 63 coarse bits
_BLOCK = 2_000_000  # pairs that are compared at once: 130 MB


def find_pairs(queries: Codes, stored: Codes, radius: int, limit: int) -> NDArray[np.int64]:
    """Find all pairs of a query and a stored code that are near each other.

    Args:
        queries: uint64 (Q, 4).
        stored: uint64 (N, 4).
        radius: bits in which a band may differ; coarse bits may differ in 3 radius + 2 places.
        limit: places in which all 255 bits together may differ.

    Returns:
        int64 (P, 2): positions of the query and of the stored code, sorted, each pair once.
    """
    found = [np.empty((0, 2), np.int64)]
    for band in range(3):
        shift = np.uint64(_BAND * band)
        keys, wanted = (
            ((codes[:, 0] >> shift) & np.uint64(2**_BAND - 1)).astype(np.int64) for codes in (stored, queries)
        )
        order = np.argsort(keys, kind="stable")
        ends = np.concatenate([[0], np.bincount(keys, minlength=2**_BAND).cumsum()])
        for flipped in _flips(radius):
            near = wanted ^ flipped
            for query, place in _expand(ends[near], ends[near + 1]):
                pairs = np.stack([query, order[place]], axis=1)
                coarse = _distance(queries, stored, pairs, slice(0, 1))
                pairs = pairs[coarse <= 3 * radius + 2]
                found.append(pairs[_distance(queries, stored, pairs, slice(None)) <= limit])
    return np.unique(np.concatenate(found), axis=0)


def _flips(radius: int) -> list[int]:
    """Every band with at most `radius` bits set."""
    return [sum(1 << bit for bit in bits) for count in range(radius + 1) for bits in combinations(range(_BAND), count)]


def _expand(first: NDArray[np.int64], end: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Positions i with every place in [first[i], end[i]), in blocks of bounded size."""
    sizes = end - first
    rows = np.flatnonzero(sizes)
    blocks = np.cumsum(sizes[rows]) // _BLOCK
    for block in np.split(rows, np.flatnonzero(np.diff(blocks)) + 1):
        size = sizes[block]
        starts = np.cumsum(size) - size
        yield np.repeat(block, size), np.arange(size.sum()) + np.repeat(first[block] - starts, size)


def _distance(queries: Codes, stored: Codes, pairs: NDArray[np.int64], words: slice) -> NDArray[np.uint8]:
    """Hamming distance of each pair in some words of the code."""
    return np.bitwise_count(queries[pairs[:, 0], words] ^ stored[pairs[:, 1], words]).sum(axis=1, dtype=np.uint8)
