"""A small model served in this process, with room for one image and nobody to wait."""

from threading import Event

import gradio as gr
import pytest
from PIL import Image

from hf_deepfake.detect.detector import Detector
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint
from hf_deepfake.page.blocks import build_page, serve
from hf_deepfake.page.limits import Limits


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """An untrained model of 64 px."""
    model = build_model("test_resnet", image_size=64, pretrained="off")
    return str(export_checkpoint(model, tmp_path_factory.mktemp("tiny") / "checkpoint", image_size=64))


@pytest.fixture(scope="module")
def served(tiny):
    """Its page, with the URL it is at in `local_url`, without a slash at the end."""
    page = build_page(tiny, Limits(megabytes=1, waiting=0))
    serve(page, prevent_thread_lock=True, quiet=True)
    page.local_url = page.local_url.rstrip("/")
    yield page
    gr.close_all()


@pytest.fixture
def face(tmp_path):
    """A file that opens as an image of 64 px."""
    file = tmp_path / "a secret name.png"
    Image.new("RGB", (64, 64), (200, 150, 120)).save(file)
    return file


class Held:
    """Evaluations that begin and wait."""

    def __init__(self):
        self.begun, self.go_on = Event(), Event()


@pytest.fixture
def held(monkeypatch):
    """Hold every evaluation until it is told to go on."""
    state, evaluate = Held(), Detector.__call__

    def hold(self, image):
        state.begun.set()
        assert state.go_on.wait(60)
        return evaluate(self, image)

    monkeypatch.setattr(Detector, "__call__", hold)
    yield state
    state.go_on.set()
