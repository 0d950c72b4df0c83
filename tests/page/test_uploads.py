"""The page's server in this process: what it takes, how long it keeps it, and who waits."""

import asyncio
import json
import os
import time
from itertools import chain
from pathlib import Path
from threading import Event, Semaphore, Thread

import gradio as gr
import httpx
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint
from hf_deepfake.page import blocks, uploads
from hf_deepfake.page.limits import Limits

FILE = {"_type": "gradio.FileData"}
DUE = Semaphore(0)


async def pause():
    while not DUE.acquire(blocking=False):
        await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    model = build_model("test_resnet", image_size=64, pretrained="off")
    return str(export_checkpoint(model, tmp_path_factory.mktemp("space") / "checkpoint", image_size=64))


@pytest.fixture(scope="module")
def page(checkpoint):
    """The page with room for nobody to wait, swept when `DUE` says so."""
    with pytest.MonkeyPatch.context() as patch:
        page = blocks.build_page(checkpoint, Limits(waiting=0))
        # Of this page alone: another one's server that has not quite ended would take what is due here.
        patch.setattr(page, "pause", pause)
        blocks.serve(page, prevent_thread_lock=True, quiet=True)
        yield page
        gr.close_all()


@pytest.fixture(scope="module")
def kept(page):
    """What is there before anybody comes, but an empty folder of gradio's: the page's own images.

    And what other pages of this process hold, which may go at any time: gradio has one folder for all.
    """
    return {path for path in contents() if Path(path).is_file() or any(Path(path).iterdir())}


@pytest.fixture
def image(tmp_path):
    file = tmp_path / "face.png"
    Image.new("RGB", (64, 64), (200, 150, 120)).save(file)
    return file


def contents():
    # Not rglob, which fails when a folder goes while it looks.
    return {f"{root}/{name}" for root, *names in os.walk(os.environ["GRADIO_TEMP_DIR"]) for name in chain(*names)}


def upload(page, content=b"no image"):
    """Where the server says that it has put it."""
    sent = httpx.post(f"{page.local_api_url}upload", files={"files": ("face.jpg", content)})
    return sent.raise_for_status().json()[0]


def call(page, body):
    """What `/predict` answers to a whole body: the error or the data."""
    # Not httpx's own JSON, which has no half of a surrogate pair.
    json_type = {"Content-Type": "application/json"}
    sent = httpx.post(f"{page.local_api_url}call/predict", content=json.dumps(body), headers=json_type)
    if sent.status_code != 200:
        return sent.json()["error"]
    answer = httpx.get(f"{page.local_api_url}call/predict/{sent.json()['event_id']}", timeout=30).text
    event, data = answer.strip().splitlines()[-2:]
    return json.loads(data.removeprefix("data: "))["error" if event == "event: error" else 0]


def check(page):
    """The page's own function that checks one image."""
    return next(number for number, function in page.fns.items() if function.name == "check")


def wait_for(met):
    deadline = time.monotonic() + 60
    while not met():
        assert time.monotonic() < deadline


ODD = [
    *(
        "/etc/passwd",
        "",
        3,
        1e308,
        True,
        [],
        [[]],
        {},
        {"path": 3},
        {"path": ["x"]},
        {"url": "https://example.com/a.jpg"},
    ),
    *({"path": "{folder}", "meta": meta} for meta in (FILE, {}, None, 3)),
    *({"path": path} for path in ("{folder}", "{parent}", "{parent}/", "{folder}/..", "{folder}/../..", "/", "", ".")),
    *({"path": path} for path in ("{parent}/link", "{parent}/linked/face.jpg", "{folder}/\0", "{folder}/\ud800")),
    *(
        {"path": path}
        for path in ("a" * 5000, "{folder}/" + "a" * 300, "{folder}/face.jpg/x", "https://example.com/a.jpg")
    ),
    [{"path": "{folder}", "meta": FILE}],
    {"x": {"path": "{folder}", "meta": FILE}},
    {"path": {"path": "{folder}", "meta": FILE}, "meta": FILE},
]


@pytest.mark.slow
def test_the_sweep_outlives_whatever_a_request_holds(page, kept, tmp_path, capfd):
    parent = Path(os.environ["GRADIO_TEMP_DIR"])
    (tmp_path / "face.jpg").write_bytes(b"outside")
    for value in ODD:
        folder = Path(upload(page)).parent
        for name, target in (("link", tmp_path / "face.jpg"), ("linked", tmp_path)):  # as no request can make them
            (parent / name).unlink(missing_ok=True)
            (parent / name).symlink_to(target)
        text = json.dumps(value).replace("{folder}", str(folder)).replace("{parent}", str(parent))
        said = call(page, {"data": [json.loads(text)]})
        assert said in {uploads.ELSEWHERE, uploads.GONE, uploads.NO_UPLOAD}, value
    assert "Traceback" not in capfd.readouterr().err
    last = Path(upload(page, b"the last one"))
    DUE.release(2)
    wait_for(lambda: contents() <= kept)
    assert not last.exists()
    assert (tmp_path / "face.jpg").read_bytes() == b"outside"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"data": []}, uploads.NO_UPLOAD),
        ({"data": [{"path": None, "url": "https://example.com/a.jpg"}]}, "No image was given; choose one."),
        ({"data": "/etc/passwd"}, uploads.NO_CALL),
        ({"data": [3], "session_hash": 5}, uploads.NO_CALL),
        ({}, uploads.NO_CALL),
        ([], uploads.NO_CALL),
        (None, uploads.NO_CALL),
    ],
)
def test_odd_calls_get_a_sentence(page, body, said, capfd):
    assert call(page, body) == said
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("name", ["queue/join", "run/predict", "call/v2/predict", "call/nothing", "run/nothing"])
@pytest.mark.parametrize("body", [{"fn_index": 99, "data": [3], "session_hash": "a"}, {"x": 3}])
def test_odd_calls_of_other_routes_get_a_sentence(page, name, body, capfd):
    answer = httpx.post(f"{page.local_api_url}{name}", json=body).json()
    assert answer.get("error") in {uploads.NO_CALL, uploads.NO_UPLOAD}
    assert "Traceback" not in capfd.readouterr().err


