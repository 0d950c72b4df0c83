"""What the server takes as an image or a video: what somebody has just uploaded, and nothing else."""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from gradio.route_utils import FnIndexInferError
from gradio.utils import get_upload_folder

from hf_deepfake.errors import InputError
from hf_deepfake.page.json_lines import LOG
from hf_deepfake.page.keep import Sweep
from hf_deepfake.page.limits import MEGABYTE, Limits

if TYPE_CHECKING:
    from hf_deepfake.page.service import Service

KEPT = 60
"""Seconds from one sweep to the next: uploads and maps are deleted 60 to 120 s after they came."""

ELSEWHERE = "Neither links nor paths are evaluated; upload the file itself."
GONE = "The file has been deleted from the server; upload it again."
NO_UPLOAD = (
    'What was sent is no upload; send {"path": what /gradio_api/upload answered}, or in Python handle_file("face.jpg").'
)
NO_CALL = "This is no call that the server knows; how to call it is at /?view=api."
TOO_LARGE = "The file has more than {megabytes} MB; save it smaller."
FAILED = "Something went wrong on the server, not with your image; please try again."

FILE = {"_type": "gradio.FileData"}

MOST = 50
"""Uploads in one request, whatever the page asks for."""

UPLOADS = "uploads"
"""Class of the elements that hand over uploads: {"paths": a list of what /gradio_api/upload answered, ...}."""

CLIPS = "clips"
"""The same of those that hand over videos."""


class UploadsOnly(gr.Blocks):
    """Blocks whose files are uploads: gradio by itself fetches links, too, and opens a path that is not marked as one.

    The check stands where the page, the API and MCP all pass, before gradio does anything with a file.

    Attributes:
        words: the page's sentences in its languages, for its launch.
        service: what evaluates the uploads.
    """

    words: gr.I18n | None = None
    service: "Service"

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any) -> list[Any]:
        """Take uploads and nothing else as images, then go on as gradio does."""
        if block_fn.fn is None:  # the page's own, in JavaScript
            raise gr.Error(NO_CALL, print_exception=False)
        if len(inputs) < len(block_fn.inputs):
            raise gr.Error(NO_UPLOAD, print_exception=False)
        pairs = zip(block_fn.inputs, inputs, strict=False)  # gradio ignores what is too many
        checked = [_checked(block, value, self.service.limits) for block, value in pairs]
        try:
            return await super().preprocess_data(block_fn, checked, *rest, **options)
        except Exception as error:
            raise gr.Error(NO_UPLOAD, print_exception=False) from error

    async def process_api(self, *args: Any, **options: Any) -> dict[str, Any]:
        """Do as gradio does, but give who asked a sentence where it gives an empty error."""
        try:
            return await super().process_api(*args, **options)
        except gr.Error:
            raise
        except Exception as error:
            LOG.error("evaluation failed", exc_info=error)
            raise gr.Error(FAILED, print_exception=False) from error

    async def pause(self) -> None:
        """Wait until the next sweep."""
        await asyncio.sleep(KEPT)

    @asynccontextmanager
    async def swept(self, _: Any) -> AsyncGenerator[None]:
        """While the server runs, sweep its folder; delete all that is left when it ends."""
        kept = {file for block in self.blocks.values() for file in getattr(block, "keep_in_cache", ())}
        sweep = Sweep(Path(get_upload_folder()), kept)

        async def go_on() -> None:
            while True:
                await self.pause()
                await asyncio.to_thread(sweep)
                for names in self.temp_file_sets:  # gradio's own notes of what to sweep, which would only grow
                    names.clear()

        task = asyncio.create_task(go_on())
        try:
            yield
        finally:
            task.cancel()
            sweep()
            sweep()


def refuse_call(_: Request, __: Exception) -> JSONResponse:
    """Answer a request that gradio cannot make sense of."""
    return JSONResponse({"error": NO_CALL}, status_code=400)


BAD_CALLS = dict.fromkeys((RequestValidationError, FnIndexInferError, KeyError, TypeError), refuse_call)
"""What gradio's routes raise over such a request, with what to do; what a function raises does not come so far."""


def read_upload(upload: dict[str, Any] | None) -> bytes:
    """Read an uploaded image, whatever its name says it is.

    Args:
        upload: what gradio hands to a function with `preprocess=False`; None where nothing was given.

    Returns:
        The file's bytes.

    Raises:
        InputError: nothing was given, or the file has been deleted meanwhile.
    """
    if upload is None or upload["path"] is None:
        raise InputError("no image was given; choose one")
    return read_path(upload["path"])


def read_path(path: str) -> bytes:
    """Read an upload.

    Args:
        path: as `UploadsOnly` lets it through.

    Returns:
        The file's bytes.

    Raises:
        InputError: it has been deleted meanwhile.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError("the image has been deleted from the server; upload it again") from error


def _checked(block: Any, value: Any, limits: Limits) -> Any:
    """What a request says of one input; of what holds files, nothing but uploads of the size that it may have."""
    classes = block.elem_classes or ()
    is_clip = isinstance(block, gr.File) or CLIPS in classes
    most = limits.upload_bytes if is_clip else limits.image_bytes
    if isinstance(block, (gr.Image, gr.File)):
        return _taken(value, most)
    if not {UPLOADS, CLIPS} & set(classes) or value is None:
        return value
    paths = value.get("paths") if isinstance(value, dict) else None
    if not isinstance(paths, list) or len(paths) > MOST or not all(isinstance(path, str) for path in paths):
        raise gr.Error(NO_UPLOAD, print_exception=False)
    taken = [_taken({"path": path}, most) for path in paths]
    # All else is text, lest gradio find a file in it.
    words = {name: str(value.get(name)) for name in ("language", "number")}
    return {"paths": [one["path"] for one in taken if one], **words}


def _taken(value: Any, most: int) -> dict[str, Any] | None:
    """What a request says of its file, reduced to the path of an upload; None where it names none.

    An upload is a regular file inside the folder of uploads, which no part of the path reaches over a link.
    """
    if value is None or (isinstance(value, dict) and "path" in value and value["path"] is None):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("path"), str):
        raise gr.Error(NO_UPLOAD, print_exception=False)
    folder, path = Path(get_upload_folder()).resolve(), os.path.abspath(value["path"])  # noqa: PTH100 - keeps links
    try:
        inside = folder in Path(path).parents and os.path.realpath(path) == path
        found = os.lstat(path) if inside else None
    except FileNotFoundError as error:
        raise gr.Error(GONE, print_exception=False) from error
    except (OSError, ValueError) as error:  # too long a name, or one with a zero in it
        raise gr.Error(ELSEWHERE, print_exception=False) from error
    if found is None or not stat.S_ISREG(found.st_mode):
        raise gr.Error(ELSEWHERE, print_exception=False)
    if found.st_size > most:
        raise gr.Error(TOO_LARGE.format(megabytes=most // MEGABYTE), print_exception=False)
    return {"path": path, "meta": FILE}
