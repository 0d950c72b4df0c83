import numpy as np
import pytest

from hf_deepfake.detect.agreement import doubts, summary
from hf_deepfake.metrics.bootstrap import index_groups
from hf_deepfake.metrics.result import Metric
from hf_deepfake.report.compare import auc_difference
from hf_deepfake.report.report import BackendResult

SMALL = np.full(40, 1e-6)
INSIDE = Metric(0.001, -0.002, 0.0049)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_what_lies_inside_all_margins_agrees(precision):
    assert doubts(precision, SMALL, INSIDE, 0, 30) == []


@pytest.mark.parametrize("ends", [(-0.006, 0.001), (-0.001, 0.006), (-0.1, 0.1)])
def test_that_no_difference_is_shown_is_not_enough(ends):
    # All of these hold 0.
    assert doubts("int8", SMALL, Metric(0.0, *ends), 0, 40) == ["it is not shown that the AUC changes by 0.005 at most"]


def test_a_difference_inside_the_margin_agrees_though_it_is_shown():
    assert doubts("int8", SMALL, Metric(0.002, 0.001, 0.003), 0, 40) == []


def test_without_an_interval_nothing_is_shown():
    expected = ["what the AUC changes by is not known (one group)"]
    assert doubts("fp32", SMALL, Metric(0.0, reason="one group"), 0, 1) == expected


def test_few_groups_show_nothing_where_scores_may_move():
    assert doubts("int8", SMALL, Metric(0.0, 0.0, 0.0), 0, 29) == [
        "29 groups of images show nothing, and 30 are needed"
    ]
    assert doubts("fp32", SMALL, Metric(0.0, 0.0, 0.0), 0, 29) == []


def test_every_limit_has_its_clause():
    moved = np.array([0.2, 0.0])
    assert doubts("bf16", moved, INSIDE, 3, 40) == [
        "a score moves by 0.2, and 0.005 is the most",
        "scores move by 0.1 on average, and 0.01 is the most",
        "3 verdicts change",
    ]


def test_few_images_of_a_noisy_variant_are_refused_and_many_of_a_good_one_are_not():
    generator = np.random.default_rng(0)
    for size, noise, agrees in ((60, 0.02, False), (2000, 0.002, True)):
        labels = np.arange(size) % 2
        before = np.clip(0.5 + 0.15 * (labels - 0.5) + 0.2 * generator.normal(size=size), 0.01, 0.99)
        after = np.clip(before + noise * generator.normal(size=size), 0, 1)
        auc, _ = auc_difference([after, before], labels, index_groups(None, size))
        assert auc.low <= 0 <= auc.high  # what was taken for agreement
        assert (doubts("int8", np.abs(after - before) / 10, auc, 0, size) == []) == agrees


def test_the_summary_says_why_not():
    one = BackendResult("onnx", "int8", 60, 0.3, 0.002, Metric(0.0, -0.02, 0.02), 0, False, 9.0, "A CPU", "not shown")
    assert summary([one]).endswith("9.0       no: not shown")
