"""Figures, page and card of a folder, made anew of its report and its scores alone."""

import pandas as pd
import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.hub.render_checkpoint import render, write
from hf_deepfake.metrics.score_table import COLUMNS
from hf_deepfake.report.measure import measure
from hf_deepfake.report.report import CheckpointInfo, Report

FIGURES = {"confusion.png", "roc.png", "reliability.png", "scores.png"}


@pytest.fixture(scope="module")
def measured():
    """A report and the eight scores that it was made of."""
    scores = [0.9, 0.8, 0.3, 0.2, 0.6, 0.1, 0.7, 0.4]
    table = pd.DataFrame(
        {"split": "test", "score": scores, "label": [1, 1, 1, 0, 0, 0, 1, 0], "file": list("abcdefgh")}
    )
    table = table.assign(source="faces", group=table["file"], format="JPEG", side=64)
    table = table.reindex(columns=list(COLUMNS)).astype(COLUMNS)
    return measure(table, CheckpointInfo("test_resnet", 64, 1000)), table


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_gets_report_scores_figures_and_page(measured, tmp_path):
    write(tmp_path / "a" / "b", *measured)
    assert contents(tmp_path / "a" / "b").keys() == FIGURES | {"report.json", "scores.parquet", "report.html"}
    assert Report.load(tmp_path / "a" / "b" / "report.json") == measured[0]
    page = (tmp_path / "a" / "b" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(FIGURES)


def test_a_checkpoint_s_folder_gets_a_card_too(measured, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    write(tmp_path, *measured)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert all(f"({name})" in card for name in FIGURES)


@pytest.mark.slow
def test_all_is_made_anew_of_report_and_scores(measured, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    write(tmp_path, *measured)
    before = contents(tmp_path)
    for name in (*FIGURES, "report.html", "README.md"):
        (tmp_path / name).unlink()
    assert render(tmp_path) == measured[0]
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_notes_are_kept_until_others_or_none_take_their_place(measured, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    write(tmp_path, *measured)
    for notes, kept in (("\n Two hours. \n", "Two hours."), (None, "Two hours."), ("One.", "One."), ("", "")):
        assert render(tmp_path, notes).notes == kept
        assert Report.load(tmp_path / "report.json").notes == kept
        assert (kept in (tmp_path / "README.md").read_text(encoding="utf-8")) or not kept


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["report.json", "scores.parquet"])
def test_without_report_or_scores_nothing_is_drawn(measured, tmp_path, missing):
    write(tmp_path, *measured)
    (tmp_path / missing).unlink()
    (tmp_path / "report.html").write_text("old")
    with pytest.raises(InputError, match=missing):
        render(tmp_path)
    assert (tmp_path / "report.html").read_text() == "old"
