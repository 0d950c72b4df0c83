import io
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.ExifTags import Base
from PIL.Image import Transpose

from hf_deepfake.detect import detector as detector_module
from hf_deepfake.detect.detector import BATCH_SIZE, Detector
from hf_deepfake.detect.face_crops import Prepared
from hf_deepfake.detect.verdict import Verdict
from hf_deepfake.errors import ImageError, InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint


def constant_model() -> Any:
    """A model that gives every image odds of 4 to 1 for fake."""
    model: Any = build_model("test_resnet", image_size=32, pretrained="off")
    with torch.no_grad():
        model.fc.weight.zero_()
        model.fc.bias.copy_(torch.tensor([0.0, np.log(4.0)]))
    return model


def lively_model() -> Any:
    """A model whose scores differ from image to image."""
    torch.manual_seed(1)
    model: Any = build_model("test_resnet", image_size=32, pretrained="off")
    with torch.no_grad():
        model.fc.weight.mul_(50)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return export_checkpoint(constant_model(), tmp_path_factory.mktemp("detector") / "checkpoint", image_size=32)


@pytest.fixture(scope="module")
def detector(folder) -> Detector:
    return Detector.from_pretrained(folder, device="cpu")


def test_verdict_by_hand(detector):
    verdict = detector(Image.new("RGB", (60, 40)))
    assert verdict.label == "fake"
    assert verdict.score == verdict.fake_probability == pytest.approx(0.8, abs=1e-6)


def test_the_operating_point_moves_the_verdict(tmp_path):
    # an operating point of .9 divides the odds by 9
    folder = export_checkpoint(constant_model(), tmp_path / "checkpoint", image_size=32, operating_point=0.9)
    verdict = Detector.from_pretrained(folder, device="cpu")(Image.new("RGB", (60, 40)))
    assert verdict.label == "real"
    assert verdict.score == pytest.approx(9 / 13, abs=1e-6)
    assert verdict.fake_probability == pytest.approx(4 / 13, abs=1e-6)


def test_every_kind_of_image_and_their_order(tmp_path):
    detector = Detector.from_pretrained(export_checkpoint(lively_model(), tmp_path / "c", image_size=32), device="cpu")
    array = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(array).save(path)
    other = Image.new("RGB", (50, 40), "white")
    verdicts = detector([array, other, path, str(path), path.read_bytes(), Image.fromarray(array)])
    expected = detector(array).fake_probability
    assert detector(other).fake_probability != pytest.approx(expected, abs=1e-3)
    assert verdicts[1].fake_probability == pytest.approx(detector(other).fake_probability, abs=1e-6)
    for verdict in [verdicts[0], *verdicts[2:]]:
        assert verdict.fake_probability == pytest.approx(expected, abs=1e-6)


def test_bytes_by_any_name_are_one_image(detector, tmp_path):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    for image in (data, bytearray(data), memoryview(data), io.BytesIO(data), {"bytes": data, "path": None}):
        assert detector(image) == detector(Image.new("RGB", (60, 40)))
        assert detector.explain(image).verdict.label == "fake"
    for image in (b"no image", bytearray(b"no image"), io.StringIO("text"), None, 3, {}):
        with pytest.raises(ImageError):
            detector(image)
        with pytest.raises(ImageError, match="stream takes a list"):
            next(detector.stream(image))


def test_open_files_are_read_before_the_next_is_asked_for(detector, tmp_path):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")

    def files():
        for _ in range(3):
            with (tmp_path / "a.png").open("rb") as file:
                yield file
        yield file

    *good, closed = detector(files())
    assert [verdict.label for verdict in good] == ["fake"] * 3
    assert "mode rb" in str(closed)


def test_what_is_filled_anew_for_each_image_is_taken_as_it_was(tmp_path):
    lively = Detector.from_pretrained(export_checkpoint(lively_model(), tmp_path / "c", image_size=32), device="cpu")
    images = [np.full((40, 40, 3), value, np.uint8) for value in (0, 120, 255)]
    expected = [one.score for one in lively(images)]

    def refilled(hold):
        array = np.empty((40, 40, 3), np.uint8)
        for image in images:
            array[:] = image
            yield hold(array)

    for hold in (lambda array: array, lambda array: torch.from_numpy(array).permute(2, 0, 1)):
        assert [one.score for one in lively(refilled(hold))] == pytest.approx(expected, abs=1e-6)


def test_lists_longer_than_a_batch_and_empty_ones(detector):
    image = Image.new("RGB", (40, 40))
    verdicts = detector([image] * (BATCH_SIZE + 3))
    assert len(verdicts) == BATCH_SIZE + 3
    assert all(isinstance(verdict, Verdict) for verdict in verdicts)
    assert detector([]) == []


