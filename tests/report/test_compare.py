import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.compare_models import compare
from hf_deepfake.metrics.foreign import ForeignResult
from hf_deepfake.metrics.result import evaluate_scores
from hf_deepfake.metrics.score_table import COLUMNS, save_scores
from hf_deepfake.report.compare import (
    Candidate,
    auc_parts,
    compare_candidates,
    holm,
    load_candidates,
    matrix,
    matrix_text,
)
from hf_deepfake.report.measure import measure
from hf_deepfake.report.report import CheckpointInfo

NET = CheckpointInfo("resnet18", 64, 11_177_538)


def scored(score, label, source="faces", group=None):
    """A table of scores."""
    count = len(label)
    rows = {
        "file": [f"{number}.jpg" for number in range(count)], "split": "test", "source": source, "origin": source,
        "group": group, "video": None, "manipulation": None, "format": "JPEG", "side": 64,
        "label": label, "score": score,
    }  # fmt: skip
    return pd.DataFrame(rows)[list(COLUMNS)].astype(COLUMNS)


def candidate(name, score, label, **options):
    table = scored(score, label, **options)
    return Candidate(name, measure(table, NET), table)


def drawn(size, seed, distance=1.0):
    """Labels, and scores of a detector whose AUC is norm.cdf(distance / sqrt(2))."""
    label = np.arange(size) % 2
    return norm.cdf(np.random.default_rng(seed).normal(size=size) + distance * (label - 0.5)), label


def test_holm_by_hand():
    # Sorted: .01 * 4, .02 * 3, .03 * 2, .5; a corrected p is never below an earlier one.
    assert holm([0.03, 0.5, 0.01, 0.02]) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert holm([0.6, 0.7]) == [1, 1]


def test_mcnemar_by_hand():
    label = np.array([0, 1] * 10)
    right, wrong = np.where(label == 1, 0.9, 0.1), np.where(label == 1, 0.1, 0.9)
    # The first alone is right on 9 images, the second alone on 1: p = 2 * (1 + 10) / 2 ** 10.
    first = np.where(np.arange(20) < 1, wrong, right)
    second = np.where((np.arange(20) >= 1) & (np.arange(20) < 10), wrong, right)
    found = compare_candidates([candidate("a", first, label), candidate("b", second, label)])
    accuracy = found.differences[1]
    assert (accuracy.first, accuracy.second, accuracy.metric) == ("a", "b", "accuracy")
    assert accuracy.p == pytest.approx(22 / 1024)
    assert accuracy.value.value == pytest.approx(0.4)
    assert found.differences[0].p < accuracy.p
    assert accuracy.p_holm == max(accuracy.p, 2 * found.differences[0].p)
    assert accuracy.verdict == "better"


def test_the_same_detector_twice():
    score, label = drawn(200, 0)
    found = compare_candidates([candidate("a", score, label), candidate("b", score, label)])
    for one in found.differences:
        assert (one.value.value, one.value.low, one.value.high) == (0, 0, 0)
        assert (one.p, one.p_holm, one.verdict) == (1, 1, "no difference shown")


@pytest.mark.slow
def test_a_better_detector_is_found():
    (good, label), (bad, _) = drawn(600, 1, 2.0), drawn(600, 2, 1.0)
    for names, word in ((("bad", "good"), "worse"), (("good", "bad"), "better")):
        scores = {"good": good, "bad": bad}
        found = compare_candidates([candidate(name, scores[name], label) for name in names])
        assert [one.verdict for one in found.differences] == [word] * 2
    auc = found.differences[0].value
    assert auc.value == pytest.approx(
        evaluate_scores(good, label).metrics["auc"].value - evaluate_scores(bad, label).metrics["auc"].value
    )
    assert auc.low < norm.cdf(2 / np.sqrt(2)) - norm.cdf(1 / np.sqrt(2)) < auc.high


@pytest.mark.slow
def test_equal_detectors_are_rarely_told_apart():
    found = [
        compare_candidates([candidate("a", *drawn(200, seed)), candidate("b", *drawn(200, 1000 + seed))]).differences
        for seed in range(30)
    ]
    assert sum(one.verdict != "no difference shown" for pair in found for one in pair) <= 4  # 1.5 expected
    p = np.array([pair[0].p for pair in found])
    assert 0.3 < p.mean() < 0.7


