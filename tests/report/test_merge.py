from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.metrics.foreign import measure_foreign
from hf_deepfake.metrics.score_table import COLUMNS, load_scores, save_scores
from hf_deepfake.report.measure import measure
from hf_deepfake.report.merge import adopt
from hf_deepfake.report.report import CheckpointInfo, Report

NET = CheckpointInfo("resnet18", 64, 11_177_538, operating_point=0.4, decided_on="validation split of faces")
KNOWN = {"fingerprint": "f00d", "sources": {"faces": {}}}


def scored(split, source="faces", count=40, seed=0):
    """A table of random scores."""
    label = np.arange(count) % 2
    score = np.random.default_rng(seed).uniform(0, 1, count) * 0.5 + 0.4 * label
    rows = {
        "file": [f"{number}.jpg" for number in range(count)], "split": split, "source": source, "origin": source,
        "group": None, "video": None, "manipulation": None, "format": "JPEG", "side": 64,
        "label": label, "score": score,
    }  # fmt: skip
    return pd.DataFrame(rows)[list(COLUMNS)].astype(COLUMNS)


@pytest.fixture
def folder(tmp_path):
    """A checkpoint's folder with report and scores of both splits, its test split looked at once."""
    table = pd.concat([scored("validation"), scored("test", seed=1)], ignore_index=True)
    measure(table, NET, test_looks=1, data=KNOWN).save(tmp_path / "report.json")
    save_scores(tmp_path / "scores.parquet", table)
    return tmp_path


def evaluation(table, fingerprint, foreign=False, **changes):
    """What `evaluate` would say of this table."""
    sources = {source: {} for source in table["source"]}
    info = replace(NET, decided_on="", **changes)
    elsewhere = measure_foreign(table, info.operating_point, None) if foreign else None
    return measure(table, info, data={"fingerprint": fingerprint, "sources": sources}, foreign=elsewhere)


@pytest.mark.slow
def test_foreign_origins_join_those_before(folder):
    before = Report.load(folder / "report.json")
    table = pd.concat([scored("all", "street", seed=2), scored("all", "studio", seed=3)], ignore_index=True)
    found = evaluation(table, "cafe", foreign=True)
    adopt(folder, found, table)
    report = Report.load(folder / "report.json")
    assert report.foreign == found.foreign.counting(None, {"street", "studio"})
    assert replace(report, foreign=None) == before
    alone = scored("all", "street", seed=4)
    adopt(folder, evaluation(alone, "beef", foreign=True), alone)
    again = Report.load(folder / "report.json").foreign
    assert list(again.origins) == ["street", "studio"]
    assert again.origins["street"] == replace(evaluation(alone, "beef").splits["all"], test_looks=2)
    assert again.origins["studio"] == report.foreign.origins["studio"]
    assert again.origins["studio"].test_looks == 1
    both = [again.origins[name].metrics["auc"].value for name in again.origins]
    assert again.mean["auc"].value == pytest.approx(np.mean(both))
    kept = load_scores(folder / "scores.parquet")
    assert kept["split"].value_counts().to_dict() == {"validation": 40, "test": 40, "foreign": 80}


def test_the_data_of_the_training_become_the_test_split(folder):
    table = scored("test", seed=5)
    adopt(folder, evaluation(table, "f00d"), table)
    report = Report.load(folder / "report.json")
    assert list(report.splits) == ["validation", "test"]
    assert report.splits["test"] == replace(evaluation(table, "f00d").splits["test"], test_looks=2)
    kept = load_scores(folder / "scores.parquet")
    assert kept[kept["split"] == "test"]["score"].tolist() == table["score"].tolist()
    assert (kept["split"] == "validation").sum() == 40


def test_what_does_not_belong_is_refused(folder):
    table = scored("test")
    with pytest.raises(InputError, match="is not the checkpoint that was evaluated"):
        adopt(folder, evaluation(table, "f00d", temperature=1.5), table)
    mixed = pd.concat([scored("test"), scored("test", "street")], ignore_index=True)
    with pytest.raises(InputError, match="was trained on other data; give exactly those"):
        adopt(folder, evaluation(mixed, "cafe"), mixed)
    with pytest.raises(InputError, match=r"cannot read .*report\.json"):
        adopt(folder / "nowhere", evaluation(table, "f00d"), table)
