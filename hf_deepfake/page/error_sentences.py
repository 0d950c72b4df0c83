"""An error that a file causes, as a sentence of the page's language."""

import re
from functools import cache

from hf_deepfake.page.texts import LANGUAGES, texts


def describe_error(error: Exception, language: str) -> str:
    """Make a sentence of an error's message.

    Args:
        error: whose message is English and has neither capital nor full stop.
        language: one of `texts.LANGUAGES`.

    Returns:
        The sentence; an English one where the language has none for this message.
    """
    message = str(error)
    if language != LANGUAGES[0]:
        for name, pattern in _patterns().items():
            if match := pattern.fullmatch(message):
                return texts(language)["errors"][name].format(**match.groupdict())
    return f"{message[0].upper()}{message[1:]}."


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """What finds a message again, and what is filled in there, by the message's name."""
    return {
        name: re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(message)), re.DOTALL)
        for name, message in texts(LANGUAGES[0])["errors"].items()
    }
