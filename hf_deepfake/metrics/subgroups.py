"""Results apart: by source, manipulation, file format and size, and what a threshold of its own brings a source."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hf_deepfake.metrics.bootstrap import index_groups
from hf_deepfake.metrics.classification import Counts, Floats
from hf_deepfake.metrics.decision import choose_operating_point
from hf_deepfake.metrics.result import Metric, SplitResult, bootstrapped, evaluate_scores
from hf_deepfake.metrics.score_table import groups_of

FACETS = {
    "source": "Source",
    "manipulation": "Manipulation",
    "format": "File format",
    "side": "Shorter side",
}
"""What results are shown apart by, with what a report calls it."""

_FOLDS = 5


@dataclass(frozen=True)
class OwnThreshold:
    """What a source would gain by a threshold of its own, over the one that the checkpoint ships.

    Attributes:
        threshold: P(fake) that is best on all of the source's images, by accuracy.
        shipped: accuracy at the checkpoint's threshold.
        own: accuracy at thresholds of its own, each chosen on four fifths of the groups and evaluated on the rest.
        gain: `own` minus `shipped`, on the same resamples. The intervals hold for the thresholds that were chosen.
    """

    threshold: float
    shipped: Metric
    own: Metric
    gain: Metric


def measure_subsets(table: pd.DataFrame, threshold: float) -> dict[str, dict[str, SplitResult]]:
    """Measure the images of one split apart.

    A manipulation's fakes are evaluated against all real images of the sources that they come from. A facet in which
    all images are alike is left out.

    Args:
        table: of one split, with the columns of `scores.COLUMNS`.
        threshold: an image counts as fake from this score on.

    Returns:
        By facet, and by value in it, the result; sizes from small to large, all others by name.
    """
    parts = {
        "source": _by(table, table["source"]),
        "manipulation": _manipulations(table),
        "format": _by(table, table["format"]),
        "side": _by(table, _size_classes(table["side"])),
    }
    return {
        facet: {name: _measure(part, threshold) for name, part in named.items()}
        for facet, named in parts.items()
        if len(named) > 1
    }


def own_thresholds(table: pd.DataFrame, threshold: float) -> dict[str, OwnThreshold]:
    """Measure what each source would gain by a threshold of its own.

    Args:
        table: of one split, with the columns of `scores.COLUMNS`.
        threshold: P(fake) from which the checkpoint's verdict is fake.

    Returns:
        By source; without those of one class, or with fewer than ten groups.
    """
    found = {}
    for name, part in _by(table, table["source"]).items():
        score, label = part["score"].to_numpy(), part["label"].to_numpy()
        groups = index_groups(groups_of(part), len(part))
        fold = np.random.default_rng(0).permutation(int(groups.max()) + 1)[groups] % _FOLDS
        both = all(len(set(label[fold != one])) == 2 for one in range(_FOLDS))
        if not both or groups.max() + 1 < 2 * _FOLDS:
            continue
        chosen = np.array([choose_operating_point(score[fold != one], label[fold != one]) for one in range(_FOLDS)])
        right = np.stack([(score >= at) == (label == 1) for at in (threshold, chosen[fold])]).astype(np.float64)
        found[name] = OwnThreshold(choose_operating_point(score, label), *_shares_and_gain(right, part))
    return found


def _shares_and_gain(right: Floats, part: pd.DataFrame) -> list[Metric]:
    """Shares of right verdicts, (2, N) ones and zeros, and the second minus the first."""

    def shares(weights: Counts) -> Floats:
        """The three, under a resample."""
        first, second = right @ weights / weights.sum()
        return np.array([first, second, second - first])

    return bootstrapped(shares, groups_of(part), len(part), ["no images"] * 3)


def _by(table: pd.DataFrame, values: pd.Series) -> dict[str, pd.DataFrame]:
    """The table's parts by their value, in the values' own order."""
    return {str(name): part for name, part in table.groupby(values, observed=True)}


def _manipulations(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Fakes of each manipulation, with the real images of the sources that they come from."""
    real, fake = table[table["label"] == 0], table[table["label"] == 1]
    return {
        name: pd.concat([real[real["source"].isin(part["source"])], part])
        for name, part in _by(fake, fake["manipulation"]).items()
    }


def _size_classes(side: pd.Series) -> pd.Series:
    """Octaves of the shorter side, as ordered categories such as "128 to 255 px"."""
    octave = side.map(int.bit_length)
    names = {power: f"{2 ** (power - 1)} to {2**power - 1} px" for power in sorted(octave.unique())}
    return octave.map(names).astype(pd.CategoricalDtype(list(names.values()), ordered=True))


def _measure(part: pd.DataFrame, threshold: float) -> SplitResult:
    """The result on these images alone."""
    return evaluate_scores(part["score"], part["label"], groups_of(part), threshold)
