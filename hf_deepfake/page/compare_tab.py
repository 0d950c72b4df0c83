"""The tab in which two images are checked side by side."""

from collections.abc import Callable, Generator

import gradio as gr

from hf_deepfake.page.check_tab import Checker, check_one, listen
from hf_deepfake.page.picker import add_shown, add_uploads

PANELS = ("first", "second")


def add_compare(checker: Checker, static: Callable[..., gr.HTML]) -> None:
    """Add the tab's content to the Blocks that are being built.

    Args:
        checker: who checks.
        static: makes a part of the page that is fixed, in every language, by the name of its template.
    """

    def check_side(value: dict | None) -> Generator[str]:
        for markup, _ in check_one(checker, value):
            yield markup

    with gr.Row(elem_id="sides"):
        for panel in PANELS:
            with gr.Column(min_width=300, elem_id=panel):
                static("picker", shows=f"{panel}-verdict", most=1, heading=panel)
                shown = add_shown(f"{panel}-verdict")
                listen(add_uploads(panel), check_side, [shown], panel)
