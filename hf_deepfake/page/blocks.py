"""The page itself: its tabs, what happens in them, and how it is served."""

import socket
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gradio as gr
from PIL.Image import Image
from starlette.middleware import Middleware

from hf_deepfake.detect.detector import Detector
from hf_deepfake.errors import InputError
from hf_deepfake.page.about_tab import add_about
from hf_deepfake.page.check_tab import Checker, add_check
from hf_deepfake.page.compare_tab import add_compare
from hf_deepfake.page.error_sentences import describe_error
from hf_deepfake.page.gate import Gate
from hf_deepfake.page.limits import Limits
from hf_deepfake.page.mcp_tool import DataUrlTool
from hf_deepfake.page.routes import SPARE, service_routes
from hf_deepfake.page.service import Service
from hf_deepfake.page.several_tab import add_several
from hf_deepfake.page.stopping import run_until_stopped
from hf_deepfake.page.texts import LANGUAGES, render, texts
from hf_deepfake.page.uploads import BAD_CALLS, FILE, UploadsOnly, read_upload
from hf_deepfake.page.verdict_card import Judge
from hf_deepfake.page.video_tab import VideoChecker, add_video, add_video_endpoint

HERE = Path(__file__).parent

DEFAULTS = Limits()

QUEUE_PAUSE = 0.02
"""Seconds between two looks into an empty queue: what an event of the page waits for at most."""

# gradio 6.31's semi-bold file of this font lacks most letters, and its orange is too pale to read.
THEME = gr.themes.Default(primary_hue="indigo", font=[gr.themes.LocalFont("Source Sans Pro", (400, 700)), "sans-serif"])


class Words(gr.I18n):
    """What of the page is fixed, in every language; the browser takes that of its user.

    Args:
        megabytes: that an upload may have.
    """

    def __init__(self, megabytes: int) -> None:
        super().__init__(**{language: {} for language in LANGUAGES})
        self._megabytes = megabytes

    def add(self, sentence: Callable[[str], str]) -> Any:
        """Take up a sentence or a part of the page.

        Args:
            sentence: what it is in a language.

        Returns:
            What stands for it.
        """
        key = f"page_{len(self.translations[LANGUAGES[0]])}"
        for language in LANGUAGES:
            self.translations[language][key] = sentence(language)
        return self(key)

    def static(self, template: str, **values: Any) -> gr.HTML:
        """Add a fixed part to the Blocks that are being built.

        Args:
            template: its name.
            **values: what the template names.

        Returns:
            The part.
        """
        markup = self.add(lambda language: render(template, language, megabytes=self._megabytes, **values))
        return gr.HTML(markup, apply_default_css=False, js_on_load=None)

    def tab(self, name: str) -> gr.Tab:
        """Add a tab to the Blocks that are being built.

        Args:
            name: of its sentence, and its id.

        Returns:
            The tab.
        """
        return gr.Tab(self.add(lambda language: texts(language)["tabs"][name]), elem_id=f"tab-{name}", id=name)


