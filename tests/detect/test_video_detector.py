"""Drawn clips with a known fake: a face in red light, which a hand-made model takes for one."""

import threading

import numpy as np
import pytest
import torch
from clips import encode, numbered
from PIL import Image

from hf_deepfake.data.sample import draw_sample
from hf_deepfake.detect.detector import Detector
from hf_deepfake.detect.face_crops import prepare
from hf_deepfake.detect.video_decision import NO_FACE
from hf_deepfake.detect.video_detector import evaluate_video
from hf_deepfake.errors import InputError, VideoError
from hf_deepfake.images.crop import measure_margin
from hf_deepfake.images.open import open_image
from hf_deepfake.images.video import LIMITS, VideoLimits, read_frames
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint


@pytest.fixture(scope="module")
def portraits(tmp_path_factory):
    """Two drawn faces, 128 px."""
    folder = tmp_path_factory.mktemp("portraits")
    draw_sample(folder, count=2, size=128, seed=3)
    return [open_image(path) for path in sorted((folder / "images" / "real").iterdir())]


@pytest.fixture(scope="module")
def margin(portraits):
    return measure_margin(portraits)


@pytest.fixture(scope="module")
def clip(portraits):
    """Three seconds: both people, the right one in red light; after two seconds another scene with the left one."""
    red = Image.fromarray((np.asarray(portraits[1]) * (1, 0.6, 0.6)).astype(np.uint8))
    frames = []
    for number in range(75):
        frame = Image.new("RGB", (480, 270), (90, 110, 90) if number < 50 else (160, 150, 40))
        frame.paste(portraits[0], (30 + number // 3, 60))
        if number < 50:
            frame.paste(red, (320 - number // 3, 60))
        frames.append(frame)
    return encode(frames, options={"g": "30"})


@pytest.fixture(scope="module")
def detector(tmp_path_factory, margin):
    torch.manual_seed(1)
    model = build_model("test_resnet", image_size=64, pretrained="off")
    folder = export_checkpoint(model, tmp_path_factory.mktemp("c") / "c", image_size=64, face_margin=margin)
    return Detector.from_pretrained(folder, device="cpu")


def tensor(image):
    return torch.from_numpy(np.array(image.resize((64, 64)))).permute(2, 0, 1).float() / 255


def redness(pixels):
    """Log-odds of fake: how much redder than green a region is."""
    means = torch.stack(list(pixels)).mean(dim=(2, 3))
    odds = 20 * (means[:, 0] - means[:, 1] - 0.1)
    return torch.stack([torch.zeros(len(odds)), odds], dim=1), None


def test_it_says_how_far_it_is(clip, detector):
    said = []
    detector.video(clip, frames=3, progress=lambda done, number: said.append((done, number)))
    assert said == [(1, 3), (2, 3), (3, 3)]


def evaluate(clip, margin, detector, **which):
    return evaluate_video(
        clip, lambda image: prepare(image, tensor, margin), redness, detector.checkpoint, which, LIMITS
    )


@pytest.mark.slow
def test_a_known_fake_is_found_in_its_track_and_its_time(clip, margin, detector):
    verdict = evaluate(clip, margin, detector, count=12)
    assert [frame.cut for frame in verdict.frames].index(True) == 8
    assert {(track.label, track.frames) for track in verdict.tracks if track.decides} == {
        ("real", tuple(range(8))),
        ("fake", tuple(range(8))),
        ("real", (8, 9, 10, 11)),
    }
    assert (verdict.label, verdict.tracks[verdict.decisive].label) == ("fake", "fake")
    assert "A cut ends tracks." in verdict.reasons
    for index, sighting in verdict.sightings(verdict.decisive):
        left, top, right, bottom = sighting.face.box
        assert 290 - index < (left + right) / 2 < 400
        assert 60 < (top + bottom) / 2 < 190
        assert verdict.frames[index].size == (480, 270)
    middles = [(part + 0.5) / 4 for part in range(12)]
    assert [frame.time for frame in verdict.frames] == pytest.approx([int(25 * one) / 25 for one in middles])
    assert evaluate(clip, margin, detector, every=0.5).label == "fake"
    assert len(evaluate(clip, margin, detector, every=0.5).frames) == 6


def test_frames_are_scored_as_images_are(clip, detector):
    verdict = detector.video(clip, frames=3, explain=True)
    for frame in verdict.frames:
        (whole,) = read_frames(clip, [frame.time])
        alone = detector(whole.image)
        assert [one.face.box for one in frame.sightings] == [face.box for face in alone.faces]
        assert [one.face.fake_probability for one in frame.sightings] == pytest.approx(
            [face.fake_probability for face in alone.faces], abs=1e-5
        )
        assert all(one.values is not None and one.values.min() >= 0 for one in frame.sightings)
    plain = detector.video(clip, frames=3)
    assert plain.fake_probability == pytest.approx(verdict.fake_probability, abs=1e-6)
    assert plain.frames[0].sightings[0].values is None


def test_a_clip_without_a_face(margin, detector):
    verdict = evaluate(encode([numbered(number) for number in range(20)]), margin, detector, count=4)
    assert verdict.unsure
    assert verdict.reasons[0] == NO_FACE
    assert verdict.frames[0].sightings[0].region == (0, 0, 160, 120)


def test_errors_come_from_the_thread_that_decodes_and_leave_none_behind(clip, margin, detector):
    before = threading.active_count()
    with pytest.raises(VideoError, match="is not a video"):
        evaluate(b"nothing", margin, detector, count=4)
    with pytest.raises(VideoError, match="more than 20 frames to decode"):
        detector.video(clip, frames=4, limits=VideoLimits(frames=20))
    with pytest.raises(InputError, match="count is 0"):
        detector.video(clip, frames=0)
    with pytest.raises(InputError, match="30,000 frames of one clip are too many; take at most 3,600"):
        detector.video(clip, every=0.0001)

    def broken(pixels):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        evaluate_video(
            clip, lambda image: prepare(image, tensor, margin), broken, detector.checkpoint, {"every": 0.1}, LIMITS
        )
    assert threading.active_count() == before
