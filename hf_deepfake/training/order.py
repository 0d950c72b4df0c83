"""Which images make up each step: a function of seed and epoch alone, so that a run can be resumed anywhere."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from datasets import Dataset

from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError


@dataclass(frozen=True)
class Share:
    """One process's share of every step: `batch_size` images, cut among `processes` and then into `micro_batches`."""

    batch_size: int
    micro_batches: int = 1
    processes: int = 1
    process: int = 0

    def rows(self, micro_batch: int) -> slice:
        """Positions within a step's images that this process takes in one accumulation step."""
        size = self.batch_size // (self.micro_batches * self.processes)
        start = (micro_batch * self.processes + self.process) * size
        return slice(start, start + size)


class StepBatches:
    """Batches of one process for one epoch at a time, for a `DataLoader`'s `batch_sampler`.

    Iterating yields `share.micro_batches` lists of positions for each step, from `first_step` on; images that fill no
    whole step are left for another epoch's order.
    """

    def __init__(self, share: Share):
        self.share = share
        self.order: np.ndarray = np.empty(0, dtype=np.int64)
        self.first_step = 0
        self.steps = 0

    def set_epoch(self, order: np.ndarray, first_step: int, steps: int) -> None:
        """Take the order of an epoch, of which `first_step` steps are done."""
        self.order, self.first_step, self.steps = order, first_step, steps

    def of_step(self, step: int) -> np.ndarray:
        """Images of a whole step of the epoch, of all parts and processes."""
        return self.order[step * self.share.batch_size : (step + 1) * self.share.batch_size]

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first_step, self.steps):
            positions = self.of_step(step)
            for micro_batch in range(self.share.micro_batches):
                yield positions[self.share.rows(micro_batch)].tolist()

    def __len__(self) -> int:
        return (self.steps - self.first_step) * self.share.micro_batches


def check_share(share: Share, config: TrainConfig) -> None:
    """Refuse a step that does not divide evenly.

    Args:
        share: of any process.
        config: the run; sampling and mixing that take images in pairs need an even number of each process.

    Raises:
        InputError: it does not divide.
    """
    parts = share.processes * share.micro_batches
    even = config.sampling == "paired" or config.mixup > 0 or config.cutmix > 0
    if share.batch_size % (parts * (2 if even else 1)):
        need = "an even number for each" if even else "evenly"
        raise InputError(
            f"batch_size {share.batch_size} does not divide into {share.processes} processes x {share.micro_batches} "
            f"gradient accumulation steps ({need}); use a multiple of {parts * (2 if even else 1)}"
        )


class Orders:
    """The order of every epoch of a run, counted on from epoch to epoch; see `epoch_order` and `blend_order`.

    Args:
        config: the run.
        train: its training split, with the column label and origin, and perhaps group.

    Attributes:
        digest: SHA-256 of the first epoch's order: the same images in other groups or origins have another.
    """

    def __init__(self, config: TrainConfig, train: Dataset):
        self._config = config
        # Whole columns, once: one by one, datasets looks each value up anew, 20 s for 86,000 images in each epoch.
        self._labels = np.asarray(train["label"][:])
        self._groups = train["group"][:] if "group" in train.column_names else None
        self._origins = train["origin"][:]
        self.digest = hashlib.sha256(self(0).tobytes()).hexdigest()

    def __call__(self, epoch: int) -> np.ndarray:
        """The order of an epoch, from 0: int64 positions, of self-blended images N and more."""
        config, size = self._config, len(self._labels)
        order = epoch_order(
            config.sampling, self._labels, self._groups, config.seed, epoch, self._origins, config.origin_sampling_alpha
        )
        return blend_order(order, size, config.self_blend, config.seed, epoch) + 2 * epoch * size

    def shown(self, epochs: Iterable[int], images: int) -> np.ndarray:
        """Rows of the split that some epochs show, int64, sorted; of each epoch its first `images`."""
        return np.unique(np.concatenate([self(epoch)[:images] for epoch in epochs]) % len(self._labels))


def epoch_order(
    sampling: str,
    labels: np.ndarray,
    groups: Sequence[str | None] | None,
    seed: int,
    epoch: int,
    origins: Sequence[str] | None = None,
    origin_sampling_alpha: float = 0.0,
) -> np.ndarray:
    """Positions of images in the order in which an epoch shows them.

    Args:
        sampling: "shuffle": every image once. "balanced": real and fake in turn, as many images as there are,
            so that the rarer class repeats and the other rests in part. "paired": a real beside a fake of its
            group; in each group the rarer class repeats until every image has had its partner.
        labels: int (N,), 0 real and 1 fake.
        groups: group of each image or None; needed for "paired".
        seed: seed of the run.
        epoch: epoch from 0; each has another order.
        origins: origin of each image; a real and its fake are taken from one origin where it has both classes.
        origin_sampling_alpha: in [0, 1]; an origin of n images gets a share of the epoch that goes with n to the power
            of 1 - origin_sampling_alpha (Conneau et al. 2020, arXiv:1911.02116, section 3.1, for languages), by images
            repeating or resting; 0 leaves the shares as they are, 1 makes them equal.

    Returns:
        int64 positions; for "balanced" and "paired" every other one is a real.

    Raises:
        InputError: "paired" without a group that holds both classes.
    """
    generator = np.random.default_rng([seed, epoch])
    if sampling == "paired":
        _need_pairs(labels, groups)
    parts = []
    for inside in _by_origin(sampling, labels, origins):
        own = None if groups is None else [groups[position] for position in inside]
        parts.append(inside[_rows(sampling, labels[inside], own, generator)])
    if len(parts) > 1:
        sizes = np.array([len(part) for part in parts])
        shares = sizes ** (1 - origin_sampling_alpha)
        counts = np.rint(sizes.sum() * shares / shares.sum()).astype(int)
        parts = [
            part[_cycled(np.arange(len(part)), count, generator)] for part, count in zip(parts, counts, strict=True)
        ]
        return generator.permutation(np.concatenate(parts)).reshape(-1)
    return parts[0].reshape(-1)