def test_every_function_of_the_page_refuses_odd_values(page):
    for number, function in page.fns.items():
        body = {"fn_index": number, "data": ["x"] * len(function.inputs), "session_hash": "a"}
        answer = httpx.post(f"{page.local_api_url}run/predict", json=body)
        assert answer.json()["error"] == (uploads.NO_UPLOAD if function.inputs else uploads.NO_CALL)


def test_the_page_itself_takes_nothing_but_uploads(page):
    folder = Path(upload(page)).parent
    marked = {"path": "/etc/passwd", "meta": FILE}
    odd = [*("/etc/passwd", {}, [], 3), *({"paths": paths} for paths in ("/etc/passwd", [3], [marked], ["x"] * 51))]
    for value in odd:
        body = {"fn_index": check(page), "data": [value], "session_hash": "a"}
        assert httpx.post(f"{page.local_api_url}run/predict", json=body).json()["error"] == uploads.NO_UPLOAD, value
    for path in ("/etc/passwd", "https://example.com/a.jpg", str(folder), f"{folder}/../.."):
        body = {"fn_index": check(page), "data": [{"paths": [path], "language": marked}], "session_hash": "a"}
        assert httpx.post(f"{page.local_api_url}run/predict", json=body).json()["error"] == uploads.ELSEWHERE, path
    body = {"fn_index": check(page), "data": [{"paths": [], "language": marked, "number": marked}], "session_hash": "a"}
    assert "No image was given" in httpx.post(f"{page.local_api_url}run/predict", json=body).json()["data"][0]


def test_a_fault_of_the_server_is_said(page, monkeypatch, image):
    def fail(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr(blocks.Detector, "explain", fail)
    assert call(page, {"data": [{"path": upload(page, image.read_bytes())}]}) == uploads.FAILED


def test_who_finds_no_place_to_wait_is_told(page, monkeypatch, image):
    content = image.read_bytes()
    started, go_on = Event(), Event()
    explain = blocks.Detector.explain

    def held(*args):
        started.set()
        assert go_on.wait(60)
        return explain(*args)

    monkeypatch.setattr(blocks.Detector, "explain", held)
    answers = []
    first = Thread(target=lambda: answers.append(call(page, {"data": [{"path": upload(page, content)}]})))
    first.start()
    assert started.wait(60)
    try:
        said = call(page, {"data": [{"path": upload(page, content)}]})
        assert said == "0 images are waiting already; try again in a minute."
        body = {"fn_index": check(page), "data": [{"paths": [upload(page, content)]}], "session_hash": "a"}
        verdict = httpx.post(f"{page.local_api_url}run/predict", json=body).json()["data"][0]
        assert "No verdict" in verdict
        assert said in verdict
    finally:
        go_on.set()
        first.join()
    assert answers[0]["label"] in {"real", "fake"}


def test_the_api_panel_shows_how_to_upload_a_file(page):
    described = httpx.get(f"{page.local_api_url}info").json()["named_endpoints"]["/predict"]
    assert "image=handle_file('face.jpg')" in described["code_snippets"]["python"]
    assert 'fetch("face.jpg")' in described["code_snippets"]["javascript"]
    assert "githubusercontent" not in json.dumps(described)


@pytest.mark.slow
def test_results_are_swept_too(page, kept, image):
    client = Client(page.local_url, verbose=False, analytics_enabled=False, download_files=False)
    _, overlay = client.predict(handle_file(image), api_name="/predict")
    assert Path(overlay["path"]).name == "image.webp"
    # Asked for only once the files are gone: a file that is deleted while it is sent breaks the connection.
    DUE.release(2)
    wait_for(lambda: contents() <= kept)
    assert httpx.get(overlay["url"]).status_code != 200


def test_read_upload(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(b"bytes")
    assert uploads.read_upload({"path": str(file)}) == b"bytes"
    file.unlink()
    with pytest.raises(ValueError, match="has been deleted from the server"):
        uploads.read_upload({"path": str(file)})
    with pytest.raises(ValueError, match="no image was given"):
        uploads.read_upload(None)
