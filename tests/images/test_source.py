"""What a program may hand over as an image, and that all else is one error."""

import array
import io
import mmap
from pathlib import Path, PurePath

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from hf_deepfake.errors import ImageError
from hf_deepfake.images.open import open_image
from hf_deepfake.images.source import is_several

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def png(pixels=PIXELS):
    """The pixels as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    return tmp_path / "a.png"


class Pipe:
    """A file that gives a few bytes at a time and cannot be wound back."""

    def __init__(self):
        self.file = io.BytesIO(png())

    def seekable(self):
        return False

    def seek(self, place):
        raise io.UnsupportedOperation("seek")

    def read(self, size):
        return self.file.read(min(size, 1000))


@pytest.mark.parametrize(
    "of",
    [
        lambda path: path,
        str,
        PurePath,
        lambda path: png(),
        lambda path: bytearray(png()),
        lambda path: memoryview(png()),
        lambda path: array.array("B", png()),
        lambda path: np.frombuffer(png(), np.uint8).data,
        lambda path: io.BytesIO(png()),
        lambda path: Pipe(),
        lambda path: {"bytes": png(), "path": None},
        lambda path: {"bytes": png(), "path": "elsewhere.png"},
        lambda path: {"bytes": None, "path": str(path)},
        lambda path: {"path": path},
        lambda path: {"bytes": memoryview(png())},
        Image.open,
        lambda path: PIXELS,
        lambda path: np.asfortranarray(PIXELS),
        lambda path: torch.from_numpy(PIXELS).permute(2, 0, 1),
        lambda path: torch.from_numpy(PIXELS).permute(2, 0, 1).contiguous(),
    ],
)
def test_everything_that_is_taken_gives_the_same_pixels_and_is_one(of, path):
    source = of(path)
    assert not is_several(source)
    np.testing.assert_array_equal(np.asarray(open_image(source)), PIXELS)


def test_open_files_are_read_from_their_beginning_and_stay_open(path):
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for source in (file, mapped):
            source.read(10)
            for _ in range(2):
                np.testing.assert_array_equal(np.asarray(open_image(source)), PIXELS)


def test_grey_and_transparent_arrays_and_tensors():
    grey, four = PIXELS[:, :, 0], np.dstack([PIXELS, np.full((40, 50), 255, np.uint8)])
    for source in (grey, grey[:, :, None], torch.from_numpy(grey)[None]):
        np.testing.assert_array_equal(np.asarray(open_image(source)), np.dstack([grey] * 3))
    for source in (four, torch.from_numpy(four).permute(2, 0, 1)):
        np.testing.assert_array_equal(np.asarray(open_image(source)), PIXELS)


@pytest.mark.parametrize(
    "source",
    [
        None,
        3,
        0.5,
        True,
        np.uint8(3),
        np.float32(3),
        Image,
        [png()],
        (png() for _ in range(2)),
        {},
        {"bytes": None, "path": None},
        {"image": png()},
        {"bytes": {"bytes": png()}},
        PIXELS / 255,
        PIXELS.astype(np.int64),
        PIXELS.transpose(2, 0, 1),
        PIXELS[None],
        torch.zeros(3, 40, 50),
        torch.zeros(40, 50, 3, dtype=torch.uint8),
        torch.zeros(1, 3, 40, 50, dtype=torch.uint8),
        torch.zeros(3, 40, 50, dtype=torch.bfloat16),
        array.array("d", [1.0] * 100),
        "https://example.org/a.jpg",
        "HTTP://example.org/a.jpg",
        Path("https://example.org/a.jpg"),
        "s3://bucket/a.jpg",
        "hf://datasets/owner/name/a.jpg",
        "file:///tmp/a.png",
        "data:image/png;base64," + "A" * 10_000,
        {"bytes": None, "path": "https://example.org/a.jpg"},
    ],
    ids=lambda one: type(one).__name__,
)
def test_all_else_is_one_short_error_that_names_what_is_taken(source):
    with pytest.raises(ImageError, match="a path, encoded bytes, an open binary file, a dict of bytes") as caught:
        open_image(source)
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def test_a_file_with_a_colon_is_no_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ab:").mkdir()
    Path("ab:/a.png").write_bytes(png())
    assert open_image("ab://a.png").size == (50, 40)


@pytest.mark.parametrize("of", [lambda path: path.open(encoding="latin-1"), lambda path: io.StringIO("text")])
def test_files_opened_as_text(of, path):
    with of(path) as file, pytest.raises(ImageError, match="mode rb"):
        open_image(file)


def test_files_that_cannot_be_read(path):
    with path.open("rb") as file:
        pass
    for source in (file, path.open(encoding="utf-8")):  # a text file of these bytes is not even text
        with pytest.raises(ImageError, match="mode rb"):
            open_image(source)
        source.close()
    with path.open("ab") as file, pytest.raises(ImageError, match="mode rb"):
        open_image(file)


@pytest.mark.parametrize("source", [None, 3, "a.png", Path("a.png"), b"12", bytearray(b"12"), {}, io.BytesIO()])
def test_one_is_not_several(source):
    assert not is_several(source)


@pytest.mark.parametrize("source", [[], (), [b"12"], iter([b"12"]), (b"12" for _ in range(2))])
def test_several(source):
    assert is_several(source)


@pytest.mark.parametrize("source", [{"a.png", "b.png"}, frozenset({"a.png"}), pd.DataFrame({"path": ["a.png"]})])
def test_what_has_no_order_or_columns_is_no_list_of_images(source):
    assert not is_several(source)
