"""Functions as models: what they give is checked, and by name they are found."""

import numpy as np
import pytest
from other_models import brightness

from hf_deepfake.config import DataConfig
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.evaluate import evaluate
from hf_deepfake.images.open import open_image


@pytest.fixture
def config(faces, cache):
    return DataConfig(data=(str(faces),))


@pytest.mark.slow
def test_a_function_is_a_model(config, faces):
    report, table = evaluate(brightness, config, robustness="mild")
    expected = [open_image(faces / file).getpixel((0, 0))[0] / 255 for file in table["file"]]
    assert table["score"].tolist() == pytest.approx(expected)
    assert report.checkpoint.model.endswith("other_models:brightness")
    assert (report.checkpoint.image_size, report.checkpoint.size()) == (0, [])
    assert len(report.robustness) == 16


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda images: [0.5], "gave 1 values for 12 images"),
        (lambda images: np.full((len(images), 2), 0.5), r"values of the shape \(12, 2\) for 12 images"),
        (lambda images: [1.5] * len(images), "gave 1.5 as P"),
        (lambda images: [-0.1] * len(images), "gave -0.1 as P"),
        (lambda images: [float("nan")] * len(images), "gave nan as P"),
        (lambda images: [float("inf")] * len(images), "gave inf as P"),
        (lambda images: ["fake"] * len(images), "gave list, no numbers"),
        (lambda images: None, "for 12 images"),
        (lambda images: 1 / 0, r"failed on 12 images \(ZeroDivisionError"),
    ],
)
def test_what_a_function_gives_is_checked(function, said, config):
    with pytest.raises(InputError, match=said):
        evaluate(function, config)


@pytest.mark.slow
def test_functions_by_name(config, tmp_path, monkeypatch):
    (tmp_path / "a_detector_here.py").write_text(
        "class Net:\n    def score(self, images):\n        return [.25] * len(images)\n\nnet = Net()\nvalue = 3\n"
    )
    (tmp_path / "a_broken_one_here.py").write_text("import nothing_of_this_name\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [one for one in __import__("sys").path if one])
    assert set(evaluate("a_detector_here:net.score", config)[1]["score"]) == {0.25}
    for name, said in {
        "a_detector_here:other": "has no attribute 'other'",
        "a_detector_here:value": "is a int, no function",
        "nothing_of_this_name:score": "No module named 'nothing_of_this_name'",
        "a_broken_one_here:score": "No module named 'nothing_of_this_name'",
    }.items():
        with pytest.raises(InputError, match=said):
            evaluate(name, config)
