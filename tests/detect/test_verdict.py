from hf_deepfake.detect.verdict import FaceVerdict, Verdict

FACE = FaceVerdict((0.0, 0.0, 10.0, 10.0), "fake", 0.93, 0.93, False)


def test_a_verdict_prints_in_one_line():
    verdict = Verdict("fake", 0.934, 0.934, faces=(FACE,))
    assert str(verdict) == "fake, score 0.93"
    assert repr([verdict]) == "[<Verdict: fake, score 0.93>]"


def test_it_says_which_face_and_why():
    verdict = Verdict("real", 0.551, 0.449, True, (FACE, FACE), ("It is animated.", "It is small."))
    expected = (
        "unsure (leans to real, score 0.55) (2 faces; the one most like a fake decides). It is animated. It is small."
    )
    assert str(verdict) == expected
