"""The risk-coverage curve: what abstaining buys on images like those of the training, and elsewhere."""

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.special import logit

from hf_deepfake.metrics.classification import Floats
from hf_deepfake.report.figures import INK, REAL, in_percent, legend_below, panel

_COLOURS = ("#D55E00", "#E69F00", "#CC79A7", "#009E73", "#56B4E9", "#8A6D00", "#7A7A74")
"""Okabe and Ito's, without the blue of what is not foreign."""

_FIRST = 19
"""Images that a curve leaves out at its beginning: the risk of so few is noise."""

_EDGE = 1e-9  # a score of exactly 0 or 1 has no log odds


def risk_coverage(scores: Floats, labels: Floats, threshold: float) -> tuple[Floats, Floats]:
    """Selective risk of the most confident images, by their share (El-Yaniv and Wiener 2010, §2).

    Args:
        scores: (N,) P(fake), in [0, 1].
        labels: (N,) integers, 0 real and 1 fake.
        threshold: an image counts as fake from this score on; confidence is the distance from it in log odds.

    Returns:
        Coverages k / N, and the share of wrong verdicts among the k most confident images, (N,) each; images of equal
        confidence are taken together.
    """
    odds = logit(np.clip(scores, _EDGE, 1 - _EDGE)) - logit(threshold)
    wrong = (np.asarray(scores) >= threshold) != (np.asarray(labels) == 1)
    order = np.argsort(-np.abs(odds), kind="stable")
    distance = np.abs(odds)[order]
    # To the last of each run of equal confidence.
    last = np.searchsorted(-distance, -distance, side="right") - 1
    risk = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    return (last + 1) / len(order), risk[last]


def risk_coverage_figure(
    sets: Mapping[str, pd.DataFrame], threshold: float, band: tuple[float, float] | None, in_source: str | None
) -> Figure:
    """Draw the curve of each set, and on it what the shipped abstention band does.

    Args:
        sets: tables of scores by name: foreign origins and, apart, images of the training's sources.
        threshold: P(fake) from which the verdict is fake.
        band: lowest and highest score that is unsure; None for none.
        in_source: name of the set that is not foreign; None where all are.

    Returns:
        The figure: foreign origins in thin lines of their own colours, the other set in a thick blue one.
    """
    figure, axes = panel(
        (6.4, 5.2),
        "What abstaining buys; points: the abstention band",
        "Coverage: images with a verdict",
        "Of these, wrong",
    )
    colours = itertools.cycle(_COLOURS)
    for name, table in sets.items():
        score, label = table["score"].to_numpy(), table["label"].to_numpy()
        coverage, risk = risk_coverage(score, label, threshold)
        own = name == in_source
        colour = REAL if own else next(colours)
        axes.plot(coverage[_FIRST:], risk[_FIRST:], color=colour, linewidth=2.4 if own else 1.4, label=name)
        if band is not None:
            sure = (score < band[0]) | (score > band[1])
            if sure.any():
                wrong = ((score >= threshold) != (label == 1))[sure].mean()
                axes.plot(sure.mean(), wrong, "o", color=colour, markersize=7, markeredgecolor=INK, zorder=3)
    axes.set(xlim=(0, 1), ylim=(0, None))
    in_percent(axes)
    legend_below(figure, axes, columns=3)
    return figure
