import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from hf_deepfake.config import DataConfig
from hf_deepfake.data.load import prepare
from hf_deepfake.detect.detector import Detector
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.evaluate import evaluate
from hf_deepfake.images.open import open_image
from hf_deepfake.metrics.classification import compute_metrics
from hf_deepfake.models.checkpoint import export_checkpoint
from hf_deepfake.report.report import Report

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def everything(checkpoint, faces, cache):
    """All images of the drawn set, evaluated."""
    return evaluate(str(checkpoint), DataConfig(data=(str(faces),)), split="all")


def test_scores_are_those_before_the_operating_point(everything, checkpoint, model, faces):
    report, table = everything
    assert (len(table), set(table["split"])) == (120, {"all"})
    detector = Detector.from_pretrained(checkpoint, faces="off")
    folded = [verdict.fake_probability for verdict in detector([faces / file for file in table["file"]])]
    shifted = expit(np.log(folded / (1 - np.array(folded))) + np.log(0.4 / 0.6))
    assert table["score"].tolist() == pytest.approx(list(shifted), abs=1e-5)
    # The same from the model before anything was folded into it, at T = 2.
    pixels = torch.stack([detector.checkpoint.transform(open_image(faces / file)) for file in table["file"][:8]])
    with torch.inference_mode():
        logits = model(pixels).double().numpy()
    assert table["score"][:8].tolist() == pytest.approx(list(expit((logits[:, 1] - logits[:, 0]) / 2)), abs=1e-5)
    result = report.splits["all"]
    expected = compute_metrics(table["score"], table["label"], 0.4)
    assert {name: metric.value for name, metric in result.metrics.items()} == pytest.approx(
        {name: expected[name] for name in result.metrics}
    )
    assert result.n_groups == 60
    assert set(result.unsure) == {"coverage", "error", "missed", "false_alarms"}
    assert result.test_looks is None


def test_the_report_describes_the_checkpoint(everything):
    info = everything[0].checkpoint
    assert (info.model, info.image_size, info.temperature, info.operating_point) == ("test_resnet", 64, 2.0, 0.4)
    assert (info.criterion, info.abstention_band, info.confident_error) == ("f1", (0.3, 0.5), 0.1)
    assert everything[0].data["counts"]["train"]["real"] == 48


def test_the_test_split_is_that_of_a_training(checkpoint, faces, cache):
    config = DataConfig(data=(str(faces),))
    _, table = evaluate(str(checkpoint), config)
    expected = [Path(image.filename).name for image in prepare(config)[0]["test"]["image"]]
    assert [Path(file).name for file in table["file"]] == expected


def test_images_of_the_training_are_no_judges(model, faces, cache, tmp_path):
    config = DataConfig(data=(str(faces),))
    trained = export_checkpoint(
        model, tmp_path / "model", image_size=64, data_fingerprint=prepare(config)[1].fingerprint
    )
    with pytest.raises(InputError, match=r"was trained on these images.*give --split test"):
        evaluate(str(trained), config, split="all")
    assert set(evaluate(str(trained), config)[0].splits) == {"test"}


def test_data_without_test_images(checkpoint, faces, cache, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "validation").symlink_to(faces)
    config = DataConfig(data=(str(tmp_path / "set"),))
    with pytest.raises(InputError, match="has no test images; give --split all"):
        evaluate(str(checkpoint), config)
    assert evaluate(str(checkpoint), config, split="all")[0].splits["all"].n == 120


@pytest.mark.slow
def test_two_processes_measure_as_one(everything, checkpoint, faces, cache, tmp_path):
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
        *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
        *(ROOT / "scripts" / "evaluate.py", checkpoint, faces, "--split", "all", "--errors", "--out", tmp_path / "out"),
    ]
    words = list(map(str, command))
    done = subprocess.run(words, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test_resnet, 64 px") == 1
    together = Report.load(tmp_path / "out" / "report.json")
    one, two = everything[0].splits["all"], together.splits["all"]
    assert (one.n, one.n_groups) == (two.n, two.n_groups)
    assert two.metrics["auc"].value == pytest.approx(one.metrics["auc"].value, abs=2e-3)
    assert two.metrics["brier"].value == pytest.approx(one.metrics["brier"].value, abs=1e-4)
    assert (tmp_path / "out" / "roc.png").is_file()
    assert together.errors
    assert done.stdout.count("sheet   ") >= 1
