"""Every metric of a detector, from the scores P(fake) and the labels; "fake" (1) is the positive class.

`Ranking` sorts the scores once and then measures any weighting of the images in a few passes. The plain
metrics are those of weights all 1; a bootstrap resample is a vector of how often each image was drawn.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_deepfake.errors import InputError

METRICS = (
    "auc",
    "average_precision",
    "eer",
    "accuracy",
    "balanced_accuracy",
    "precision_real",
    "recall_real",
    "f1_real",
    "precision_fake",
    "recall_fake",
    "f1_fake",
    "mcc",
    "log_loss",
    "brier",
    "ece",
    "fpr_at_recall_90",
    "fpr_at_recall_95",
    "fpr_at_recall_99",
    "recall_at_fpr_1",
    "recall_at_fpr_5",
    "recall_at_fpr_10",
)
"""Names of the metrics; the numbers in them are percentages."""

CONFUSION = ("tn", "fp", "fn", "tp")
"""Names of the confusion counts: n/p is the verdict real/fake, t/f whether it is true."""

BINS = 15

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


class Bins(NamedTuple):
    """Equal-mass bins of the scores, from the highest scores down, those that hold images.

    Attributes:
        weight: (B,) int64, images.
        fake: (B,) int64, fake images among them.
        score: (B,) float64, mean score.
    """

    weight: Counts
    fake: Counts
    score: Floats


class Ranking:
    """Images sorted by score, to be measured under any integer weights.

    Args:
        scores: (N,) P(fake), in [0, 1].
        labels: (N,) integers, 0 real and 1 fake.
        threshold: an image counts as fake from this score on.

    Raises:
        InputError: no images, lengths that differ, a score that is not in [0, 1], or another label.
    """

    def __init__(self, scores: ArrayLike, labels: ArrayLike, threshold: float = 0.5):
        score, label = np.asarray(scores, np.float64), np.asarray(labels)
        if score.ndim != 1 or score.shape != label.shape or not score.size:
            raise InputError(
                f"scores of shape {score.shape} and labels of shape {label.shape} cannot be evaluated; "
                "give one score and one label for each image"
            )
        if not ((score >= 0) & (score <= 1)).all():
            raise InputError("a score is not a number in [0, 1]; give P(fake) of each image, not logits")
        if not np.isin(label, (0, 1)).all():
            raise InputError("a label is neither 0 (real) nor 1 (fake); give one of these for each image")
        self.order = np.argsort(-score, kind="stable")
        self.scores = score[self.order]
        self.fake = label[self.order].astype(np.int64)
        self._last_of_tie = np.flatnonzero(np.append(np.diff(self.scores), -1))
        self._cuts = _cut(np.append(0, self._last_of_tie + 1))
        called_fake = self.scores >= threshold
        # As scikit-learn does: a certain and wrong score costs 36 nats, not infinity.
        clipped = np.clip(self.scores, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)
        self._sums = np.stack(
            [
                self.fake,
                called_fake,
                called_fake & (self.fake == 1),
                -np.log(np.where(self.fake == 1, clipped, 1 - clipped)),
                (self.scores - self.fake) ** 2,
            ]
        ).astype(np.float64)

    def curve(self, weights: Counts) -> tuple[Counts, Counts]:
        """Count what is called fake at every threshold, from above all scores down to the lowest.

        Args:
            weights: (N,) int64, how often each image counts, in the order of the scores given.

        Returns:
            False positives and true positives, each (U + 1,) int64 for U distinct scores, rising from 0.
        """
        sorted_weights = weights[self.order]
        called = _at_ends(sorted_weights, self._last_of_tie)
        true = _at_ends(sorted_weights * self.fake, self._last_of_tie)
        return called - true, true

    def bins(self, weights: Counts) -> Bins:
        """Cut the images into 15 bins of equal mass; equal scores share the bin of their middle.

        Args:
            weights: (N,) int64, as in `curve`.

        Returns:
            The bins that are not empty.
        """
        return self._bins(weights[self.order], *self.curve(weights))

    def gaps(self, weights: Counts) -> Floats:
        """Gaps between fakes and what the scores promise, in the bins that unweighted images have.

        Args:
            weights: (N,) int64, as in `curve`, with a positive sum.

        Returns:
            (B,), fakes minus the sum of scores in each bin, over all images. With weights all 1, the sum of their
            sizes is `ece`.
        """
        parts = np.diff(_at_ends(weights[self.order] * (self.fake - self.scores), self._last_of_tie)[self._cuts])
        return parts / weights.sum()

    def placements(self) -> Floats:
        """Share of the other class that each image is on the right side of; ties count half (DeLong et al. 1988).

        Returns:
            (N,), in the order of the scores given: of a fake the reals below it, of a real the fakes above it. Its mean
            over either class is the AUC; NaN where the other class is missing.
        """
        false, true = self.curve(np.ones(len(self.order), np.int64))
        tie = np.searchsorted(self._last_of_tie, np.arange(len(self.order)))
        with np.errstate(invalid="ignore"):
            above = (true[1:] + true[:-1])[tie] / (2 * true[-1])
            below = 1 - (false[1:] + false[:-1])[tie] / (2 * false[-1])
        placed = np.empty(len(self.order))
        placed[self.order] = np.where(self.fake == 1, below, above)
        return placed

    def measure(self, weights: Counts) -> dict[str, float]:
        """Compute all metrics.

        Args:
            weights: (N,) int64, as in `curve`, with a positive sum.

        Returns:
            The values of `METRICS` and `CONFUSION` by name, NaN where a metric is undefined.
        """
        sorted_weights = weights[self.order]
        total = int(weights.sum())
        # Not `@`: BLAS would wake its threads for each short product, ten times slower where cores are shared.
        n_fake, called, tp, loss, squared = np.einsum("kn,n->k", self._sums, sorted_weights.astype(np.float64)).tolist()
        n_real, fp, fn = total - n_fake, called - tp, n_fake - tp
        tn = n_real - fp
        false, true = self.curve(weights)
        bins = self._bins(sorted_weights, false, true)
        recall_real, recall_fake = _ratio(tn, n_real), _ratio(tp, n_fake)
        values = {
            "accuracy": (tp + tn) / total,
            "balanced_accuracy": (recall_real + recall_fake) / 2,
            "precision_real": _ratio(tn, tn + fn),
            "recall_real": recall_real,
            "f1_real": _ratio(2 * tn, 2 * tn + fn + fp) if n_real else np.nan,
            "precision_fake": _ratio(tp, tp + fp),
            "recall_fake": recall_fake,
            "f1_fake": _ratio(2 * tp, 2 * tp + fp + fn) if n_fake else np.nan,
            "mcc": _ratio(tp * tn - fp * fn, float(np.sqrt(called * (total - called) * n_fake * n_real))),
            "log_loss": loss / total,
            "brier": squared / total,
            "ece": float(np.abs(bins.fake - bins.weight * bins.score).sum()) / total,
            **_curve_metrics(false, true),
            **dict(zip(CONFUSION, (tn, fp, fn, tp), strict=True)),
        }
        return {name: values.get(name, np.nan) for name in METRICS + CONFUSION}

    def _bins(self, sorted_weights: Counts, false: Counts, true: Counts) -> Bins:
        """`bins` from what `measure` has at hand."""
        called = false + true
        cuts = _cut(called)
        mass = _at_ends(sorted_weights * self.scores, self._last_of_tie)
        weight, fake, score_sum = (np.diff(total[cuts]) for total in (called, true, mass))
        kept = weight > 0
        return Bins(weight[kept], fake[kept], score_sum[kept] / weight[kept])


def compute_metrics(scores: ArrayLike, labels: ArrayLike, threshold: float = 0.5) -> dict[str, float | None]:
    """Compute every metric of a set of scored images.

    AUC and average precision are scikit-learn's `roc_auc_score` and `average_precision_score`. `eer` is where
    the false positive and the false negative rate meet on the ROC curve's straight pieces. `fpr_at_recall_90`
    is the lowest false positive rate among thresholds that find at least 90 % of the fakes; `recall_at_fpr_1`
    the highest recall among thresholds that raise at most 1 % false alarms. `mcc` is Matthews' correlation.
    `ece` is the expected calibration error of P(fake) (Naeini et al. 2015) over 15 bins of equal mass (Nguyen
    and O'Connor 2015): the distance between a bin's mean score and its share of fakes, averaged over images.
    It is biased upwards on few images, which its interval allows for (`bootstrap.intervals`). Log loss is in nats.

    Args:
        scores: (N,) P(fake), in [0, 1].
        labels: (N,) integers, 0 real and 1 fake.
        threshold: an image counts as fake from this score on.

    Returns:
        The values of `METRICS` and the four counts of `CONFUSION` by name; None where a metric is undefined, for
        which `undefined` gives the reasons. Input that `Ranking` refuses is an `InputError`.
    """
    ranking = Ranking(scores, labels, threshold)
    values = ranking.measure(np.ones(len(ranking.order), np.int64))
    return {name: None if np.isnan(value) else value for name, value in values.items()}


LOWER_IS_BETTER = frozenset({"log_loss"})
"""Metrics by which epochs are chosen and of which less is more."""


def better(metric: str, value: float, best: float | None) -> bool:
    """Whether `value` of a metric beats the best so far."""
    if best is None:
        return True
    return value < best if metric in LOWER_IS_BETTER else value > best


def undefined(metrics: dict[str, float | None]) -> dict[str, str]:
    """Say why metrics are undefined.

    Args:
        metrics: what `compute_metrics` returned.

    Returns:
        For each metric that is None, the reason in a few words.
    """
    counts = {name: metrics[name] or 0 for name in CONFUSION}
    empty = {
        "no fake images": counts["tp"] + counts["fn"] == 0,
        "no real images": counts["tn"] + counts["fp"] == 0,
        "no image was called fake": counts["tp"] + counts["fp"] == 0,
        "no image was called real": counts["tn"] + counts["fn"] == 0,
    }
    relevant = {
        "recall_real": ("no real images",),
        "f1_real": ("no real images",),
        "precision_real": ("no image was called real",),
        "recall_fake": ("no fake images",),
        "f1_fake": ("no fake images",),
        "precision_fake": ("no image was called fake",),
        "mcc": tuple(empty),
    }
    both_classes = ("no fake images", "no real images")
    return {
        name: next(reason for reason in relevant.get(name, both_classes) if empty[reason])
        for name, value in metrics.items()
        if value is None
    }


def _curve_metrics(false: Counts, true: Counts) -> dict[str, float]:
    """The metrics that are read off the cumulative counts of `Ranking.curve`; none where a class is missing."""
    n_real, n_fake = int(false[-1]), int(true[-1])
    if n_real == 0 or n_fake == 0:
        return {}
    steps = np.diff(true)
    values = {
        "auc": float((np.diff(false) * (true[1:] + true[:-1])).sum()) / (2 * n_real * n_fake),
        # A threshold above all drawn images calls none fake; its step is 0, so any precision will do.
        "average_precision": float((steps * true[1:] / np.maximum(true[1:] + false[1:], 1)).sum()) / n_fake,
        "eer": _equal_error_rate(false, true),
    }
    for percent in (90, 95, 99):
        needed = -(-percent * n_fake // 100)
        values[f"fpr_at_recall_{percent}"] = int(false[np.searchsorted(true, needed)]) / n_real
    for percent in (1, 5, 10):
        allowed = percent * n_real // 100
        values[f"recall_at_fpr_{percent}"] = int(true[np.searchsorted(false, allowed, side="right") - 1]) / n_fake
    return values


def _equal_error_rate(false: Counts, true: Counts) -> float:
    """Rate at which the ROC curve, joined by straight lines, has as many misses as false alarms."""
    n_real, n_fake = int(false[-1]), int(true[-1])
    # False positive rate minus false negative rate, times n_real * n_fake to stay in whole numbers.
    excess = false * n_fake + (true - n_fake) * n_real
    after = int(np.searchsorted(excess, 0))
    before = after - 1
    share = -excess[before] / (excess[after] - excess[before])
    return float(false[before] + share * (false[after] - false[before])) / n_real


def _cut(called: Counts) -> Counts:
    """Where `called`, rising from 0, is to be cut into bins of equal mass: (BINS + 1,) places in it."""
    middle = (called[1:] + called[:-1]) / 2
    inner = np.searchsorted(middle, called[-1] * np.arange(1, BINS) / BINS)
    return np.concatenate([[0], inner, [len(middle)]])


def _at_ends(values: NDArray, ends: Counts) -> NDArray:
    """Sums of `values` up to and with each of `ends`, after a leading 0."""
    return np.concatenate([[0], np.cumsum(values)[ends]])


def _ratio(part: float, whole: float) -> float:
    """`part / whole`, NaN for an empty whole."""
    return part / whole if whole else np.nan
