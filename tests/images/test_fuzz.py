"""Thousands of damaged images: each opens or is refused with the one error, in 2 s of CPU time and 1 GiB.

Every file follows from its number. `python tests/images/test_fuzz.py 123 1` replays number 123 alone.
"""

import io
import itertools
import signal
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hf_deepfake.errors import ImageError
from hf_deepfake.images.open import open_image

SECONDS, BYTES = 2, 1 << 30


def originals():
    """Intact files of every format and of every way to store pixels that Pillow can write, 48 x 40 px."""
    rows, columns = np.mgrid[0:40, 0:48]
    noise = np.random.default_rng(0).integers(0, 40, (40, 48))
    image = Image.fromarray(np.stack([rows * 5 + noise, columns * 4 + noise, noise * 6], axis=2).astype(np.uint8))
    alpha, palette, turned = image.copy(), image.quantize(64), image.transpose(Image.Transpose.ROTATE_90)
    alpha.putalpha(image.getchannel("R"))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"

    def frames(opened):
        return {"save_all": True, "append_images": [opened.transpose(Image.Transpose.ROTATE_180)]}

    variants = [
        (image, "JPEG", {"exif": exif, "comment": b"comment", "icc_profile": bytes(200)}),
        (image, "JPEG", {"progressive": True, "subsampling": 0}),
        (image.convert("CMYK"), "JPEG", {"restart_marker_blocks": 4}),
        (image, "MPO", {"exif": exif, **frames(image)}),
        (image, "PNG", {"exif": exif, "icc_profile": bytes(200)}),
        (palette, "PNG", {"transparency": bytes(range(64))}),
        (Image.fromarray((rows * 1600).astype(np.uint16)), "PNG", {}),
        (alpha, "PNG", frames(alpha)),
        (image, "WEBP", {"exif": exif}),
        (alpha, "WEBP", {"lossless": True}),
        (alpha, "WEBP", frames(alpha)),
        (palette, "GIF", {"comment": "comment", "transparency": 3}),
        (image, "GIF", {"interlace": 1, **frames(image)}),
        (image, "BMP", {}),
        (palette, "BMP", {}),
        (image, "TIFF", {"exif": exif}),
        (alpha, "TIFF", {"compression": "tiff_lzw", **frames(alpha)}),
        (image, "TIFF", {"compression": "jpeg"}),
        (palette, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (image.convert("1"), "TIFF", {"compression": "group4"}),
        (image, "AVIF", {"exif": exif, "speed": 10}),
        (alpha, "AVIF", {"speed": 10}),
        (turned, "AVIF", {"speed": 10, **frames(turned)}),
    ]
    files = []
    for opened, form, options in variants:
        buffer = io.BytesIO()
        opened.copy().save(buffer, form, **options)  # Pillow leaves settings of the last encoder on an image
        files.append(buffer.getvalue())
    return files


def damaged(files, number):
    """The file of this number: an original after one to four mutations."""
    generator = np.random.default_rng(number)
    data = bytearray(files[number % len(files)])
    for _ in range(generator.integers(1, 5)):
        # Half of the damage falls on the header, where sizes, lengths and offsets are.
        near = min(len(data), 256) if generator.random() < 0.5 else len(data)
        start = int(generator.integers(0, near))
        end = start + int(generator.integers(1, 33))
        match generator.integers(0, 7):
            case 0:
                data[start] ^= 1 << generator.integers(0, 8)
            case 1:
                data[start:end] = generator.bytes(len(data[start:end]))
            case 2:
                data[start:end] = bytes([generator.choice([0, 0x7F, 0x80, 0xFF])]) * len(data[start:end])
            case 3:
                width = int(generator.choice([1, 2, 4]))
                value = int(generator.choice([0, 1, 31, 48, 65, 5000, 0x7FFF, 0xFFFF, 1 << 24, 1 << 31, 0xFFFFFFFF]))
                field = (value % (1 << 8 * width)).to_bytes(width)
                data[start : start + width] = field if generator.random() < 0.5 else field[::-1]
            case 4:
                del data[start:end]
            case 5:
                data[start:start] = data[start:end] * int(generator.integers(1, 200))
            case 6:
                other = files[generator.integers(0, len(files))]
                data[start:] = other[int(generator.integers(0, len(other))) :]
        if not data:
            break
    if generator.random() < 0.1:
        del data[int(generator.integers(0, len(data) + 1)) :]
    return sealed(bytes(data)) if generator.random() < 0.7 else bytes(data)


def sealed(data):
    """The file with every PNG chunk's checksum made right, so that damage reaches what is behind the check."""
    if not data.startswith(b"\x89PNG"):
        return data
    parts, position = [data[:8]], 8
    while position < len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4])
        parts += [data[position:end], zlib.crc32(data[position + 4 : end]).to_bytes(4) if end < len(data) else b""]
        position = end + 4
    return b"".join(parts)


def peak():
    """The most memory this process has held, in bytes; `ru_maxrss` would count what it was forked from."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024


def fuzz(first, count):
    """Open files by number, saying each number first; the process is killed at one that takes too long."""
    files = originals()
    for data in files:
        open_image(data)
    before = peak()
    refused = 0
    for number in range(first, first + count):
        print(number, flush=True)
        data = damaged(files, number)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # nobody handles SIGPROF, so not even C code survives it
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                assert open_image(data, draft=64 if number % 2 else None).mode == "RGB"
            except ImageError:
                refused += 1
        signal.setitimer(signal.ITIMER_PROF, 0)
        assert not caught, caught[0]
        assert peak() - before < BYTES
    print(refused)


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 3000])
def test_damaged_files_open_or_are_refused(first):
    run = subprocess.run(
        [sys.executable, __file__, str(first), "3000"], capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, f"number {run.stdout.split()[-1:]}, exit status {run.returncode}:\n{run.stderr}"
    refused = int(run.stdout.split()[-1])
    assert 1000 < refused < 2900  # damage that never or always shows would prove nothing


def test_the_damage_is_the_same_every_time():
    files = originals()
    assert [damaged(files, number) for number in range(50)] == [damaged(files, number) for number in range(50)]
    assert sum(a == b for a, b in itertools.pairwise(damaged(files, number) for number in range(50))) == 0
    assert sealed(files[4]) == files[4]


if __name__ == "__main__":
    fuzz(int(sys.argv[1]), int(sys.argv[2]))
