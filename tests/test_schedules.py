"""scripts/schedules.py: the rates of the recipes, and the figure of them."""

import importlib.util
from pathlib import Path

import pytest
from PIL import Image

spec = importlib.util.spec_from_file_location("schedules", Path(__file__).parents[1] / "scripts" / "schedules.py")
schedules = importlib.util.module_from_spec(spec)
spec.loader.exec_module(schedules)


def test_rates_by_hand():
    rates = schedules.rates("deepdetect-resnet50")
    assert (rates[0], rates[-1]) == pytest.approx((1e-4, 1e-5))
    assert sorted(set(rates)) == pytest.approx([1e-5, 1e-4])
    cosine = schedules.rates("resnet50-robust")
    assert cosine[-1] < 1e-8 < max(cosine) == pytest.approx(5e-4)


def test_the_figure_is_drawn(tmp_path):
    assert schedules.main(str(tmp_path / "figure.png")) == 0
    with Image.open(tmp_path / "figure.png") as figure:
        assert figure.width > 800
