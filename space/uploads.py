"""What the server takes as a picture: what somebody has just uploaded, and nothing else."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj, traverse

from hf_deepfake import InputError


class UploadsOnly(gr.Blocks):
    """Blocks whose files are uploads: gradio by itself fetches links, too, and opens a path that is not marked as one.

    The check stands where the page, the API and MCP all pass, before gradio does anything with a file.
    """

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any) -> list[Any]:
        """Refuse every file from elsewhere, then go on as gradio does."""
        traverse(inputs, _check_uploaded, is_file_obj)
        return await super().preprocess_data(block_fn, inputs, *rest, **options)


def read_upload(upload: dict[str, Any] | None) -> bytes:
    """Read an uploaded picture, whatever its name says it is.

    Args:
        upload: what gradio hands to a function with `preprocess=False`; None where nothing was given.

    Returns:
        The file's bytes.

    Raises:
        InputError: nothing was given, or the file has been deleted meanwhile.
    """
    if upload is None or upload["path"] is None:
        raise InputError("no picture was given; choose one")
    try:
        return Path(upload["path"]).read_bytes()
    except OSError as error:
        raise InputError("the picture has been deleted from the server; upload it again") from error


def _check_uploaded(file: dict[str, Any]) -> None:
    """Refuse a file outside the folder of uploads; a link is never inside it."""
    if not Path(file["path"]).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        raise gr.Error("Neither links nor paths are judged; upload the picture itself.", print_exception=False)
