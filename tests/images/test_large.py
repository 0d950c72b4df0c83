"""Large images, small files that would grow large or take for ever, and many at once."""

import io
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from hf_deepfake.errors import ImageError
from hf_deepfake.images import open as opening
from hf_deepfake.images.open import open_image

# For each line (path, draft) a process of its own opens the file in 2 s of CPU time or dies. Its last line says how it
# ended, the one before by how many bytes it grew at most and what became of the file. All but the first import nothing.
OPEN = """
import os, pathlib, signal, sys
from hf_deepfake.errors import ImageError
from hf_deepfake.images.open import open_image
peak = lambda: int(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
for line in sys.stdin:
    path, draft = line.rstrip().rsplit(" ", 1)
    if not (child := os.fork()):
        before = peak()
        signal.setitimer(signal.ITIMER_PROF, 2)
        try:
            image = open_image(path, draft=int(draft) or None)
            said = f"{image.width} x {image.height} {image.info}"
        except ImageError as error:
            said = str(error)
        print(peak() - before, said, flush=True)
        os._exit(0)
    print("ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def opened_elsewhere():
    """What becomes of a file in a process of its own, and by how many bytes that process grows."""
    opener = subprocess.Popen(
        [sys.executable, "-c", OPEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )

    def opened(path, draft=0):
        opener.stdin.write(f"{path} {draft}\n")
        said = opener.stdout.readline()
        assert not said.startswith("ended"), f"{path} took more than 2 s, or was too much: {said}"
        assert opener.stdout.readline() == "ended with 0\n"
        grown, said = said.split(maxsplit=1)
        return said.strip(), int(grown)

    yield opened
    opener.stdin.close()
    assert opener.wait(timeout=60) == 0


def encode(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind, body):
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_claiming(width, height):
    """A PNG whose header claims a size that its data do not hold."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8000, 5001), (12_000, 12_000), (50_000, 50_000)])
def test_claimed_pixels_are_refused_before_decoding(size):
    with pytest.raises(ImageError, match="more than 40 megapixels"):
        open_image(png_claiming(*size))


def test_large_arrays_and_images_are_refused():
    with pytest.raises(ImageError, match="40 megapixels"):
        open_image(np.broadcast_to(np.uint8(0), (8000, 5001)))


def test_too_many_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "MAX_BYTES", 2_000_000)
    (tmp_path / "big.bmp").write_bytes(encode(Image.new("RGB", (1000, 700)), "BMP"))
    for source in (tmp_path / "big.bmp", (tmp_path / "big.bmp").read_bytes()):
        with pytest.raises(ImageError, match="more than 2 MB"):
            open_image(source)


def directory(tags, kind, values, where):
    """A TIFF directory of that many tags, each of which claims the same values at the same place."""
    entries = (struct.pack("<HHII", 40_000 + tag, kind, values, where) for tag in range(tags))
    return b"II*\0" + struct.pack("<IH", 8, tags) + b"".join(entries) + bytes(4)


