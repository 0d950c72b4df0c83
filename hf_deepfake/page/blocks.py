"""The page itself: its tabs, what happens in them, and how it is served."""

import socket
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gradio as gr
from PIL.Image import Image

from hf_deepfake.detect.detector import Detector
from hf_deepfake.errors import InputError
from hf_deepfake.images.source import MAX_BYTES
from hf_deepfake.page.about_tab import add_about
from hf_deepfake.page.check_tab import Checker, add_check, describe_error
from hf_deepfake.page.compare_tab import add_compare
from hf_deepfake.page.several_tab import add_several
from hf_deepfake.page.texts import LANGUAGES, render, texts
from hf_deepfake.page.turns import Turns
from hf_deepfake.page.uploads import BAD_CALLS, FILE, UploadsOnly, read_upload
from hf_deepfake.page.verdict_card import Judge

HERE = Path(__file__).parent

WAITING = 20
"""Images that may wait while one is evaluated; whoever comes then is asked to come again."""

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
    checker = Checker(detector.explain, Judge.of(detector, version("hf-deepfake")), turns)
    words = Words(MAX_BYTES // 1_000_000)

    def predict(image: dict[str, Any] | None) -> tuple[dict[str, Any], Image]:
        """Say what a model makes of an image of a face: real or deepfake, how sure, and where it looked.

        Args:
            image: an upload, or over MCP a data URL; links are refused.

        Returns:
            The verdict, and the image with what speaks for the verdict laid over it.
        """
        try:
            content = read_upload(image)  # before waiting, during which the file may be deleted
            explanation = turns.queue(lambda: detector.explain(content)).result()
        except InputError as error:
            raise gr.Error(describe_error(error), print_exception=False) from error
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
        with words.tab("about"):
            add_about(checkpoint, words.static, words.add(lambda language: texts(language)["about"]["card"]))
        page.load(None, None, None, js="() => deepfakePage.list()", api_visibility="private")
        # Without preprocessing gr.Image does not open the upload: what is no image shall get our own words.
        image = gr.Image(label="Face image", visible=False)
        results = [gr.JSON(label="verdict", visible=False), gr.Image(label="overlay", visible=False)]
        api = gr.Button(visible=False)
        api.click(predict, image, results, preprocess=False, concurrency_limit=None, api_name="predict")
        # gradio's own sample in the API panel is a link, which is refused here.
        image.example_payload = lambda: {"path": "face.jpg", "url": "face.jpg", "meta": FILE}
    page.words = words
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
            head=_head(),
            i18n=page.words,
            **options,
        )
    except (OSError, OverflowError) as error:
        raise InputError(
            f"the page cannot be served ({error}); give a free port, and a host of this machine"
        ) from error


def _head() -> str:
    """The script, and the style of cards, which the script also puts into a report that is kept."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("card.css", "page.js"))
    return f'<style id="card-style">{style}</style><script>{script}</script>'


def _try_host(host: str) -> None:
    """Fail where nothing can listen at a host: gradio would wait for its server for ever."""
    family, kind, *_, address = socket.getaddrinfo(host.strip("[]"), 0, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as trial:
        trial.bind(address)
