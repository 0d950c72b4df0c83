import numpy as np
from PIL import Image

from hf_deepfake.detect.verdict import FaceVerdict, Verdict
from hf_deepfake.page import shown

FACES = (
    FaceVerdict((10.0, 20.0, 60.0, 80.0), "fake", 0.91, 0.91, False),
    FaceVerdict((100.0, 20.0, 140.4, 70.0), "real", 0.55, 0.45, True),
)


def test_words_for_a_fake():
    text = shown.describe_verdict(Verdict("fake", 0.914, 0.914, reasons=("Only its first frame was evaluated.",)))
    assert text == (
        "## The model finds signs of a deepfake\n\n"
        "Score **0.91** for *fake*, on a scale from 0.50 (undecided) to 1.00.\n\n"
        "Only its first frame was evaluated."
    )


def test_words_for_a_real_one():
    text = shown.describe_verdict(Verdict("real", 0.8, 0.2))
    assert text.startswith("## The model finds no signs of a deepfake\n\nScore **0.80** for *real*")


def test_words_for_an_unsure_one():
    text = shown.describe_verdict(Verdict("fake", 0.53, 0.53, unsure=True))
    assert "It abstains: with a score like this it was wrong too often" in text
    no_face = shown.describe_verdict(Verdict("fake", 0.9, 0.9, unsure=True, reasons=("No face was found.",)))
    assert "It abstains" not in no_face
    assert text.startswith("## The model cannot tell\n\nScore **0.53** leaning to *fake*")


def test_error_as_sentence():
    assert shown.describe_error(ValueError("the image is empty; choose one")) == "The image is empty; choose one."


def test_table_of_faces():
    assert shown.list_faces(Verdict("real", 0.8, 0.2)) == ""
    rows = shown.list_faces(Verdict("fake", 0.91, 0.91, faces=FACES)).splitlines()[2:]
    assert rows == ["| 1 | fake | 0.91 | 50 x 60 px |", "| 2 | unsure (real?) | 0.55 | 40 x 50 px |"]


def test_faces_are_framed_and_the_image_scaled():
    image = Image.new("RGB", (200, 100))
    marked = shown.mark_faces(image, Verdict("fake", 0.91, 0.91, faces=FACES))
    assert marked.size == (800, 400)
    pixels = np.asarray(marked)
    assert (pixels[320, 150] == 255).all()  # lower edge of the first face, 80 px of 100, times 4
    assert (pixels[200, 300] == 0).all()  # between the faces
    assert not np.asarray(image).any()
