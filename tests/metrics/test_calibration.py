import numpy as np
import pytest
import torch

from hf_deepfake.metrics.calibration import fake_probability, fit_temperature


def calibrated(size=40_000, seed=0):
    """Logits whose softmax is the very probability that the labels were drawn with."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(size, 2)) * 2
    probability = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    return logits, (generator.random(size) < probability).astype(int)


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_scaled_logits_give_their_factor_back(factor):
    logits, labels = calibrated()
    assert fit_temperature(logits * factor, labels) == pytest.approx(factor, rel=0.03)


def test_three_images_by_hand():
    # Margins 1, 1, 1 with two fakes of three: best where the sigmoid of 1/T is 2/3, so 1/T = log 2.
    logits = np.array([[0.0, 1.0]] * 3)
    assert fit_temperature(logits, [1, 1, 0]) == pytest.approx(1 / np.log(2), rel=1e-4)


def test_what_the_labels_do_not_determine_stays_as_trained():
    separated = np.array([[2.0, 0.0], [0.0, 3.0]])
    assert fit_temperature(separated, [0, 1]) == 1
    assert fit_temperature(calibrated()[0], np.ones(40_000, int)) == 1


def test_the_range_is_bounded():
    logits, labels = calibrated(size=2000)
    assert fit_temperature(logits, 1 - labels) == pytest.approx(20, rel=1e-3)
    assert fit_temperature(logits / 1000, labels) == pytest.approx(1 / 20, rel=1e-3)


def test_probability_is_the_softmax_of_logits_over_temperature():
    logits = torch.tensor([[1.0, 3.0], [800.0, -800.0], [-800.0, 800.0]])
    found = fake_probability(logits, 2.0)
    assert found == pytest.approx(torch.softmax(logits.double() / 2, dim=1)[:, 1].numpy())
    assert found[0] == pytest.approx(1 / (1 + np.exp(-1)))
    assert found.dtype == np.float64


def test_a_folded_point_is_taken_out():
    # odds of 4 to 1 for fake; a point of .9 had divided them by 9
    assert fake_probability([[0, np.log(4)]], folded_point=0.9)[0] == pytest.approx(36 / 37)
    assert fake_probability([[0, 0]], folded_point=0.3)[0] == pytest.approx(0.3)
