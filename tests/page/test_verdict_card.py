import json
import re
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from hf_deepfake.detect.face_crops import ANIMATED, NO_FACE, TOO_SMALL
from hf_deepfake.detect.verdict import Explanation, FaceVerdict, Verdict
from hf_deepfake.forensics.inspect import Inspection
from hf_deepfake.page import verdict_card
from hf_deepfake.page.verdict_card import Checked, Judge

JUDGE = Judge("resnet50", "0123456789ab", "0.1.0", (0.25, 0.8))
FAKE = FaceVerdict((10.0, 20.0, 160.0, 180.0), "fake", 0.91, 0.91, False)
REAL = FaceVerdict((200.0, 20.0, 330.0, 170.0), "real", 0.9, 0.1, False)
UNSURE = FaceVerdict((200.0, 200.0, 253.0, 270.0), "real", 0.55, 0.45, True)


def checked(verdict, name="face.jpg", quality=None):
    image = Image.new("RGB", (400, 300), (90, 100, 110))
    heatmap = np.zeros((300, 400), np.float32)
    heatmap[20:60, 20:60] = 1
    facts = {"Content Credentials": ["none"], "File": ["JPEG, 400 x 300 px, 9 kB"], "EXIF": [f"author: {name}"]}
    return Checked(name, "ab" * 32, quality, Explanation(verdict, image, heatmap), Inspection(image, facts, {}))


def words(markup):
    return unescape(re.sub(r"<[^>]+>", " ", markup))


def test_a_band_is_stated_on_the_scale_of_verdicts():
    checkpoint = SimpleNamespace(abstention_band=(0.5, 0.9), operating_point=0.75, config={"architecture": "resnet50"})
    detector = SimpleNamespace(checkpoint=checkpoint, fingerprint="0123456789ab")
    # Odds of 1 and of 9, divided by those of the operating point, 3: 1/3 and 3.
    assert Judge.of(detector, "1").band == pytest.approx((0.25, 0.75))
    checkpoint.abstention_band = None
    assert Judge.of(detector, "1").band is None


def test_videos_may_have_a_band_of_their_own(tmp_path):
    checkpoint = SimpleNamespace(folder=tmp_path, trusted=True)
    images = Judge("resnet50", "0123456789ab", "1", (0.4, 0.6))
    assert images.on_videos(checkpoint) == images
    decision = {"temperature": 2.0, "operating_point": 0.75, "abstention_band": [0.5, 0.9], "criterion": "f1"}
    (tmp_path / "report.json").write_text(json.dumps({"videos": {"decision": decision | {"confident_error": 0.05}}}))
    assert images.on_videos(checkpoint).band == pytest.approx((0.25, 0.75))


@pytest.mark.parametrize(
    ("verdict", "kind", "said"),
    [
        (Verdict("fake", 0.91, 0.91, faces=(FAKE,)), "fake", "Signs of a deepfake"),
        (Verdict("real", 0.9, 0.1, faces=(REAL,)), "real", "No signs found"),
        (Verdict("real", 0.55, 0.45, unsure=True, faces=(UNSURE,)), "unsure", "Cannot tell"),
        (Verdict("fake", 0.91, 0.91, unsure=True, reasons=(NO_FACE,)), "no_face", "No face found"),
        (Verdict("fake", 0.91, 0.91, faces=(FAKE, REAL, FAKE)), "fake", "Signs of a deepfake in 2 of 3 faces"),
        (Verdict("real", 0.9, 0.1, faces=(REAL, REAL)), "real", "No signs found in 2 of 2 faces"),
    ],
)
def test_headline(verdict, kind, said):
    assert verdict_card.kind_of(verdict) == kind
    assert verdict_card.headline(verdict, "en") == said


def test_headline_in_german():
    verdict = Verdict("fake", 0.91, 0.91, faces=(FAKE, REAL, UNSURE))
    assert verdict_card.headline(verdict, "de") == "Anzeichen eines Deepfakes in 1 von 3 Gesichtern"


