import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from hf_deepfake.audits.statistics import STATISTICS, WINDOW, statistics
from hf_deepfake.data.scene import draw_scene


@pytest.fixture(scope="module")
def image():
    return Image.fromarray((draw_scene(np.random.default_rng(0), 200).image * 255).astype(np.uint8))


def test_colour_by_hand():
    image = Image.new("RGB", (64, 40), (200, 100, 50))
    values = statistics(image)
    assert list(values) == list(STATISTICS)
    assert (values["red"], values["green"], values["blue"]) == (200, 100, 50)
    assert values["saturation"] == pytest.approx(0.75)
    assert (values["contrast"], values["noise"]) == (0, 0)
    assert values["blocks"] == pytest.approx(1)
    assert np.isfinite(list(values.values())).all()


@pytest.mark.parametrize("sigma", [3, 10])
def test_noise_is_its_standard_deviation(sigma):
    grey = np.random.default_rng(0).normal(128, sigma, (256, 256)).round().clip(0, 255).astype(np.uint8)
    values = statistics(Image.fromarray(grey).convert("RGB"))
    assert values["noise"] == pytest.approx(sigma, rel=0.03)
    assert values["contrast"] == pytest.approx(sigma, rel=0.03)
    # The Laplacian of white noise has 4 + 16 times its variance; half of the frequencies' area is most of it.
    assert values["sharpness"] == pytest.approx(np.log(20 * sigma**2), abs=0.05)
    assert values["slope"] == pytest.approx(0, abs=0.15)
    assert np.exp(values["high_frequencies"]) == pytest.approx(1 - np.pi / 16, abs=0.05)


def test_slope_of_known_spectrum():
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256))
    frequency[0, 0] = 1
    values = np.fft.ifft2(np.fft.fft2(rng.standard_normal((256, 256))) / frequency).real  # power falls by the square
    grey = (128 + 40 * (values - values.mean()) / values.std()).clip(0, 255).astype(np.uint8)
    assert statistics(Image.fromarray(grey).convert("RGB"))["slope"] == pytest.approx(-2, abs=0.2)


def test_blur_lowers_sharpness_and_noise(image):
    sharp, blurred = (statistics(one) for one in (image, image.filter(ImageFilter.GaussianBlur(1))))
    for name in ("sharpness", "noise", "slope", "high_frequencies"):
        assert blurred[name] < sharp[name]


def test_compression_leaves_blocks_wherever_they_start(image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=20)
    coarse = Image.open(buffer).convert("RGB")
    assert statistics(image)["blocks"] < 1.1
    assert statistics(coarse)["blocks"] > 1.25
    assert statistics(coarse.crop((3, 5, 195, 197)))["blocks"] > 1.25


def test_only_the_middle_of_a_large_image_counts():
    image = Image.new("RGB", (WINDOW + 200, WINDOW + 100), "white")
    image.paste((10, 20, 30), (100, 50, 100 + WINDOW, 50 + WINDOW))
    assert statistics(image)["red"] == 10
