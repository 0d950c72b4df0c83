import re

import pytest
from jinja2 import UndefinedError

from hf_deepfake.page.texts import LANGUAGES, render, texts


def sentences(part, path=""):
    """Names of sentences, each with the names that it has filled in."""
    if isinstance(part, dict):
        return {key: found for name, one in part.items() for key, found in sentences(one, f"{path}.{name}").items()}
    if isinstance(part, list):
        return {key: found for at, one in enumerate(part) for key, found in sentences(one, f"{path}.{at}").items()}
    return {path: set(re.findall(r"{(\w+)}", part))}


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_a_language_has_every_sentence_of_the_first_and_no_other(language):
    assert sentences(texts(language)) == sentences(texts(LANGUAGES[0]))


def test_what_comes_out_of_a_file_is_escaped():
    name = "<script>alert(1)</script>{{value}}${value}"
    markup = render("message", "en", number='"><b>', sentence=name, kind="waiting", heading="")
    assert "<script>" not in markup
    assert "<b>" not in markup
    assert "{" not in markup
    assert "&lt;script&gt;" in markup


def test_a_name_that_a_template_lacks_is_an_error():
    with pytest.raises(UndefinedError):
        render("message", "en", number="1")
