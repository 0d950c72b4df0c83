import socket

import gradio as gr
import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint
from hf_deepfake.page.blocks import QUEUE_PAUSE, Words, build_page, serve
from hf_deepfake.page.texts import LANGUAGES


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
    with socket.socket() as held:  # without listening, so that the page can, and no other server takes it before
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        serve(page, "127.0.0.1", port, prevent_thread_lock=True, quiet=True)
    assert page.local_url == f"http://127.0.0.1:{port}/"
    assert page._queue.sleep_when_free == QUEUE_PAUSE  # that of the queue that runs


def test_what_is_fixed_is_there_in_every_language(page):
    parts = page.words.translations
    assert list(parts) == list(LANGUAGES)
    assert all(part.keys() == parts["en"].keys() for part in parts.values())
    tabs = [block.label.key for block in page.blocks.values() if isinstance(block, gr.Tab)]
    assert [parts["en"][key] for key in tabs] == ["Check", "Look closer", "Several", "Compare", "Video", "About"]
    assert [parts["de"][key] for key in tabs] == ["Prüfen", "Genauer", "Mehrere", "Vergleich", "Video", "Über"]


def test_limits_are_those_given():
    words = Words(megabytes=7)
    with gr.Blocks():
        part = words.static("picker", shows="verdict", most=1, heading="")
    assert part.value
    assert ["7 MB" in one for language in words.translations.values() for one in language.values()] == [True, True]
