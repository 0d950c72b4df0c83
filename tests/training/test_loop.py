import math

import pytest
import torch
from torch.nn import functional

from hf_deepfake.training.loop import soft_cross_entropy


def test_loss_by_hand():
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3)]])
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # -log(1/2) for the real, -log(3/4) for the fake
    assert soft_cross_entropy(logits, targets, torch.ones(2)).item() == pytest.approx(
        (math.log(2) + math.log(4 / 3)) / 2
    )
    weighted = soft_cross_entropy(logits, targets, torch.tensor([2.0, 1.0])).item()
    assert weighted == pytest.approx((2 * math.log(2) + math.log(4 / 3)) / 2)


def test_loss_with_smoothing_is_torchs():
    logits, labels = torch.randn(7, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1, 0, 1, 0, 0])
    targets = functional.one_hot(labels, 2) * 0.8 + 0.1
    expected = functional.cross_entropy(logits, labels, label_smoothing=0.2)
    assert soft_cross_entropy(logits, targets, torch.ones(2)).item() == pytest.approx(expected.item())
