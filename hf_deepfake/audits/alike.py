"""Which images of a set are the same but for processing, and which show the same scene."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hf_deepfake.audits.fingerprint import MIRROR, Codes
from hf_deepfake.audits.neighbours import find_pairs

NEAR_RADIUS, NEAR_LIMIT = 1, 40
"""A near duplicate: mirrored or not, cropped as one of `CROPS` or not, 5 of the 63 coarse bits and 40 of all 255 may
differ. Re-saving, resizing and cropping by up to 5 % stay below; so does a swapped face in an unchanged frame."""

SCENE_RADIUS, SCENE_LIMIT, SCENE_COLOUR = 2, 72, 10
"""The same scene: uncropped and unmirrored, 8 coarse bits and 72 of all may differ, and the mean difference of the
colour thumbnails is at most 10 of 255. A face in other frames of its video, or swapped, mostly stays below."""

Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class Alike:
    """Pairs of rows, int64 (P, 2), the lower row first, sorted.

    Attributes:
        near: near duplicates, exact ones included.
        scenes: images of the same scene that are no near duplicates.
    """

    near: Pairs
    scenes: Pairs


def find_alike(codes: Codes, colours: NDArray[np.uint8]) -> Alike:
    """Find near duplicates and images of the same scene.

    Of several images with equal codes, only the first is compared with others; the others are paired with it alone.
    Groups (`connect`) come out whole, and a thousand copies do not make half a million pairs.

    Args:
        codes: uint64 (N, 11, 4), from `fingerprint`.
        colours: uint8 (N, 8, 8, 3), from `fingerprint`.

    Returns:
        The pairs.
    """
    stored, first, same = np.unique(codes[:, 0], axis=0, return_index=True, return_inverse=True)
    copies = np.stack([first[same.ravel()], np.arange(len(codes))], axis=1)
    near = [copies]
    for crop in range(codes.shape[1]):
        for mirror in (np.uint64(0), MIRROR):
            found = find_pairs(codes[first, crop] ^ mirror, stored, NEAR_RADIUS, NEAR_LIMIT)
            near.append(first[found])
    scenes = first[find_pairs(stored, stored, SCENE_RADIUS, SCENE_LIMIT)]
    apart = np.abs(colours[scenes[:, 0]].astype(np.int16) - colours[scenes[:, 1]]).mean(axis=(1, 2, 3))
    near_pairs, scene_pairs = _unordered(np.concatenate(near)), _unordered(scenes[apart <= SCENE_COLOUR])
    known = set(map(tuple, near_pairs.tolist()))
    further = [pair not in known for pair in map(tuple, scene_pairs.tolist())]
    return Alike(near_pairs, scene_pairs[np.array(further, bool)])


def connect(count: int, *pairs: Pairs) -> NDArray[np.int32]:
    """Number the groups that pairs make, directly or through others.

    Args:
        count: number of rows N.
        *pairs: int64 (P, 2) each.

    Returns:
        int32 (N,), the number of each row's group.
    """
    ends = np.concatenate([np.empty((0, 2), np.int64), *pairs])
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _unordered(pairs: Pairs) -> Pairs:
    """Each pair once, the lower row first, and none of a row with itself."""
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    return pairs[pairs[:, 0] < pairs[:, 1]]