def test_errors_reach_the_caller(detector, tmp_path):
    with pytest.raises(InputError, match="no checkpoint folder"):
        Detector.from_pretrained(tmp_path / "missing")
    with pytest.raises(InputError, match="faces is 'some'; it must be auto or off"):
        Detector(detector.checkpoint, faces="some")  # ty: ignore[invalid-argument-type]
    with pytest.raises(ImageError):
        detector(b"no image")


def test_a_bad_image_in_a_list_is_reported_in_its_place(detector):
    good = Image.new("RGB", (40, 40))
    before, bad, after = detector([good, b"no image", good])
    assert isinstance(bad, ImageError)
    assert before.label == after.label == "fake"


def test_a_stream_takes_no_more_than_two_batches_ahead(detector):
    taken = []

    def images():
        for number in range(10 * BATCH_SIZE):
            taken.append(number)
            yield Image.new("RGB", (40, 40))

    stream = detector.stream(images())
    assert isinstance(next(stream), Verdict)
    assert len(taken) == 2 * BATCH_SIZE
    stream.close()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_has_the_same_verdict(orientation, tmp_path):
    detector = Detector.from_pretrained(export_checkpoint(lively_model(), tmp_path / "c", image_size=32), device="cpu")
    upright = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
    # what a camera held that way stores: the image turned so that the tag turns it back
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Transpose(turned[orientation])) if orientation in turned else upright
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    stored.save(tmp_path / "image.png", exif=exif)
    assert detector(tmp_path / "image.png") == detector(upright)


def test_unsure_is_stated_before_the_operating_point(tmp_path):
    # P(fake) is .8 before the operating point, and 4 / 13 after an operating point of .9 is folded in
    bands = {(0.75, 0.85): True, (0.2, 0.4): False, (0.8001, 1.0): False}
    for number, (band, unsure) in enumerate(bands.items()):
        folder = export_checkpoint(
            constant_model(), tmp_path / str(number), image_size=32, operating_point=0.9, abstention_band=band
        )
        verdict = Detector.from_pretrained(folder, device="cpu")(Image.new("RGB", (60, 40)))
        assert verdict.unsure is unsure
        assert verdict.title == ("unsure (leans to real, score 0.69)" if unsure else "real, score 0.69")


def test_the_fingerprint_is_that_of_the_weights(detector, folder, tmp_path):
    assert Detector.from_pretrained(folder, device="cpu").fingerprint == detector.fingerprint
    other = export_checkpoint(lively_model(), tmp_path / "c", image_size=32)
    assert Detector.from_pretrained(other, device="cpu").fingerprint != detector.fingerprint
    assert len(detector.fingerprint) == 12


@pytest.mark.slow
def test_a_verdict_on_a_crop_imports_no_more_than_it_needs(folder, tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "face.png")
    heavy = "captum", "matplotlib", "datasets", "pandas", "onnxruntime", "transformers", "accelerate", "sklearn"
    code = (
        "import sys; from hf_deepfake import Detector; "
        "Detector.from_pretrained(sys.argv[1], device='cpu', faces='off')(sys.argv[2]); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "face.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"method": "occlusion"}])
def test_a_crowd_is_explained_a_batch_of_faces_at_a_time(options, tmp_path, monkeypatch):
    detector = Detector.from_pretrained(export_checkpoint(lively_model(), tmp_path / "c", image_size=32), device="cpu")
    crowd = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 200, 3), dtype=np.uint8))
    regions = tuple((left, 0, left + 40, 40) for left in range(0, 200, 40))
    pixels = tuple(detector.checkpoint.transform(crowd.crop(region)) for region in regions)
    monkeypatch.setattr(detector_module, "prepare", lambda *_: Prepared(regions, regions, pixels, False, ()))
    with torch.no_grad():  # move the classifier to where the faces differ in their labels
        logits = detector.checkpoint.model(torch.stack(pixels))
        detector.checkpoint.model.fc.bias[0] -= (logits[:, 0] - logits[:, 1]).median()  # ty: ignore
    whole = detector.explain(crowd, **options)
    assert len({face.label for face in whole.verdict.faces}) == 2  # so that some faces are explained anew
    sizes = []
    monkeypatch.setattr(detector_module, "BATCH_SIZE", 2)
    batch = detector._batch
    monkeypatch.setattr(detector, "_batch", lambda pixels: sizes.append(len(pixels)) or batch(pixels))
    cut = detector.explain(crowd, **options)
    assert max(sizes) == 2
    assert cut.verdict.label == whole.verdict.label
    assert [face.fake_probability for face in cut.verdict.faces] == pytest.approx(
        [face.fake_probability for face in whole.verdict.faces], abs=1e-5
    )
    np.testing.assert_allclose(cut.heatmap, whole.heatmap, atol=1e-5)
