"""What comes out of a run: a calibrated checkpoint, and a report that tells of that folder."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.special import expit, logit
from tiny_runs import config

from hf_deepfake.detect.detector import Detector
from hf_deepfake.explain.error_sheets import TILE
from hf_deepfake.metrics.decision import abstention_band
from hf_deepfake.metrics.score_table import load_scores
from hf_deepfake.metrics.videos import decide_videos
from hf_deepfake.training.finish import _rounding, for_others
from hf_deepfake.training.run import train

pytestmark = pytest.mark.slow  # what all of them need takes seconds


def test_the_report_tells_of_the_exported_folder(finished, faces):
    scores = pd.read_parquet(finished.checkpoint / "scores.parquet")
    test = scores[scores["split"] == "test"]
    result = finished.report.splits["test"]
    assert (result.n, result.n_fake, result.test_looks) == (len(test), int(test["label"].sum()), 1)
    verdicts = Detector.from_pretrained(finished.checkpoint)([faces / file for file in test["file"]])
    checkpoint = finished.report.checkpoint
    folded = expit(logit(test["score"]) - logit(checkpoint.operating_point))
    assert [verdict.fake_probability for verdict in verdicts] == pytest.approx(list(folded), abs=1e-5)
    right = (test["score"] >= checkpoint.operating_point) == test["label"]
    assert result.metrics["accuracy"].value == pytest.approx(right.mean())
    assert result.threshold == checkpoint.operating_point
    (explained,) = finished.report.explanations
    assert (explained.method, explained.n) == ("gradcam", 4)
    with Image.open(finished.folder / "maps.jpg") as sheet:  # twelve images, each beside its map
        assert sheet.width > 6 * TILE
        assert sheet.height > 4 * TILE


def test_the_decision_is_that_of_the_validation_scores(finished):
    scores = pd.read_parquet(finished.checkpoint / "scores.parquet")
    validation = scores[scores["split"] == "validation"]
    checkpoint = finished.report.checkpoint
    right = ((validation["score"] >= checkpoint.operating_point) == validation["label"]).mean()
    for other in validation["score"]:  # no other threshold is more accurate
        assert ((validation["score"] >= other) == validation["label"]).mean() <= right
    assert checkpoint.criterion == "accuracy"
    expected = abstention_band(validation["score"], validation["label"], checkpoint.operating_point, 0.05)
    assert checkpoint.abstention_band == pytest.approx(expected, abs=1e-5)


def test_validation_videos_decide_on_videos(faces, tmp_path, monkeypatch):
    monkeypatch.setattr("hf_deepfake.metrics.videos.FEWEST", 5)
    clips = tmp_path / "clips"
    shutil.copytree(faces, clips)
    rows = [line.split(",") for line in (clips / "groups.csv").read_text().splitlines()[1:]]
    lines = [f"{file},{group},{group}" for file, group, _ in rows]
    (clips / "groups.csv").write_text("\n".join(["file,group,video", *lines]) + "\n")
    given = config(clips, tmp_path / "run", model="test_resnet", epochs=1)
    done = train(given)
    scores = load_scores(done.checkpoint / "scores.parquet")
    videos = done.report.videos
    assert videos.decision == decide_videos(scores[scores["split"] == "validation"], given)
    assert list(videos.splits) == ["validation", "test"]
    assert videos.splits["test"].threshold == videos.decision.operating_point


def test_figures_are_of_the_rounded_weights(faces, tmp_path, monkeypatch):
    from hf_deepfake.hub.render_checkpoint import render

    monkeypatch.setattr("hf_deepfake.training.finish.render", render)
    done = train(config(faces, tmp_path / "half", model="test_resnet", save_fp16=True, epochs=1))
    scores = pd.read_parquet(done.checkpoint / "scores.parquet")
    images = scores[scores["split"] == "validation"]
    verdicts = Detector.from_pretrained(done.checkpoint)([faces / file for file in images["file"]])
    folded = expit(logit(images["score"]) - logit(done.report.checkpoint.operating_point))
    assert [verdict.fake_probability for verdict in verdicts] == pytest.approx(list(folded), abs=1e-5)
    rounding = done.report.training["rounding"]
    assert rounding["images"] == len(images)
    assert 0 < rounding["largest"] < 0.01
    assert f"On {len(images)} validation images this moves" in (done.checkpoint / "README.md").read_text()


def test_what_rounding_does_by_hand():
    exact, rounded = np.array([0.2, 0.49, 0.7]), np.array([0.21, 0.51, 0.7])
    assert _rounding(exact, rounded, 0.5) == {"largest": pytest.approx(0.02), "verdicts": 1, "images": 3}
    assert _rounding(exact, rounded, 0.4)["verdicts"] == 0


def test_paths_of_this_machine_and_what_the_report_has_elsewhere_are_not_told():
    given = {"lr": 0.1, "data": ["/home/jane/faces"], "output_dir": "/home/jane/runs/x", "resume": True}
    given |= {"pretrained": "/home/jane/clip.safetensors", "teacher": []}
    told = for_others({"id": "x", "data": {"counts": {}}, "audit": {"findings": []}, "options": given})
    assert told == {"id": "x", "options": {"lr": 0.1, "pretrained": "clip.safetensors", "teacher": []}}
    teachers = ["/home/jane/runs/big/checkpoint", "/home/jane/runs/other/checkpoint"]
    assert for_others({"options": given | {"teacher": teachers}})["options"]["teacher"] == ["big", "other"]
