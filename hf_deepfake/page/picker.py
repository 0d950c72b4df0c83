"""Where an image is chosen: a button, a place to drop it, and the paste of the browser; the work is page.js's."""

import re
from dataclasses import dataclass
from typing import Any

import gradio as gr

from hf_deepfake.page.texts import LANGUAGES
from hf_deepfake.page.uploads import UPLOADS

NUMBER = re.compile(r"[a-z0-9]{1,16}")


@dataclass(frozen=True)
class Chosen:
    """What somebody chose.

    Attributes:
        paths: of the uploads, in order.
        language: one of `LANGUAGES`, in which the page was read.
        number: of this choice, which its answer repeats, so that no other image's verdict is taken for it.
    """

    paths: tuple[str, ...]
    language: str
    number: str

    @classmethod
    def read(cls, value: dict[str, Any] | None) -> "Chosen":
        """Read what the browser sent; what is odd in it becomes what is usual.

        Args:
            value: as `UploadsOnly` lets it through.

        Returns:
            What was chosen; no paths where nothing was.
        """
        value = value or {}
        language, number = str(value.get("language")), str(value.get("number"))
        return cls(
            tuple(value.get("paths") or ()),
            language if language in LANGUAGES else LANGUAGES[0],
            number if NUMBER.fullmatch(number) else "",
        )


def add_uploads(panel: str, kind: str = UPLOADS) -> gr.HTML:
    """Add to the Blocks that are being built what hands over the choice of the picker in the same panel.

    Args:
        panel: id of the column that holds both.
        kind: `UPLOADS`, of images, or `CLIPS`, of videos.

    Returns:
        The component; its `input` is the event, its value what `Chosen.read` takes.
    """
    script = f"deepfakePage.pick({panel!r}, upload, value => {{ props.value = value; trigger('input'); }});"
    return gr.HTML(html_template="<span></span>", js_on_load=script, elem_classes=kind)


def add_shown(name: str, *, render: bool = True) -> gr.HTML:
    """Add to the Blocks that are being built a place for what is found.

    Args:
        name: its id.
        render: place it here; else its `render` is called where it is to stand.

    Returns:
        The component; its value is HTML.
    """
    script = (
        f"deepfakePage.show({name!r}, element, html => {{ props.value = html; }});"
        f"watch('value', () => deepfakePage.shown({name!r}));"
    )
    return gr.HTML("", elem_id=name, elem_classes="shown", apply_default_css=False, js_on_load=script, render=render)
