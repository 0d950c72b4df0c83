"""Calibration on foreign images without giving any away: by what the other folds left out."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import logit

from hf_deepfake.config import LABELS, DecisionConfig
from hf_deepfake.metrics.bootstrap import index_groups
from hf_deepfake.metrics.calibration import fake_probability
from hf_deepfake.metrics.classification import Counts, Floats, Ranking
from hf_deepfake.metrics.decision import decide
from hf_deepfake.metrics.foreign import ForeignResult, OriginScores, measure_parts
from hf_deepfake.metrics.result import Metric, bootstrapped
from hf_deepfake.metrics.score_table import groups_of

_EDGE = 1e-9  # a score of exactly 0 or 1 has no log odds


def cross_calibrate(left: Mapping[str, pd.DataFrame], config: DecisionConfig) -> dict[str, OriginScores]:
    """Decide on each origin by the scores of all others, each of them from the model that it was left out of.

    So each deciding score is of an image foreign to the model that gave it, as the scores decided on are; that the
    models differ a little is the price (cross-conformal prediction, Vovk 2015, has the same).

    Args:
        left: tables of scores by origin, each from the model that was trained without that origin.
        config: criterion, error and whose band.

    Returns:
        By origin its scores, with temperature, and operating point and abstention band that the others gave; without
        those of which the others are all of one class.
    """
    decided = {}
    for name, table in left.items():
        others = pd.concat([one.iloc[:0] if other == name else one for other, one in left.items()], ignore_index=True)
        if others["label"].nunique() < len(LABELS):
            continue
        decision = decide(
            _logits(others),
            others["label"],
            criterion=config.criterion,
            miss_cost=config.miss_cost,
            prior=config.prior,
            confident_error=config.confident_error,
            origins=None if config.band == "pooled" else others["origin"],
        )
        scores = fake_probability(_logits(table), decision.temperature)
        decided[name] = OriginScores(table.assign(score=scores), decision.operating_point, decision.abstention_band)
    return decided


def measure_without_own(table: pd.DataFrame, config: DecisionConfig) -> ForeignResult | None:
    """Measure each calibration origin as if it had not calibrated: decided by the other origins alone.

    The decision that ships is made of all of them, so that on a further origin it is at least as careful.

    Args:
        table: scores of the calibration images, none of which trained.
        config: criterion, error and whose band.

    Returns:
        The result; None where there are no two origins to decide on each other.
    """
    decided = cross_calibrate({str(name): part for name, part in table.groupby("origin")}, config)
    return measure_parts(decided) if len(decided) > 1 else None


def what_helps(tests: Mapping[str, pd.DataFrame], left: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, Metric]]:
    """What each origin adds to the AUC of each other, on that one's test images.

    The AUC on origin b is taken of the models trained with both a and b, averaged, minus that of the model trained
    with b and without a. What it adds to itself is the AUC with it in training minus that without.

    Args:
        tests: scores of the test splits of all origins in training, by the origin that was left out.
        left: scores of all images of the origin that was left out, by its name.

    Returns:
        By the origin that adds and the one that it adds to; with intervals over groups, for the models as they are. A
        pair without a third origin, or of one class, is undefined.
    """
    found: dict[str, dict[str, Metric]] = {name: {} for name in tests}
    for gains in tests:
        for name in tests:
            key = ["source", "file"]
            with_it = [
                table[table["origin"] == gains].set_index(key)["score"]
                for other, table in tests.items()
                if other not in (name, gains)
            ]
            source = left[name] if gains == name else tests[name]
            without = source[source["origin"] == gains].set_index(key)
            if not with_it:
                found[name][gains] = Metric(None, reason="no third origin")
                continue
            rows = without.loc[without.index.isin(with_it[0].index)]
            found[name][gains] = _gain([one.loc[rows.index].to_numpy() for one in with_it], rows)
    return found


def _gain(with_it: list[Floats], rows: pd.DataFrame) -> Metric:
    """Mean AUC of some scores of the same images, minus that of the scores in the table."""
    labels = rows["label"].to_numpy()
    if len(set(labels)) < 2:
        return Metric(None, reason="one class only")
    rankings = [Ranking(scores, labels) for scores in (*with_it, rows["score"].to_numpy())]

    def difference(weights: Counts) -> Floats:
        """Under a resample."""
        *others, own = (one.measure(weights)["auc"] for one in rankings)
        return np.array([np.mean(others) - own])

    groups = index_groups(groups_of(rows), len(rows)).tolist()
    return bootstrapped(difference, groups, len(rows), ["one class only"], resamples=500)[0]


def _logits(table: pd.DataFrame) -> Floats:
    """Logits (N, 2) that give the scores."""
    odds = logit(np.clip(table["score"].to_numpy(), _EDGE, 1 - _EDGE))
    return np.stack([np.zeros_like(odds), odds], axis=1)
