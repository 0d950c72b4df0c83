import io
import json

import numpy as np
import pytest
from PIL import Image

from hf_deepfake.detect.verdict import FaceVerdict
from hf_deepfake.detect.video_verdict import SampledFrame, Sighting, Track, VideoVerdict
from hf_deepfake.images.video import VideoFacts

FACTS = VideoFacts(3, 1280, 720, 25, "H.264", "MP4 or MOV")
BOX, REGION = (400.0, 200.0, 480.0, 300.0), (380, 180, 500, 320)


def picture():
    """A grey frame at half its size, red where the face is."""
    image = Image.new("RGB", (640, 360), (120, 120, 120))
    image.paste((220, 30, 30), (200, 100, 240, 150))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


def frame(time, odds, values=None, cut=False):
    sightings = []
    for track, one in enumerate(odds):
        fake = 1 / (1 + np.exp(-one))
        face = FaceVerdict(BOX, "fake" if one > 0 else "real", max(fake, 1 - fake), fake, False)
        sightings.append(Sighting(track, face, one, REGION, values))
    return SampledFrame(time, tuple(sightings), cut, (1280, 720), picture())


def track(fake, interval=None, decides=True, frames=(0, 1, 2)):
    label = "fake" if fake > 0.5 else "real"
    return Track(label, max(fake, 1 - fake), fake, interval, False, 0.0, 2.0, frames, decides)


def verdict(label="fake", fake=0.9, interval=(0.8, 0.95), tracks=None, odds=((2, -1), (3, -1), (1, -1)), **words):
    tracks = tracks or (track(fake, interval), track(0.2))
    frames = tuple(frame(float(second), one) for second, one in enumerate(odds))
    facts = {"unsure": False, "reasons": ("Said.",)} | words
    score = fake if label == "fake" else 1 - fake
    return VideoVerdict(label, score, fake, interval, facts["unsure"], tracks, frames, facts["reasons"], FACTS)


def test_it_prints_as_one_line():
    assert str(verdict()) == "fake, score 0.90 [0.80, 0.95] (2 tracks; the one most like a fake decides). Said."
    assert (
        repr(verdict(reasons=()))
        == "<VideoVerdict: fake, score 0.90 [0.80, 0.95] (2 tracks; the one most like a fake decides)>"
    )
    alone = verdict(tracks=(track(0.9), track(0.99, decides=False)), interval=None, unsure=True, reasons=())
    assert str(alone) == "unsure (leans to fake, score 0.90)"
    real = verdict("real", 0.2, (0.1, 0.4), (track(0.2),), ((-2,), (-3,), (-1,)), reasons=())
    assert str(real) == "real, score 0.80 [0.60, 0.90]"


def test_the_most_fake_track_that_may_decide_does():
    assert verdict(tracks=(track(0.2), track(0.9), track(0.99, decides=False))).decisive == 1


def test_the_frames_that_speak_most_for_it():
    assert verdict().telling(2) == [1, 0]
    assert verdict().telling() == [1, 0, 2]
    real = verdict("real", 0.2, None, (track(0.2),), ((-2,), (3,), (-1,)))
    assert real.telling(2) == [0, 2]
    partly = verdict(tracks=(track(0.9, frames=(0, 2)), track(0.2)))
    assert [index for index, _ in partly.sightings(0)] == [0, 2]


def test_it_is_json():
    plain = json.loads(json.dumps(verdict().to_dict()))
    assert plain["label"] == "fake"
    assert plain["interval"] == [0.8, 0.95]
    assert [one["fake_probability"] for one in plain["tracks"]] == [0.9, 0.2]
    assert [one["time"] for one in plain["frames"]] == [0, 1, 2]
    assert plain["frames"][0]["faces"][0] | {"fake_probability": 0, "score": 0} == {
        "track": 0,
        "box": list(BOX),
        "label": "fake",
        "score": 0,
        "fake_probability": 0,
        "unsure": False,
    }
    assert plain["facts"]["codec"] == "H.264"


def test_a_frame_is_kept_scaled_down_and_its_boxes_with_it():
    one = frame(0.0, (2,))
    assert one.image.size == (640, 360)
    assert one.scaled(BOX) == (200, 100, 240, 150)
    portrait = one.portrait(one.sightings[0])
    assert portrait.size == (85, 85)  # 1.7 times the longer side of the box
    assert portrait.getpixel((42, 42)) == pytest.approx((220, 30, 30), abs=12)
    corner = Sighting(0, FaceVerdict((0.0, 0.0, 100.0, 100.0), "fake", 0.9, 0.9, False), 2, (0, 0, 120, 120))
    assert one.portrait(corner).size == (85, 85)


def test_the_overlay_has_the_map_in_the_region_and_the_box_around_the_face():
    plain, mapped = frame(0.0, (2,)), frame(0.0, (2,), np.full((2, 2), 5, np.float32))
    changed = np.abs(np.asarray(mapped.overlay, int) - np.asarray(plain.overlay)).sum(axis=2) > 30
    rows, columns = np.nonzero(changed)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == pytest.approx((190, 90, 250, 160), abs=2)
    assert plain.overlay.getpixel((200, 125)) == (255, 255, 255)
    assert plain.overlay.getpixel((50, 50)) == pytest.approx((120, 120, 120), abs=4)
