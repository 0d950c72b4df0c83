"""open_image: every mode and format to RGB, and one error for everything that cannot be opened."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from hf_deepfake.errors import ImageError, InputError
from hf_deepfake.images import formats
from hf_deepfake.images.open import open_image


def encode(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture
def gradient():
    """A 48 x 32 px RGB image in which every pixel differs from its neighbours."""
    rows, columns = np.mgrid[0:32, 0:48]
    return np.stack([rows * 7, columns * 5, (rows + columns) * 3], axis=2).astype(np.uint8)


def halves(top, bottom, mode, size=(32, 32)):
    """An image whose upper half has one value and whose lower half another."""
    image = Image.new(mode, size, bottom)
    image.paste(top, (0, 0, size[0], size[1] // 2))
    return image


def corners(image):
    """The pixels at the top left and at the bottom right."""
    return image.getpixel((0, 0)), image.getpixel((image.width - 1, image.height - 1))


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_keep_every_pixel(form, gradient):
    opened = open_image(encode(Image.fromarray(gradient), form, **({"lossless": True} if form == "WEBP" else {})))
    assert opened.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(opened), gradient)


@pytest.mark.parametrize("form", ["JPEG", "AVIF", "GIF"])
def test_lossy_formats_stay_close(form, gradient):
    opened = open_image(encode(Image.fromarray(gradient), form))
    assert opened.size == (48, 32)
    assert np.abs(np.asarray(opened).astype(int) - gradient).mean() < 12


def test_every_kind_of_source_gives_the_same_pixels(tmp_path, gradient):
    path = tmp_path / "a.png"
    Image.fromarray(gradient).save(path)
    for source in (path, str(path), path.read_bytes(), Image.open(path), Image.fromarray(gradient), gradient):
        np.testing.assert_array_equal(np.asarray(open_image(source)), gradient)


def test_the_name_of_a_file_is_not_trusted(tmp_path, gradient):
    path = tmp_path / "really.png"
    Image.fromarray(gradient).save(path, "BMP")
    assert open_image(path).size == (48, 32)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("JPEG", {"quality": 100, "subsampling": 0}, 4),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}, 4),
    ],
)
def test_orientation_is_undone_once(orientation, form, options, tolerance, gradient):
    # What a camera stores for each orientation so that the viewer sees `gradient` (EXIF 2.32, tag 0x0112).
    stored = {
        1: gradient,
        2: gradient[:, ::-1],
        3: gradient[::-1, ::-1],
        4: gradient[::-1],
        5: gradient.transpose(1, 0, 2),
        6: np.rot90(gradient, 1),
        7: gradient[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(gradient, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_image(encode(Image.fromarray(np.ascontiguousarray(stored)), form, exif=exif, **options))
    np.testing.assert_allclose(np.asarray(opened).astype(int), gradient, atol=tolerance)
    assert opened.info == {}
    assert not opened.getexif()


# Type 3 is a 16-bit, 4 a 32-bit number, which some writers use; an entry is tag, type, count and value.
@pytest.mark.parametrize(
    "exif",
    [
        b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0),
        b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0),
        b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x0112, 4, 1, 6, 0),
        b"MM\0*" + struct.pack(">IHHHI4sHHII", 8, 2, 0x010F, 2, 4, b"cam", 0x0112, 3, 1, 6 << 16),
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_orientation_in_either_byte_order(form, exif):
    assert open_image(encode(Image.new("RGB", (48, 32)), form, exif=b"Exif\0\0" + exif)).size == (32, 48)


def test_a_previews_orientation_is_not_the_images():
    exif = Image.Exif()
    exif[0x0112] = 6
    preview = encode(Image.new("RGB", (48, 32)), "JPEG", exif=exif)
    assert open_image(encode(Image.new("RGB", (48, 32)), "JPEG") + preview).size == (48, 32)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_orientations_without_meaning_change_nothing(orientation, gradient):
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(np.asarray(open_image(encode(Image.fromarray(gradient), "PNG", exif=exif))), gradient)


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"MM",
        b"MM\0*\xff\xff\xff\xff",  # a directory outside
        b"XX*\0\x08\0\0\0",  # no byte order
        b"II*\0" + struct.pack("<IH", 8, 900),  # entries that are not there
        b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 2, 1, 6, 0),  # a text for an orientation
    ],
)
def test_broken_exif_does_not_lose_the_pixels(exif, gradient):
    data = encode(Image.fromarray(gradient), "PNG", exif=b"Exif\0\0" + exif)
    np.testing.assert_array_equal(np.asarray(open_image(data)), gradient)


def test_alpha_is_laid_on_mid_grey():
    # Half transparent white on 128 is 128 + 127 * 128 / 255 = 191.7.
    image = halves((255, 255, 255, 128), (9, 9, 9, 0), "RGBA")
    assert corners(open_image(image)) == ((192, 192, 192), (128, 128, 128))
    assert corners(open_image(np.asarray(image))) == ((192, 192, 192), (128, 128, 128))
    assert corners(open_image(encode(image, "PNG"))) == ((192, 192, 192), (128, 128, 128))
    assert corners(open_image(halves((255, 255), (0, 0), "LA"))) == ((255, 255, 255), (128, 128, 128))


def test_palette_with_transparency():
    image = halves(0, 1, "P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    assert corners(open_image(encode(image, "PNG"))) == ((10, 20, 30), (200, 100, 50))
    assert corners(open_image(encode(image, "PNG", transparency=1))) == ((10, 20, 30), (128, 128, 128))
    assert corners(open_image(encode(image, "PNG", transparency=bytes([255, 0])))) == ((10, 20, 30), (128, 128, 128))


def test_colour_key_transparency():
    image = halves((10, 20, 30), (200, 100, 50), "RGB")
    data = encode(image, "PNG", transparency=(200, 100, 50))
    assert corners(open_image(data)) == ((10, 20, 30), (128, 128, 128))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled(form):
    # 128 * 257 = 32896 is the exact middle; 300 rounds to 1 where clipping would give 255.
    image = Image.fromarray(
        np.repeat(np.array([[0], [300], [32896], [65535]], np.uint16), 32, axis=1).repeat(8, axis=0)
    )
    opened = open_image(encode(image, form))
    assert [opened.getpixel((0, row)) for row in (0, 8, 16, 24)] == [(value,) * 3 for value in (0, 1, 128, 255)]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_thirty_two_bits_are_refused(mode):
    with pytest.raises(ImageError, match="32 bits"):
        open_image(encode(Image.new(mode, (32, 32)), "TIFF"))


def test_cmyk_grey_and_black_and_white():
    # CMYK (0, 255, 255, 0) is pure red.
    red = open_image(encode(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "TIFF"))
    assert red.getpixel((0, 0)) == (255, 0, 0)
    near = np.asarray(open_image(encode(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG")))
    np.testing.assert_allclose(near[0, 0], (255, 0, 0), atol=8)
    assert open_image(np.full((32, 32), 77, np.uint8)).getpixel((5, 5)) == (77, 77, 77)
    assert corners(open_image(halves(1, 0, "1"))) == ((255, 255, 255), (0, 0, 0))


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_is_taken_and_said(form):
    first, second = Image.new("RGB", (32, 32), (255, 0, 0)), Image.new("RGB", (32, 32), (0, 0, 255))
    opened = open_image(encode(first, form, save_all=True, append_images=[second]))
    np.testing.assert_allclose(np.asarray(opened)[3, 3], (255, 0, 0), atol=3)
    assert opened.info == {"animated": True}
    assert open_image(encode(first, form)).info == {}


def test_a_phone_image_with_a_preview_is_not_animated(gradient):
    image = Image.fromarray(gradient)
    opened = open_image(encode(image, "MPO", save_all=True, append_images=[image]))
    assert opened.size == (48, 32)
    assert opened.info == {}


def test_draft_decodes_large_jpegs_reduced_and_never_too_small():
    data = encode(Image.new("RGB", (400, 300)), "JPEG")
    assert open_image(data).size == (400, 300)
    assert open_image(data, draft=151).size == (400, 300)
    assert open_image(data, draft=150).size == (200, 150)
    assert open_image(data, draft=70).size == (100, 75)
    assert open_image(encode(Image.new("RGB", (400, 300)), "PNG"), draft=32).size == (400, 300)


def test_the_callers_image_is_left_alone(gradient):
    lazy = Image.open(io.BytesIO(encode(Image.new("RGB", (400, 300)), "JPEG")))
    assert open_image(lazy, draft=100).size == (400, 300)
    image = Image.fromarray(gradient)
    open_image(image).putpixel((0, 0), (1, 2, 3))
    np.testing.assert_array_equal(np.asarray(image), gradient)


def test_too_small():
    assert open_image(np.zeros((32, 32), np.uint8)).size == (32, 32)
    with pytest.raises(ImageError, match="100 x 31 px"):
        open_image(encode(Image.new("RGB", (100, 31)), "PNG"))
    with pytest.raises(ImageError, match="1 x 1 px"):
        open_image(encode(Image.new("RGB", (1, 1)), "JPEG"))
    with pytest.raises(ImageError, match="0 x 0 px"):
        open_image(np.zeros((0, 0, 3), np.uint8))


@pytest.mark.parametrize("form", formats.FORMATS)
def test_truncated_images_are_refused(form):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), form)
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9):
        with pytest.raises(ImageError):
            open_image(data[: int(len(data) * share)])


@pytest.mark.parametrize("error", [MemoryError(), ZeroDivisionError("by zero"), struct.error("bad"), EOFError()])
def test_whatever_the_decoder_raises_is_one_error(error, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(formats, "JpegImageFile", fail)
    with pytest.raises(ImageError, match="truncated or broken") as caught:
        open_image(encode(Image.new("RGB", (64, 64)), "JPEG"))
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("form", ["PPM", "ICO", "TGA", "PCX", "EPS", "PDF"])
def test_other_formats_are_refused(form):
    with pytest.raises(ImageError, match="not an image in any of JPEG"):
        open_image(encode(Image.new("RGB", (64, 64)), form))


@pytest.mark.parametrize("content", [b"", b"no image", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\xff\xd8", b"P"])
def test_what_is_no_image_is_refused_whatever_its_name(content, tmp_path):
    (tmp_path / "face.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=r"face\.jpg is not an image in any of JPEG"):
        open_image(tmp_path / "face.jpg")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((40, 40), np.float32),
        np.zeros((40, 40, 2), np.uint8),
        np.zeros(1600, np.uint8),
        np.zeros((1, 3, 40, 40), np.uint8),
    ],
)
def test_other_arrays_are_refused(array):
    with pytest.raises(ImageError, match="is no image"):
        open_image(array)


def test_missing_files_folders_and_odd_paths(tmp_path):
    for source, message in (
        (tmp_path / "none.jpg", "no such file"),
        (tmp_path, "not a file"),
        ("a\0b", "a\0b"),
    ):
        with pytest.raises(InputError, match=message):
            open_image(source)
