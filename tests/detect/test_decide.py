import json
import math
from types import SimpleNamespace

import pytest
from scipy.special import expit, logit

from hf_deepfake.detect.decide import abstains, decide, decide_face, decision_on_videos, for_videos
from hf_deepfake.detect.face_crops import Prepared
from hf_deepfake.errors import InputError
from hf_deepfake.metrics.decision import Decision


def checkpoint(band=None, point=0.5):
    return SimpleNamespace(abstention_band=band, operating_point=point)


def test_the_most_fake_face_decides():
    boxes = ((0.0, 0.0, 9.0, 9.0), (20.0, 0.0, 30.0, 9.0))
    prepared = Prepared(((0, 0, 10, 10), (20, 0, 30, 10)), boxes, (), False, ("Said.",))
    verdict = decide(prepared, [(0.9, 0.1), (0.3, 0.7)], checkpoint((0.6, 0.8)))
    assert (verdict.label, verdict.score, verdict.fake_probability, verdict.unsure) == ("fake", 0.7, 0.7, True)
    assert [face.box for face in verdict.faces] == list(boxes)
    assert [face.unsure for face in verdict.faces] == [False, True]
    assert verdict.reasons == ("Said.",)


def test_what_is_doubtful_is_unsure_and_a_whole_image_has_no_faces():
    prepared = Prepared(((0, 0, 10, 10),), (), (), True, ())
    verdict = decide(prepared, [(0.99, 0.01)], checkpoint())
    assert (verdict.label, verdict.unsure, verdict.faces) == ("real", True, ())


@pytest.mark.parametrize(("unfolded", "unsure"), [(0.59, False), (0.61, True), (0.79, True), (0.81, False)])
def test_the_band_is_stated_before_the_operating_point_was_folded_in(unfolded, unsure):
    folded = logit(unfolded) - logit(0.7)
    assert abstains(folded, checkpoint((0.6, 0.8), 0.7)) is unsure
    fake = float(expit(folded))
    face = decide_face((0, 0, 1, 1), 1 - fake, fake, checkpoint((0.6, 0.8), 0.7))
    assert (face.label, face.unsure) == ("fake" if unfolded > 0.7 else "real", unsure)
    assert not abstains(folded, checkpoint(None, 0.7))


def test_the_decision_on_videos_is_read_where_it_holds_for_the_weights(tmp_path):
    report = tmp_path / "report.json"
    loaded = SimpleNamespace(folder=tmp_path, trusted=True)
    assert decision_on_videos(loaded) is None
    report.write_text('{"videos": null}')
    assert decision_on_videos(loaded) is None
    values = {"temperature": 2.0, "operating_point": 0.6, "abstention_band": [0.5, 0.8], "criterion": "f1"}
    report.write_text(json.dumps({"videos": {"decision": values | {"confident_error": 0.05}}}))
    assert decision_on_videos(loaded) == Decision(2.0, 0.6, (0.5, 0.8), "f1", 0.05)
    assert decision_on_videos(SimpleNamespace(folder=tmp_path, trusted=False)) is None
    report.write_text(json.dumps({"videos": {"decision": values}}))
    with pytest.raises(InputError, match="is damaged where videos are decided"):
        decision_on_videos(loaded)


def test_a_decision_on_videos_takes_the_place_of_that_on_images():
    # Log-odds of 1 with .7 folded in are 1 + log(7/3) without.
    unfolded = 1 + math.log(7 / 3)
    assert for_videos(1.0, checkpoint(point=0.7), None) == 1.0
    found = for_videos(1.0, checkpoint(point=0.7), Decision(2.0, 0.6, (0.5, 0.8), "f1", 0.05))
    assert found == pytest.approx(unfolded / 2 - math.log(1.5))
