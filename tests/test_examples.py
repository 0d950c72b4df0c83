"""Every example as a user runs it, on drawn images and a small model; the notebook without its cell that installs."""

import base64
import io
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import PIL.Image
import pytest
import torch
from datasets import Dataset, Features, Image
from hub_client import Client
from hub_server import HubServer
from sklearn.metrics import roc_auc_score

from hf_deepfake.data.load import load_images
from hf_deepfake.detect.detector import Detector
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """The checkpoint of an untrained model whose scores differ from image to image."""
    torch.manual_seed(1)
    model: Any = build_model("test_resnet", image_size=64, pretrained="off")
    with torch.no_grad():
        model.fc.weight.mul_(50)
    folder = tmp_path_factory.mktemp("example") / "checkpoint"
    return export_checkpoint(model, folder, image_size=64, temperature=2.0, abstention_band=(0.4, 0.6))


@pytest.fixture
def run(monkeypatch, capsys):
    """Run an example with the words of a command line, and give back what it prints."""

    def run(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_load_with_pipeline(run, checkpoint, faces, monkeypatch):
    images = [str(faces / label / "0001.jpg") for label in ("real", "fake")]
    detector = Detector.from_pretrained(checkpoint)
    verdicts = [detector(image) for image in images]
    monkeypatch.setitem(sys.modules, "hf_deepfake", None)  # any import of the package would fail
    lines = run("load_with_pipeline.py", checkpoint, *images).splitlines()
    assert lines == [
        f"{image}: {verdict.label}, score {verdict.score:.3f}" for image, verdict in zip(images, verdicts, strict=True)
    ]


def test_fine_tune_with_trainer(run, checkpoint, faces, tmp_path):
    printed = run("fine_tune_with_trainer.py", checkpoint, faces, tmp_path / "tuned")
    auc = next(line.removeprefix("test_auc: ") for line in printed.splitlines() if line.startswith("test_auc: "))
    detector = Detector.from_pretrained(tmp_path / "tuned")
    test = load_images(faces)["test"]
    scores = [detector(image).fake_probability for image in test["image"]]
    assert float(auc) == pytest.approx(roc_auc_score(test["label"], scores))
    before = Detector.from_pretrained(checkpoint)
    assert detector.fingerprint != before.fingerprint
    assert (before.checkpoint.temperature, before.checkpoint.abstention_band) == (2.0, (0.4, 0.6))
    assert (detector.checkpoint.temperature, detector.checkpoint.abstention_band) == (1.0, None)


def test_use_the_metric(run, tmp_path):
    scores, labels = [0.9, 0.4, 0.2, 0.6] * 5, [1, 1, 0, 0] * 5
    table = pd.DataFrame({"split": "test", "group": None, "label": labels, "score": scores})
    other = table.assign(split="train", label=1 - table["label"])
    pd.concat([table, other]).to_parquet(tmp_path / "scores.parquet")
    lines = run("use_the_metric.py", tmp_path / "scores.parquet").splitlines()
    name, value, *interval = lines[0].split(maxsplit=2)
    low, high = json.loads(interval[0].replace("(", "[").replace(")", "]"))
    assert (name, float(value)) == ("auc", 0.75)
    assert 0.4 < low < 0.75 < high <= 1
    assert not [line for line in lines if "undefined" in line]
    lines = run("use_the_metric.py", tmp_path / "scores.parquet", "--threshold", 0.95).splitlines()
    assert "precision_fake is undefined: no image was called fake" in lines


STREAM = """
import contextlib, io, runpy, sys
sys.argv = words
with contextlib.redirect_stdout(io.StringIO()) as printed:
    runpy.run_path(words[0], run_name="__main__")
result = printed.getvalue()
"""


@pytest.mark.slow
def test_stream_a_hub_data_set(checkpoint, faces, tmp_path):
    images = sorted((faces / "fake").iterdir())[:5]
    rows = {"image": [{"bytes": image.read_bytes(), "path": None} for image in images]}
    shard = io.BytesIO()
    Dataset.from_dict(rows, features=Features({"image": Image()})).to_parquet(shard)
    words = [str(EXAMPLES / "stream_a_hub_data_set.py"), "me/model", "me/faces", "--count", "4"]
    with HubServer() as hub, Client(hub.endpoint, tmp_path) as client:
        hub.add("model", "me/model", {file.name: file.read_bytes() for file in checkpoint.iterdir()})
        hub.add("dataset", "me/faces", {"data/test-00000-of-00001.parquet": shard.getvalue()})
        lines = client(STREAM, words=words).splitlines()
    detector = Detector.from_pretrained(checkpoint)
    for line, image in zip(lines, images[:4], strict=True):
        said, expected = json.loads(line), detector(image)
        assert said["label"] == expected.label
        assert said["score"] == pytest.approx(expected.score, abs=1e-5)


@pytest.fixture
def space(checkpoint):
    """The address of the Space, started as its users start it."""
    settings = {"HF_DEEPFAKE_CHECKPOINT": str(checkpoint), "PYTHONUNBUFFERED": "1"}
    words = [sys.executable, str(ROOT / "space" / "app.py")]
    with subprocess.Popen(words, env=os.environ | settings, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield next(line.split()[-1] for line in server.stdout if "local URL" in line)
        server.terminate()


@pytest.mark.slow
def test_call_the_space(run, checkpoint, faces, space):
    *verdict, overlay = run("call_the_space.py", space, faces / "fake" / "0001.jpg").splitlines()
    said, expected = json.loads("".join(verdict)), Detector.from_pretrained(checkpoint).explain(faces / "fake/0001.jpg")
    assert said["label"] == expected.verdict.label
    assert said["score"] == pytest.approx(expected.verdict.score, abs=1e-5)
    with PIL.Image.open(overlay) as opened:
        assert opened.size == expected.overlay.size


NOTEBOOK = json.loads((EXAMPLES / "quickstart.ipynb").read_text(encoding="utf-8"))
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def outputs(kind):
    """Outputs of a MIME type that the notebook holds, each as one text."""
    found = [output.get("data", {}).get(kind) for cell in CELLS for output in cell["outputs"]]
    return ["".join(text) for text in found if text]


def test_the_notebook_installs_from_a_variable():
    names = dict(re.findall(r'^(\w+) = "([^"]+)"$', "".join(CELLS[0]["source"]), re.MULTILINE))
    assert names.keys() == {"PACKAGE"}
    assert "".join(CELLS[0]["source"]).splitlines()[-1] == "%pip install --quiet {PACKAGE}"


def test_the_notebook_is_committed_with_its_outputs():
    run = [cell for cell in CELLS if "install" not in cell["metadata"].get("tags", [])]
    assert CELLS[0] not in run
    assert [cell["execution_count"] for cell in run] == list(range(1, len(run) + 1))
    silent = [cell for cell in run if not cell["outputs"]]
    assert ["".join(cell["source"]).split()[0] for cell in silent] == ["epochs"]
    assert "error" not in {output["output_type"] for cell in run for output in cell["outputs"]}
    drawn = outputs("image/png") + outputs("image/jpeg")
    sizes = [PIL.Image.open(io.BytesIO(base64.b64decode(image))).size for image in drawn]
    assert len(sizes) == 3  # the images, the ROC curve, the map
    assert min(min(size) for size in sizes) > 200
    assert (EXAMPLES / "quickstart.ipynb").stat().st_size < 1_000_000
    said = "\n".join(outputs("text/plain") + ["".join(o.get("text", "")) for cell in run for o in cell["outputs"]])
    assert ", score " in said
    assert not re.search(r"/(?:home|root|tmp|work|Users)/|Traceback", said)


@pytest.mark.slow
def test_the_notebook_runs(cache, tmp_path):
    """Its code cells in one process, the install cell left out and the one with parameters replaced."""
    tagged = {tag: cell for cell in CELLS for tag in cell["metadata"].get("tags", [])}
    assert tagged.keys() == {"install", "parameters"}
    sources = [
        "epochs = 1" if cell is tagged["parameters"] else "".join(cell["source"])
        for cell in CELLS
        if cell is not tagged["install"]
    ]
    (tmp_path / "notebook.py").write_text("\n".join(sources) + "\nprint(detector(image))\n")
    done = subprocess.run(
        [sys.executable, "notebook.py"], cwd=tmp_path, env=os.environ | {"MPLBACKEND": "agg"},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert ", score " in done.stdout
    assert (tmp_path / "runs" / "quickstart" / "checkpoint" / "model.safetensors").exists()
