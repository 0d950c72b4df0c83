"""The Space: upload a face picture, get the checkpoint's verdict. `make serve` runs it on this machine."""

import os
import sys

import gradio as gr
from PIL.Image import Image

from hf_deepfake import Detector, InputError, PictureError

CHECKPOINT = os.environ.get("HF_DEEPFAKE_CHECKPOINT", "runs/demo/checkpoint")

NOTE = """The scores say what the net makes of the picture, no more. They are no evidence of where a picture comes from:
a net is wrong most often on pictures unlike those it was trained on."""


def build_app(checkpoint: str) -> gr.Interface:
    """The page for one checkpoint.

    Args:
        checkpoint: folder, or owner/name on the Hub.

    Returns:
        The app, not launched yet; its API endpoint is `/predict`.

    Raises:
        InputError: there is no such checkpoint.
    """
    detector = Detector.from_pretrained(checkpoint)

    def judge(picture: Image | None) -> dict[str, float]:
        if picture is None:
            raise gr.Error("Choose a picture first.")
        try:
            verdict = detector(picture)
        except PictureError as error:
            raise gr.Error(str(error)) from error
        return {"fake": verdict.fake_probability, "real": 1 - verdict.fake_probability}

    return gr.Interface(
        judge,
        gr.Image(type="pil", sources=["upload", "clipboard"], label="Face picture"),
        gr.Label(label="Verdict"),
        title="Real or deepfake?",
        article=NOTE,
        flagging_mode="never",
        api_name="predict",
    )


if __name__ == "__main__":
    try:
        app = build_app(CHECKPOINT)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    app.queue(max_size=20).launch(max_file_size="20mb")
