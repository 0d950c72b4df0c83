"""What a program may hand over as an image, brought to encoded bytes, an array or a PIL image."""

import os
import re
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import IO, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from hf_deepfake.errors import ImageError
from hf_deepfake.files import local_path

MAX_BYTES = 20_000_000
"""A 40-megapixel JPEG of high quality fits; more is refused before it is read."""

ImageInput = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | IO[bytes]
    | Mapping[str, Any]
    | Image
    | np.ndarray
    | Tensor
)
"""What `open_image` takes."""

TAKEN = (
    "a path, encoded bytes, an open binary file, a dict of bytes and path as datasets has it, a PIL image, "
    "a uint8 array (H, W), (H, W, 3) or (H, W, 4), or a uint8 tensor (3, H, W)"
)

_URL = re.compile(r"([a-z][a-z0-9+.-]+:/|data:)", re.IGNORECASE)
"""Of two letters or more before the colon, one being a drive of Windows; `Path` makes one slash of two."""

_LONGEST_NAME = 200
"""Characters of a name that an error repeats: base64 may come where a path should."""


def is_several(images: object) -> TypeGuard[Iterable[ImageInput]]:
    """Whether something iterable is several images, and not one that has parts of its own, as bytes have.

    Args:
        images: anything.

    Returns:
        True for lists, generators and the like; False for one image, and for what is none: a set has no order, and a
        table's parts are its columns.
    """
    if isinstance(images, (str, os.PathLike, Mapping, Set, Image, np.ndarray, Tensor)):
        return False
    if hasattr(images, "read") or hasattr(images, "iloc"):
        return False
    return isinstance(images, Iterable) and not _has_buffer(images)


def read_source(source: object) -> tuple[bytes | NDArray[np.uint8] | Image, str]:
    """Read what holds an image.

    Args:
        source: see `TAKEN`.

    Returns:
        Encoded bytes, of a file no more than one above `MAX_BYTES`; or uint8 (H, W), (H, W, 3) or (H, W, 4); or the
        PIL image itself. And what to call it in an error.

    Raises:
        ImageError: it is something else, or a file that is not there.
    """
    name = "the image"
    if isinstance(source, Mapping):  # either may be None, and a row of a data set has both
        data, path = source.get("bytes"), source.get("path")
        source = path if data is None else data
        name = str(path)[:_LONGEST_NAME] if isinstance(path, (str, os.PathLike)) else name
        if isinstance(source, Mapping) or source is None:
            raise ImageError(f"a dict with neither bytes nor path is no image; give {TAKEN}")
    if isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        return read_bytes(Path(path)), path[:_LONGEST_NAME]
    if isinstance(source, Image):
        return source, name
    if isinstance(source, Tensor):
        return _from_tensor(source), name
    if isinstance(source, np.ndarray):
        return _from_array(source), name
    if hasattr(source, "read"):
        return read_file(source), name
    if _has_buffer(source):
        return source if isinstance(source, bytes) else memoryview(source).tobytes(), name  # ty: ignore[invalid-argument-type]
    raise ImageError(f"{_kind(source)} is no image; give {TAKEN}")


def read_bytes(path: Path) -> bytes:
    """The file's bytes, one more than allowed at most; ImageError where there is no such file."""
    path = local_path(path)
    try:
        there = path.exists()
    except (OSError, ValueError):  # longer than a path may be, or with a zero in it
        there = False
    if not there:
        name = str(path)
        if _URL.match(name):
            raise ImageError(f"{name[:_LONGEST_NAME]} is a URL, and nothing is fetched; download it, or give {TAKEN}")
        raise ImageError(f"no such file {name[:_LONGEST_NAME]}; check the path")
    if not path.is_file():
        raise ImageError(f"{path} is not a file; give the path of an image")
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def read_file(file: Any) -> bytes:
    """Read an open binary file from its beginning, or from where it is if it cannot be wound back.

    Args:
        file: anything with `read`; it stays open.

    Returns:
        Its bytes, one more than allowed at most.

    Raises:
        ImageError: it is closed, was opened as text, or is no file.
    """
    parts: list[bytes] = []
    left = MAX_BYTES + 1
    try:
        if hasattr(file, "seek") and getattr(file, "seekable", lambda: True)():
            file.seek(0)
        while left > 0 and (part := file.read(left)):  # a socket gives less than asked
            if not isinstance(part, (bytes, bytearray, memoryview)):
                raise ImageError(f"{_kind(file)} gives {_kind(part)}, not bytes; open the file in mode rb")
            parts.append(bytes(part))
            left -= len(part)
    except (OSError, TypeError, ValueError) as error:  # a closed file raises ValueError, a text file UnicodeDecodeError
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{_kind(file)} cannot be read ({error}); give a file that is open in mode rb") from error
    return b"".join(parts)


def as_it_is_now(image: ImageInput) -> ImageInput | ImageError:
    """Take the image as it is now: who hands over many may use a file or an array again for the next one.

    Args:
        image: what `open_image` takes.

    Returns:
        A copy of an array, a tensor or a buffer; the bytes of an open file, or what is wrong with it; else the image.
    """
    if isinstance(image, np.ndarray):
        return image.copy()
    if isinstance(image, Tensor):
        return image.clone()
    if isinstance(image, (bytearray, memoryview)):
        return bytes(image)
    if not hasattr(image, "read"):
        return image
    try:
        return read_file(image)
    except ImageError as error:
        return error


def _from_tensor(tensor: Tensor) -> NDArray[np.uint8]:
    """A tensor of any device as an array (H, W, C)."""
    if str(tensor.dtype) != "torch.uint8" or tensor.ndim != 3 or tensor.shape[0] not in (1, 3, 4):
        raise ImageError(f"a tensor of {tensor.dtype} {tuple(tensor.shape)} is no image; give {TAKEN}")
    return _from_array(tensor.detach().cpu().permute(1, 2, 0).numpy())


def _from_array(array: np.ndarray) -> NDArray[np.uint8]:
    """An array with the one channel of a grey image dropped."""
    grey = array.ndim == 3 and array.shape[2] == 1
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))):
        raise ImageError(f"an array of {array.dtype} {array.shape} is no image; give {TAKEN}")
    return array[:, :, 0] if grey else array


def _has_buffer(source: object) -> bool:
    """Whether something is bytes by another name; a NumPy scalar is not."""
    if isinstance(source, np.generic):
        return False
    try:
        return memoryview(source).itemsize == 1  # ty: ignore[invalid-argument-type]
    except (BufferError, TypeError, ValueError):  # ValueError: a memoryview that was released
        return isinstance(source, memoryview)


def _kind(thing: object) -> str:
    """What to call a thing that is no image."""
    return "None" if thing is None else f"something of type {type(thing).__name__}"
