"""The checkpoint that the project ships: what a person has straight after a clone."""

import json
import re
import runpy
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from timm.data import create_transform, resolve_data_config
from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline

from hf_deepfake.cli.main import main
from hf_deepfake.config import LABELS
from hf_deepfake.detect import choice
from hf_deepfake.detect.detector import Detector
from hf_deepfake.hub.card import build_card
from hf_deepfake.metrics.score_table import load_scores
from hf_deepfake.report.measure import measure
from hf_deepfake.report.report import Report
from hf_deepfake.runtimes.variants import Variant

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "space" / "checkpoint"


@pytest.fixture(scope="module")
def report() -> Report:
    return Report.load(SHIPPED / "report.json")


@pytest.fixture(scope="module")
def files(faces) -> list[Path]:
    return sorted(faces.rglob("*.jpg"))[::12]


def test_half_precision_weights_under_fifty_megabytes():
    file = SHIPPED / "model.safetensors"
    assert file.stat().st_size < 50_000_000
    kinds = {tensor.dtype for tensor in load_file(file).values()}
    assert kinds == {torch.float16, torch.int64}  # integers count BatchNorm's batches


def test_no_image_of_a_person_is_shipped(report):
    figures = {path.name for path in SHIPPED.iterdir() if path.suffix in {".png", ".jpg", ".jpeg", ".webp"}}
    drawn = {
        "confusion.png",
        "roc.png",
        "reliability.png",
        "scores.png",
        "learning_curves.png",
        "robustness.png",
    }
    assert figures == drawn
    assert "/" not in report.training["options"]["pretrained"]


@pytest.mark.slow
def test_readers_agree(files):
    images = [Image.open(path).convert("RGB") for path in files]
    answers = pipeline("image-classification", model=str(SHIPPED), device="cpu")(images)
    scores = {
        "pipeline": [{one["label"]: one["score"] for one in answer}["fake"] for answer in answers],
        "Detector": [
            one.fake_probability for one in Detector.from_pretrained(SHIPPED, faces="off", backend="torch")(files)
        ],
    }
    wrapped = AutoModelForImageClassification.from_pretrained(SHIPPED).eval()
    assert wrapped.config.id2label == dict(enumerate(LABELS))
    assert wrapped.dtype == torch.float32
    model = timm.create_model(f"local-dir:{SHIPPED}", pretrained=True).eval()
    transform = create_transform(**resolve_data_config(model=model), is_training=False)
    pixels = AutoImageProcessor.from_pretrained(SHIPPED)(images, return_tensors="pt")
    with torch.no_grad():
        scores["auto classes"] = wrapped(**pixels).logits.softmax(1)[:, 1].tolist()
        scores["timm"] = model(torch.stack([transform(image) for image in images])).softmax(1)[:, 1].tolist()
    for name, found in scores.items():
        assert found == pytest.approx(scores["timm"], abs=1e-5), name
    assert len({round(score, 3) for score in scores["timm"]}) > len(files) // 2


@pytest.mark.slow
def test_its_int8_file_agrees_and_is_what_a_detector_takes(files, monkeypatch):
    monkeypatch.setattr(choice, "speeds", lambda backends, side: [one.variant.precision == "int8" for one in backends])
    monkeypatch.setattr(choice, "_read", lambda file: {})
    fast = Detector.from_pretrained(SHIPPED, device="cpu")
    assert fast.backend == Variant("openvino", "int8")
    plain = Detector.from_pretrained(SHIPPED, device="cpu", backend="torch")
    differences = [abs(a.fake_probability - b.fake_probability) for a, b in zip(fast(files), plain(files), strict=True)]
    assert max(differences) < 0.15
    assert sum(differences) / len(files) < 0.05
    assert sum(path.stat().st_size for path in (SHIPPED / "backends").iterdir()) < 30_000_000


@pytest.mark.slow
def test_every_figure_is_that_of_the_scores(report):
    looks = report.splits["test"].test_looks
    again = measure(load_scores(SHIPPED / "scores.parquet"), report.checkpoint, test_looks=looks)
    assert again.splits == report.splits
    assert again.subsets == report.subsets


def test_cards_are_those_of_the_report(report):
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    figures = [path.name for path in SHIPPED.glob("*.png")]
    assert card == build_card(report, figures=figures), "run `hf-deepfake report space/checkpoint`"
    root = (ROOT / "model_card.md").read_text(encoding="utf-8")
    assert root == runpy.run_path(str(ROOT / "scripts" / "show_flagship.py"))["card"](), "run `make card`"
    links = re.findall(r"^!\[.*\]\((.+)\)$", root, flags=re.M)
    assert len(links) == len(figures)
    assert all((ROOT / link).is_file() for link in links)


def test_the_image_shows_what_the_scores_say(report):
    script = runpy.run_path(str(ROOT / "scripts" / "show_flagship.py"))
    table = load_scores(SHIPPED / "scores.parquet")
    roc, mild, _ = script["draw"](report, table).axes
    for text, (source, manipulations, _) in zip(roc.get_legend().get_texts(), script["KINDS"].values(), strict=True):
        kind = script["kind_of"](table, source, manipulations)
        assert set(kind["split"]) == {"test"}
        assert text.get_text().endswith(f"AUC {roc_auc_score(kind['label'], kind['score']):.3f}")
    assert [label.get_text() for label in mild.get_yticklabels()][-1] == "clean"
    assert len(mild.get_yticklabels()) == 1 + sum(one.mild for one in report.robustness)


def test_the_card_says_what_may_be_done_with_it(report):
    card = (ROOT / "model_card.md").read_text(encoding="utf-8")
    assert "\nlicense: cc-by-nc-4.0\n" in card
    assert "non-commercial" in report.training["options"]["data_license"]
    for part in ("dfdc", "ciplab", "gan-vs-photo", "celeba", "studio", "## Degraded images", "## Where it looks"):
        assert part in card
    assert report.robustness
    assert report.explanations


@pytest.mark.slow
def test_predict_straight_after_a_clone(faces, capsys):
    image = str(faces / "fake" / "0001.jpg")
    assert main(["predict", image, "--checkpoint", str(SHIPPED), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["label"] in LABELS


@pytest.mark.slow
def test_the_space_judges_with_it_straight_after_a_clone(faces):
    from gradio_client import Client, handle_file

    from hf_deepfake.page.blocks import build_page, serve

    page = build_page(str(SHIPPED))
    serve(page, prevent_thread_lock=True, quiet=True)
    client = Client(page.local_url, verbose=False)
    try:
        image = faces / "real" / "0001.jpg"
        verdict, _ = client.predict(image=handle_file(str(image)), api_name="/predict")
        expected = Detector.from_pretrained(SHIPPED)(image)
        assert verdict["label"] == expected.label
        assert verdict["fake_probability"] == pytest.approx(expected.fake_probability, abs=1e-5)
    finally:
        client.close()  # a server waits for connections that are open, and sweeps until it ends
        page.close()
