"""The page's sentences, a file for each language, and the templates that they are set in."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).parent

LANGUAGES = ("en", "de")
"""Languages of the page, the first for who reads none of them; each is a file of its code."""


@cache
def texts(language: str) -> dict[str, Any]:
    """Read the sentences of a language.

    Args:
        language: one of `LANGUAGES`.

    Returns:
        Sentences, and groups of them, by name.
    """
    return yaml.safe_load((HERE / "texts" / f"{language}.yaml").read_text(encoding="utf-8"))


def render(template: str, language: str, **values: Any) -> str:
    """Fill in a template of the page; text is escaped, since much of it comes out of strangers' files.

    Args:
        template: name of a file in `templates`, without its ending.
        language: one of `LANGUAGES`; its sentences are `t` in the template.
        **values: what else the template names.

    Returns:
        HTML without opening braces: gradio takes what stands in them for a template of its own.
    """
    markup = _environment().get_template(f"{template}.html").render(t=texts(language), language=language, **values)
    return markup.replace("{", "&#123;")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
