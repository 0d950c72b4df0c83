from hf_deepfake.metrics.decision import Decision
from hf_deepfake.metrics.result import UNSURE_METRICS, evaluate_scores
from hf_deepfake.metrics.videos import VideoResult
from hf_deepfake.report.video_table import video_note, video_rows

SCORES, LABELS, GROUPS = [0.9, 0.4, 0.2], [1, 1, 0], ["a", "b", "b"]


def test_a_row_for_each_metric_and_a_column_for_each_split():
    plain = evaluate_scores(SCORES, LABELS, GROUPS, 0.5)
    rows = video_rows(VideoResult(None, 16, {"validation": plain, "test": plain}, {}), {"auc": "AUC"})
    assert rows == [
        ["By video", "validation", "test"],
        ["Videos", "1 real, 2 fake", "1 real, 2 fake"],
        ["Groups", "2", "2"],
        ["AUC", str(plain.metrics["auc"]), str(plain.metrics["auc"])],
    ]


def test_what_the_band_does():
    test = evaluate_scores(SCORES, LABELS, None, 0.3, abstention_band=(0.25, 0.5))
    decision = Decision(1.5, 0.3, (0.25, 0.5), "accuracy", 0.05)
    rows = video_rows(VideoResult(decision, 16, {"test": test}, {}), {"auc": "AUC"})
    assert [row[0] for row in rows] == ["By video", "Videos", "AUC", *UNSURE_METRICS.values()]
    assert rows[3][1].startswith("0.667")


def test_how_a_video_is_decided_in_words():
    result = evaluate_scores(SCORES, LABELS)
    own = VideoResult(Decision(1.5, 0.3, (0.25, 0.5), "accuracy", 0.05), 16, {"test": result}, {})
    assert video_note(own, 0.4) == (
        "A video's score is the mean logit of its frames (median: 16), divided by a temperature of 1.500. Its verdict "
        "is fake from P(fake) 0.300 on and unsure from 0.250 to 0.500. All this was chosen on the videos of the images "
        "that decided."
    )
    assert video_note(VideoResult(None, 4.5, {"test": result}, {}), 0.4) == (
        "A video's score is the mean logit of its frames (median: 4.5). Its verdict is fake from P(fake) 0.400 on, as "
        "a frame's is, and never unsure: there were fewer than 20 videos of a class to decide on more."
    )
