"""Drawn clips, checked as the page and its endpoint do."""

from pathlib import Path
from threading import Event

import httpx
import pytest
from clips import encode, numbered
from gradio_client import Client, handle_file

from hf_deepfake import Detector
from hf_deepfake.errors import InputError
from hf_deepfake.page import video_tab
from hf_deepfake.page.turns import Turns
from hf_deepfake.page.verdict_card import Judge
from hf_deepfake.page.video_tab import VideoChecker, check_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    file = tmp_path_factory.mktemp("clips") / "clip.mp4"
    file.write_bytes(encode([numbered(number) for number in range(50)]))
    return file


@pytest.fixture
def turns():
    return Turns(waiting=1)


@pytest.fixture
def checker(tiny, turns):
    detector = Detector.from_pretrained(tiny)
    return VideoChecker(detector.video, Judge.of(detector, "0.1.0"), turns)


def choice(*paths, language="en"):
    return {"paths": [str(path) for path in paths], "language": language, "number": "k3"}


def test_place_then_frames_then_verdict(checker, turns, clip):
    go_on = Event()
    turns.queue(lambda: go_on.wait(60))
    shown = check_video(checker, choice(clip, language="de"))
    assert "Ein Bild wird vor Ihrem geprüft." in next(shown)
    go_on.set()
    assert "Wird geprüft" in next(shown)
    *steps, last = shown
    assert [f"Einzelbild {done} von 16" in step for done, step in enumerate(steps, start=1)] == [True] * 16
    assert 'data-state="done"' in last
    assert 'data-number="k3"' in last
    assert "clip.mp4" in last


def test_it_may_be_deleted_while_it_waits_and_is_closed_after(checker, turns, clip, tmp_path, monkeypatch):
    opened = []
    real_open = video_tab._open
    monkeypatch.setattr(video_tab, "_open", lambda path: opened.append(real_open(path)) or opened[-1])
    file = tmp_path / "clip.mp4"
    file.write_bytes(clip.read_bytes())
    go_on = Event()
    turns.queue(lambda: go_on.wait(60))
    turn, _ = checker.queue(str(file), explain=False)
    file.unlink()
    with pytest.raises(InputError, match="1 images are waiting already"):
        checker.queue(str(clip), explain=False)
    go_on.set()
    assert len(turn.result().verdict.frames) == 16
    assert [one.closed for one in opened] == [True, True]


def test_what_is_wrong_is_one_sentence(checker, tmp_path, monkeypatch, clip):
    text = tmp_path / "notes.mp4"
    text.write_text("This is a text.\n" * 20)
    for value, said in (
        (choice(text), "The video is not a video in any of MP4, MOV, WebM, MKV, AVI; convert it first."),
        (choice(tmp_path / "gone.mp4"), "The video has been deleted from the server; upload it again."),
        (None, "No video was given; choose one."),
    ):
        *_, last = check_video(checker, value)
        assert said in last
        assert "No verdict" in last
    monkeypatch.setattr(video_tab, "LIMITS", video_tab.VideoLimits(duration=1))
    *_, last = check_video(checker, choice(clip))
    assert "The video lasts 2 s, longer than 1 s; cut out a part of it." in last


def test_the_endpoint_says_what_the_detector_does(served, tiny, clip, tmp_path):
    client = Client(served.local_url, verbose=False)
    found = client.predict(handle_file(clip), api_name="/predict_video")
    expected = Detector.from_pretrained(tiny).video(clip).to_dict()
    assert found["label"] == expected["label"]
    assert found["fake_probability"] == pytest.approx(expected["fake_probability"], abs=1e-5)
    assert len(found["frames"]) == 16
    assert found["facts"]["codec"] == "H.264"
    text = tmp_path / "notes.mp4"
    text.write_text("This is a text.\n" * 20)
    with pytest.raises(Exception, match="The video is not a video in any of MP4"):
        client.predict(handle_file(text), api_name="/predict_video")


@pytest.mark.parametrize("path", ["/etc/passwd", "https://example.com/clip.mp4", str(Path(__file__).parent)])
def test_the_endpoint_takes_uploads_alone(served, path):
    url = f"{served.local_url}/gradio_api/call/predict_video"
    for value in ({"path": path, "meta": {"_type": "gradio.FileData"}}, {"path": path, "url": path}, [{"path": path}]):
        event = httpx.post(url, json={"data": [value]}).json()["event_id"]
        answer = httpx.get(f"{url}/{event}", timeout=30).text
        assert "event: error" in answer
        assert "Neither links nor paths are evaluated" in answer or "What was sent is no upload" in answer


def test_a_video_may_be_larger_than_an_image_and_images_keep_their_limit(served, tmp_path):
    client = Client(served.local_url, verbose=False)
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(3 * served.service.limits.image_bytes))
    with pytest.raises(Exception, match="The video is not a video in any of MP4"):
        client.predict(handle_file(large), api_name="/predict_video")
    with pytest.raises(Exception, match="The file has more than 1 MB; save it smaller"):
        client.predict(handle_file(large), api_name="/predict")
