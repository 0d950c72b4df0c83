"""How well a class can be told from a table of features that have nothing to do with forgery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from hf_deepfake.config import LABELS
from hf_deepfake.metrics.bootstrap import index_groups, interval

FOLDS = 5
RESAMPLES = 1000
BINS = 20
TELLING = 5
"""Features that are named: the first of those that tell most by themselves."""


@dataclass(frozen=True)
class Telling:
    """A feature by which the classes differ.

    Attributes:
        name: what it is called.
        auc: AUC of the feature by itself, in [0, 1]; above .5 fakes have more of it. Images that lack it count as
            having least.
        real: median of the real images (of those that have it; mean where it is yes or no), None if none has it.
        fake: the same of the fake ones.
        edges: ends of the bins of a histogram from the 1st to the 99th percentile, ascending.
        real_share: share of the real images in each bin.
        fake_share: the same of the fake ones.
    """

    name: str
    auc: float
    real: float | None
    fake: float | None
    edges: list[float]
    real_share: list[float]
    fake_share: list[float]


@dataclass(frozen=True)
class Shortcut:
    """What a table of features tells of the class.

    Attributes:
        auc: cross-validated AUC, in [0, 1].
        low: lower end of its 95 % interval.
        high: upper end.
        n: images.
        telling: at most `TELLING` features, the most telling first.
    """

    auc: float
    low: float
    high: float
    n: int
    telling: list[Telling]

    def __str__(self) -> str:
        return f"{self.auc:.3f} [{self.low:.3f}, {self.high:.3f}]"


def find_shortcut(
    table: pd.DataFrame,
    labels: NDArray[np.int8],
    groups: Sequence[Any] | None,
    names: Mapping[str, str],
    seed: int = 0,
) -> Shortcut | None:
    """Cross-validate a small classifier on a table of features.

    The classifier is boosted shallow trees, which need no scaling and see thresholds and combinations. Groups are not
    split between folds (`StratifiedGroupKFold`). Scores are compared within their fold only: pooled over folds, the
    AUC of features that say nothing is below .5, because the share of a class in training is low where it is high in
    the held-out fold (Airola et al. 2011). The interval is a percentile bootstrap over groups of the cross-validated
    scores; like the AUC it speaks of this set.

    Args:
        table: N rows of features.
        labels: int8 (N,), indices in `LABELS`.
        groups: N group names, a missing one stands for a group of its own; None: each image is a group.
        names: the features to use, with what they are called.
        seed: of folds and resamples.

    Returns:
        The result; None if a class has fewer than `FOLDS` groups.
    """
    features = table[list(names)]
    features = features.fillna(features.min() - 1).fillna(0)  # missing counts as least, and as 0 where all is missing
    group = index_groups(groups, len(table))
    if min(len(np.unique(group[labels == label])) for label in range(len(LABELS))) < FOLDS:
        return None
    scores = np.empty(len(table))
    folds = np.empty(len(table), np.int64)
    cuts = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(features, labels, group)
    for fold, (train, held_out) in enumerate(cuts):
        trees = HistGradientBoostingClassifier(
            max_iter=60, max_depth=3, min_samples_leaf=10, early_stopping=False, random_state=seed
        ).fit(features.iloc[train], labels[train])
        scores[held_out], folds[held_out] = trees.predict_proba(features.iloc[held_out])[:, 1], fold
    ranking = _FoldRanking(scores, labels, folds)
    low, high = interval(
        lambda weights: np.array([ranking.auc(weights)]), groups, len(table), resamples=RESAMPLES, seed=seed
    )
    telling = [_telling(table[key], labels, name) for key, name in names.items()]
    telling.sort(key=lambda one: -abs(one.auc - 0.5))
    auc = ranking.auc(np.ones(len(table), np.int64))
    return Shortcut(
        auc, float(low[0]), float(high[0]), len(table), [one for one in telling[:TELLING] if one.auc != 0.5]
    )


class _FoldRanking:
    """Scores sorted within folds, to find the mean AUC of the folds under any weights."""

    def __init__(self, scores: NDArray[np.float64], labels: NDArray[np.int8], folds: NDArray[np.int64]):
        self.order = np.lexsort((scores, folds))
        score, fold = scores[self.order], folds[self.order]
        self.fake = labels[self.order] == 1
        self.last_of_tie = np.flatnonzero(np.append((np.diff(score) != 0) | (np.diff(fold) != 0), True))
        self.fold = fold[self.last_of_tie]

    def auc(self, weights: NDArray[np.int64]) -> float:
        """Mean AUC of the folds, weighted by their pairs of real and fake; NaN if there is no pair."""
        weight = weights[self.order]
        real, fake = (
            np.diff(np.cumsum(weight * part)[self.last_of_tie], prepend=0) for part in (~self.fake, self.fake)
        )
        real_before = np.cumsum(real) - real
        fold_start = np.searchsorted(self.fold, self.fold)
        won = np.bincount(self.fold, fake * (real_before - real_before[fold_start] + real / 2))
        pairs = np.bincount(self.fold, fake) * np.bincount(self.fold, real)
        return float(won.sum() / pairs.sum()) if pairs.sum() else np.nan


def _telling(values: pd.Series, labels: NDArray[np.int8], name: str) -> Telling:
    """What one feature tells by itself."""
    known = values.dropna()
    auc = float(roc_auc_score(labels, values.fillna(known.min() - 1 if len(known) else 0)))
    if not len(known):
        return Telling(name, auc, None, None, [], [], [])
    middle = "mean" if known.isin((0, 1)).all() else "median"
    low, high = np.quantile(known, (0.01, 0.99)).tolist()
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    middles, shares = [], []
    for label in range(len(LABELS)):
        mine = values[labels == label].dropna()
        middles.append(float(mine.agg(middle)) if len(mine) else None)
        shares.append((np.histogram(mine.clip(edges[0], edges[-1]), edges)[0] / max(len(mine), 1)).tolist())
    return Telling(name, auc, *middles, edges.tolist(), *shares)
