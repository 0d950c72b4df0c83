"""The served page as programs meet it: its API, what it refuses, what it keeps, and how it bears load."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from hf_deepfake import Detector

pytestmark = pytest.mark.slow

META = {"_type": "gradio.FileData"}
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def client(server):
    return Client(server.url, verbose=False, analytics_enabled=False)


@pytest.fixture(scope="module")
def images(drawn):
    return sorted(drawn.rglob("*.jpg"))


@pytest.fixture(scope="module")
def expected(checkpoint, images):
    """What the detector itself says, by path."""
    return dict(zip(images, Detector.from_pretrained(checkpoint)(images), strict=True))


def _post(server, value):
    """Call `/predict` with a raw value; the last event's name and data."""
    sent = httpx.post(f"{server.url}/gradio_api/call/predict", json={"data": [value]}).raise_for_status()
    answer = httpx.get(f"{server.url}/gradio_api/call/predict/{sent.json()['event_id']}", timeout=30).text
    event, data = answer.strip().splitlines()[-2:]
    return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def _kept(server):
    """What lies in the folder of uploads: files and folders of all servers there have been."""
    return list(server.uploads.rglob("*"))


def test_predict(client, images, expected):
    verdict, overlay = client.predict(image=handle_file(images[0]), api_name="/predict")
    told = expected[images[0]]
    assert verdict.keys() == {"label", "score", "fake_probability", "unsure", "faces", "reasons"}
    assert verdict["label"] == told.label
    assert verdict["score"] == pytest.approx(told.score, abs=1e-5)
    assert verdict["fake_probability"] == pytest.approx(told.fake_probability, abs=1e-5)
    with Image.open(overlay) as image:
        assert min(image.size) >= 384


def test_two_endpoints_are_public(client):
    described = client.view_api(return_format="dict", print_info=False)
    assert not described["unnamed_endpoints"]
    taken = {
        name: [given["parameter_name"] for given in one["parameters"]]
        for name, one in described["named_endpoints"].items()
    }
    assert taken == {"/predict": ["image"], "/predict_video": ["video"]}


def test_orientation_tag_is_heeded(client, images, tmp_path):
    with Image.open(images[1]) as image:
        image.save(tmp_path / "upright.png")
        tag = Image.Exif()
        tag[0x0112] = 6  # shown turned by 90 degrees clockwise
        image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=tag)
    upright, turned = (
        client.predict(handle_file(tmp_path / name), api_name="/predict")[0] for name in ("upright.png", "turned.png")
    )
    assert upright == turned


def test_text_named_jpg_is_refused_in_words(client, text_file):
    with pytest.raises(AppError, match="The image is not an image"):
        client.predict(handle_file(text_file), api_name="/predict")


@pytest.mark.parametrize(
    "value",
    [
        {"path": "/etc/passwd"},
        {"path": "/etc/passwd", "meta": META},
        {"path": "file:///etc/passwd", "meta": META},
        {"path": "http://127.0.0.1/image.jpg", "meta": META},
        {"path": "https://example.com/image.jpg", "meta": META},
        {"path": "https://example.com/image.jpg", "meta": META, "is_stream": True},
    ],
)
def test_paths_and_links_are_refused(server, value):
    event, data = _post(server, value)
    assert event == "error"
    assert data["error"] == "Neither links nor paths are evaluated; upload the file itself."


def test_a_way_out_of_the_folder_of_uploads_is_refused(server, images):
    event, data = _post(server, {"path": f"{server.uploads}/../../{images[0].name}", "meta": META})
    assert event == "error"
    assert "Neither links nor paths" in data["error"]


@pytest.mark.parametrize("value", [None, {"path": None, "url": "https://example.com/image.jpg", "meta": META}])
def test_nothing_given(server, value):
    event, data = _post(server, value)
    assert event == "error"
    assert data["error"] == "No image was given; choose one."


def test_what_went_is_said(server):
    event, data = _post(server, {"path": str(server.folder / "gone.jpg"), "meta": META})
    assert event == "error"
    assert "has been deleted from the server; upload it again" in data["error"]


def test_an_image_of_more_than_20_mb_is_refused_and_any_upload_of_more_than_100(server):
    def send(count):
        return httpx.post(f"{server.url}/gradio_api/upload", files={"files": ("a.jpg", bytes(count))}, timeout=60)

    event, data = _post(server, {"path": send(20_000_001).raise_for_status().json()[0], "meta": META})
    assert (event, data["error"]) == ("error", "The file has more than 20 MB; save it smaller.")
    assert send(100_000_001).status_code == 413


def test_twenty_at_once(server, images, expected):
    asked = (images * 3)[:20]
    with ThreadPoolExecutor(20) as threads:
        verdicts = list(threads.map(lambda file: _upload_and_post(server, file), asked))
    for file, verdict in zip(asked, verdicts, strict=True):
        assert verdict["score"] == pytest.approx(expected[file].score, abs=1e-5)
        assert verdict["label"] == expected[file].label


def _upload_and_post(server, file):
    """The verdict on a file."""
    sent = httpx.post(f"{server.url}/gradio_api/upload", files={"files": file.open("rb")}, timeout=60)
    event, data = _post(server, {"path": sent.raise_for_status().json()[0], "meta": META})
    assert event == "complete", data
    return data[0]


def test_memory_stays_flat_over_200_requests(server, images):
    process = psutil.Process(server.process.pid)
    for number in range(50):
        _upload_and_post(server, images[number % len(images)])
    before = process.memory_info().rss
    for number in range(200):
        _upload_and_post(server, images[number % len(images)])
    assert process.memory_info().rss - before < 60 * MEGABYTE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_when_the_server_stops(serve, images, number):
    server = serve()
    _upload_and_post(server, images[0])
    assert _kept(server)
    server.stop(number)
    assert not _kept(server)


def test_nothing_is_left_when_the_server_stops_during_a_request(serve, images):
    """By SIGTERM, as a container is ended."""
    server = serve()
    _upload_and_post(server, images[0])
    with httpx.stream("GET", f"{server.url}/gradio_api/heartbeat/abc", timeout=30) as request:  # never ends by itself
        assert next(request.iter_lines()) is not None
        assert _kept(server)
        server.stop()
    assert not _kept(server)


def test_a_server_removes_what_a_killed_one_left(serve, images):
    killed = serve()
    _upload_and_post(killed, images[0])
    killed.stop(signal.SIGKILL)
    left = killed.folder
    assert list(left.rglob("0000.jpg"))
    restarted = serve(killed.uploads)
    assert not left.exists()
    assert restarted.folder.is_dir()
