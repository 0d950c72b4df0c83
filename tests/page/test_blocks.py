import socket

import gradio as gr
import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint
from hf_deepfake.page.blocks import build_page, serve


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    model = build_model("test_resnet", image_size=64, pretrained="off")
    yield build_page(str(export_checkpoint(model, tmp_path_factory.mktemp("page") / "checkpoint", image_size=64)))
    gr.close_all()


@pytest.fixture
def taken():
    """A port at which somebody else listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_where_nothing_can_listen(page, taken):
    for host, port in ((None, taken), (None, 70_000), ("nowhere.invalid", None)):
        with pytest.raises(InputError, match=r"^the page cannot be served \(.+\); give a free port, and a host of"):
            serve(page, host, port, prevent_thread_lock=True, quiet=True)


def test_host_and_port_are_those_given(page, taken):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve(page, "127.0.0.1", port, prevent_thread_lock=True, quiet=True)
    assert page.local_url == f"http://127.0.0.1:{port}/"
