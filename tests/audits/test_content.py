import numpy as np
import pytest
from PIL import Image

from hf_deepfake.audits import content as module
from hf_deepfake.audits.content import CONTENT, content
from hf_deepfake.images.faces import Face


def face(*box):
    return Face(box=box, score=0.9, landmarks=())


def test_two_faces_by_hand(monkeypatch):
    monkeypatch.setattr(module, "find_faces", lambda image: [face(50, 25, 150, 75), face(0, 0, 20, 10)])
    values = content(Image.new("RGB", (200, 100), (90, 90, 90)))
    assert list(values) == list(CONTENT)
    assert values == {
        "faces": 2,
        "face_height": 0.5,
        "face_x": 0.5,
        "face_y": 0.5,
        # On a grid of 64 x 64, the faces cover 32 x 32 and 6 x 6 cells.
        "outside": 1 - (32 * 32 + 6 * 6) / 64**2,
        "greyness": 1,
    }


def test_a_face_that_reaches_out_of_the_image_covers_it_all(monkeypatch):
    monkeypatch.setattr(module, "find_faces", lambda image: [face(-10, -10, 110, 110)])
    assert content(Image.new("RGB", (100, 100), "red"))["outside"] == 0


def test_no_face(monkeypatch):
    monkeypatch.setattr(module, "find_faces", lambda image: [])
    values = content(Image.new("RGB", (64, 64), (255, 0, 0)))
    assert (values["faces"], values["outside"]) == (0, 1)
    assert values["greyness"] == pytest.approx(0)
    assert np.isnan([values["face_height"], values["face_x"], values["face_y"]]).all()
