import json

import numpy as np
import pytest
from scipy.special import expit

from hf_deepfake.detect.face_crops import TOO_SMALL, Prepared
from hf_deepfake.detect.video_decision import BLURRED, NO_FACE, Look, decide_video
from hf_deepfake.images.video import VideoFacts

FACTS = VideoFacts(16, 640, 360, 25, "H.264", "MP4 or MOV")
LEFT, RIGHT = (20.0, 20.0, 120.0, 140.0), (400.0, 20.0, 500.0, 140.0)
ROOM, GARDEN = np.array([1.0, 0.0]), np.array([0.0, 1.0])


class Checkpoint:
    abstention_band, operating_point, trusted = (0.4, 0.6), 0.5, False


def look(second, faces, colours=ROOM, doubtful=False, sharp=5.0, found=True):
    """A frame with log-odds by box; `found` says whether these are faces, or else the whole frame."""
    regions = tuple(tuple(int(edge) for edge in box) for box in faces)
    prepared = Prepared(regions, tuple(faces) if found else (), (), doubtful, ())
    values = (None,) * len(faces)
    return Look(float(second), (640, 360), b"", colours, prepared, (sharp,) * len(faces), tuple(faces.values()), values)


def decide(looks, facts=FACTS, wanted=None):
    return decide_video(looks, facts, Checkpoint(), wanted or len(looks))


def test_the_mean_of_the_log_odds_decides():
    odds = [1.0, 2.0, 4.0, 1.5, 2.5, 1.0]
    verdict = decide([look(second, {LEFT: one}) for second, one in enumerate(odds)])
    assert verdict.fake_probability == verdict.score == pytest.approx(expit(np.mean(odds)))
    assert (verdict.label, verdict.unsure, verdict.reasons) == ("fake", False, ())
    (track,) = verdict.tracks
    assert (track.start, track.end, track.frames) == (0, 5, (0, 1, 2, 3, 4, 5))
    assert 0.5 < verdict.interval[0] < verdict.fake_probability < verdict.interval[1] < 1
    assert [frame.fake_probability for frame in verdict.frames] == pytest.approx(expit(odds))


def test_a_decision_on_videos_counts_for_the_mean(tmp_path):
    videos = {"temperature": 2.0, "operating_point": 0.6, "abstention_band": [0.7, 0.8]}
    decision = videos | {"criterion": "balanced_accuracy", "confident_error": 0.05}
    (tmp_path / "report.json").write_text(json.dumps({"videos": {"decision": decision}}))
    checkpoint = Checkpoint()
    checkpoint.trusted, checkpoint.folder = True, tmp_path
    odds = [2.0, 3.0, 1.0, 2.0]
    verdict = decide_video([look(second, {LEFT: one}) for second, one in enumerate(odds)], FACTS, checkpoint, 4)
    # The mean, 2, halved is .731 and in the band; the verdict turns at .6, which is log-odds of .405.
    assert verdict.fake_probability == pytest.approx(expit(1 - np.log(1.5)))
    assert (verdict.label, verdict.unsure, verdict.decided_on_videos) == ("fake", True, True)
    assert verdict.frames[0].fake_probability == pytest.approx(expit(2))
    assert not decide([look(0, {LEFT: 2.0})]).decided_on_videos


def test_of_two_people_the_fake_one_decides():
    looks = [look(second, {LEFT: -3.0, RIGHT: 2.0}) for second in range(4)]
    verdict = decide(looks)
    assert [track.label for track in verdict.tracks] == ["real", "fake"]
    assert (verdict.label, verdict.decisive, verdict.fake_probability) == ("fake", 1, pytest.approx(expit(2)))
    assert verdict.interval is None  # of four frames
    assert [one.track for one in verdict.frames[0].sightings] == [0, 1]


