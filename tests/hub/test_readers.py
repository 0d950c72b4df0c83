"""What was pushed, loaded back by name in fresh processes: by others' code without this package, and by ours."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import timm
from hub_client import Client, ClientError
from safetensors.torch import save

from hf_deepfake.config import SPLITS, DataConfig
from hf_deepfake.data.load import prepare
from hf_deepfake.detect.detector import Detector
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint
from hf_deepfake.report.report import Report

PUSH = """
from hf_deepfake.config import DataConfig
from hf_deepfake.hub.push import push_to_hub
from hf_deepfake.hub.push_data import push_data
push_to_hub(checkpoint, "me/detector", license="mit")
push_to_hub(branch, "me/detector", license="mit", revision="epoch-3")
push_data(DataConfig(data=(faces,)), "me/faces", license="mit")
"""
WITHOUT_THE_PACKAGE = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "hf_deepfake":
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture(scope="module")
def pushed(client, checkpoint, faces, tmp_path_factory):
    """Two revisions of a model and a data set on the Hub, and where they came from."""
    model = build_model("test_resnet", image_size=64, pretrained="off")
    branch = tmp_path_factory.mktemp("branch") / "checkpoint"
    export_checkpoint(model, branch, image_size=64, temperature=1.5, operating_point=0.3)
    (branch / "report.json").write_bytes((checkpoint / "report.json").read_bytes())
    client(PUSH, checkpoint=str(checkpoint), branch=str(branch), faces=str(faces))
    return SimpleNamespace(main=checkpoint, branch=branch, image=str(faces / "fake" / "0003.jpg"))


@pytest.fixture(scope="module")
def others(server, tmp_path_factory):
    """A fresh process that cannot import this package."""
    with Client(server.endpoint, tmp_path_factory.mktemp("others"), prelude=WITHOUT_THE_PACKAGE) as process:
        yield process


@pytest.fixture(scope="module")
def ours(server, tmp_path_factory):
    """A fresh process with this package."""
    with Client(server.endpoint, tmp_path_factory.mktemp("ours")) as process:
        yield process


@pytest.mark.slow
def test_readers_without_the_package(others, pushed):
    code = """
import timm, torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline

photo = Image.open(image)

def by_pipeline(name):
    return {entry["label"]: entry["score"] for entry in pipeline("image-classification", model=name)(photo)}

def by_auto(name):
    processor, model = AutoImageProcessor.from_pretrained(name), AutoModelForImageClassification.from_pretrained(name)
    with torch.no_grad():
        scores = model(**processor(photo, return_tensors="pt")).logits.softmax(-1)[0].tolist()
    return {model.config.id2label[index]: score for index, score in enumerate(scores)}

