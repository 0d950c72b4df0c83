"""The table of foreign sources, which heads every summary, page and card."""

from hf_deepfake.metrics.foreign import ForeignResult

CROSS_CALIBRATED = "Calibration origins, each decided by the others alone:"
"""What heads results on images that calibrated, measured as if they had not."""

IN_SOURCE_ONLY = "In-source only: nothing is known of other sources."
"""What stands in place of foreign results where there are none."""

FOREIGN_TITLES = {
    "auc": "AUC",
    "balanced_accuracy": "Balanced accuracy",
    "coverage": "Coverage",
    "error": "Selective risk",
    "false_alarms": "Reals confidently called fake",
    "missed": "Fakes confidently called real",
    "ece": "ECE",
}
"""`FOREIGN_METRICS` in a table's order, with its headings."""


def foreign_rows(foreign: ForeignResult, what: str = "Images") -> list[list[str]]:
    """The table of foreign sources: mean, worst, then each origin.

    Args:
        foreign: the results.
        what: they were measured on.

    Returns:
        Cells of its head and of each line, as many in each.
    """
    count = len(foreign.origins)
    rows = [["Foreign sources", what, *FOREIGN_TITLES.values()]]
    rows.append([f"mean of {count}", "", *(str(foreign.mean[name]) for name in FOREIGN_TITLES)])
    worst = [(one, f" ({one.origin})" if one.origin else "") for one in map(foreign.worst.get, FOREIGN_TITLES) if one]
    rows.append(["worst", "", *(f"{one}{name}" for one, name in worst)])
    for name, result in foreign.origins.items():
        known = result.metrics | result.unsure
        cells = [str(known.get(metric, "")) for metric in FOREIGN_TITLES]
        rows.append([name, f"{result.n_real} real, {result.n_fake} fake", *cells])
    return rows


def foreign_looks(foreign: ForeignResult | None) -> str:
    """Say how often foreign origins were evaluated into a card.

    Args:
        foreign: the results, if there are any.

    Returns:
        Such as "once"; empty where that was not counted.
    """
    counts = sorted({one.test_looks for one in foreign.origins.values() if one.test_looks} if foreign else ())
    if not counts:
        return ""
    if counts == [1]:
        return "once"
    return f"{counts[0]} times" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} times"
