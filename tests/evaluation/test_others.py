"""Models of others: scores are those of transformers' own pipeline, and what cannot be understood is one sentence."""

import logging
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_client import Client, ClientError
from hub_server import HubServer
from other_models import save_vit
from transformers import ViTForImageClassification, pipeline

from hf_deepfake.config import DataConfig
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.evaluate import evaluate
from hf_deepfake.evaluation.others import open_scorer, parse_labels
from hf_deepfake.images.open import open_image
from hf_deepfake.metrics.score_table import load_scores

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(faces, cache):
    return DataConfig(data=(str(faces),))


def of_pipeline(folder, faces, table):
    """What transformers gives each label of each image."""
    classify = pipeline("image-classification", model=str(folder), device="cpu")
    return [
        {one["label"]: one["score"] for one in classify(open_image(faces / file), top_k=None)} for file in table["file"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "fake"),
    [
        (("Realism", "Deepfake"), ("Deepfake",)),
        (("artificial", "human"), ("artificial",)),
        (("AI", "Deepfake", "Real"), ("AI", "Deepfake")),
    ],
)
def test_scores_are_those_of_the_pipeline(labels, fake, config, faces, tmp_path):
    folder = save_vit(tmp_path / "vit", labels)
    report, table = evaluate(folder, config)
    expected = [sum(one[label] for label in fake) for one in of_pipeline(folder, faces, table)]
    assert table["score"].tolist() == pytest.approx(expected, abs=1e-5)
    assert np.ptp(table["score"]) > 1e-3
    info = report.checkpoint
    assert (info.model, info.image_size, info.temperature, info.operating_point) == ("vit", 32, 1, 0.5)
    assert (info.abstention_band, report.splits["test"].unsure) == (None, {})
    assert f"{' and '.join(fake)} as fake" in info.remarks[0]
    assert "maps" in info.remarks[2]
    assert all(remark in report.summary() for remark in info.remarks)


def test_labels_that_mean_nothing(config, faces, tmp_path):
    folder = save_vit(tmp_path / "vit", ("LABEL_0", "LABEL_1"))
    with pytest.raises(InputError, match=r"vit has labels .*: LABEL_0, LABEL_1; .* --labels LABEL_0=real,LABEL_1=fake"):
        evaluate(folder, config)
    _, table = evaluate(folder, config, labels={"label_0": "fake", "LABEL_1": "real"})
    expected = [one["LABEL_0"] for one in of_pipeline(folder, faces, table)]
    assert table["score"].tolist() == pytest.approx(expected, abs=1e-5)
    with pytest.raises(InputError, match=r"--labels maps Fake, but the labels here are LABEL_0, LABEL_1"):
        evaluate(folder, config, labels={"LABEL_0": "fake", "LABEL_1": "real", "Fake": "fake"})
    with pytest.raises(InputError, match=r"the labels of vit, LABEL_0, LABEL_1, all mean fake"):
        evaluate(folder, config, labels={"LABEL_0": "fake", "LABEL_1": "fake"})
    with pytest.raises(InputError, match="can mean real or fake only"):
        evaluate(folder, config, labels={"LABEL_0": "true", "LABEL_1": "fake"})


@pytest.mark.parametrize(("labels", "sign"), [(("fake",), 1), (("real",), -1)])
def test_a_model_of_one_label(labels, sign, tmp_path):
    scorer = open_scorer(save_vit(tmp_path / "vit", labels))
    assert scorer._fake(torch.tensor([[2.0]])) == pytest.approx([1 / (1 + math.exp(-2 * sign))])


def test_labels_that_do_not_exclude_each_other(tmp_path):
    scorer = open_scorer(save_vit(tmp_path / "vit", ("real", "fake"), problem_type="multi_label_classification"))
    real, fake = (1 / (1 + math.exp(-logit)) for logit in (0.5, 2))
    assert scorer._fake(torch.tensor([[0.5, 2.0]])) == pytest.approx([fake / (real + fake)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LABEL_0=real,LABEL_1=fake", {"LABEL_0": "real", "LABEL_1": "fake"}),
        ("AI, generated=fake, a=b=real", {"AI, generated": "fake", "a=b": "real"}),
    ],
)
def test_labels_are_read(text, expected):
    assert parse_labels(text) == expected


@pytest.mark.parametrize("text", ["LABEL_0", "LABEL_0=true", "a=real,b", "=fake"])
def test_other_texts_are_no_labels(text):
    with pytest.raises(InputError, match="write each label with its class"):
        parse_labels(text)


def test_a_model_without_classifier_or_with_damage(config, tmp_path):
    folder = save_vit(tmp_path / "vit", ("real", "fake"))
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(InputError, match="vit cannot be loaded as an image-classification model of transformers"):
        evaluate(folder, config)
    bare = save_vit(tmp_path / "bare", ("real", "fake"))
    ViTForImageClassification.from_pretrained(bare).vit.save_pretrained(bare)
    with pytest.raises(InputError, match="has no weights for classifier"):
        evaluate(bare, config, labels={"LABEL_0": "real", "LABEL_1": "fake"})


@pytest.mark.slow
def test_pickled_weights_are_read_with_a_word(config, tmp_path, caplog):
    folder = save_vit(tmp_path / "vit", ("real", "fake"))
    expected = evaluate(folder, config)[1]["score"].tolist()
    model = ViTForImageClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with caplog.at_level(logging.WARNING):
        assert evaluate(folder, config)[1]["score"].tolist() == pytest.approx(expected, abs=1e-6)
    assert "vit has no safetensors" in caplog.text


SCORE = """
from hf_deepfake import DataConfig, evaluate
report, table = evaluate(repo, DataConfig(data=(data,)))
result = [report.checkpoint.model, table["score"].tolist()]
"""


@pytest.mark.slow
def test_a_model_of_the_hub(faces, config, tmp_path):
    folder = save_vit(tmp_path / "vit", ("Realism", "Deepfake"))
    expected = evaluate(folder, config)[1]["score"].tolist()
    with HubServer() as hub, Client(hub.endpoint, tmp_path / "client") as client:
        hub.add("model", "me/vit", {path.name: path.read_bytes() for path in folder.iterdir()})
        for repo in ("me/vit", "me/vit@main"):
            name, scores = client(SCORE, repo=repo, data=str(faces))
            assert name == repo
            assert scores == pytest.approx(expected, abs=1e-6)
        with pytest.raises(ClientError, match="no such branch, tag or commit"):
            client(SCORE, repo="me/vit@nonsense", data=str(faces))


@pytest.mark.slow
def test_two_processes_score_as_one(faces, config, tmp_path):
    models = [save_vit(tmp_path / "vit", ("Realism", "Deepfake")), "a_fourth_detector:score"]
    (tmp_path / "a_fourth_detector.py").write_text(
        "def score(images):\n    return [image.getpixel((0, 0))[0] / 255 for image in images]\n"
    )
    words = [
        *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
        *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
        *(ROOT / "scripts" / "compare.py", *models, "--data", faces, "--out", tmp_path / "out"),
    ]
    done = subprocess.run(list(map(str, words)), check=False, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("12 images") == 1
    together = load_scores(tmp_path / "out" / "vit" / "scores.parquet")["score"].tolist()
    assert together == pytest.approx(evaluate(models[0], config)[1]["score"].tolist(), abs=1e-6)
    together = load_scores(tmp_path / "out" / "a_fourth_detector-score" / "scores.parquet")["score"].tolist()
    files = evaluate(models[0], config)[1]["file"]
    assert together == [open_image(faces / file).getpixel((0, 0))[0] / 255 for file in files]
