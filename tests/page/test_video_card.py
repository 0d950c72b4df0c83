import base64
import json
import re
from html import unescape

import numpy as np
import pytest
from PIL import Image

from hf_deepfake.detect.face_crops import TOO_SMALL
from hf_deepfake.detect.verdict import FaceVerdict
from hf_deepfake.detect.video_decision import NO_FACE
from hf_deepfake.detect.video_verdict import SampledFrame, Sighting, Track, VideoVerdict
from hf_deepfake.images.video import VideoFacts
from hf_deepfake.page.pictures import encode
from hf_deepfake.page.texts import LANGUAGES, texts
from hf_deepfake.page.verdict_card import Judge, kind_of
from hf_deepfake.page.video_card import REASONS, Clip, headline, list_reasons, record, show_clip

JUDGE = Judge("resnet", "abc123", "0.1.0", (0.4, 0.6))
FACTS = VideoFacts(4.0, 640, 360, 25.0, "H.264", "MP4 or MOV")


def sighting(track, fake, unsure=False):
    box = (100.0 + 300 * track, 80.0, 200.0 + 300 * track, 200.0)
    face = FaceVerdict(
        box=box,
        label="fake" if fake > 0.5 else "real",
        score=max(fake, 1 - fake),
        fake_probability=fake,
        unsure=unsure,
    )
    values = np.full((4, 4), 0.5, np.float32)
    return Sighting(track, face, float(np.log(fake / (1 - fake))), tuple(map(int, box)), values)


def clip(reasons=(), unsure=False, second=0.9, name="clip.mp4"):
    """Two people in four frames, of whom the second is a fake; the last frame shows nobody."""
    picture = Image.new("RGB", (320, 180), (90, 110, 90))
    content = base64.b64decode(encode(picture).partition(",")[2])
    frames = [
        SampledFrame(float(time), (sighting(0, 0.1), sighting(1, second)), time == 2, (640, 360), content)
        for time in range(3)
    ]
    frames.append(SampledFrame(3.0, (), False, (640, 360), content))
    label = "fake" if second > 0.5 else "real"
    tracks = (
        Track("real", 0.9, 0.1, None, False, 0.0, 2.0, (0, 1, 2), True),
        Track(label, max(second, 1 - second), second, (0.7, 0.95), unsure, 0.0, 2.0, (0, 1, 2), True),
    )
    found = VideoVerdict(
        label, max(second, 1 - second), second, (0.7, 0.95), unsure, tracks, tuple(frames), reasons, FACTS
    )
    return Clip(name, "ab" * 32, found)


@pytest.mark.parametrize(
    ("found", "kind", "said"),
    [
        (clip(), "fake", "Signs of a deepfake in 1 of 2 tracks"),
        (clip(second=0.2), "real", "No signs found in 2 of 2 tracks"),
        (clip(unsure=True), "unsure", "Cannot tell for 1 of 2 tracks"),
        (clip((NO_FACE,), unsure=True), "no_face", "No face found"),
        (clip((TOO_SMALL,), unsure=True), "unsure", "Cannot tell for 2 of 2 tracks"),
    ],
)
def test_kind_and_headline(found, kind, said):
    assert kind_of(found.verdict) == kind
    assert headline(found.verdict, "en") == said


SAID = {
    NO_FACE: "No face was found in any frame.",
    TOO_SMALL: "Every face is smaller than 32 px, too small to evaluate.",
    "Only 3 of 16 frames came: the file is damaged, or its picture stands still.": "Only 3 of 16 frames came",
    "What decides is seen in 1 frame only, too few to rely on.": "in so few frames (1)",
    "What decides is seen in 2 frames only, too few to rely on.": "in so few frames (2)",
    "A face was found in 3 of 16 frames.": "A face was found in 3 of 16 frames.",
    "The face that decides is small: 40 px.": "small (40 px)",
    "What decides is blurred in 9 of 16 frames.": "blurred in 9 of 16 frames",
    "The frames disagree: others of this clip might have turned the verdict.": "The frames disagree",
    "A cut ends tracks.": "There is a cut",
    "4 cuts end tracks.": "There are 4 cuts",
    "A track of fewer than 3 frames may not decide.": "Tracks of fewer than 3 frames do not decide.",
    "2 tracks of fewer than 3 frames may not decide.": "Tracks of fewer than 3 frames do not decide.",
    "The clip is of high dynamic range, whose colours were converted without tone mapping.": "high dynamic range",
}


def test_every_reason_of_the_detector_in_every_language():
    for reason, said in SAID.items():
        (sentence,) = list_reasons(clip((reason,)).verdict, "en")
        assert said in sentence
        (other,) = list_reasons(clip((reason,)).verdict, "de")
        assert re.findall(r"\d+", other) == re.findall(r"\d+", sentence)
    named = {name for name, pattern in REASONS.items() for reason in SAID if re.fullmatch(pattern, reason)}
    assert named == set(REASONS)
    for language in LANGUAGES:
        assert set(texts(language)["video"]["reasons"]) == {*REASONS, "band"}


def test_band_comes_first():
    sentences = list_reasons(clip(("A cut ends tracks.",), unsure=True).verdict, "en")
    assert sentences[0].startswith("With a score like this")
    assert len(sentences) == 2


def test_record():
    data = record(clip(), JUDGE, "en")
    assert json.loads(json.dumps(data)) == data
    assert (data["verdict"], data["fake_score"], data["interval"]) == ("fake", 0.9, [0.7, 0.95])
    assert [track["verdict"] for track in data["tracks"]] == ["real", "fake"]
    assert [face["track"] for face in data["frames"][0]["faces"]] == [1, 2]
    assert data["frames"][3]["faces"] == []
    assert data["video"]["name"] == "clip.mp4"
    doubtful = record(clip((NO_FACE,), unsure=True), JUDGE, "en")
    assert {doubtful["fake_score"], doubtful["interval"], *(one["fake_score"] for one in doubtful["tracks"])} == {None}
    assert {face["fake_score"] for frame in doubtful["frames"] for face in frame["faces"]} == {None}


def test_card():
    markup = unescape(show_clip(clip(("A cut ends tracks.",)), JUDGE, "en", "k3"))
    assert markup.count('type="radio"') == markup.count("data-shows-frame=") == 4
    assert markup.count("checked") - markup.count('"checked"') == 1
    assert markup.count('class="dot ') == 6
    assert markup.count('<path class="cut"') == 1
    assert markup.count('class="face"') == 6
    assert 'class="spread" d="M210.0 2V14' in markup
    assert "<title>Track 2, 0:00: 0.90</title>" in markup
    assert "Track 1: No signs found. Track 2: Signs of a deepfake." in markup
    assert "<strong>0:03</strong>. No face found." in markup
    german = show_clip(clip(), JUDGE, "de", "k3")
    assert "Spur 2, 0:00: 0.90" in german
    assert "Track" not in german.partition('<pre class="record"')[0]


def test_no_score_without_a_face():
    markup = show_clip(clip((NO_FACE,), unsure=True), JUDGE, "en", "k3")
    assert "No face found" in markup
    assert not any(part in markup for part in ('class="bar"', "<circle", "radio", 'class="frame"'))


def test_a_name_is_escaped():
    markup = show_clip(clip(name='"><script>alert(1)</script>{{x}}'), JUDGE, "en", "k3")
    assert "<script>" not in markup
    assert "{" not in markup
