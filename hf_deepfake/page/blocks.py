"""The page itself: its tabs, what happens in them, and how it is served."""

import json
import socket
from pathlib import Path
from typing import Any

import gradio as gr
from PIL.Image import Image

from hf_deepfake.detect.detector import Detector
from hf_deepfake.detect.verdict import Explanation
from hf_deepfake.errors import InputError
from hf_deepfake.images.source import MAX_BYTES
from hf_deepfake.page.shown import (
    NO_VERDICT,
    describe_error,
    describe_verdict,
    list_faces,
    mark_faces,
    show_card,
    show_inspection,
)
from hf_deepfake.page.turns import Turns
from hf_deepfake.page.uploads import BAD_CALLS, FAILED, FILE, UploadsOnly, read_upload

HERE = Path(__file__).parent

WAITING = 20
"""Images that may wait while one is evaluated; whoever comes then is asked to come again."""

# gradio 6.31's semi-bold file of this font lacks most letters, and its orange is too pale to read.
THEME = gr.themes.Default(primary_hue="indigo", font=[gr.themes.LocalFont("Source Sans Pro", (400, 700)), "sans-serif"])


def build_page(checkpoint: str) -> UploadsOnly:
    """The page for one checkpoint.

    Args:
        checkpoint: folder, or owner/name on the Hub.

    Returns:
        The page, not launched yet; its one public endpoint is `/predict`.

    Raises:
        InputError: there is no such checkpoint.
    """
    detector = Detector.from_pretrained(checkpoint)
    turns = Turns(WAITING)

    def explain(upload: dict[str, Any] | None) -> Explanation:
        content = read_upload(upload)  # before waiting, during which the file may be deleted
        with turns.take():
            return detector.explain(content)

    def show(upload: dict[str, Any] | None) -> tuple[str, gr.ImageSlider, str]:
        if upload is None:
            return "", gr.ImageSlider(visible=False), ""
        try:
            explanation = explain(upload)
        except InputError as error:
            return NO_VERDICT.format(describe_error(error)), gr.ImageSlider(visible=False), ""
        found = explanation.verdict
        pair = (mark_faces(explanation.image, found), mark_faces(explanation.shaded, found))
        return describe_verdict(found), gr.ImageSlider(pair, visible=True), list_faces(found)

    def predict(image: dict[str, Any] | None) -> tuple[dict[str, Any], Image]:
        """Say what a model makes of an image of a face: real or deepfake, how sure, and where it looked.

        Args:
            image: an upload, or over MCP a data URL; links are refused.

        Returns:
            The verdict, and the image with what speaks for the verdict laid over it.
        """
        try:
            explanation = explain(image)
        except InputError as error:
            raise gr.Error(describe_error(error), print_exception=False) from error
        return explanation.verdict.to_dict(), explanation.overlay

    with UploadsOnly(title="Real or deepfake?", analytics_enabled=False) as page:
        gr.Markdown((HERE / "introduction.md").read_text(encoding="utf-8"))
        with gr.Tab("Evaluate an image"), gr.Row():
            with gr.Column():
                image = gr.Image(label="Face image", height=300, buttons=[])
                verdict = gr.Markdown(elem_id="verdict")
                examples = sorted(str(file) for file in (HERE / "examples").glob("*.jpg"))
                label = "Examples: four generated faces (SFHQ, MIT), and a drawn one"
                gr.Examples(examples, image, label=label, api_visibility="private")
            with gr.Column():
                maps = gr.ImageSlider(label="Slide: what speaks for the verdict", visible=False, buttons=["fullscreen"])
                faces = gr.Markdown(elem_id="faces")
                gr.Markdown((HERE / "limits.md").read_text(encoding="utf-8"))
        with gr.Tab("Look closer") as closer:
            show_inspection(closer, image, turns)
        with gr.Tab("About"):
            show_card(checkpoint)
        # Without preprocessing gr.Image does not open the upload: what is no image shall get our own words.
        shown = [verdict, maps, faces]
        image.change(show, image, shown, preprocess=False, concurrency_limit=None, api_visibility="private").failure(
            None, None, shown, js=f"() => [{json.dumps(NO_VERDICT.format(FAILED))}, null, '']"
        )
        results = [gr.JSON(label="verdict", visible=False), gr.Image(label="overlay", visible=False)]
        api = gr.Button(visible=False)
        api.click(predict, image, results, preprocess=False, concurrency_limit=None, api_name="predict")
        # gradio's own sample in the API panel is a link, which is refused here.
        image.example_payload = lambda: {"path": "face.jpg", "url": "face.jpg", "meta": FILE}
    return page


def serve(page: UploadsOnly, host: str | None = None, port: int | None = None, **options: Any) -> None:
    """Launch the page, as safe as it should always be.

    Args:
        page: what `build_page` returned.
        host: name or address to listen at; by default GRADIO_SERVER_NAME, or else this machine alone.
        port: by default GRADIO_SERVER_PORT, or else the first free one from 7860 on.
        **options: further ones of gradio's `launch`, such as `prevent_thread_lock`.

    Raises:
        InputError: nothing can listen there.
    """
    try:
        if host:
            _try_host(host)
        page.launch(
            server_name=host,
            server_port=port,
            max_file_size=MAX_BYTES,
            run_history=False,
            app_kwargs={"lifespan": page.swept, "exception_handlers": BAD_CALLS},
            footer_links=["api"],
            theme=THEME,
            css_paths=HERE / "page.css",
            **options,
        )
    except (OSError, OverflowError) as error:
        raise InputError(
            f"the page cannot be served ({error}); give a free port, and a host of this machine"
        ) from error


def _try_host(host: str) -> None:
    """Fail where nothing can listen at a host: gradio would wait for its server for ever."""
    family, kind, *_, address = socket.getaddrinfo(host.strip("[]"), 0, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as trial:
        trial.bind(address)
