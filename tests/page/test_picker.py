import gradio as gr
import pytest

from hf_deepfake.page.picker import Chosen, add_shown, add_uploads
from hf_deepfake.page.texts import render
from hf_deepfake.page.uploads import UPLOADS


def test_a_choice():
    chosen = Chosen.read({"paths": ["/tmp/a.jpg"], "language": "de", "number": "k3"})
    assert chosen == Chosen(("/tmp/a.jpg",), "de", "k3")


@pytest.mark.parametrize("value", [None, {}, {"paths": [], "language": "xx", "number": '"><script>'}])
def test_an_odd_choice_is_read_as_an_empty_one_in_english(value):
    assert Chosen.read(value) == Chosen((), "en", "")


def test_limits_are_said_before_the_upload():
    one = render("picker", "en", shows="verdict", most=1, heading="", megabytes=20)
    more = render("picker", "en", shows="several", most=20, heading="", megabytes=20)
    assert "at most 20 MB and 40 megapixels" in one
    assert "multiple" not in one
    assert "At most 20 images at a time" in more
    assert "multiple" in more


def test_what_hands_over_uploads_is_marked_for_the_check():
    with gr.Blocks():
        assert UPLOADS in add_uploads("check").elem_classes
        assert add_shown("verdict").elem_id == "verdict"
