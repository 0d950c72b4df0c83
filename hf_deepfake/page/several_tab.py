"""The tab in which several images are checked, a row of a table each; the browser sends one after the other.

So none is deleted before its turn, and who brings twenty does not stop who brings one.
"""

import csv
import io
from collections.abc import Callable, Generator

import gradio as gr

from hf_deepfake.errors import InputError
from hf_deepfake.page.check_tab import Checker, listen, say_waiting
from hf_deepfake.page.error_sentences import describe_error
from hf_deepfake.page.picker import Chosen, add_shown, add_uploads
from hf_deepfake.page.pictures import thumbnail
from hf_deepfake.page.texts import render, texts
from hf_deepfake.page.verdict_card import Checked, Judge, record

MOST = 20
"""Images that may be chosen at a time: a table that still can be looked at, and a few minutes of one's patience."""

COLUMNS = (
    *("image", "verdict", "headline", "faces", "faces_fake", "fake_score", "notes", "sha256", "width", "height"),
    *("model", "fingerprint", "hf_deepfake", "checked"),
)
"""Of the CSV file."""


def csv_line(cells: dict[str, object]) -> str:
    """Write a line of CSV that no spreadsheet takes for a formula.

    Args:
        cells: by the names of `COLUMNS`; what is missing is empty.

    Returns:
        The line, without its end.
    """
    texts = ["" if cells.get(name) is None else str(cells[name]) for name in COLUMNS]
    safe = [f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text for text in texts]
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(safe)
    return buffer.getvalue()


def show_row(found: Checked, judge: Judge, language: str, number: str) -> str:
    """Set the row of an image.

    Args:
        found: the image.
        judge: the model.
        language: one of `texts.LANGUAGES`.
        number: which choice it answers.

    Returns:
        HTML of a table that has this row alone, and its line of CSV.
    """
    data = record(found, judge, language)
    cells = {
        **{name: data[name] for name in ("verdict", "headline", "fake_score", "hf_deepfake", "checked")},
        **{name: data["image"][name] for name in ("sha256", "width", "height")},
        "image": data["image"]["name"],
        "faces": len(data["faces"]),
        "faces_fake": sum(face["verdict"] == "fake" for face in data["faces"]),
        "notes": " ".join(data["reasons"]),
        "model": judge.name,
        "fingerprint": judge.fingerprint,
    }
    small = thumbnail(found.explanation.image)
    return render("row", language, number=number, cells=cells, thumbnail=small, line=csv_line(cells))


def show_failed_row(name: str, sentence: str, language: str, number: str) -> str:
    """Set the row of an image without a verdict.

    Args:
        name: of its file; empty where it is not known.
        sentence: why.
        language: one of `texts.LANGUAGES`.
        number: which choice it answers.

    Returns:
        As `show_row`.
    """
    headline = texts(language)["verdict"]["failed"]
    cells = {"image": name, "verdict": "failed", "headline": headline, "faces": "", "notes": sentence}
    return render("row", language, number=number, cells=cells, thumbnail="", line=csv_line(cells))


def check_row(checker: Checker, value: dict | None) -> Generator[str]:
    """Check one of several images.

    Args:
        checker: who does.
        value: the choice, of one upload.

    Yields:
        What is to be shown.
    """
    chosen = Chosen.read(value)
    language, number = chosen.language, chosen.number
    name = chosen.paths[0].rpartition("/")[2] if chosen.paths else ""
    try:
        if not chosen.paths:
            raise InputError("no image was given; choose one")
        turn = checker.queue(chosen.paths[0])
        for ahead in turn:
            yield say_waiting(language, number, ahead)
        yield show_row(turn.result(), checker.judge, language, number)
    except InputError as error:
        yield show_failed_row(name, describe_error(error, language), language, number)


def add_several(checker: Checker, static: Callable[..., gr.HTML]) -> None:
    """Add the tab's content to the Blocks that are being built.

    Args:
        checker: who checks.
        static: makes a part of the page that is fixed, in every language, by the name of its template.
    """

    def check_several(value: dict | None) -> Generator[str]:
        yield from check_row(checker, value)

    with gr.Column(elem_id="several"):
        static("picker", shows="row", most=MOST, heading="")
        static("several", head=csv_line(dict(zip(COLUMNS, COLUMNS, strict=True))))
        listen(add_uploads("several"), check_several, [add_shown("row")], "several")