def build_page(checkpoint: str, limits: Limits = DEFAULTS) -> UploadsOnly:
    """The page for one checkpoint.

    Args:
        checkpoint: folder, or owner/name on the Hub.
        limits: what the service takes on.

    Returns:
        The page, not launched yet; its public endpoints are `/predict` and `/predict_video`.

    Raises:
        InputError: there is no such checkpoint, or it cannot be served within these limits.
    """
    detector = Detector.from_pretrained(checkpoint)
    service = Service(detector, limits)
    checker = Checker(service.detector.explain, Judge.of(detector, version("hf-deepfake")), service.turns)
    videos = VideoChecker(service.detector.video, checker.judge.on_videos(detector.checkpoint), service.turns)
    words = Words(limits.megabytes)

    def predict(image: dict[str, Any] | None) -> tuple[dict[str, Any], Image]:
        """Say what a model makes of an image of a face: real or deepfake, how sure, and where it looked.

        Args:
            image: an upload, or over MCP a data URL; links are refused.

        Returns:
            The verdict, and the image with what speaks for the verdict laid over it.
        """
        try:
            content = read_upload(image)  # before waiting, during which the file may be deleted
            explanation = service.in_turn(lambda: service.detector.explain(content))
        except InputError as error:
            raise gr.Error(describe_error(error, LANGUAGES[0]), print_exception=False) from error
        return explanation.verdict.to_dict(), explanation.overlay

    with UploadsOnly(title=texts(LANGUAGES[0])["title"], analytics_enabled=False) as page:
        words.static("introduction")
        with words.tab("check"):
            closer = add_check(checker, words.static)
        with words.tab("closer"):
            words.static("closer_about")
            closer.render()
        with words.tab("several"):
            add_several(checker, words.static)
        with words.tab("compare"):
            add_compare(checker, words.static)
        with words.tab("video"):
            add_video(videos, words.static)
        with words.tab("about"):
            add_about(checkpoint, words.static, words.add(lambda language: texts(language)["about"]["card"]))
        page.load(None, None, None, js="() => deepfakePage.list()", api_visibility="private")
        # Without preprocessing gr.Image does not open the upload: what is no image shall get our own words.
        image = gr.Image(label="Face image", visible=False)
        results = [gr.JSON(label="verdict", visible=False), gr.Image(label="overlay", visible=False)]
        api = gr.Button(visible=False)
        # Not queued, so that MCP calls it here and not over HTTP.
        api.click(predict, image, results, preprocess=False, concurrency_limit=None, queue=False, api_name="predict")
        # gradio's own sample in the API panel is a link, which is refused here.
        image.example_payload = lambda: {"path": "face.jpg", "url": "face.jpg", "meta": FILE}
        add_video_endpoint(videos)
    page.words = words
    page.service = service
    return page


def serve(
    page: UploadsOnly,
    host: str | None = None,
    port: int | None = None,
    root_path: str | None = None,
    *,
    prevent_thread_lock: bool = False,
    **options: Any,
) -> None:
    """Launch the page, as safe as it should always be, and its API and MCP tool with it.

    Args:
        page: what `build_page` returned.
        host: name or address to listen at; by default GRADIO_SERVER_NAME, or else this machine alone.
        port: by default GRADIO_SERVER_PORT, or else the first free one from 7860 on.
        root_path: under which a proxy shows it; by default GRADIO_ROOT_PATH, or else none.
        prevent_thread_lock: return at once; else it returns when it was interrupted and what ran has ended.
        **options: further ones of gradio's `launch`.

    Raises:
        InputError: nothing can listen there.
    """
    service = page.service
    # Gradio looks into its queue 1,000 times a second, which takes 4 % of a core from a service that nobody uses.
    page._queue.sleep_when_free = QUEUE_PAUSE
    try:
        if host:
            _try_host(host)
        page.launch(
            server_name=host,
            server_port=port,
            root_path=root_path,
            max_file_size=service.limits.upload_bytes,
            max_threads=service.limits.concurrency + service.limits.waiting + SPARE,
            run_history=False,
            mcp_server=True,
            app_kwargs={
                "lifespan": page.swept,
                "exception_handlers": BAD_CALLS,
                "middleware": [Middleware(Gate, service=service)],
                "routes": service_routes(service),
            },
            footer_links=["api"],
            theme=THEME,
            css_paths=HERE / "page.css",
            head=_head(),
            i18n=page.words,
            prevent_thread_lock=True,
            **options,
        )
    except (OSError, OverflowError) as error:
        raise InputError(
            f"the page cannot be served ({error}); give a free port, and a host of this machine"
        ) from error
    page.mcp_server_obj.__class__ = DataUrlTool  # gradio lets nobody choose its class
    if not prevent_thread_lock:
        run_until_stopped(page)


def _head() -> str:
    """The script, and the style of cards, which the script also puts into a report that is kept."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("card.css", "page.js"))
    return f'<style id="card-style">{style}</style><script>{script}</script>'


def _try_host(host: str) -> None:
    """Fail where nothing can listen at a host: gradio would wait for its server for ever."""
    family, kind, *_, address = socket.getaddrinfo(host.strip("[]"), 0, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as trial:
        trial.bind(address)
