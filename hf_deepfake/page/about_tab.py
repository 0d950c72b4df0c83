"""The tab about the model: what it catches and misses, how often it is wrong, what happens to uploads, its card."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from huggingface_hub import ModelCard, snapshot_download

from hf_deepfake.metrics.foreign import ForeignResult
from hf_deepfake.metrics.result import Metric
from hf_deepfake.report.report import Report

CARD_FILE, REPORT_FILE = "README.md", "report.json"

FEW = 10
"""Fakes of a kind below which nothing is said of that kind."""

SHOWN = 4
"""Kinds of fakes that are named as most, and as least often found."""


@dataclass(frozen=True)
class Known:
    """What a checkpoint's report says that a journalist asks first.

    Attributes:
        kinds: kind of fake, share of it called fake and how many were tested, most often found first; those of which
            few were tested are left out.
        foreign: results on sources that did not train it; None where there are none.
        licence: of the weights, or of the images that they learnt from; empty where neither is known.
    """

    kinds: list[tuple[str, str, int]]
    foreign: ForeignResult | None
    licence: str


def know(report: Report | None, card: ModelCard | None) -> Known:
    """Take from report and card what the tab states.

    Args:
        report: of the checkpoint, if it has one.
        card: of the checkpoint, if it has one.

    Returns:
        That.
    """
    licence = str(
        (card and card.data.to_dict().get("license"))
        or (report and report.training.get("options", {}).get("data_license"))
        or ""
    )
    if report is None:
        return Known([], None, licence)
    tested = [
        (name, result.metrics["recall_fake"], result.n_fake)
        for name, result in report.subsets.get("manipulation", {}).items()
        if result.n_fake >= FEW and result.metrics["recall_fake"].value is not None
    ]
    tested.sort(key=lambda one: -(one[1].value or 0))
    kinds = [(name, percent(share), count) for name, share, count in tested]
    return Known(kinds, report.foreign or report.cross_calibrated, licence)


def percent(share: Metric | None) -> str:
    """Write a share for who reads no decimals.

    Args:
        share: in [0, 1]; None where it is not known.

    Returns:
        Such as "39 % [35, 42]", in brackets the 95 % interval.
    """
    if share is None or share.value is None:
        return "–"
    known = share.low is not None and share.high is not None
    return f"{100 * share.value:.0f} %" + (f" [{100 * share.low:.0f}, {100 * share.high:.0f}]" if known else "")


def add_about(checkpoint: str, static: Callable[..., gr.HTML], title: Any) -> None:
    """Add the tab's content to the Blocks that are being built.

    Args:
        checkpoint: folder, or owner/name on the Hub.
        static: makes a part of the page that is fixed, in every language, by the name of its template.
        title: of the model's card.
    """
    wanted = [CARD_FILE, REPORT_FILE, "*.png"]
    folder = Path(checkpoint if Path(checkpoint).is_dir() else snapshot_download(checkpoint, allow_patterns=wanted))
    file = folder / REPORT_FILE
    report = Report.load(file) if file.exists() else None
    card = ModelCard.load(folder / CARD_FILE, ignore_metadata_errors=True) if (folder / CARD_FILE).exists() else None
    known = know(report, card)
    foreign = known.foreign
    static(
        "about",
        catches=known.kinds[:SHOWN],
        misses=known.kinds[SHOWN:][-SHOWN:][::-1],
        count=len(foreign.origins) if foreign else 0,
        mean={name: percent(foreign.mean[name]) for name in ("coverage", "error")} if foreign else {},
        worst={name: percent(foreign.worst.get(name)) for name in ("error", "false_alarms", "missed")}
        if foreign
        else {},
        licence=known.licence,
    )
    with gr.Accordion(title, open=False):
        _show_card(card, folder)
    static("developers")


def _show_card(card: ModelCard | None, folder: Path) -> None:
    """Add the checkpoint's card, its figures where they stand in the text."""
    text = card.text if card else "This checkpoint has no card."
    text = text.replace("](#", "](#h-")  # gr.Markdown puts this before the anchors of headings
    text = re.sub(r"^\|.*(?=\n\|[-|]+$)", _name_columns, text, flags=re.MULTILINE)
    # Only a bare file name counts as a figure, so that a card can show nothing from outside its folder.
    first, *figures = re.split(r"!\[(.*?)\]\(([\w-]+\.png)\)", text)
    gr.Markdown(first, header_links=True)
    for caption, name, after in zip(figures[::3], figures[1::3], figures[2::3], strict=True):
        figure = str(folder / name)
        gr.Image(figure, alt_text=caption, interactive=False, show_label=False, buttons=[], elem_classes="figure")
        gr.Markdown(f"*{caption}*\n{after}", header_links=True)


def _name_columns(head: re.Match[str]) -> str:
    """The head of a table with names for columns that have none, which a screen reader would have to pass over."""
    cells = head[0].strip("|").split("|")
    return f"|{'|'.join(cell if cell.strip() else ' Value ' for cell in cells)}|"