def test_reasons():
    unsure = Verdict("real", 0.55, 0.45, unsure=True, faces=(UNSURE,), reasons=(ANIMATED, "Something new."))
    band, small, compressed, animated, new = verdict_card.list_reasons(checked(unsure, quality=31.4), "en")
    assert band.startswith("With a score like this the model was wrong too often")
    assert small.startswith("The smallest face is 53 px wide or high.")
    assert compressed.startswith("The file was saved at a JPEG quality of about 31 of 100.")
    assert animated == "The image is animated; only its first frame was evaluated."
    assert new == "Something new."
    assert verdict_card.list_reasons(checked(Verdict("fake", 0.91, 0.91, faces=(FAKE,)), quality=92), "en") == []
    tiny = Verdict("fake", 0.91, 0.91, unsure=True, faces=(UNSURE,), reasons=(TOO_SMALL,))
    assert verdict_card.list_reasons(checked(tiny), "en") == [
        "Every face is smaller than 32 px, too small to evaluate."
    ]


def test_quality_of_a_jpeg_alone(tmp_path):
    image = Image.effect_noise((64, 64), 50).convert("RGB")
    image.save(tmp_path / "a.jpg", quality=30)
    image.save(tmp_path / "a.png")
    assert verdict_card.quality_of((tmp_path / "a.jpg").read_bytes()) == pytest.approx(30, abs=2)
    assert verdict_card.quality_of((tmp_path / "a.png").read_bytes()) is None


def test_card_of_a_fake():
    markup = verdict_card.show_card(checked(Verdict("fake", 0.91, 0.91, faces=(FAKE, REAL))), JUDGE, "en", "k3")
    said = words(markup)
    assert 'data-number="k3"' in markup
    assert "Signs of a deepfake in 1 of 2 faces" in said
    assert "This is not proof" in said
    assert "on the side of fake" in markup
    assert 'x="271.0"' in markup  # the mark, 4 wide, at .91 of 300
    assert 'alt="Map of face 1: strongest at the top left"' in markup
    assert 'alt="Map of face 2: nowhere strong"' in markup
    assert "Face 1: Signs of a deepfake. Face 2: No signs found." in markup
    assert "--map: 1" in markup
    assert "resnet50 0123456789ab" in said
    assert "ab" * 32 in said
    assert "0.91" not in re.sub(r"<pre.*?</pre>", "", markup, flags=re.DOTALL)  # no bare score


@pytest.mark.parametrize(
    "verdict", [Verdict("real", 0.9, 0.1, faces=(REAL,)), Verdict("real", 0.55, 0.45, unsure=True, faces=(UNSURE,))]
)
def test_a_map_that_marks_nothing_suspicious_is_hidden(verdict):
    markup = verdict_card.show_card(checked(verdict), JUDGE, "en", "k3")
    assert "--map: 0" in markup
    assert "move the slider to see it" in words(markup)


@pytest.mark.parametrize("reason", [NO_FACE, TOO_SMALL])
def test_without_a_face_large_enough_there_is_no_score_and_no_map(reason):
    faces = () if reason == NO_FACE else (FAKE,)
    found = checked(Verdict("fake", 0.91, 0.91, unsure=True, faces=faces, reasons=(reason,)))
    markup = verdict_card.show_card(found, JUDGE, "en", "k3")
    assert 'class="map"' not in markup
    assert 'class="bar"' not in markup
    assert "range" not in markup
    assert "0.91" not in markup


def test_a_card_escapes_what_a_stranger_wrote():
    name = '"><img src=x onerror=alert(1)>{{value}}.jpg'
    markup = verdict_card.show_card(checked(Verdict("fake", 0.91, 0.91, faces=(FAKE,)), name), JUDGE, "en", "k3")
    assert "<img src=x" not in markup
    assert "{" not in markup


def test_record():
    found = verdict_card.record(checked(Verdict("fake", 0.91, 0.91, faces=(FAKE, UNSURE))), JUDGE, "en")
    assert json.loads(json.dumps(found)) == found
    assert found["verdict"] == "fake"
    assert found["fake_score"] == 0.91
    assert found["abstention_band"] == [0.25, 0.8]
    assert [face["verdict"] for face in found["faces"]] == ["fake", "unsure"]
    assert found["image"] == {"name": "face.jpg", "sha256": "ab" * 32, "width": 400, "height": 300}
    assert found["model"] == {"name": "resnet50", "fingerprint": "0123456789ab"}
    assert found["checked"].endswith("+00:00")
    assert found["file"]["File"] == ["JPEG, 400 x 300 px, 9 kB"]
    assert len(found["limits"]) == 4
    none = verdict_card.record(checked(Verdict("fake", 0.9, 0.9, unsure=True, reasons=(NO_FACE,))), JUDGE, "en")
    assert none["fake_score"] is None
