import io

import datasets
import numpy as np
import pytest
from PIL import Image

from hf_deepfake.data.load import load_images
from hf_deepfake.explain.attributes import MEASURED, attributes, measure_attributes, pose
from hf_deepfake.images.faces import Face
from hf_deepfake.metrics.error_groups import ATTRIBUTES


def face(*landmarks):
    return Face((0.0, 0.0, 1.0, 1.0), 0.9, landmarks)


def test_pose_by_hand():
    assert pose(face((10, 20), (30, 20), (20, 35))) == (0, 0)
    assert pose(face((10, 20), (30, 20), (25, 35))) == pytest.approx((5 / 20, 0))
    # Tilted by 45 degrees: the eyes are 10 * sqrt(2) apart, and the nose lies straight below their middle.
    assert pose(face((0, 0), (10, 10), (0, 10))) == pytest.approx((0, 45))
    assert pose(face((10, 20), (30, 20), (10, 35))) == pytest.approx((0.5, 0))


def test_attributes_of_a_plain_image():
    encoded = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 100, 0)).save(encoded, "JPEG", quality=95, subsampling=0)
    found = attributes(encoded.getvalue())
    assert found["brightness"] == pytest.approx(0.299 * 200 + 0.587 * 100, abs=1.5)
    assert found["saturation"] == pytest.approx(1, abs=0.03)
    assert found["contrast"] == pytest.approx(0, abs=0.5)
    assert found["quality"] == pytest.approx(95, abs=1)
    assert np.isnan([found["face"], found["turn"], found["tilt"]]).all()


def test_attributes_of_a_split(faces):
    images = load_images(str(faces))["test"]
    table = measure_attributes(images)
    assert list(table) == list(MEASURED)
    assert len(table) == len(images)
    assert set(MEASURED) <= ATTRIBUTES.keys()
    assert table["brightness"].between(0, 255).all()
    alone = attributes(images.cast_column("image", datasets.Image(decode=False))[3]["image"]["path"])
    assert table.iloc[3].to_dict() == pytest.approx(alone, nan_ok=True)
