import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hf_deepfake.metrics.decision import Decision
from hf_deepfake.metrics.result import evaluate_scores
from hf_deepfake.metrics.score_table import COLUMNS
from hf_deepfake.metrics.subgroups import measure_subsets, own_thresholds
from hf_deepfake.report.measure import draw_figures, measure
from hf_deepfake.report.report import CheckpointInfo, Report

NET = CheckpointInfo("resnet18", 64, 11_177_538, operating_point=0.4, abstention_band=(0.3, 0.6))


@pytest.fixture(scope="module")
def table():
    """Two splits of 40 images of two sources, in pairs."""
    label = np.arange(80) % 2
    rows = {
        "file": [f"{number}.jpg" for number in range(80)],
        "split": np.repeat(["validation", "test"], 40),
        "origin": "a",
        "source": np.tile(["a", "a", "b", "b"], 20),
        "group": [str(number // 2) for number in range(80)],
        "video": None,
        "manipulation": None,
        "format": "JPEG",
        "side": 64,
        "label": label,
        "score": np.random.default_rng(0).uniform(0, 0.6, 80) + 0.4 * label,
    }
    return pd.DataFrame(rows)[list(COLUMNS)].astype(COLUMNS)


@pytest.mark.slow
def test_each_split_at_the_operating_point(table):
    report = measure(table, NET, test_looks=3, training={"best_epoch": 1})
    validation, test = (table[table["split"] == name] for name in ("validation", "test"))
    assert list(report.splits) == ["validation", "test"]
    assert report.splits["validation"].test_looks is None
    assert report.splits["test"] == evaluate_scores(
        test["score"], test["label"], test["group"].tolist(), 0.4, abstention_band=(0.3, 0.6), test_looks=3
    )
    assert report.splits["validation"].n == len(validation)
    assert report.subsets == measure_subsets(test, 0.4)
    assert set(report.subsets) == {"source"}
    assert report.own_thresholds == own_thresholds(test, 0.4)
    assert (report.checkpoint, report.training) == (NET, {"best_epoch": 1})


@pytest.mark.slow
def test_videos_beside_images(table):
    named = table.assign(video=[str(number // 8) for number in range(80)]).astype(COLUMNS)
    decision = Decision(2.0, 0.6, (0.5, 0.7), "accuracy", 0.05)
    report = measure(named, NET, video_decision=decision)
    assert report.splits == measure(table, NET).splits
    # Each eight images are four reals and four fakes of two sources: four videos of two frames in each split's 40.
    assert (report.videos.splits["test"].n, report.videos.frames) == (20, 2)
    assert report.videos.splits["test"].threshold == 0.6
    assert measure(table, NET).videos is None


@pytest.mark.slow
def test_foreign_videos_alone_or_beside_others(table):
    named = table.assign(video=[str(number // 8) for number in range(80)]).astype(COLUMNS)
    beside = measure(pd.concat([named, named.assign(split="foreign")]).astype(COLUMNS), NET)
    alone = measure(named[named["split"] == "test"], NET, foreign=beside.foreign)
    assert beside.videos.foreign.origins["a"].n == 40
    assert alone.videos.foreign.origins["a"].n == 20
    assert measure(named, NET).videos.foreign is None


def test_a_report_survives_its_file(table, tmp_path):
    report = measure(table, NET)
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == report


def test_figures_are_of_the_evaluated_split(table, tmp_path):
    report = measure(table, NET)
    names = draw_figures(report, table, tmp_path)
    assert names == ["confusion.png", "roc.png", "reliability.png", "scores.png"]
    assert report.evaluated_split == "test"
    before = (tmp_path / "scores.png").read_bytes()
    draw_figures(report, table[table["split"] == "test"], tmp_path)
    assert (tmp_path / "scores.png").read_bytes() == before
    for name in names:
        assert Image.open(tmp_path / name).width > 400


def test_learning_curves_where_there_was_a_training(table, tmp_path):
    epoch = {"epoch": 1, "stage": "main", "train_loss": 0.5, "log_loss": 0.4, "auc": 0.9}
    training = {"epochs": [epoch], "best_epoch": 1, "options": {"monitor": "auc"}}
    assert "learning_curves.png" in draw_figures(measure(table, NET, training=training), table, tmp_path)


def test_without_a_test_split_another_is_evaluated(table):
    assert measure(table[table["split"] == "validation"], NET).evaluated_split == "validation"