def blend_order(order: np.ndarray, size: int, share: float, seed: int, epoch: int) -> np.ndarray:
    """Put self-blended images in the place of some fakes.

    Args:
        order: from `epoch_order`; a real before each fake where `share` is not 0.
        size: number of images N.
        share: share of fakes that are replaced, in [0, 1].
        seed: seed of the run.
        epoch: epoch from 0.

    Returns:
        The order, in which a fake that is replaced is N plus the position of the real before it.
    """
    if not share:
        return order
    pairs = order.reshape(-1, 2).copy()
    replaced = np.random.default_rng([seed, epoch, 1]).random(len(pairs)) < share
    pairs[replaced, 1] = pairs[replaced, 0] + size
    return pairs.reshape(-1)


def _by_origin(sampling: str, labels: np.ndarray, origins: Sequence[str] | None) -> list[np.ndarray]:
    """Positions of each origin's images; origins that lack a class the sampling needs are taken together."""
    # In the order in which they come among the images, not by name, which a move may change.
    codes, names = pd.factorize(np.zeros(len(labels)) if origins is None else np.asarray(origins))
    found = [np.flatnonzero(codes == code) for code in range(len(names))]
    if sampling == "shuffle":
        return found
    both = [inside for inside in found if len(np.unique(labels[inside])) == 2]
    rest = [inside for inside in found if len(np.unique(labels[inside])) < 2]
    together = [np.sort(np.concatenate(rest))] if rest else []
    # A lone class has no partner among its own kind: it joins the last origin that has both.
    if together and len(np.unique(labels[together[0]])) < 2 and both:
        return [*both[:-1], np.sort(np.concatenate([both[-1], together[0]]))]
    return [*both, *together]


def _rows(
    sampling: str, labels: np.ndarray, groups: Sequence[str | None] | None, generator: np.random.Generator
) -> np.ndarray:
    """What is shown together, in random order: (N, 1) positions, or (P, 2) of a real and a fake."""
    if sampling == "shuffle":
        return generator.permutation(len(labels))[:, None]
    if sampling == "balanced":
        half = len(labels) // 2
        sides = (np.flatnonzero(labels == label) for label in (0, 1))
        return np.stack([_cycled(side, half, generator) for side in sides], axis=1)
    pairs = _pairs_in_groups(labels, groups, generator)
    generator.shuffle(pairs)
    return pairs


def _need_pairs(labels: np.ndarray, groups: Sequence[str | None] | None) -> None:
    """Refuse data in which no group holds both classes."""
    real, fake = (
        {group for group, own in zip(groups or [], labels, strict=False) if own == label and group is not None}
        for label in (0, 1)
    )
    if not real & fake:
        raise InputError(
            "sampling paired needs groups that hold a real and a fake, and this data has none; "
            "add a groups.csv or use --sampling balanced"
        )


def _cycled(positions: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` of the positions: each as often as any other, give or take one, in random order."""
    passes = [generator.permutation(positions) for _ in range(-(-count // len(positions)))]
    return np.concatenate(passes)[:count]


def _pairs_in_groups(
    labels: np.ndarray, groups: Sequence[str | None] | None, generator: np.random.Generator
) -> np.ndarray:
    """(P, 2) positions, a real and a fake; partners share a group where both classes are in it."""
    members: dict[str, tuple[list[int], list[int]]] = {}
    alone: tuple[list[int], list[int]] = ([], [])
    for position, label in enumerate(labels):
        group = groups[position] if groups is not None else None
        sides = alone if group is None else members.setdefault(group, ([], []))
        sides[label].append(position)
    pairs = []
    for real, fake in members.values():
        if real and fake:
            count = max(len(real), len(fake))
            pairs.append(np.stack([_cycled(np.array(side), count, generator) for side in (real, fake)], axis=1))
        else:
            alone[0].extend(real)
            alone[1].extend(fake)
    if alone[0] and alone[1]:
        count = max(map(len, alone))
        pairs.append(np.stack([_cycled(np.array(side), count, generator) for side in alone], axis=1))
    return np.concatenate(pairs)
