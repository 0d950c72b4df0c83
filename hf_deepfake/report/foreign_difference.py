"""The mean AUC of two detectors over foreign origins, on the same images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hf_deepfake.errors import InputError
from hf_deepfake.metrics.bootstrap import index_groups, sign_test
from hf_deepfake.metrics.classification import Counts, Floats, Ranking
from hf_deepfake.metrics.result import Metric, bootstrapped
from hf_deepfake.metrics.score_table import groups_of
from hf_deepfake.report.compare import auc_parts, weighted_auc

_KEY = ["origin", "source", "file", "label"]


def foreign_difference(first: pd.DataFrame, second: pd.DataFrame) -> tuple[Metric, float | None]:
    """Mean AUC over origins of the first detector minus that of the second.

    Each origin of both classes counts once, whatever its size. Interval and p are for other groups of these same
    origins: they say nothing of other origins.

    Args:
        first: scores of foreign images, a table of `score_table`.
        second: scores of the same images, in any order.

    Returns:
        The difference with its 95 % interval, groups resampled whole, both detectors on the same resamples; and the
        probability of one this large or larger where there is none, by `sign_test` over whole groups of the parts that
        the images have in it. Undefined, with a reason, where no origin has both classes.

    Raises:
        InputError: the images are not the same.
    """
    tables = [table.set_index(_KEY).sort_index() for table in (first, second)]
    if not tables[0].index.equals(tables[1].index):
        raise InputError(
            "the two detectors were not evaluated by the same foreign images; evaluate both on all of them"
        )
    labels = tables[0].index.get_level_values("label").to_numpy()
    origin = tables[0].index.get_level_values("origin").to_numpy().astype(str)
    scores = [table["score"].to_numpy() for table in tables]
    known = [inside for inside in (origin == one for one in np.unique(origin)) if len(np.unique(labels[inside])) == 2]
    if not known:
        return Metric(None, reason="no origin of both classes"), None
    groups = index_groups(groups_of(tables[0]), len(labels))
    value = _difference(scores, labels, groups, known)
    if value.low is None:
        return value, None
    parts = np.zeros(len(labels))
    for inside in known:
        parts[inside] = auc_parts([score[inside] for score in scores], labels[inside]) / len(known)
    return value, sign_test(parts, groups)


def _difference(scores: Sequence[Floats], labels: NDArray, groups: Counts, known: list[NDArray[np.bool_]]) -> Metric:
    """The difference with its interval, of the origins whose images are marked."""
    pairs = [tuple(Ranking(score[inside], labels[inside]) for score in scores) for inside in known]

    def difference(weights: Counts) -> Floats:
        """Under a resample."""
        found = [
            weighted_auc(one, weights[inside]) - weighted_auc(other, weights[inside])
            for (one, other), inside in zip(pairs, known, strict=True)
        ]
        return np.array([np.mean(found)])

    return bootstrapped(difference, groups.tolist(), len(labels), ["one class only"])[0]
