import itertools

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest, chi2_contingency

from hf_deepfake.errors import InputError
from hf_deepfake.images.degrade import (
    FAMILIES,
    MILD,
    SEVERITIES,
    Degrade,
    conditions,
    degrade,
    degrade_at_random,
)

FLAT = Image.new("RGB", (224, 224), (100, 150, 200))


@pytest.fixture(scope="module")
def image():
    """Smooth colours with an edge and some texture, 120 by 90 px."""
    x, y = np.meshgrid(np.linspace(0, 1, 120), np.linspace(0, 1, 90))
    texture = np.random.default_rng(0).uniform(-0.1, 0.1, (90, 120))
    bands = np.stack([x, y, (x + y) / 2 + 0.3 * (x > 0.5)], axis=-1) * 0.8 + 0.1 + texture[..., None]
    return Image.fromarray((bands.clip(0, 1) * 255).astype(np.uint8))


def difference(one, other):
    """Root mean square over all pixels."""
    return float(np.sqrt(np.mean((np.asarray(one, float) - np.asarray(other, float)) ** 2)))


@pytest.mark.parametrize(("family", "severity"), list(conditions("full")))
def test_each_keeps_size_and_mode_and_depends_on_its_seed_alone(image, family, severity):
    before = image.tobytes()
    once, again = degrade(image, family, severity, 7), degrade(image, family, severity, 7)
    assert (once.size, once.mode) == (image.size, "RGB")
    assert once.tobytes() == again.tobytes()
    assert image.tobytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_higher_severity_changes_more(image, family):
    large = image.resize((224, 168))
    # Over several draws, since chance decides on signs and places.
    change = [np.mean([difference(large, degrade(large, family, severity, seed)) for seed in range(6)])
              for severity in SEVERITIES]  # fmt: skip
    assert change[0] > 0.3
    assert change[-1] > 1.5 * change[0]
    assert all(later > 0.9 * earlier for earlier, later in itertools.pairwise(change))


@pytest.mark.slow
@pytest.mark.parametrize("size", [(33, 32), (32, 300), (700, 500)])
@pytest.mark.parametrize("family", FAMILIES)
def test_any_size_will_do(image, family, size):
    for severity in (1, 5):
        assert degrade(image.resize(size), family, severity, 0).size == size


def test_the_mild_set_is_mild():
    assert list(conditions("mild")) == [(family, severity) for family, some in MILD.items() for severity in some]
    assert set(conditions("mild")) < set(conditions("full"))
    assert len(list(conditions("full"))) == 165
    strongest = {family: FAMILIES[family].strengths[severities[-1] - 1] for family, severities in MILD.items()}
    assert strongest == {
        "jpeg": 40, "h264_still": 23, "h264_clip": 23, "gaussian_blur": 1.5, "resize": 112, "gaussian_noise": 0.05
    }  # fmt: skip


def test_what_there_is_not(image):
    with pytest.raises(InputError, match="no degradation sepia of severity 1; give 1 to 5 of hue"):
        degrade(image, "sepia", 1, 0)
    with pytest.raises(InputError, match="of severity 6"):
        degrade(image, "jpeg", 6, 0)


@pytest.mark.parametrize("of_a_class", [lambda index: index % 2 == 0, lambda index: index < 3000])
def test_both_classes_are_degraded_alike(monkeypatch, of_a_class):
    """However indices are dealt to classes: in turn, as paired sampling does, or one class after the other."""
    counts = np.zeros((2, len(FAMILIES) * 5 + 1), int)
    places = {name: place for place, name in enumerate(FAMILIES)}
    drawn = []
    families = {
        name: type(kind)(
            lambda image, strength, rng, name=name: drawn.append((name, strength)) or image, kind.strengths, ""
        )
        for name, kind in FAMILIES.items()
    }
    monkeypatch.setattr("hf_deepfake.images.degrade.FAMILIES", families)
    change = Degrade(seed=0, share=0.75)
    for index in range(6000):
        drawn.clear()
        change(FLAT, index)
        row = counts[int(of_a_class(index))]
        row[-1] += not drawn
        for name, strength in drawn:
            row[places[name] * 5 + FAMILIES[name].strengths.index(strength)] += 1
    assert counts.min() > 10
    assert chi2_contingency(counts).pvalue > 0.01


def test_training_images_get_one_to_three_of_all_families(monkeypatch):
    calls = []
    families = {
        name: type(kind)(lambda image, strength, rng, name=name: calls[-1].append(name) or image, kind.strengths, "")
        for name, kind in FAMILIES.items()
    }
    monkeypatch.setattr("hf_deepfake.images.degrade.FAMILIES", families)
    for seed in range(4000):
        calls.append([])
        degrade_at_random(FLAT, np.random.default_rng(seed))
    counts = np.bincount([len(names) for names in calls])
    assert len(counts) == 4
    assert counts[0] == 0
    assert counts[1:].min() > 1200
    assert all(len(set(names)) == len(names) for names in calls)
    drawn = [name for names in calls for name in names]
    assert set(drawn) == set(FAMILIES)
    first = np.array([[names[0] == name for name in FAMILIES] for names in calls if names]).sum(axis=0)
    last = np.array([[names[-1] == name for name in FAMILIES] for names in calls if names]).sum(axis=0)
    assert chi2_contingency([first, last]).pvalue > 0.01  # the order is random too


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_a_share_of_images_is_degraded(share, monkeypatch):
    monkeypatch.setattr("hf_deepfake.images.degrade.degrade_at_random", lambda image, rng: None)
    change = Degrade(seed=0, share=share)
    kept = sum(change(FLAT, index) is FLAT for index in range(4000))
    assert binomtest(kept, 4000, 1 - share).pvalue > 0.01


def test_an_index_decides_and_nothing_else(image):
    change = Degrade(seed=3)
    drawn = [change(image, index).tobytes() for index in range(40)]
    assert [change(image, index).tobytes() for index in reversed(range(40))] == drawn[::-1]
    assert len(set(drawn)) > 20
    assert [Degrade(seed=4)(image, index).tobytes() for index in range(40)] != drawn
    stated = Degrade(seed=3, condition=("jpeg", 5))
    assert stated(image, 9).tobytes() == degrade(image, "jpeg", 5, (3, 9)).tobytes()
