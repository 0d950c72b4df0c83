import hashlib
from threading import Event

import pytest
from PIL import Image

from hf_deepfake import Detector
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint
from hf_deepfake.page import check_tab
from hf_deepfake.page.check_tab import Checker
from hf_deepfake.page.turns import Turns
from hf_deepfake.page.verdict_card import Judge


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    draw_sample(folder, count=1, size=128, seed=3)
    return folder / "images" / "real" / "0000.jpg"


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    model = build_model("test_resnet", image_size=64, pretrained="off")
    return Detector.from_pretrained(
        export_checkpoint(model, tmp_path_factory.mktemp("check") / "checkpoint", image_size=64)
    )


@pytest.fixture
def turns():
    return Turns(waiting=2)


@pytest.fixture
def checker(detector, turns):
    return Checker(detector.explain, Judge.of(detector, "0.1.0"), turns)


def choice(*paths, language="en"):
    return {"paths": [str(path) for path in paths], "language": language, "number": "k3"}


def test_what_is_found(checker, detector, image):
    found = checker.queue(str(image)).result()
    assert found.explanation.verdict == detector.explain(image).verdict
    assert found.sha256 == hashlib.sha256(image.read_bytes()).hexdigest()
    assert found.name == "0000.jpg"
    assert found.inspection.facts["File"][0].startswith("JPEG, 128 x 128 px")


def test_the_place_in_the_queue_is_shown_until_the_verdict_is(checker, turns, image):
    go_on = Event()
    turns.queue(lambda: go_on.wait(60))
    shown = check_tab.check_one(checker, choice(image, language="de"))
    first, nothing = next(shown)
    assert "Bitte warten. Ein Bild wird vor Ihrem geprüft." in first
    assert nothing is None
    go_on.set()
    next_one, (last, found) = shown
    assert "Wird geprüft" in next_one[0]
    assert 'data-number="k3"' in last
    assert 'data-state="done"' in last
    assert found.name == "0000.jpg"


def test_what_is_wrong_is_one_sentence(checker, turns, tmp_path, image):
    text = tmp_path / "notes.jpg"
    text.write_text("This is a text.\n" * 20)
    small = tmp_path / "small.png"
    Image.new("RGB", (20, 20)).save(small)
    for value, said in (
        (choice(text), "The image is not an image in any of JPEG"),
        (choice(small), "The image has 20 x 20 px; the shortest side must have at least 32 px."),
        (choice(tmp_path / "gone.jpg"), "The image has been deleted from the server; upload it again."),
        (None, "No image was given; choose one."),
    ):
        *_, (last, found) = check_tab.check_one(checker, value)
        assert said in last
        assert "No verdict" in last
        assert found is None
    go_on = Event()
    for _ in range(3):
        turns.queue(lambda: go_on.wait(60))
    ((full, _),) = check_tab.check_one(checker, choice(image))
    go_on.set()
    assert "2 images are waiting already; try again in a minute." in full


def test_places_in_words():
    said = [check_tab.say_waiting("en", "k3", ahead) for ahead in (0, 1, 5)]
    assert [words in markup for words, markup in zip(("Being", "One image", "5 images"), said, strict=True)] == [
        True
    ] * 3


def test_examples():
    assert check_tab.show_examples().count("<button") == len(list(check_tab.EXAMPLES.glob("*.jpg"))) > 0
