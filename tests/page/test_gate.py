"""Who is let in, over HTTP, and what is logged of them."""

import json
import logging
from http.client import HTTPConnection
from logging.handlers import QueueHandler
from queue import SimpleQueue
from threading import Thread

import gradio as gr
import httpx
import pytest

from hf_deepfake.page.blocks import build_page, serve
from hf_deepfake.page.gate import ROUTES, _route, refused
from hf_deepfake.page.limits import Limits


def test_what_a_refusal_says():
    answer = refused(503, "it is full; come again", 0.2)
    assert (answer.status_code, answer.body) == (503, b'{"error":"It is full; come again."}')
    assert answer.headers["retry-after"] == "1"
    assert "retry-after" not in refused(422, "no image").headers


@pytest.mark.parametrize(
    ("method", "path", "root", "name"),
    [
        ("POST", "/predict", "", "predict"),
        ("POST", "/faces/predict", "/faces", "predict"),
        ("POST", "/gradio_api/call/predict", "", "call"),
        ("POST", "/gradio_api/call/v2/predict", "", "call"),
        ("GET", "/gradio_api/call/predict/123", "", "result"),
        ("GET", "/gradio_api/file=/tmp/a secret name.jpg", "", "file"),
        ("GET", "/a secret name.jpg", "", "page"),
    ],
)
def test_names_of_routes(method, path, root, name):
    assert _route({"method": method, "path": path, "root_path": root}) == name
    assert name in {*ROUTES.values(), "page", "result"}


def test_when_it_is_full_others_are_told_to_come_again(served, face, held):
    content, answers = face.read_bytes(), []
    post = lambda: httpx.post(f"{served.local_url}/predict", content=content, timeout=60)  # noqa: E731
    first = Thread(target=lambda: answers.append(post()))
    first.start()
    assert held.begun.wait(60)
    for path in ("predict", "gradio_api/call/predict", "gradio_api/mcp/"):
        answer = httpx.post(f"{served.local_url}/{path}", content=content)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["error"] == "0 images are waiting already; try again in a minute."
    assert httpx.get(f"{served.local_url}/ready").status_code == 200
    held.go_on.set()
    first.join()
    assert answers[0].status_code == 200
    assert post().status_code == 200


def test_a_body_that_hides_its_length_is_broken_off(served):
    sent = []

    def pieces():
        for _ in range(1000):
            sent.append(1)
            yield bytes(100_000)

    try:
        status = httpx.post(f"{served.local_url}/predict", content=pieces()).status_code
    except httpx.TransportError:  # the connection was closed on what was still to come
        status = 413
    assert status >= 400
    assert len(served.service.turns) == 0


@pytest.mark.parametrize(
    ("route", "size", "said"),
    [
        ("/predict", 3_000_000, "The image has more than 1 MB; save it smaller."),
        ("/gradio_api/upload", 101_000_001, "The video has more than 100 MB; save it smaller."),
    ],
)
def test_a_body_too_large_is_refused_before_it_comes(served, route, size, said):
    connection = HTTPConnection(served.local_url.removeprefix("http://"))
    connection.putrequest("POST", route)
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (413, {"error": said})
    connection.close()


def test_logs_hold_no_name_and_no_content(served, face, caplog):
    lines = SimpleQueue()
    handler = QueueHandler(lines)
    logging.getLogger("hf_deepfake.page").addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "hf_deepfake.page"):
            httpx.post(f"{served.local_url}/gradio_api/upload", files={"files": (face.name, face.read_bytes())})
            httpx.get(f"{served.local_url}/gradio_api/file=/tmp/{face.name}")
            httpx.post(f"{served.local_url}/predict", content=face.read_bytes())
            # A line is written when the answer is out, which may be after it has come.
            facts = [lines.get(timeout=60).facts for _ in range(2)]
    finally:
        logging.getLogger("hf_deepfake.page").removeHandler(handler)
    assert lines.empty()
    assert [(one["route"], one["status"]) for one in facts] == [("upload", 200), ("predict", 200)]
    assert all(one["seconds"] >= 0 for one in facts)
    assert "secret" not in str(facts)


@pytest.fixture(scope="module")
def held_to_two(tiny):
    page = build_page(tiny, Limits(rate=2))
    serve(page, prevent_thread_lock=True, quiet=True)
    yield page.local_url.rstrip("/")
    gr.close_all()


def test_a_client_has_so_many_calls(held_to_two, face):
    # A local proxy says whose request it passes on.
    def post(client):
        headers = {"X-Forwarded-For": client}
        return httpx.post(f"{held_to_two}/predict", content=face.read_bytes(), headers=headers)

    assert [post("192.0.2.1").status_code for _ in range(3)] == [200, 200, 429]
    answer = post("192.0.2.1")
    assert 1 <= int(answer.headers["retry-after"]) <= 30
    assert answer.json()["error"] == "This is more than 2 calls a minute; wait and try again."
    assert post("192.0.2.2").status_code == 200
    assert httpx.get(f"{held_to_two}/health").status_code == 200