def test_a_cut_ends_a_track_and_is_said():
    looks = [look(second, {LEFT: -2.0 if second < 3 else 3.0}, ROOM if second < 3 else GARDEN) for second in range(6)]
    verdict = decide(looks)
    assert [(track.start, track.end, track.label) for track in verdict.tracks] == [(0, 2, "real"), (3, 5, "fake")]
    assert (verdict.label, verdict.reasons) == ("fake", ("A cut ends tracks.",))
    assert [frame.cut for frame in verdict.frames] == [False, False, False, True, False, False]


def test_who_is_seen_too_rarely_does_not_decide():
    looks = [look(second, {LEFT: -2.0} | ({RIGHT: 9.0} if second == 1 else {})) for second in range(4)]
    verdict = decide(looks)
    assert verdict.label == "real"
    assert [track.decides for track in verdict.tracks] == [True, False]
    assert verdict.reasons == ("A track of fewer than 3 frames may not decide.",)
    verdict = decide(looks[1:2])
    assert (verdict.label, verdict.unsure) == ("fake", True)
    assert verdict.reasons == ("What decides is seen in 1 frame only, too few to rely on.",)


def test_in_the_band_it_abstains():
    verdict = decide([look(second, {LEFT: 0.2}) for second in range(4)])  # P(fake) .55
    assert (verdict.label, verdict.unsure, verdict.tracks[0].unsure) == ("fake", True, True)
    assert verdict.title == "unsure (leans to fake, score 0.55)"


def test_frames_without_a_face_count_for_nothing():
    whole = {(0.0, 0.0, 640.0, 360.0): 9.0}
    looks = [look(0, whole, doubtful=True, found=False), *(look(second, {LEFT: -2.0}) for second in range(1, 4))]
    verdict = decide(looks)
    assert (verdict.label, verdict.unsure, verdict.reasons) == ("real", False, ())
    assert verdict.frames[0].sightings == ()
    assert verdict.frames[0].fake_probability is None
    mostly = [look(second, whole, doubtful=True, found=False) for second in range(4, 9)]
    assert decide(looks + mostly).reasons == ("A face was found in 3 of 9 frames.",)
    alone = decide(mostly)
    assert (alone.label, alone.unsure, alone.reasons) == ("fake", True, (NO_FACE,))


def test_faces_that_are_too_small_count_only_where_none_is_larger():
    tiny = (200.0, 100.0, 220.0, 124.0)
    small = [look(second, {tiny: 3.0}, doubtful=True) for second in range(4)]
    verdict = decide(small)
    assert (verdict.label, verdict.unsure, verdict.reasons) == ("fake", True, (TOO_SMALL,))
    verdict = decide(small + [look(second, {LEFT: -2.0}) for second in range(4, 9)])
    assert (verdict.label, len(verdict.tracks)) == ("real", 1)


def test_a_model_of_whole_images_has_a_track_a_scene():
    whole = {(0.0, 0.0, 640.0, 360.0): 2.0}
    looks = [look(second, whole, GARDEN if second > 3 else ROOM, found=False) for second in range(8)]
    verdict = decide(looks)
    assert [track.frames for track in verdict.tracks] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert verdict.reasons == ("A cut ends tracks.",)


def test_what_else_is_said():
    small = (20.0, 20.0, 68.0, 80.0)
    odds = [-1.0, -1.0, -1.0, -1.0, 1.2, 1.2, 1.2, 1.2]
    looks = [look(second, {small: one}, sharp=BLURRED - 1) for second, one in enumerate(odds)]
    facts = VideoFacts(16, 640, 360, 25, "HEVC", "MP4 or MOV", hdr=True)
    assert decide(looks, facts, wanted=16).reasons == (
        "Only 8 of 16 frames came: the file is damaged, or its picture stands still.",
        "The face that decides is small: 48 px.",
        "What decides is blurred in 8 of 8 frames.",
        "The frames disagree: others of this clip might have turned the verdict.",
        "The clip is of high dynamic range, whose colours were converted without tone mapping.",
    )
