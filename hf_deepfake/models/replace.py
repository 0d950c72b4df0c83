"""A checkpoint's folder, replaced whole or not at all."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from hf_deepfake.errors import InputError

CONFIG_FILE = "config.json"


@contextmanager
def replacing_folder(folder: Path) -> Generator[Path]:
    """Yield an empty folder beside `folder`; what was written there takes its place when the block ends well.

    Args:
        folder: where the checkpoint shall lie; an existing checkpoint is replaced with all it holds, an empty folder
            filled, and anything else refused.

    Yields:
        Path of the temporary folder.

    Raises:
        InputError: the folder holds something else or the working directory, or cannot be written (a full disk, for
            example); it is then as it was.
    """
    place = check_place(folder)
    written = place.with_name(f".{place.name}.{os.getpid()}.new")
    old = place.with_name(f".{place.name}.{os.getpid()}.old")
    try:
        written.mkdir(parents=True)
        yield written
        if place.exists() and not any(place.iterdir()):  # somebody's working directory, perhaps: it stays itself
            for file in list(written.iterdir()):
                file.rename(place / file.name)
            written.rmdir()
        else:
            if place.exists():
                place.rename(old)
            written.rename(place)
    except (OSError, SafetensorError) as error:
        if old.exists() and not place.exists():
            old.rename(place)
        raise InputError(
            f"the checkpoint cannot be written to {folder} ({error}); what was there before is untouched, "
            "so free space or allow writing there and try again"
        ) from error
    finally:
        shutil.rmtree(written, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def check_place(folder: Path) -> Path:
    """Refuse a place where writing a checkpoint would take something else away.

    Args:
        folder: where the checkpoint shall lie.

    Returns:
        Where it really lies: the target of a link.

    Raises:
        InputError: it holds something else, or the working directory.
    """
    place = folder.resolve()
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return place
    if not (place / CONFIG_FILE).is_file():
        raise InputError(f"{folder} is there and no checkpoint, so that it is not replaced; give a new folder")
    if Path.cwd().is_relative_to(place):
        raise InputError(f"{folder} holds the working directory, so that it is not replaced; export from elsewhere")
    return place
