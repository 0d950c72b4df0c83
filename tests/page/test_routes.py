"""What is served beside the page, over HTTP."""

import httpx
import numpy as np
import pytest
from PIL import Image

from hf_deepfake import Detector


def test_it_lives_and_is_ready(served):
    assert httpx.get(f"{served.local_url}/health").json() == {"status": "alive"}
    told = httpx.get(f"{served.local_url}/ready").raise_for_status().json()
    assert (told["status"], told["backend"]) == ("ready", "torch fp32")
    assert told["model"] == served.service.facts["model"]


def test_predict_answers_as_the_detector_does(served, tiny, face):
    found = httpx.post(f"{served.local_url}/predict", content=face.read_bytes()).raise_for_status().json()
    expected = Detector.from_pretrained(tiny)(face).to_dict()
    assert found["fake_probability"] == pytest.approx(expected["fake_probability"], abs=1e-6)
    assert found.keys() == expected.keys()


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"", 422, "No image was given; send the file as the request's body."),
        (b"This is a text.", 422, "The image is not an image in any of"),
        (bytes(1_000_001), 413, "The image has more than 1 MB; save it smaller."),
        (bytes(3_000_000), 413, "The image has more than 1 MB; save it smaller."),
    ],
)
def test_what_is_no_image(served, content, status, said):
    answer = httpx.post(f"{served.local_url}/predict", content=content)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(said)


def test_other_methods_and_links_are_refused(served):
    assert httpx.get(f"{served.local_url}/predict").status_code == 405
    answer = httpx.post(f"{served.local_url}/predict", content=b"https://example.com/a.jpg")
    assert answer.status_code == 422


def test_counts_are_told(served):
    httpx.post(f"{served.local_url}/predict", content=b"none")
    answer = httpx.get(f"{served.local_url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'hf_deepfake_requests_total{route="predict",status="422"}' in answer.text


def test_nothing_of_an_image_is_kept(served, tmp_path):
    """A file that is sent as a body touches no disk."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    content = (tmp_path / "noise.png").read_bytes()
    folder = tmp_path.parent
    httpx.post(f"{served.local_url}/predict", content=content).raise_for_status()
    kept = [path for path in folder.rglob("*") if path.is_file() and path.parent != tmp_path]
    assert [path for path in kept if path.read_bytes() == content] == []
