"""Foreign sources: results by origin, their mean and the worst, with intervals over groups and over origins."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from hf_deepfake.metrics.bootstrap import DEFINED_SHARE, LEVEL, RESAMPLES, draw, index_groups
from hf_deepfake.metrics.classification import Counts, Floats, Ranking
from hf_deepfake.metrics.result import UNSURE_METRICS, Metric, SplitResult, band_shares, evaluate_scores
from hf_deepfake.metrics.score_table import groups_of

FOREIGN_METRICS = {
    "auc": 1,
    "balanced_accuracy": 1,
    "ece": -1,
    "coverage": 1,
    "error": -1,
    "missed": -1,
    "false_alarms": -1,
}
"""What is averaged over origins, with 1 where more is better and -1 where less is."""


@dataclass(frozen=True)
class OriginMean(Metric):
    """A mean over origins; `low` and `high` are for other origins of the same kind, which the origins here stand for.

    Attributes:
        n: origins that it is a mean of.
        group_low: lower end for other groups of these same origins; None where an origin has one group only.
        group_high: upper end of the same.
    """

    n: int = 0
    group_low: float | None = None
    group_high: float | None = None


@dataclass(frozen=True)
class WorstOrigin(Metric):
    """The worst origin's metric; the interval is its own, without allowance for its having been picked.

    Attributes:
        origin: its name.
    """

    origin: str = ""


@dataclass(frozen=True)
class ForeignResult:
    """What was measured on sources foreign to training and calibration.

    Attributes:
        origins: result of each origin, by name.
        mean: mean over the origins in which a metric is defined, by the names of `FOREIGN_METRICS`.
        worst: the worst of them.
    """

    origins: dict[str, SplitResult]
    mean: dict[str, OriginMean]
    worst: dict[str, WorstOrigin]

    def counting(self, before: "ForeignResult | None", names: set[str]) -> "ForeignResult":
        """Count this look at some origins.

        Args:
            before: what is known of earlier looks.
            names: origins that were looked at.

        Returns:
            The same, with `test_looks` of each origin.
        """
        known = before.origins if before else {}
        looks = {name: (known[name].test_looks or 0) if name in known else 0 for name in self.origins}
        return replace(
            self,
            origins={
                name: replace(one, test_looks=looks[name] + (name in names)) for name, one in self.origins.items()
            },
        )


def measure_foreign(
    table: pd.DataFrame, threshold: float, band: tuple[float, float] | None, *, resamples: int = RESAMPLES
) -> ForeignResult:
    """Measure each origin by itself, then the mean and the worst of them; see `measure_parts`.

    Args:
        table: of `score_table`; its column origin says what counts as one.
        threshold: P(fake) from which an image counts as fake.
        band: lowest and highest score that is unsure; without it, what tells of the band is undefined.
        resamples: of each interval.

    Returns:
        The result.
    """
    origins = table.groupby("origin", sort=True)
    return measure_parts(
        {str(name): OriginScores(part, threshold, band) for name, part in origins}, resamples=resamples
    )


class OriginScores(NamedTuple):
    """Images that count as one, with what decided on them.

    Attributes:
        table: of `score_table`.
        threshold: P(fake) from which an image counts as fake.
        band: lowest and highest score that is unsure; None for no band.
    """

    table: pd.DataFrame
    threshold: float
    band: tuple[float, float] | None


def measure_parts(parts: Mapping[str, OriginScores], *, resamples: int = RESAMPLES) -> ForeignResult:
    """Measure each origin by itself, then the mean and the worst of them; each counts once, whatever its size.

    The interval for other groups resamples the groups within each origin. That for other origins is a two-stage
    bootstrap (Davison and Hinkley 1997, §3.8, Strategy 1): origins are drawn with replacement, and groups within each
    of those. A handful of origins varies too little under it, so that percentiles are taken further out, as far as the
    t distribution would be (Hesterberg 2015, "What teachers should know about the bootstrap", §"Expanded
    percentiles"); with three origins that is about from the lowest to the highest.

    Args:
        parts: of each origin, by name.
        resamples: of each interval.

    Returns:
        The result. An origin of one class has no AUC, and counts where its class does.
    """
    results = {
        name: evaluate_scores(
            part.table["score"],
            part.table["label"],
            groups_of(part.table),
            part.threshold,
            abstention_band=part.band,
            resamples=resamples,
        )
        for name, part in parts.items()
    }
    found = np.array([_values(one) for one in results.values()])
    drawn = np.stack([_resampled(part, resamples, seed) for seed, part in enumerate(parts.values())], axis=1)
    single = any(index_groups(groups_of(part.table), len(part.table)).max() == 0 for part in parts.values())
    no_band = all(part.band is None for part in parts.values())
    mean, worst = {}, {}
    for place, (metric, sign) in enumerate(FOREIGN_METRICS.items()):
        known = np.flatnonzero(~np.isnan(found[:, place]))
        if not len(known):
            why = "no abstention band" if metric in UNSURE_METRICS and no_band else "undefined on every origin"
            mean[metric], worst[metric] = OriginMean(None, reason=why), WorstOrigin(None, reason=why)
            continue
        mean[metric] = _mean(found[known, place], drawn[:, known, place], single)
        name = list(results)[known[np.argmin(sign * found[known, place])]]
        one = (results[name].metrics | results[name].unsure)[metric]
        worst[metric] = WorstOrigin(one.value, one.low, one.high, one.reason, name)
    return ForeignResult(results, mean, worst)


def mean_auc(scores: ArrayLike, labels: ArrayLike, origins: ArrayLike) -> float:
    """Mean AUC over the origins that have both classes.

    Args:
        scores: (N,) numbers, higher for fake.
        labels: (N,) integers, 0 real and 1 fake.
        origins: (N,) names.

    Returns:
        The mean; NaN where no origin has both classes.
    """
    score, label, origin = np.asarray(scores, np.float64), np.asarray(labels), np.asarray(origins)
    found = []
    for one in np.unique(origin):
        real, fake = (score[(origin == one) & (label == value)] for value in (0, 1))
        if len(real) and len(fake):
            found.append(float(stats.mannwhitneyu(fake, real).statistic) / (len(real) * len(fake)))
    return float(np.mean(found)) if found else math.nan


def _values(result: SplitResult) -> list[float]:
    """`FOREIGN_METRICS` of an origin; NaN where one is undefined."""
    known = result.metrics | result.unsure
    values = [known[name].value if name in known else None for name in FOREIGN_METRICS]
    return [math.nan if value is None else value for value in values]


def _resampled(part: OriginScores, resamples: int, seed: int) -> Floats:
    """`FOREIGN_METRICS` of an origin under resamples of its groups, (R, K); NaN where one is undefined."""
    table, threshold, band = part
    score, label = table["score"].to_numpy(), table["label"].to_numpy()
    ranking = Ranking(score, label, threshold)
    shares = None if band is None else band_shares(score, label, threshold, band)

    def values(weights: Counts) -> list[float]:
        """Each metric, under one resample."""
        known: dict[str, Any] = dict(ranking.measure(weights))
        known |= {} if shares is None else dict(zip(UNSURE_METRICS, shares(weights), strict=True))
        return [known.get(name, math.nan) for name in FOREIGN_METRICS]

    group_index = index_groups(groups_of(table), len(table))
    return np.array([values(weights) for weights in draw(group_index, resamples, seed)], np.float64)


def _mean(found: Floats, drawn: Floats, single: bool) -> OriginMean:
    """Mean of one metric over O origins, (O,), with what resamples of their groups gave, (R, O)."""
    value, count = float(found.mean()), len(found)
    tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if np.isnan(drawn).mean(axis=0).max() > 1 - DEFINED_SHARE:
        return OriginMean(value, reason="too few images of one kind", n=count)
    low, high = np.quantile(_row_means(drawn), tails)
    groups = (None, None) if single else (min(float(low), value), max(float(high), value))
    if count == 1:
        return OriginMean(value, reason="one origin", n=1, group_low=groups[0], group_high=groups[1])
    generator = np.random.default_rng(0)
    chosen = generator.integers(0, count, drawn.shape)
    rows = generator.integers(0, len(drawn), drawn.shape)
    low, high = np.quantile(_row_means(drawn[rows, chosen]), _expanded(count))
    return OriginMean(value, min(float(low), value), max(float(high), value), None, count, *groups)


def _row_means(values: Floats) -> Floats:
    """Mean of what is defined in each row, without rows of which nothing is."""
    known = ~np.isnan(values)
    some = known.any(axis=1)
    return np.where(known, values, 0.0)[some].sum(axis=1) / known[some].sum(axis=1)


def _expanded(count: int) -> NDArray[np.float64]:
    """Quantiles that a percentile interval of `count` draws takes to be as wide as that of the t distribution."""
    tail = stats.norm.cdf(-math.sqrt(count / (count - 1)) * stats.t.ppf((1 + LEVEL) / 2, count - 1))
    return np.array([tail, 1 - tail])
