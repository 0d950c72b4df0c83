import ast
from pathlib import Path

import pytest

from hf_deepfake import images, page
from hf_deepfake.errors import ImageError
from hf_deepfake.images.open import open_image
from hf_deepfake.images.video import probe
from hf_deepfake.page.error_sentences import describe_error
from hf_deepfake.page.texts import LANGUAGES

IMAGES, PAGE = Path(images.__file__).parent, Path(page.__file__).parent
RAISED = {
    IMAGES / "open.py": ("ImageError", "the image"),
    IMAGES / "video_file.py": ("VideoError", "the video"),
    IMAGES / "video_decoder.py": ("VideoError", "the video"),
    PAGE / "turns.py": ("BusyError", ""),
    PAGE / "check_tab.py": ("InputError", ""),
    PAGE / "several_tab.py": ("InputError", ""),
    PAGE / "uploads.py": ("InputError", ""),
    PAGE / "video_tab.py": ("InputError", ""),
}
"""Modules whose errors the page shows: which error, and what it calls what was uploaded."""

NO_UPLOAD = ("something of type", "1 cannot be opened")
"""Beginnings of messages about what is no upload: one is a file that is open."""


def messages():
    """What these modules say, with the name of the upload and 1 for all else that is filled in."""
    for file, (error, name) in RAISED.items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == error):
                continue
            parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else node.args
            said = [
                part.value
                if isinstance(part, ast.Constant)
                else name
                if ast.unparse(part.value).endswith("name")
                else "1"
                for part in parts
            ]
            if not "".join(said).startswith(NO_UPLOAD):
                yield "".join(said)


@pytest.mark.parametrize("message", sorted(set(messages())))
@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_error_of_an_upload_is_said_in_every_language(language, message):
    said = describe_error(ValueError(message), language)
    assert said != describe_error(ValueError(message), LANGUAGES[0])
    assert said[0].isupper()
    assert said.endswith(".")
    assert "{" not in said


def test_english_is_the_message_itself():
    assert describe_error(ValueError("the image is empty; choose one"), "en") == "The image is empty; choose one."


def test_what_no_language_has_stays_english():
    assert describe_error(ValueError("pip is not here; install it"), "de") == "Pip is not here; install it."


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"text", "Das Bild liegt in keinem dieser Formate vor (JPEG, "),
        (b"\xff\xd8\xff\xe0 no picture", "Das Bild ist abgeschnitten oder beschädigt ("),
    ],
)
def test_a_real_file_s_error(content, expected):
    with pytest.raises(ImageError) as caught:
        open_image(content)
    assert describe_error(caught.value, "de").startswith(expected)


def test_a_real_video_s_error():
    with pytest.raises(ImageError) as caught:
        probe(b"text")
    expected = "Das Video liegt in keinem dieser Formate vor (MP4, MOV, WebM, MKV, AVI); wandeln Sie es erst um."
    assert describe_error(caught.value, "de") == expected
