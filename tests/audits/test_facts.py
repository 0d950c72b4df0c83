import io

import numpy as np
import pytest
from PIL import Image

from hf_deepfake.audits.facts import FACTS, file_facts


@pytest.fixture(scope="module")
def image():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("quality", [10, 30, 49, 50, 75, 90, 95])
def test_the_quality_that_the_encoder_was_given(image, quality):
    facts = file_facts(encoded(image, "JPEG", quality=quality))
    assert facts["quality"] == pytest.approx(quality, abs=1)
    assert facts["chroma_quality"] == pytest.approx(quality, abs=2.5)  # steps are capped at 255 at the lowest


def test_jpeg(image):
    content = encoded(image, "JPEG", quality=80, subsampling="4:4:4", progressive=True, exif=Image.Exif(), dpi=(72, 72))
    facts = file_facts(content)
    assert list(facts) == list(FACTS)
    assert (facts["jpeg"], facts["png"], facts["webp"]) == (1, 0, 0)
    assert (facts["subsampled"], facts["progressive"], facts["density"]) == (0, 1, 1)
    assert (facts["width"], facts["height"], facts["aspect"]) == (60, 40, 1.5)
    assert facts["bytes_per_pixel"] == len(content) / 2400
    baseline = file_facts(encoded(image, "JPEG"))
    assert (baseline["subsampled"], baseline["progressive"], baseline["density"]) == (1, 0, 0)


def test_metadata(image):
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    facts = file_facts(encoded(image, "JPEG", exif=exif, icc_profile=b"some profile", comment=b"hello"))
    assert (facts["exif"], facts["profile"], facts["comment"]) == (1, 1, 1)
    bare = file_facts(encoded(image, "JPEG"))
    assert (bare["exif"], bare["profile"], bare["comment"]) == (0, 0, 0)


def test_png_has_no_quality(image):
    facts = file_facts(encoded(image.convert("RGBA"), "PNG"))
    assert (facts["jpeg"], facts["png"], facts["alpha"], facts["grey"]) == (0, 1, 1, 0)
    assert all(np.isnan(facts[name]) for name in ("quality", "chroma_quality", "subsampled", "progressive"))


def test_grey(image):
    facts = file_facts(encoded(image.convert("L"), "JPEG", quality=75))
    assert facts["grey"] == 1
    assert facts["quality"] == pytest.approx(75, abs=1)
    assert np.isnan(facts["chroma_quality"])
    assert np.isnan(facts["subsampled"])
