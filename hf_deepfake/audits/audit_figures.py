"""Figures of an audit, from its JSON alone."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from hf_deepfake.audits.assess import SHORTCUT_FATAL
from hf_deepfake.audits.findings import Audit
from hf_deepfake.audits.shortcut import Shortcut
from hf_deepfake.config import LABELS, SPLITS
from hf_deepfake.report.figures import FAKE, GROUND, INK, PALE, REAL

TITLES = {
    "facts": "Facts of the files",
    "statistics": "Low-level statistics",
    "content": "Content outside the face's looks",
}
"""What the tables of features are called."""


def counts_figure(audit: Audit) -> Figure:
    """Draw the images of each class by split.

    Args:
        audit: the audit.

    Returns:
        The figure.
    """
    counts = audit.report["counts"]
    figure = _sheet((6.4, 2.6))
    axes = figure.subplots()
    _dress(axes, "Images by split and class")
    places = np.arange(len(SPLITS))
    for offset, label, colour in zip((-0.2, 0.2), LABELS, (REAL, FAKE), strict=True):
        bars = axes.barh(places + offset, [counts[name][label] for name in SPLITS], 0.38, color=colour, label=label)
        axes.bar_label(bars, fmt="{:,.0f}", fontsize=9, color=INK, padding=3)
    axes.set_yticks(places, SPLITS)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.grid(visible=False, axis="y")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure


def sizes_figure(audit: Audit) -> Figure:
    """Draw how large the images of each class are.

    Args:
        audit: with files of two sizes or more.

    Returns:
        The figure.
    """
    figure = _sheet((6.4, 2.6))
    axes = figure.subplots()
    _dress(axes, f"Shorter side, px ({audit.files.n:,} files)")
    edges = [one[0] for one in audit.files.sides] + [audit.files.sides[-1][1]]
    for place, label, colour in ((2, "real", REAL), (3, "fake", FAKE)):
        counts = [one[place] for one in audit.files.sides]
        axes.stairs(counts, edges, fill=True, color=colour, alpha=0.25)
        axes.stairs(counts, edges, color=colour, linewidth=1.5, label=label)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure


def shortcuts_figure(audit: Audit) -> Figure:
    """Draw each table's AUC with its interval, chance and the limit from which facts of files are fatal.

    Args:
        audit: with at least one shortcut measured.

    Returns:
        The figure.
    """
    figure = _sheet((6.4, 1.3 + 0.42 * len(audit.shortcuts)))
    axes = figure.subplots()
    _dress(axes, "AUC without a look at the face (95 % intervals)")
    for place, shortcut in enumerate(audit.shortcuts.values()):
        colour = FAKE if shortcut.low >= SHORTCUT_FATAL else REAL
        axes.plot([shortcut.low, shortcut.high], [place, place], color=colour, linewidth=5, solid_capstyle="round")
        axes.plot(shortcut.auc, place, "o", color=colour, markersize=9, clip_on=False, zorder=3)
    axes.axvline(0.5, color=INK, linewidth=1, linestyle="--", label="chance")
    axes.axvline(SHORTCUT_FATAL, color=FAKE, linewidth=1, linestyle=":", label=f"limit {SHORTCUT_FATAL}")
    axes.set_yticks(range(len(audit.shortcuts)), [TITLES[name] for name in audit.shortcuts])
    axes.set(xlim=(0.4, 1.0), ylim=(len(audit.shortcuts) - 0.5, -0.5))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure


def telling_figure(name: str, shortcut: Shortcut) -> Figure:
    """Draw how the most telling features of a table are spread in each class.

    Args:
        name: facts, statistics or content.
        shortcut: with at least one telling feature.

    Returns:
        The figure.
    """
    shown = shortcut.telling[:4]
    figure = _sheet((8.4, 2.1 if len(shown) < 3 else 3.9))
    panels = figure.subplots(1 if len(shown) < 3 else 2, 2, squeeze=False).ravel()
    for axes, one in zip(panels, shown, strict=False):
        _dress(axes, f"{one.name} (AUC {max(one.auc, 1 - one.auc):.2f})")
        for shares, label, colour in ((one.real_share, "real", REAL), (one.fake_share, "fake", FAKE)):
            axes.stairs(shares, one.edges, fill=True, color=colour, alpha=0.25)
            axes.stairs(shares, one.edges, color=colour, linewidth=1.5, label=label)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    figure.suptitle(f"{TITLES[name]}: what tells most by itself", fontsize=12, color=INK, x=0.01, ha="left")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure


def _sheet(size: tuple[float, float]) -> Figure:
    """An empty figure of `size` inches."""
    return Figure(figsize=size, facecolor=GROUND, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))


def _dress(axes: Axes, title: str) -> None:
    """Give a panel the look of the other figures of this package."""
    axes.set_facecolor(GROUND)
    axes.set_title(title, fontsize=10.5, color=INK, loc="left", pad=8)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(color="#E4E4DE", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
