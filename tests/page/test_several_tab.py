import csv
import re
from html import unescape

import numpy as np
import pytest
from PIL import Image

from hf_deepfake.detect.verdict import Explanation, FaceVerdict, Verdict
from hf_deepfake.errors import InputError
from hf_deepfake.forensics.inspect import Inspection
from hf_deepfake.page.several_tab import COLUMNS, check_row, csv_line, show_failed_row, show_row
from hf_deepfake.page.verdict_card import Checked, Judge

JUDGE = Judge("resnet50", "0123456789ab", "0.1.0", (0.25, 0.8))


def line(markup):
    """The row's line of CSV, by column."""
    (found,) = re.findall(r'<pre class="line" hidden>(.*?)</pre>', markup, re.DOTALL)
    (cells,) = csv.reader([unescape(found)])
    return dict(zip(COLUMNS, cells, strict=True))


@pytest.fixture
def found():
    faces = (FaceVerdict((10.0, 20.0, 160.0, 180.0), "fake", 0.91, 0.91, False),)
    explanation = Explanation(
        Verdict("fake", 0.91, 0.91, faces=faces), Image.new("RGB", (200, 200)), np.zeros((200, 200), np.float32)
    )
    return Checked("a, b.jpg", "ab" * 32, None, explanation, Inspection(explanation.image, {}, {}))


def test_a_row_and_its_line(found):
    markup = show_row(found, JUDGE, "en", "k3")
    assert 'data-number="k3"' in markup
    assert "Signs of a deepfake" in markup
    cells = line(markup)
    assert cells.pop("checked")
    assert cells == {
        **{"image": "a, b.jpg", "verdict": "fake", "headline": "Signs of a deepfake", "faces": "1", "faces_fake": "1"},
        **{"fake_score": "0.91", "notes": "", "sha256": "ab" * 32, "width": "200", "height": "200"},
        **{"model": "resnet50", "fingerprint": "0123456789ab", "hf_deepfake": "0.1.0"},
    }


def test_a_row_without_a_verdict():
    markup = show_failed_row("<b>.jpg", "The image is empty; choose one.", "de", "k3")
    assert "Kein Ergebnis" in markup
    assert "<b>" not in markup
    assert line(markup)["verdict"] == "failed"
    assert line(markup)["notes"] == "The image is empty; choose one."


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@x"])
def test_no_name_is_a_formula(name):
    assert csv_line({"image": name}).startswith(f"'{name}")


def test_what_is_wrong_stands_in_the_row():
    class Full:
        judge = JUDGE

        def queue(self, path):
            raise InputError(f"{len(path)} images are waiting already; try again in a minute")

    (markup,) = check_row(Full(), {"paths": ["/tmp/x/face.jpg"], "language": "en", "number": "k3"})
    assert "15 images are waiting already; try again in a minute." in markup
    assert line(markup)["image"] == "face.jpg"
    (markup,) = check_row(Full(), None)
    assert "No image was given; choose one." in markup