def by_timm(name):
    model = timm.create_model(name, pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    with torch.no_grad():
        scores = model(transform(photo)[None]).softmax(-1)[0].tolist()
    return dict(zip(model.pretrained_cfg["label_names"], scores))

result = [by_pipeline(folder), by_pipeline("me/detector"), by_auto("me/detector"), by_timm("hf-hub:me/detector"),
          by_timm("hf-hub:me/detector@epoch-3")]
try:
    import hf_deepfake
except ImportError as error:
    result.append(str(error))
"""
    local, *readers, branch, blocked = others(code, folder=str(pushed.main), image=pushed.image)
    for scores in readers:
        assert scores == pytest.approx(local, abs=1e-5)
    expected = Detector.from_pretrained(pushed.branch)(pushed.image).fake_probability
    assert branch["fake"] == pytest.approx(expected, abs=1e-5)
    assert abs(branch["fake"] - local["fake"]) > 1e-4
    assert blocked == "hf_deepfake must not be needed"


@pytest.mark.slow
def test_a_checkpoint_by_name_keeps_its_history(client, ours, checkpoint, faces, tmp_path):
    folder = tmp_path / "history"
    shutil.copytree(checkpoint, folder)
    report = Report.load(folder / "report.json")
    data = prepare(DataConfig(data=(str(faces),)))[1].to_dict()
    known = {"data": data, "audit": {"level": "basic", "findings": [], "shortcuts": {}}, "notes": "For research alone."}
    replace(report, **known).save(folder / "report.json")
    push = 'from hf_deepfake.hub.push import push_to_hub\npush_to_hub(folder, "me/history", license="mit")'
    client(push, folder=str(folder))
    code = """
from hf_deepfake.config import DecisionConfig
from hf_deepfake.evaluation.recalibrate import recalibrate
recalibrate("me/history", DecisionConfig(data=(faces,)), out)
"""
    ours(code, faces=str(faces), out=str(tmp_path / "new"))
    new = Report.load(tmp_path / "new" / "report.json")
    assert {name: getattr(new, name) for name in known} == known


@pytest.mark.slow
def test_a_data_set_without_the_package(others, pushed):
    code = """
from datasets import load_dataset
whole, stream = load_dataset("me/faces"), load_dataset("me/faces", split="test", streaming=True)
rows = list(stream)
result = [
    {split: len(rows) for split, rows in whole.items()},
    whole["train"].features["label"].names,
    [row["label"] for row in rows] == whole["test"]["label"],
    rows[0]["image"].tobytes() == whole["test"][0]["image"].tobytes(),
    rows[0]["image"].size,
]
"""
    assert others(code) == [{"train": 96, "validation": 12, "test": 12}, ["real", "fake"], True, True, [64, 64]]


@pytest.mark.slow
def test_detector_by_name_and_revision(ours, pushed):
    code = """
from hf_deepfake import Detector
result = [Detector.from_pretrained("me/detector", revision=name)(image).fake_probability for name in revisions]
"""
    revisions = [None, "main", "epoch-3"]
    local = [Detector.from_pretrained(folder)(pushed.image) for folder in (pushed.main, pushed.branch)]
    main, branch = (verdict.fake_probability for verdict in local)
    assert ours(code, revisions=revisions, image=pushed.image) == pytest.approx([main, main, branch], abs=1e-6)


@pytest.mark.slow
def test_load_images_by_name(ours, pushed, faces):
    code = """
from hf_deepfake.config import DataConfig
from hf_deepfake.data.load import prepare
data, report = prepare(DataConfig(data=("me/faces",)))
result = [report.fingerprint, report.counts, report.made, sorted(set(data["test"]["group"]))]
"""
    data, report = prepare(DataConfig(data=(str(faces),)))
    assert ours(code) == [report.fingerprint, report.counts, {}, sorted(set(data["test"]["group"]))]


@pytest.mark.slow
def test_training_starts_from_repositories_in_timms_format(ours, pushed, hub):
    code = """
from huggingface_hub import snapshot_download
from hf_deepfake.models.build import build_model
pushed = snapshot_download("me/detector")
models = [build_model("test_resnet", image_size=64, pretrained=start) for start in ("hub", pushed)]
result = [[model.conv1[0].weight.sum().item(), model.get_classifier().weight.sum().item()] for model in models]
"""
    model, detector = timm.create_model("test_resnet"), Detector.from_pretrained(pushed.main).checkpoint.model
    hub.add("model", "timm/test_resnet.r160_in1k", {"model.safetensors": save(model.state_dict())})
    (imagenet, _), (own, classifier) = ours(code)
    assert imagenet == pytest.approx(model.conv1[0].weight.sum().item(), abs=1e-5)
    assert own == pytest.approx(detector.conv1[0].weight.sum().item(), abs=1e-5)
    assert classifier == pytest.approx(detector.get_classifier().weight.sum().item(), abs=1e-5)


@pytest.mark.slow
def test_what_cannot_be_loaded(ours, pushed, hub):
    code = "from hf_deepfake import Detector; Detector.from_pretrained(repo, revision=revision)"
    files = hub.repos["model", "me/detector"].files()
    hub.add("model", "other/secret", files, private=True)
    hub.add("model", "other/gated", files, gated=True)

    def refused(repo, said, revision=None):
        with pytest.raises(ClientError, match=rf"^InputError: {repo} [^\n]*{said}[^\n]*; [^\n]*$"):
            ours(code, repo=repo, revision=revision)

    refused("me/nothing", "no such repository, or it is private")
    refused("other/secret", "no such repository, or it is private")
    refused("other/gated", "it is gated")
    refused("me/detector", "no such branch, tag or commit", revision="nonsense")
    for request, how, said in (
        ("info", 401, "the token is missing or not valid"),
        ("info", 403, "the token does not allow it"),
        ("tree", 429, "too many requests"),
        ("tree", 500, "trouble of its own"),
        ("info", "drop", "hung up"),
        ("download", "drop", "hung up"),
        ("download", 500, "trouble of its own"),
    ):
        name = f"me/load-{request}-{how}"
        hub.add("model", name, files | {"model.safetensors": files["model.safetensors"] + name.encode()})
        hub.fail(request, how, times=99)
        refused(name, said)
        hub.failures.clear()
    hub.add("model", "me/empty", {"README.md": b""})
    refused("me/empty", r"holds no checkpoint|has no config\.json")


@pytest.mark.slow
def test_a_data_set_is_evaluated_as_a_stream(server, pushed, faces, tmp_path):
    code = """
import json, os
from pathlib import Path
from hf_deepfake import Detector
from hf_deepfake.detect.batch_predict import predict
from hf_deepfake.detect.units import find_units
units = find_units(["me/faces"])
lines = list(predict(Detector.from_pretrained(folder), units, form="json"))
result = [[unit.name for unit in units], [json.loads(line) for line in lines]]
stored = sorted(Path(os.environ["HF_HOME"]).rglob("*.parquet"))
result.append([str(path) for path in stored if path.resolve().stat().st_size])
"""
    with Client(server.endpoint, tmp_path) as fresh:
        names, records, stored = fresh(code, folder=str(pushed.main))
    assert len(set(names)) == len(names)  # other tests push the same set in more shards
    assert {name.rsplit("-", 1)[0] for name in names} == {f"me/faces/{split}" for split in SPLITS}
    detector = Detector.from_pretrained(pushed.main)
    expected = sorted(detector(file).fake_probability for file in map(str, faces.rglob("*.jpg")))
    assert sorted(record["fake_probability"] for record in records) == pytest.approx(expected, abs=1e-6)
    assert len({record["file"] for record in records}) == 120
    assert stored == []
