from threading import Thread

import httpx
import pytest

from hf_deepfake import Detector
from hf_deepfake.errors import ImageError, InputError
from hf_deepfake.page.limits import Limits
from hf_deepfake.page.service import Service


def test_it_has_evaluated_a_drawn_image_and_counts_only_what_others_ask_for(tiny, face):
    service = Service(Detector.from_pretrained(tiny), Limits())
    expected = Detector.from_pretrained(tiny)(face)
    assert service.detector(face.read_bytes()) == expected
    assert service.detector.explain(face.read_bytes()).verdict == expected
    with pytest.raises(ImageError):
        service.detector(b"no image")
    assert "hf_deepfake_evaluation_seconds_count 2.0" in service.counters.text().decode()


def test_a_model_that_cannot_evaluate_is_never_ready(tiny):
    detector = Detector.from_pretrained(tiny)
    detector._backend._model = None
    with pytest.raises(TypeError):
        Service(detector, Limits())


def test_torch_evaluates_one_image_at_a_time(tiny):
    with pytest.raises(InputError, match=r"^a model on torch evaluates one image at a time; leave out --concurrency"):
        Service(Detector.from_pretrained(tiny), Limits(concurrency=2))


def test_it_ends_when_what_runs_has_ended(served, face, held):
    content, answers, ended = face.read_bytes(), [], []
    first = Thread(target=lambda: answers.append(httpx.post(f"{served.local_url}/predict", content=content)))
    first.start()
    assert held.begun.wait(60)
    assert served.service.stop(grace=0.3) is False
    for path in ("predict", "gradio_api/upload", "gradio_api/queue/join"):
        answer = httpx.post(f"{served.local_url}/{path}", content=content)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["error"] == "The service is stopping; try again in a minute."
    assert httpx.get(f"{served.local_url}/ready").status_code == 503
    assert httpx.get(f"{served.local_url}/health").status_code == 200
    last = Thread(target=lambda: ended.append(served.service.stop()))
    last.start()
    held.go_on.set()
    first.join()
    last.join()
    assert answers[0].status_code == 200
    assert ended == [True]
