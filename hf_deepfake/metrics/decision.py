"""From scores to verdicts: where "fake" begins, and the band in which the honest verdict is "unsure".

Both are chosen on validation scores; the test split has no say.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from hf_deepfake.config import DecisionConfig
from hf_deepfake.criterion import parse_criterion
from hf_deepfake.errors import InputError
from hf_deepfake.metrics.calibration import fake_probability, fit_temperature
from hf_deepfake.metrics.classification import Floats, Ranking
from hf_deepfake.metrics.one_sided import one_sided

RARE = 0.4
"""Share of validation images below which a class is rare: from there to a half, accuracy and balanced accuracy choose
nearly alike (their points are at most log 1.5 apart in log odds, if scores are calibrated)."""

_EDGE = 1e-6  # an operating point of exactly 0 or 1 could not be folded into a model


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decision:
    """How logits become verdicts.

    Attributes:
        temperature: T > 0, by which logits are divided.
        operating_point: P(fake) after temperature, in (0, 1), from which the verdict is fake.
        abstention_band: lowest and highest P(fake) after temperature on which the verdict is unsure.
        criterion: what the operating point was chosen by, never "auto".
        confident_error: largest share of each class that may be confidently misclassified.
    """

    temperature: float
    operating_point: float
    abstention_band: tuple[float, float]
    criterion: str
    confident_error: float


def decide(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    criterion: str = "auto",
    miss_cost: float = 1.0,
    prior: float = 0.5,
    confident_error: float = 0.05,
    origins: ArrayLike | None = None,
) -> Decision:
    """Choose temperature, operating point and abstention band, in this order, on the same validation images.

    Args:
        logits: (N, 2) real and fake logit of validation images.
        labels: (N,) integers, 0 real and 1 fake; both classes.
        criterion: see `choose_operating_point`.
        miss_cost: see there.
        prior: see there.
        confident_error: see `abstention_band`.
        origins: see `abstention_band`.

    Returns:
        The decision. What the two functions refuse is an `InputError`.
    """
    criterion = settle_criterion(criterion, labels)
    temperature = fit_temperature(logits, labels)
    scores = fake_probability(logits, temperature)
    point = choose_operating_point(scores, labels, criterion, miss_cost=miss_cost, prior=prior)
    band = abstention_band(scores, labels, point, confident_error, origins)
    return Decision(temperature, point, band, criterion, confident_error)


def decide_by(
    config: DecisionConfig, logits: ArrayLike, labels: ArrayLike, origins: ArrayLike | None = None
) -> Decision:
    """Decide as a configuration says, and warn of a decision that gives one verdict to all or abstains on a side.

    Args:
        config: criterion, costs, shares, and whose band.
        logits: see `decide`.
        labels: see there.
        origins: (N,) names; without them all images are of one origin.

    Returns:
        The decision.
    """
    decision = decide(
        logits,
        labels,
        criterion=config.criterion,
        miss_cost=config.miss_cost,
        prior=config.prior,
        confident_error=config.confident_error,
        origins=None if config.band == "pooled" else origins,
    )
    several = origins is not None and len(np.unique(np.asarray(origins))) > 1
    for side, end in (("real", decision.abstention_band[0] == 0.0), ("fake", decision.abstention_band[1] == 1.0)):
        if end and several and config.band == "worst_origin":
            logger.warning(
                "WARNING: no image will confidently be called %s: an origin that decides has too few images of the "
                "other class for a confident error of %g; add images, raise --confident_error, or give --band pooled",
                side,
                config.confident_error,
            )
    real, fake = np.bincount(np.asarray(labels), minlength=2)
    if config.criterion == "auto" and decision.criterion != "accuracy":
        logger.warning(
            "class imbalance among the images that decide (%d real, %d fake): criterion auto is %s accuracy",
            real,
            fake,
            decision.criterion,
        )
    called = fake_probability(logits, decision.temperature) >= decision.operating_point
    right = np.bincount(np.asarray(labels), called == np.asarray(labels), minlength=2)
    if found := one_sided((int(real), int(fake)), (int(right[0]), int(right[1])), "validation", decision.criterion):
        logger.warning("WARNING: %s", found)
    return decision


def band_note(config: DecisionConfig, origins: Sequence[str]) -> str:
    """What a report adds, after the images that decided, of whose abstention band it is.

    Args:
        config: what `decide_by` took.
        origins: of the images that decided.

    Returns:
        Words in parentheses after a space; nothing for a band of all images, as that of a single origin is.
    """
    if config.band == "pooled" or len(set(origins)) == 1:
        return ""
    return f" (abstention band: the widest that any of {len(set(origins))} origins needs)"


def settle_criterion(criterion: str, labels: ArrayLike) -> str:
    """What "auto" is on these images.

    Which share of them is fake is an accident of how they were collected. Where a class is rare, the most accurate
    threshold of a weak model calls everything the other one; balanced accuracy is then .5, as it is for any coin.

    Args:
        criterion: see `choose_operating_point`.
        labels: (N,) integers, 0 real and 1 fake.

    Returns:
        "accuracy" or, where the rarer class has less than `RARE` of the images, "balanced"; others as they are.
    """
    if criterion.strip() != "auto":
        return criterion
    share = float(np.mean(np.asarray(labels) == 1))
    return "balanced" if min(share, 1 - share) < RARE else "accuracy"


def choose_operating_point(
    scores: ArrayLike, labels: ArrayLike, criterion: str = "auto", *, miss_cost: float = 1.0, prior: float = 0.5
) -> float:
    """Choose the score from which an image counts as fake.

    Between two neighbouring scores every threshold gives the same verdicts; the middle of their log odds is taken.
    Where several thresholds are equally good, the one nearest to .5 is, so that chance decides least.

    Args:
        scores: (N,) P(fake) on validation images, in [0, 1].
        labels: (N,) integers, 0 real and 1 fake; both classes.
        criterion: "accuracy"; "balanced" (the mean of both classes' recall); "auto", one of these two (see
            `settle_criterion`); "f1" of fake; "eer" (as many misses as false alarms); "cost" (lowest expected cost);
            "fpr<=X" (most fakes found with a false positive rate of at most X); or "recall>=X" (fewest false
            alarms with a recall of at least X); X is a share in [0, 1].
        miss_cost: for "cost": what a missed fake costs, where a false alarm costs 1.
        prior: for "cost": share of fakes among the images that will be evaluated.

    Returns:
        The operating point, in (0, 1).

    Raises:
        InputError: an unknown criterion, a value out of range, or images of one class only.
    """
    if miss_cost <= 0 or not 0 < prior < 1:
        raise InputError(
            f"a miss cost of {miss_cost} and a prior of {prior} decide nothing; give a positive cost and a share "
            "between 0 and 1"
        )
    name, share = parse_criterion(settle_criterion(criterion, labels))
    gains: dict[str, Callable[[Floats, Floats, float], Floats]] = {
        "accuracy": lambda fpr, recall, fakes: recall * fakes - fpr * (1 - fakes),
        "balanced": lambda fpr, recall, _: recall - fpr,
        "f1": lambda fpr, recall, fakes: 2 * recall * fakes / (recall * fakes + fpr * (1 - fakes) + fakes),
        "eer": lambda fpr, recall, _: -np.abs(fpr - (1 - recall)),
        "cost": lambda fpr, recall, _: miss_cost * prior * recall - (1 - prior) * fpr,
        "fpr<=": lambda fpr, recall, _: np.where(fpr <= share, recall - fpr * 1e-9, -1),
        "recall>=": lambda fpr, recall, _: np.where(recall >= share, 1 - fpr + recall * 1e-9, -1),
    }
    ranking = Ranking(scores, labels)
    false, true = ranking.curve(np.ones(len(ranking.order), np.int64))
    if not false[-1] or not true[-1]:
        raise InputError("an operating point needs validation images of both classes; add the class that is missing")
    value = gains[name](false / false[-1], true / true[-1], true[-1] / (true[-1] + false[-1]))
    thresholds = _between(np.unique(ranking.scores)[::-1])
    best = np.flatnonzero(value >= value.max() - 1e-12)
    return float(thresholds[best[np.argmin(np.abs(thresholds[best] - 0.5))]])


def abstention_band(
    scores: ArrayLike, labels: ArrayLike, operating_point: float, error: float, origins: ArrayLike | None = None
) -> tuple[float, float]:
    """Find the scores on which no verdict should be given, by class-conditional conformal prediction.

    An image is unsure where the conformal sets of both classes hold its score, and where the sets and the operating
    point contradict each other (Vovk, Gammerman and Shafer 2005, §4.5, "Mondrian"; Sadinle, Lei and Wasserman 2019).
    Then, of new images drawn like the validation images, at most a share of `error` of all fakes is confidently called
    real, and at most a share of `error` of all reals confidently called fake, on average over validation sets. Images
    of one group are not drawn independently, and other data not alike: there nothing is promised.

    With origins, the band is the widest that any of them needs: the promise then holds for new images of each origin
    alone, and for an origin that is not among them as far as it is no harder than the hardest.

    Args:
        scores: (N,) P(fake) on validation images, in [0, 1].
        labels: (N,) integers, 0 real and 1 fake.
        operating_point: score from which an image counts as fake.
        error: largest share of each class that may be confidently misclassified, in (0, 1).
        origins: (N,) names; None for one origin. An origin of one class decides on one end of the band.

    Returns:
        Lowest and highest score that is unsure. With fewer than 1 / error - 1 images of a class nothing can be
        promised for it, and the band reaches to that class's end of the scores.

    Raises:
        InputError: `error` is out of range.
    """
    if not 0 < error < 1:
        raise InputError(f"an unsure error of {error} is no share; give one between 0 and 1, such as 0.05")
    score, label = np.asarray(scores, np.float64), np.asarray(labels)
    origin = np.zeros(len(score)) if origins is None else np.asarray(origins)
    # Fakes below `lowest` and reals above `highest` are the share that may be wrong.
    lowest = _worst(score[label == 1], origin[label == 1], error)
    highest = 1 - _worst(1 - score[label == 0], origin[label == 0], error)
    return min(lowest, operating_point), max(highest, operating_point)


def _worst(right: Floats, origin: NDArray, error: float) -> float:
    """The least that any origin allows; 0 without images."""
    return min((_allowed(right[origin == one], error) for one in np.unique(origin)), default=0.0)


def _allowed(right: Floats, error: float) -> float:
    """The k-th smallest score, k being how many of n + 1 may be wrong; 0 where that is none."""
    # Rounded, since .05 * 20 may be just below 1.
    k = math.floor(round(error * (len(right) + 1), 9))
    return float(np.sort(right)[k - 1]) if k >= 1 else 0.0


def _between(falling: Floats) -> Floats:
    """Thresholds above, between and below the distinct scores, which fall: (U,) to (U + 1,)."""
    odds = logit(np.clip(falling, _EDGE, 1 - _EDGE))
    middle = expit((odds[1:] + odds[:-1]) / 2)
    return np.clip(np.concatenate([[(1 + falling[0]) / 2], middle, [falling[-1] / 2]]), _EDGE, 1 - _EDGE)