@pytest.mark.slow
def test_videos_are_compared_where_all_know_them():
    (good, label), (bad, _) = drawn(600, 1, 2.0), drawn(600, 2, 1.0)
    # Eight images are four frames of a real clip and four of a fake one.
    clips = [str(number // 8) for number in range(600)]
    tables = [scored(score, label).assign(video=clips).astype(COLUMNS) for score in (good, bad)]
    both = [Candidate(name, measure(table, NET), table) for name, table in zip("ab", tables, strict=True)]
    found = compare_candidates(both)
    assert [(one.metric, one.by_video) for one in found.differences] == [
        ("auc", False), ("accuracy", False), ("auc", True), ("accuracy", True),
    ]  # fmt: skip
    assert {name: one.n for name, one in found.videos.items()} == {"a": 150, "b": 150}
    auc = found.differences[2].value.value
    assert auc == pytest.approx(found.videos["a"].metrics["auc"].value - found.videos["b"].metrics["auc"].value)
    accuracy = found.differences[3].value.value
    assert accuracy == pytest.approx(
        found.videos["a"].metrics["accuracy"].value - found.videos["b"].metrics["accuracy"].value
    )
    assert found.differences[3].p_holm >= found.differences[3].p
    lines = found.summary().splitlines()
    assert "150 videos, the same for all" in lines
    assert any(line.split()[2:5] == ["AUC", "by", "video"] for line in lines)
    plain = scored(tables[1]["score"], label)
    assert compare_candidates([both[0], Candidate("c", measure(plain, NET), plain)]).videos == {}


def test_groups_are_drawn_whole():
    (first, label), (second, _) = drawn(40, 3), drawn(40, 4)
    many = [np.repeat(one, 10) for one in (first, second, label)]
    groups = np.repeat([str(number) for number in range(40)], 10)
    alone = compare_candidates([candidate("a", first, label), candidate("b", second, label)]).differences[0].value
    whole = compare_candidates(
        [candidate(name, one, many[2], group=groups) for name, one in zip("ab", many[:2], strict=True)]
    )
    value = whole.differences[0].value
    assert (value.low, value.high) == pytest.approx((alone.low, alone.high), abs=1e-9)


def test_parts_sum_to_the_difference():
    (first, label), (second, _) = drawn(50, 10), drawn(50, 11)
    parts = auc_parts([first, second], label)
    auc = [roc_auc_score(label, score) for score in (first, second)]
    assert parts.sum() == pytest.approx(auc[0] - auc[1])
    assert parts[label == 1].sum() == pytest.approx(parts[label == 0].sum())


def test_copies_within_groups_make_no_difference_surer():
    (first, label), (second, _) = drawn(40, 12), drawn(40, 13, 1.6)
    many = [np.repeat(one, 25) for one in (first, second, label)]
    groups = np.repeat([str(number) for number in range(40)], 25)
    alone, whole = (
        compare_candidates(
            [candidate("a", one, same, group=group), candidate("b", other, same, group=group)]
        ).differences
        for one, other, same, group in ((first, second, label, None), (*many, groups))
    )
    # Signs are drawn in another order.
    assert [one.p for one in whole] == pytest.approx([one.p for one in alone], abs=0.03)


def test_one_group_shows_no_difference():
    (first, label), (second, _) = drawn(40, 14, 3.0), drawn(40, 15, 0.0)
    found = compare_candidates(
        [candidate(name, score, label, group="one person") for name, score in (("a", first), ("b", second))]
    )
    for one in found.differences:
        assert one.value.value > 0.2
        assert (one.value.low, one.value.high, one.value.reason) == (None, None, "one group")
        assert (one.p, one.p_holm, one.verdict) == (None, None, "no difference shown")
    assert "nan" not in found.summary()
    assert "NaN" not in json.dumps(found.to_dict())


def test_one_class_has_no_auc_to_compare():
    label = np.ones(20, int)
    found = compare_candidates([candidate("a", drawn(20, 1)[0], label), candidate("b", drawn(20, 2)[0], label)])
    auc, accuracy = found.differences
    assert (auc.value.value, auc.value.reason, auc.p, auc.p_holm) == (None, "one class only", None, None)
    assert accuracy.p_holm == accuracy.p  # one test alone needs no correction
    assert "undefined (one class only)" in found.summary()


def test_order_of_rows_does_not_matter():
    first, second = candidate("a", *drawn(100, 5)), candidate("b", *drawn(100, 6))
    mixed = dataclasses.replace(second, table=second.table.sample(frac=1, random_state=0))
    assert compare_candidates([first, second]).differences == compare_candidates([first, mixed]).differences


def test_other_images_are_refused():
    score, label = drawn(20, 7)
    one = candidate("one", score, label)
    fewer = candidate("few", score[:18], label[:18])
    with pytest.raises(InputError, match="2 images were evaluated by one alone and 0 by few alone"):
        compare_candidates([one, fewer])
    with pytest.raises(InputError, match="20 images were evaluated by one alone and 20 by other alone"):
        compare_candidates([one, candidate("other", score, label, source="street")])


@pytest.mark.slow
def test_each_pair_and_a_matrix():
    label = np.arange(60) % 2
    sources = np.repeat(["street", "studio"], 30)
    three = [candidate(name, drawn(60, seed)[0], label, source=sources) for seed, name in enumerate("abc")]
    found = compare_candidates(three)
    assert [(one.first, one.second, one.metric) for one in found.differences] == [
        (first, second, metric) for first, second in ("ab", "ac", "bc") for metric in ("auc", "accuracy")
    ]
    assert set(found.results) == set("abc")
    assert list(found.matrix["a"]) == ["street", "studio"]
    half = evaluate_scores(three[0].table["score"][:30], label[:30]).metrics["auc"]
    assert found.matrix["a"]["street"] == half
    text = found.summary()
    assert text.startswith("60 images, the same for all")
    assert str(half) in text
    assert json.loads(json.dumps(found.to_dict()))["n"] == 60


def test_a_matrix_of_other_images():
    one, other = candidate("one", *drawn(20, 8)), candidate("other", *drawn(30, 9), source="street")
    other = dataclasses.replace(
        other,
        report=dataclasses.replace(
            other.report, foreign=ForeignResult({"studio": evaluate_scores(*drawn(30, 1))}, {}, {})
        ),
    )
    cells = matrix([one, other])
    assert set(cells["one"]) == {"faces"}
    assert set(cells["other"]) == {"street", "studio"}
    assert matrix_text(cells).splitlines()[0].split() == ["AUC", "by", "source", "faces", "street", "studio"]


def save(folder, seed):
    folder.mkdir(parents=True)
    table = scored(*drawn(20, seed))
    measure(table, NET).save(folder / "report.json")
    save_scores(folder / "scores.parquet", table)
    return folder


@pytest.mark.slow
def test_names_are_those_of_folders(tmp_path):
    folders = [save(tmp_path / name, 0) for name in ("x/checkpoint", "y/checkpoint", "z")]
    assert [one.name for one in load_candidates(folders)] == ["x", "y", "z"]
    more = [save(tmp_path / name, 0) for name in ("first/test", "second/test")]
    assert [one.name for one in load_candidates(more)] == ["first/test", "second/test"]
    deeper = [save(tmp_path / name, 0) for name in ("first/a/test", "second/a/test")]
    assert [one.name for one in load_candidates(deeper)] == ["first/a/test", "second/a/test"]
    assert len(load_candidates(folders)[0].table) == 20
    assert compare(folders) == compare_candidates(load_candidates(folders))
    for few in ([folders[0]], [folders[0], folders[0]]):
        with pytest.raises(InputError, match="two or more different folders"):
            load_candidates(few)
        with pytest.raises(InputError, match="two or more different folders"):
            compare(few)
    with pytest.raises(InputError, match="cannot read"):
        load_candidates([folders[0], tmp_path])
