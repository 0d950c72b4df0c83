from PIL import Image

from hf_deepfake.forensics.inspect import MEANINGS, Inspection
from hf_deepfake.page.closer_tab import show_closer
from hf_deepfake.page.texts import LANGUAGES, texts


def test_each_view_has_its_reading_beside_it():
    image = Image.new("RGB", (80, 60))
    found = Inspection(image, {"EXIF": ["program: <b>x</b>", "none"]}, {"Spectrum": image, "Error level": image})
    markup = show_closer(found, "en", "k3")
    assert markup.count("<figure") == markup.count("<figcaption") == 2
    assert "low ones in the middle" in markup
    assert "program: &lt;b&gt;x&lt;/b&gt;" in markup


def test_every_part_of_an_inspection_has_a_reading_in_every_language():
    assert all(texts(language)["closer"]["parts"].keys() == MEANINGS.keys() for language in LANGUAGES)
