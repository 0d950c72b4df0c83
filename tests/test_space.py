import importlib.util
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """The function behind the page, with the checkpoint of an untrained net."""
    spec = importlib.util.spec_from_file_location("space_app", ROOT / "space" / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = build_model("test_resnet", image_size=64, pretrained="off")
    return module.build_app(str(export_checkpoint(net, tmp_path_factory.mktemp("c") / "checkpoint", image_size=64))).fn


def test_scores_of_both_labels(judge):
    scores = judge(Image.new("RGB", (80, 70), (200, 120, 90)))
    assert scores.keys() == {"real", "fake"}
    assert sum(scores.values()) == pytest.approx(1)


def test_errors_are_messages(judge):
    with pytest.raises(gr.Error, match="Choose a picture first"):
        judge(None)
    with pytest.raises(gr.Error, match="32"):
        judge(Image.new("RGB", (5, 5)))
