"""The Space: a page that says what the net makes of a picture, and where it looked. `make serve` runs it here."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import gradio as gr
from PIL.Image import Image
from uploads import UploadsOnly, read_upload
from views import FAILED, describe_error, describe_verdict, list_faces, mark_faces, show_card, show_inspection

from hf_deepfake import Detector, InputError
from hf_deepfake.pictures.source import MAX_BYTES

HERE = Path(__file__).parent
CHECKPOINT = HERE / "checkpoint"

KEPT = 60
"""Age in seconds at which uploads and maps are deleted, by a sweep that comes as often."""

# gradio 6.31's semi-bold file of this font lacks most letters, and its orange is too pale to read.
THEME = gr.themes.Default(primary_hue="indigo", font=[gr.themes.LocalFont("Source Sans Pro", (400, 700)), "sans-serif"])


def build_page(checkpoint: str) -> gr.Blocks:
    """The page for one checkpoint.

    Args:
        checkpoint: folder, or owner/name on the Hub.

    Returns:
        The page, not launched yet; its one public endpoint is `/predict`.

    Raises:
        InputError: there is no such checkpoint.
    """
    detector = Detector.from_pretrained(checkpoint)

    def show(upload: dict[str, Any] | None) -> tuple[str, gr.ImageSlider, str]:
        if upload is None:
            return "", gr.ImageSlider(visible=False), ""
        try:
            explanation = detector.explain(read_upload(upload))
        except InputError as error:
            return f"## No verdict\n\n{describe_error(error)}", gr.ImageSlider(visible=False), ""
        found = explanation.verdict
        pair = (mark_faces(explanation.picture, found), mark_faces(explanation.shaded, found))
        return describe_verdict(found), gr.ImageSlider(pair, visible=True), list_faces(found)

    def predict(picture: dict[str, Any] | None) -> tuple[dict[str, Any], Image]:
        """Say what a net makes of a picture of a face: real or deepfake, how sure, and where it looked.

        Args:
            picture: an upload, or over MCP a data URL; links are refused.

        Returns:
            The verdict, and the picture with what speaks for the verdict laid over it.
        """
        try:
            explanation = detector.explain(read_upload(picture))
        except InputError as error:
            raise gr.Error(describe_error(error), print_exception=False) from error
        return explanation.verdict.to_dict(), explanation.overlay

    with UploadsOnly(title="Real or deepfake?", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as page:
        gr.Markdown((HERE / "introduction.md").read_text(encoding="utf-8"))
        with gr.Tab("Judge a picture"), gr.Row():
            with gr.Column():
                picture = gr.Image(label="Face picture", height=300, buttons=[])
                verdict = gr.Markdown(elem_id="verdict")
                examples = sorted(str(file) for file in (HERE / "examples").iterdir())
                gr.Examples(examples, picture, label="Drawn examples: three fakes, two real", api_visibility="private")
            with gr.Column():
                maps = gr.ImageSlider(label="Slide: what speaks for the verdict", visible=False, buttons=["fullscreen"])
                faces = gr.Markdown(elem_id="faces")
                gr.Markdown((HERE / "limits.md").read_text(encoding="utf-8"))
        with gr.Tab("Look closer") as closer:
            show_inspection(closer, picture)
        with gr.Tab("About"):
            show_card(checkpoint)
        # Without preprocessing gr.Image does not open the upload: what is no picture shall get our own words.
        # Both events share one concurrency_id, so that the net judges one picture at a time, whoever asks.
        shown = [verdict, maps, faces]
        picture.change(show, picture, shown, preprocess=False, concurrency_id="net", api_visibility="private").failure(
            None, None, shown, js=f"() => [{json.dumps(FAILED)}, null, '']"
        )
        results = [gr.JSON(label="verdict", visible=False), gr.Image(label="overlay", visible=False)]
        api = gr.Button(visible=False)
        api.click(predict, picture, results, preprocess=False, concurrency_id="net", api_name="predict")
    return page.queue(max_size=20)


def serve(page: gr.Blocks, **options: Any) -> None:
    """Launch the page, as safe as it should always be.

    Args:
        page: what `build_page` returned.
        **options: further ones of gradio's `launch`, such as `server_port`.
    """
    page.launch(
        max_file_size=MAX_BYTES,
        run_history=False,
        footer_links=["api"],
        theme=THEME,
        css_paths=HERE / "page.css",
        **options,
    )


if __name__ == "__main__":
    # Told to stop in whatever way, gradio shall close as on Ctrl-C, and so delete what it still holds.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        serve(build_page(os.environ.get("HF_DEEPFAKE_CHECKPOINT", str(CHECKPOINT))))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