def tiff(*entries, data=b""):
    """A grey TIFF of 64 x 64 px; entries are tag, type, number of values and value, `data` what follows them."""
    fixed = [(256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    table = b"".join(struct.pack("<HHII", *entry) for entry in sorted([*fixed, *entries]))
    return b"II*\0" + struct.pack("<IH", 8, len(table) // 12) + table + bytes(4) + data


def behind(file, start, extra):
    """A file with something more from a place on."""
    return file[:start] + extra + file[start:]


def many_scans(count):
    """A progressive JPEG of 16 megapixels that goes through its pixels that many times more."""
    file = encode(Image.new("L", (4000, 4000), 128), "JPEG", progressive=True)
    last = file.rindex(b"\xff\xda")
    return file[:-2] + file[last:-2] * count + file[-2:]


def many_frames():
    """A WebP of 100,002 frames."""
    first, second = Image.new("RGB", (64, 64)), Image.new("RGB", (64, 64), (200, 0, 0))
    file = encode(first, "WEBP", save_all=True, append_images=[second], lossless=True)
    file += file[file.rindex(b"ANMF") :] * 100_000
    return file[:4] + struct.pack("<I", len(file) - 8) + file[8:]


def grey(form):
    """A grey image of 64 x 64 px."""
    return encode(Image.new("L", (64, 64), 128), form)


def exif():
    """One block of a megabyte that 20,000 tags claim each: 18 GB, were they read."""
    return directory(20_000, 7, 900_000, 8).ljust(1_000_000, b"\1")


def jpeg_exif():
    """A JPEG with EXIF in many segments, and without JFIF, whose resolution keeps Pillow from looking into EXIF."""
    parts = [exif()[start : start + 60_000] for start in range(0, 1_000_000, 60_000)]
    segments = (b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts)
    return grey("JPEG")[:2] + b"".join(segments) + grey("JPEG")[20:]


def avif_exif():
    """An AVIF with EXIF that Pillow itself would take a minute to write."""
    harmless = b"II*\0" + struct.pack("<IHI", 8, 0, 0) + b"harmless" + bytes(1_000_000 - 22)
    file = encode(Image.new("RGB", (64, 64)), "AVIF", exif=harmless)
    assert file.count(harmless) == 1
    return file.replace(harmless, exif())


def image_index():
    """A multi-image index of 5,000 tags of 7,500 fractions, each of which would become an object."""
    index = b"MPF\0" + directory(5000, 5, 7500, 8).ljust(65_000, b"\1")
    return b"\xff\xe2" + struct.pack(">H", len(index) + 2) + index


def run_lengths():
    """A BMP of 20 megapixels, one run each."""
    info = struct.pack("<IiiHHIIiiII", 40, 5000, 4000, 1, 8, 1, 19_000_000, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + info + bytes(1024) + b"\1\5" * 9_400_000


MEGABYTE = zlib.compress(bytes(1_000_000), 9)
COMMENT = b"!\xfe" + (b"\xff" + bytes(255)) * 74_000 + b"\0"
FRAME = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
RAW = [(259, 3, 1, 1), (278, 4, 1, 64), (273, 4, 1, 8), (279, 4, 1, 4096)]
STRIPS = [(259, 3, 1, 1), (278, 4, 1, 1), (273, 4, 4_000_000, 200), (279, 4, 4_000_000, 200)]
TILE = [(259, 3, 1, 8), (322, 4, 1, 40_000), (323, 4, 1, 40_000), (324, 4, 1, 8), (325, 4, 1, 100)]
OPENS, ANIMATED = "64 x 64 {}", "64 x 64 {'animated': True}"

# What opens does so because nothing but its pixels is read.
HOSTILE = {
    "JPEG of 2,000 scans": (lambda: many_scans(2000), "more than 50 scans"),
    "JPEG with EXIF": (jpeg_exif, OPENS),
    "JPEG with an image index": (lambda: behind(grey("JPEG"), 2, image_index()), OPENS),
    "JPEG with filling": (lambda: behind(grey("JPEG"), 2, b"\xff" * 19_000_000), OPENS),
    "JPEG of segments": (lambda: behind(grey("JPEG"), 2, b"\xff\xee\0\2" * 4_800_000), "more than 50000 segments"),
    "PNG of chunks": (lambda: behind(grey("PNG"), 33, chunk(b"aaAa", b"") * 1_600_000), "more than 50000 chunks"),
    "PNG with chunks behind": (
        lambda: behind(grey("PNG"), -12, chunk(b"aaAa", b"") * 1_600_000),
        "more than 50000 chunks",
    ),
    "PNG with texts": (lambda: behind(grey("PNG"), 33, chunk(b"zTXt", b"\0\0" + MEGABYTE) * 18_000), OPENS),
    "PNG with profiles": (lambda: behind(grey("PNG"), 33, chunk(b"iCCP", b"k\0\0" + MEGABYTE) * 18_000), OPENS),
    "PNG with EXIF": (lambda: behind(grey("PNG"), 33, chunk(b"eXIf", exif())), OPENS),
    "GIF with a comment": (lambda: behind(grey("GIF"), -1, COMMENT), OPENS),
    "GIF with a comment first": (lambda: behind(grey("GIF"), grey("GIF").index(b",\0\0\0\0"), COMMENT), OPENS),
    "GIF of extensions": (lambda: behind(grey("GIF"), -1, b"!\1\0" * 6_000_000), "more than 50000 extensions"),
    "GIF of 100,001 frames": (lambda: behind(grey("GIF"), -1, FRAME * 100_000), ANIMATED),
    "WebP of 100,002 frames": (many_frames, ANIMATED),
    "WebP with EXIF": (lambda: encode(Image.new("RGB", (64, 64)), "WEBP", exif=exif()), OPENS),
    "AVIF with EXIF": (avif_exif, OPENS),
    "TIFF with tags": (
        lambda: tiff(*RAW, *((40_000 + tag, 7, 9_000_000, 8) for tag in range(900)), data=bytes(9_100_000)),
        OPENS,
    ),
    "TIFF of tags": (lambda: tiff(*RAW, *((40_000 + tag, 7, 4, 8) for tag in range(1000))), "more than 1000 tags"),
    "TIFF with fractions": (
        lambda: tiff(*RAW, (282, 5, 2_000_000, 8), (283, 5, 2_000_000, 8), data=b"\1" * 16_000_000),
        OPENS,
    ),
    "TIFF of strips": (lambda: tiff(*STRIPS, data=struct.pack("<I", 200) * 4_000_100), "tag 273 has 4000000 values"),
    "TIFF of one tile": (lambda: tiff(*TILE, data=bytes(100)), "a tile of more than 40 megapixels"),
    "BMP of run lengths": (run_lengths, "run-length coding is not supported"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_small_files_take_little_time_and_memory(name, tmp_path, opened_elsewhere):
    make, expected = HOSTILE[name]
    (tmp_path / "face.jpg").write_bytes(make())
    said, grown = opened_elsewhere(tmp_path / "face.jpg")
    assert expected in said
    assert grown < 100_000_000


@pytest.fixture(scope="module")
def phone_image(tmp_path_factory):
    """A drawn image of 20 megapixels as a phone writes it, upright only by its EXIF."""
    rows, columns = np.arange(3648)[:, None], np.arange(5472)
    pixels = np.random.default_rng(0).integers(0, 30, (3648, 5472, 3), dtype=np.uint8)
    pixels[..., 0] += (rows // 16 % 200).astype(np.uint8)
    pixels[..., 1] += (columns // 24 % 200).astype(np.uint8)
    pixels[1000:2600, 2000:3500, 2] += 200
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    path = tmp_path_factory.mktemp("phone") / "phone.jpg"
    Image.fromarray(pixels).save(path, quality=90, exif=exif)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draft", "size", "most"),
    # Pillow holds 4 bytes a pixel, and for a moment the image as it was decoded, turned and converted.
    [(0, "3648 x 5472 {}", 3 * 4 * 3648 * 5472), (224, "456 x 684 {}", 40_000_000)],
)
def test_a_phone_image_takes_no_more_memory_than_its_copies(draft, size, most, phone_image, opened_elsewhere):
    said, grown = opened_elsewhere(phone_image, draft)
    assert said == size
    assert grown < most + 20_000_000


def test_threads_get_the_right_pixels_and_no_warning():
    images = list(np.random.default_rng(0).integers(0, 256, (25, 40, 40, 3), dtype=np.uint8))
    cut_exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\x01"
    files = []
    for pixels in images:
        image, png = Image.fromarray(pixels), encode(Image.fromarray(pixels), "PNG")
        jpeg, palette = encode(image, "JPEG", quality=90), image.quantize(32)
        expected = np.asarray(Image.open(io.BytesIO(jpeg)))
        mpo = encode(image, "MPO", quality=90, save_all=True, append_images=[image.rotate(90)])
        files += [
            (png, pixels),
            (encode(image, "WEBP", lossless=True), pixels),
            (encode(image, "BMP"), pixels),
            (jpeg, expected),
            # At each of these Pillow itself would warn.
            (encode(image, "JPEG", quality=90, exif=cut_exif), expected),
            (mpo.replace(b"MPF\0II", b"MPF\0XX"), expected),
            (png[:33] + chunk(b"acTL", bytes(8)) * 2 + png[33:], pixels),
            (encode(palette, "PNG", transparency=bytes([255] * 32)), np.asarray(palette.convert("RGB"))),
        ]
    assert len(files) == 200
    refused = (png_claiming(10_000, 10_000), encode(image, "TIFF")[:-1])

    def open_all(first):
        for data, pixels in files[first:] + files[:first]:
            np.testing.assert_array_equal(np.asarray(open_image(data)), pixels)
        for data in refused:
            with pytest.raises(ImageError):
                open_image(data)

    with warnings.catch_warnings(record=True) as caught, ThreadPoolExecutor(8) as threads:
        warnings.simplefilter("always")
        filters = list(warnings.filters)
        list(threads.map(open_all, range(0, 200, 25)))
        assert warnings.filters == filters
    assert caught == []
