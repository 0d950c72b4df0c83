"""What the page shows: a verdict in words, the faces, the marked image, an error, and the model's card."""

import re
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from huggingface_hub import ModelCard, snapshot_download
from PIL import Image, ImageDraw, ImageFont, ImageOps

from hf_deepfake.detect.verdict import Verdict
from hf_deepfake.errors import InputError
from hf_deepfake.forensics.inspect import MEANINGS, inspect_image
from hf_deepfake.page.turns import Turns
from hf_deepfake.page.uploads import read_upload

SIDE = 800
"""Longer side of a shown image, px: sharp on a phone and on half a screen, and quick to send."""

ABSTAINS = (
    "It abstains: with a score like this it was wrong too often, on the images that its limits were set on, to call a "
    "face real or fake."
)
"""What abstention means, for who has not read the card."""

NO_VERDICT = "## No verdict\n\n{}"
"""What stands in the place of a verdict, around a sentence that says why."""


def describe_verdict(verdict: Verdict) -> str:
    """Say what the model found, as a finding of the model and never as a fact.

    Args:
        verdict: on one image.

    Returns:
        Markdown.
    """
    found = {"fake": "The model finds signs of a deepfake", "real": "The model finds no signs of a deepfake"}
    headline = "The model cannot tell" if verdict.unsure else found[verdict.label]
    leaning = "leaning to" if verdict.unsure else "for"
    score = f"Score **{verdict.score:.2f}** {leaning} *{verdict.label}*, on a scale from 0.50 (undecided) to 1.00."
    by_score = any(face.unsure for face in verdict.faces) or not verdict.reasons
    abstains = [ABSTAINS] if verdict.unsure and by_score else []
    return "\n\n".join([f"## {headline}", score, *abstains, *verdict.reasons])


def describe_error(error: Exception) -> str:
    """Make a sentence of an error's message.

    Args:
        error: whose message has neither capital nor full stop.

    Returns:
        The sentence.
    """
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."


def list_faces(verdict: Verdict) -> str:
    """List the faces that were evaluated, numbered as `mark_faces` numbers them.

    Args:
        verdict: on one image.

    Returns:
        A Markdown table; empty where there are no faces.
    """
    if not verdict.faces:
        return ""
    lines = ["| Face | Verdict | Score | Size |", "|---|---|---|---|"]
    for number, face in enumerate(verdict.faces, start=1):
        left, top, right, bottom = face.box
        label = f"unsure ({face.label}?)" if face.unsure else face.label
        lines.append(f"| {number} | {label} | {face.score:.2f} | {right - left:.0f} x {bottom - top:.0f} px |")
    return "\n".join(lines)


def mark_faces(image: Image.Image, verdict: Verdict) -> Image.Image:
    """Scale an image for the page and number its faces.

    Args:
        image: RGB, as large as the one that was evaluated.
        verdict: on it.

    Returns:
        A new RGB image with a longer side of `SIDE`.
    """
    shown = ImageOps.contain(image, (SIDE, SIDE))
    scale = shown.width / image.width
    draw = ImageDraw.Draw(shown)
    for number, face in enumerate(verdict.faces, start=1):
        left, top, right, bottom = (scale * edge for edge in face.box)
        draw.rectangle((left, top, right, bottom), outline="white", width=3)
        draw.rectangle((left, top, left + 32, top + 32), fill="white")
        draw.text((left + 16, top + 16), str(number), "black", ImageFont.load_default(24), anchor="mm")
    return shown


def show_inspection(tab: gr.Tab, image: gr.Image, turns: Turns) -> None:
    """Add to a tab what the file says of its past and views of its pixels, made when the tab is opened.

    Args:
        tab: the tab, being built.
        image: the upload.
        turns: of all that takes long here.
    """
    gr.Markdown("These views inform an analyst. They never change the score, and none of them is evidence by itself.")
    gallery = gr.Gallery(show_label=False, columns=3, height="auto", buttons=["fullscreen"], elem_id="views")
    text = gr.Markdown(elem_id="inspection")

    def look(upload: dict[str, Any] | None) -> tuple[list[tuple[Image.Image, str]], str]:
        try:
            content = read_upload(upload)
            with turns.take():
                found = inspect_image(content)
        except InputError as error:
            return [], describe_error(error)
        parts = ["  \n".join([f"**{name}**", *map(escape, lines)]) for name, lines in found.facts.items()]
        views = [(view, name) for name, view in found.views.items()]
        return views, "\n\n".join([*parts, "---", *(f"*{name}*: {text}" for name, text in MEANINGS.items())])

    tab.select(look, image, [gallery, text], preprocess=False, concurrency_limit=None, api_visibility="private")


def show_card(checkpoint: str) -> None:
    """Add the checkpoint's card to the Blocks that are being built, its figures where they stand in the text.

    Args:
        checkpoint: folder, or owner/name on the Hub.
    """
    local = Path(checkpoint).is_dir()
    folder = Path(checkpoint if local else snapshot_download(checkpoint, allow_patterns=["README.md", "*.png"]))
    card = folder / "README.md"
    text = ModelCard.load(card, ignore_metadata_errors=True).text if card.exists() else "This checkpoint has no card."
    text = text.replace("](#", "](#h-")  # gr.Markdown puts this before the anchors of headings
    # Only a bare file name counts as a figure, so that a card can show nothing from outside its folder.
    first, *figures = re.split(r"!\[(.*?)\]\(([\w-]+\.png)\)", text)
    gr.Markdown(first, header_links=True)
    for caption, name, after in zip(figures[::3], figures[1::3], figures[2::3], strict=True):
        figure = str(folder / name)
        gr.Image(figure, alt_text=caption, interactive=False, show_label=False, buttons=[], elem_classes="figure")
        gr.Markdown(f"*{caption}*\n{after}", header_links=True)
