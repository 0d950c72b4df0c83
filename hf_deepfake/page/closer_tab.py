"""The tab *Look closer*: what the file says of its past, and views of its pixels, each with how to read it."""

from PIL import ImageOps

from hf_deepfake.forensics.inspect import Inspection
from hf_deepfake.page.pictures import SIDE, encode
from hf_deepfake.page.texts import render


def show_closer(found: Inspection, language: str, number: str) -> str:
    """Set what was seen of a file.

    Args:
        found: the inspection.
        language: one of `texts.LANGUAGES`.
        number: which choice it belongs to.

    Returns:
        HTML.
    """
    views = [(name, encode(ImageOps.contain(view, (SIDE, SIDE)))) for name, view in found.views.items()]
    return render("closer", language, facts=found.facts, views=views, number=number)
