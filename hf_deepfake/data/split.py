"""Which image goes into which split, so that no person, scene or image is on both sides."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

TRAIN, VALIDATION, TEST = range(3)  # indices in config.SPLITS
UNKNOWN = -1  # no split yet

SHARES = (0.8, 0.1, 0.1)
"""Train, validation and test of a source that comes without splits."""


@dataclass(frozen=True)
class Leaks:
    """What given splits share.

    Attributes:
        rows: bool (N,), images that share their group or pixels with an image in a later split (in the order train,
            validation, test).
        groups: groups that are in more than one split, sorted.
        images: how many different images are in more than one split.
    """

    rows: NDArray[np.bool_]
    groups: list[str]
    images: int


def connect(hashes: NDArray[np.bytes_], groups: NDArray[np.object_]) -> NDArray[np.int32]:
    """Find what must stay together: images that share a group or their pixels, directly or through others.

    Args:
        hashes: S32 (N,).
        groups: str or None (N,).

    Returns:
        int32 (N,): the number of the unit that each image belongs to.
    """
    count = len(hashes)
    rows = np.arange(count)
    image = pd.factorize(hashes)[0]
    group = pd.factorize(groups)[0]  # -1 where None
    known = group >= 0
    # A graph of images on the one side, of hashes and groups on the other.
    ends = np.concatenate([image, group[known] + image.max(initial=-1) + 1]) + count
    size = int(ends.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(ends), bool), (np.concatenate([rows, rows[known]]), ends)), shape=(size, size))
    return connected_components(graph, directed=False)[1][:count]


def join_given(splits: NDArray[np.int8], units: NDArray[np.int32]) -> NDArray[np.int8]:
    """Put images without a split to the images of their unit that have one (the last, if there are several)."""
    last = pd.Series(splits).groupby(units).transform("max").to_numpy()
    return np.where(splits == UNKNOWN, last, splits).astype(np.int8)


def find_leaks(splits: NDArray[np.int8], hashes: NDArray[np.bytes_], groups: NDArray[np.object_]) -> Leaks:
    """Find the groups and images that are in more than one split.

    Args:
        splits: int8 (N,), indices in `SPLITS`; -1 where there is none yet.
        hashes: S32 (N,).
        groups: str or None (N,).

    Returns:
        What is shared, and the rows that have to go so that nothing is. A row that goes itself shares nothing any
        more: what train shares with a dropped validation image alone stays in train.
    """
    keys = {"groups": groups, "images": hashes}
    leaking = np.zeros(len(splits), bool)
    for later, earlier in ((TEST, VALIDATION), (TEST, TRAIN), (VALIDATION, TRAIN)):
        for key in keys.values():
            present = pd.notna(key)
            stays = set(key[(splits == later) & present & ~leaking])
            leaking |= (splits == earlier) & present & np.fromiter((value in stays for value in key), bool, len(key))
    shared = {}
    for name, key in keys.items():
        table = pd.DataFrame({"key": key, "split": splits})[splits >= 0].dropna().drop_duplicates()
        several = table["key"].value_counts()
        shared[name] = list(several[several > 1].index)
    return Leaks(leaking, sorted(shared["groups"]), len(shared["images"]))


def missing_splits(splits: NDArray[np.int8], sources: NDArray[np.int64]) -> dict[int, tuple[int, ...]]:
    """Find out which splits have to be made for each source.

    Args:
        splits: int8 (N,), as given; -1 where there is none.
        sources: int64 (N,), number of each image's source.

    Returns:
        By source the indices of the splits to make: all three for a source without splits; validation or test, or
        both, for one with train but without these. A source that lacks nothing, or train itself, is left out.
    """
    missing: dict[int, tuple[int, ...]] = {}
    for source in np.unique(sources).tolist():
        given = set(splits[sources == source].tolist()) - {UNKNOWN}
        if not given:
            missing[source] = (TRAIN, VALIDATION, TEST)
        elif TRAIN in given and len(given) < 3:
            missing[source] = tuple(split for split in (VALIDATION, TEST) if split not in given)
    return missing


def make_splits(
    splits: NDArray[np.int8],
    missing: dict[int, tuple[int, ...]],
    hashes: NDArray[np.bytes_],
    groups: NDArray[np.object_],
    labels: NDArray[np.int8],
    sources: NDArray[np.int64],
    validation_share: float,
    seed: int,
) -> NDArray[np.int8]:
    """Make the splits that are missing.

    Units (see `connect`) stay whole. Each source is split by itself, and in it the units of only real, only fake and
    both kinds of images each by themselves, so that every split has about the same share of each class. The result
    depends on what the images show and on the seed, not on names or order.

    Args:
        splits: int8 (N,), after `join_given`.
        missing: from `missing_splits`. A source without splits gets `SHARES`; otherwise each missing split gets
            `validation_share` of train.
        hashes: S32 (N,).
        groups: str or None (N,).
        labels: int8 (N,), indices in `LABELS`.
        sources: int64 (N,), number of each image's source.
        validation_share: share of train's images, in (0, 1).
        seed: of the draw.

    Returns:
        The splits, int8 (N,), none -1.
    """
    units = connect(hashes, groups)
    each = describe_units(units, hashes, labels, sources, splits)
    unsplit = each["split"] == UNKNOWN
    in_train = (each["last_split"] == TRAIN) & (each["split"] == TRAIN) & (each["source"] == each["last_source"])
    free = (unsplit | in_train) & each["source"].isin(list(missing))
    dealt = np.full(len(each), UNKNOWN, np.int8)  # by number of the unit
    for (source, split, *_), stratum in each[free].groupby(["source", "split", "label", "last_label"]):
        if split == UNKNOWN:
            shares = dict(enumerate(SHARES))
        else:
            shares = {TRAIN: 1 - validation_share * len(missing[source])} | dict.fromkeys(
                missing[source], validation_share
            )
        mixed = mix(stratum, seed)
        dealt[mixed.index] = deal(mixed["size"].tolist(), shares)
    return np.where(dealt[units] == UNKNOWN, splits, dealt[units])


def describe_units(
    units: NDArray[np.int32],
    hashes: NDArray[np.bytes_],
    labels: NDArray[np.int8],
    sources: NDArray[np.int64],
    splits: NDArray[np.int8],
) -> pd.DataFrame:
    """Say of each unit what decides how it is dealt.

    Args:
        units: int32 (N,), see `connect`.
        hashes: S32 (N,).
        labels: int8 (N,), indices in `LABELS`.
        sources: int64 (N,), number of each image's source.
        splits: int8 (N,), -1 where there is none.

    Returns:
        A row for each unit by its number, in an order that depends on what the images show alone: `size`, and the least
        and greatest `label`, `source` and `split` (`last_label` and so on).
    """
    order = np.unique(hashes, return_inverse=True)[1]
    rows = pd.DataFrame({"order": order, "label": labels, "source": sources, "split": splits})
    each = rows.groupby(units).agg(
        size=("order", "size"),
        order=("order", "min"),
        label=("label", "min"),
        last_label=("label", "max"),
        source=("source", "min"),
        last_source=("source", "max"),
        split=("split", "min"),
        last_split=("split", "max"),
    )
    return each.sort_values("order")


def mix(stratum: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Draw the order in which a stratum's units are dealt.

    Args:
        stratum: units, as `describe_units` has them.
        seed: of the draw. Each stratum has a fresh generator, so that it does not depend on the others.

    Returns:
        The same units, the largest first.
    """
    mixed = stratum.iloc[np.random.default_rng(seed).permutation(len(stratum))]
    return mixed.sort_values("size", ascending=False, kind="stable")


def deal(sizes: list[int], shares: dict[int, float]) -> list[int]:
    """Give each unit to the split that lacks most; none stays empty if there are enough units.

    Args:
        sizes: images of each unit, the largest first.
        shares: of each split, which together are 1.

    Returns:
        The split of each unit.
    """
    lack = {split: share * sum(sizes) for split, share in shares.items()}
    empty = set(shares)
    dealt = []
    for place, size in enumerate(sizes):
        must = empty if len(sizes) - place <= len(empty) else lack
        split = max(must, key=lambda split: (lack[split], -split))
        lack[split] -= size
        empty.discard(split)
        dealt.append(split)
    return dealt
