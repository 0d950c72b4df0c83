"""What each format needs beyond what `open_image` does for all of them."""

import io

import numpy as np
import pytest
from PIL import Image, features

from hf_deepfake.errors import ImageError
from hf_deepfake.images import formats
from hf_deepfake.images.formats import HEAD, begins_image, decoders
from hf_deepfake.images.open import open_image


def heic(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "HEIF", **options)
    return buffer.getvalue()


def halves() -> Image.Image:
    """Red left, blue right, 64 x 48."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :32, 0] = pixels[:, 32:, 2] = 255
    return Image.fromarray(pixels)


def test_heic_is_read():
    image = open_image(heic(halves(), quality=95))
    assert (image.mode, image.size, image.info) == ("RGB", (64, 48), {})
    assert image.getpixel((8, 24))[0] > 200
    assert image.getpixel((56, 24))[2] > 200


def test_heic_is_turned_once():
    """Orientation 6: a quarter turn clockwise makes it upright, so that the left half comes to the top."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = open_image(heic(halves(), quality=95, exif=exif.tobytes()))
    assert image.size == (48, 64)
    assert image.getpixel((24, 8))[0] > 200
    assert image.getpixel((24, 56))[2] > 200


def test_heic_is_never_evaluated_by_its_thumbnail():
    image = halves().resize((640, 480))
    assert open_image(heic(image, thumbnails=[64]), draft=32).size == (640, 480)


def test_heic_without_its_decoder_says_what_to_install(monkeypatch):
    monkeypatch.setattr(formats, "HeifImageFile", None)
    with pytest.raises(ImageError, match=r'pip install "hf-deepfake\[heic\]"'):
        open_image(heic(halves()))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF"])
def test_an_image_is_known_by_its_beginning(form):
    buffer = io.BytesIO()
    halves().save(buffer, form)
    assert begins_image(buffer.getvalue()[:HEAD])


@pytest.mark.parametrize("head", [b"", b"\xff", b"file,group\n", b"PK\x03\x04", bytes(4) + b"ftypisom" + bytes(60)])
def test_other_files_are_no_images(head):
    assert not begins_image(head)


def test_decoders_are_named_with_their_versions():
    words = decoders().split(" ")
    found = dict(zip(words[::2], words[1::2], strict=True))
    assert found["pil"] == features.version("pil")
    assert found["libjpeg_turbo"] == features.version("libjpeg_turbo")
    assert {"hf-deepfake", "webp", "zlib", "libtiff", "avif", "heif"} <= found.keys()
