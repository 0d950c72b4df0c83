"""Make figures, page and card of a report folder anew, from its report and its scores alone."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from hf_deepfake.files import local_path, make_folder, replacing
from hf_deepfake.hub.card import CARD_FILE, build_card
from hf_deepfake.metrics.score_table import SCORES_FILE, load_scores, save_scores
from hf_deepfake.models.checkpoint import CONFIG_FILE
from hf_deepfake.report.html import PAGE_FILE, build_page
from hf_deepfake.report.measure import draw_figures
from hf_deepfake.report.report import REPORT_FILE, Report


def render(folder: str | Path, notes: str | None = None) -> Report:
    """Draw the figures of a report, write its page and, where it lies in a checkpoint's folder, its card.

    Args:
        folder: holds report.json and scores.parquet.
        notes: Markdown that takes the place of the report's notes; None leaves them as they are.

    Returns:
        The report.

    Raises:
        InputError: one of the two is missing or damaged, or the folder cannot be written.
    """
    folder = local_path(folder)
    report = Report.load(folder / REPORT_FILE)
    if notes is not None:
        report = replace(report, notes=notes.strip())
        report.save(folder / REPORT_FILE)
    figures = draw_figures(report, load_scores(folder / SCORES_FILE), folder)
    with replacing(folder / PAGE_FILE) as temporary:
        page = build_page(report, {name: (folder / name).read_bytes() for name in figures})
        temporary.write_text(page, encoding="utf-8")
    if (folder / CONFIG_FILE).is_file():
        with replacing(folder / CARD_FILE) as temporary:
            temporary.write_text(build_card(report, figures=figures), encoding="utf-8")
    return report


def write(folder: str | Path, report: Report, table: pd.DataFrame) -> None:
    """Write a report, its scores and all that is drawn from them.

    Args:
        folder: where to write; made if need be.
        report: the report.
        table: the scores that it was made of.

    Raises:
        InputError: the folder cannot be made or written.
    """
    folder = make_folder(local_path(folder))
    save_scores(folder / SCORES_FILE, table)
    report.save(folder / REPORT_FILE)
    render(folder)
