import pytest
import torch
from torch import nn

from hf_deepfake.explain.attribution import integrated_gradients, occlusion


class Squares(nn.Module):
    """Logits are minus and plus the sum of squares, in which no pixel depends on another."""

    def forward(self, x):
        total = (x**2).sum(dim=(1, 2, 3))
        return torch.stack([-total, total], dim=1)


def spot(top, left):
    """64 x 64 px of mean colour but for a block of 4 x 4 px, one cell, of ones."""
    image = torch.zeros(3, 64, 64)
    image[:, top : top + 4, left : left + 4] = 1
    return image


def test_integrated_gradients_by_hand():
    pixels = torch.stack([spot(8, 20), spot(60, 0)])
    values = integrated_gradients(Squares(), pixels, torch.tensor([1, 1]))
    expected = torch.zeros(2, 16, 16)
    expected[0, 2, 5] = expected[1, 15, 0] = 48 * 256  # the whole logit comes from one of 256 cells
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-2)


def test_integrated_gradients_add_up_to_the_logit_gained():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    model[4].weight.data = torch.tensor([[-1.0] * 4, [1.0] * 4])
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        gained = (model(pixels) - model(torch.zeros_like(pixels)))[0]
    # The classes' logits are opposite, and so are their contributions: together the positive parts hold all of them.
    fake, real = (integrated_gradients(model, pixels, torch.tensor([target])) for target in (1, 0))
    assert float((fake - real).mean()) == pytest.approx(float(gained[1]), rel=0.02)


def test_occlusion_by_hand():
    values = occlusion(Squares(), spot(8, 20)[None], torch.tensor([1]))[0]
    # Patches of 8 x 8 px, 4 px apart, hide 1/64 of the image; four of them hide the spot, and each loses all of it.
    assert float(values[2, 5]) == pytest.approx(48 * 64)
    # A cell beside it lies in four patches, of which two hide the spot; at a corner of it, one does.
    assert float(values[2, 4]) == pytest.approx(48 * 64 / 2)
    assert float(values[1, 4]) == pytest.approx(48 * 64 / 4)
    # Two cells away no patch holds both.
    assert float(values[2, 3]) == 0
    assert int((values > 0).sum()) == 9


@pytest.mark.parametrize("method", [integrated_gradients, occlusion])
def test_what_speaks_against_the_class_is_left_out(method):
    values = method(Squares(), spot(8, 20)[None], torch.tensor([0]))
    assert values.shape == (1, 16, 16)
    assert values.abs().max() == 0


@pytest.mark.parametrize("method", [integrated_gradients, occlusion])
def test_images_of_a_batch_do_not_touch_each_other(method):
    pixels, targets = torch.stack([spot(8, 20), spot(60, 0)]), torch.tensor([1, 0])
    alone = [method(Squares(), pixels[[i]], targets[[i]]) for i in range(2)]
    torch.testing.assert_close(method(Squares(), pixels, targets), torch.cat(alone))


def test_sides_that_the_grid_does_not_divide():
    pixels = torch.ones(1, 3, 100, 100)
    assert occlusion(Squares(), pixels, torch.tensor([1])).shape == (1, 16, 16)
    values = integrated_gradients(Squares(), pixels, torch.tensor([1]))
    torch.testing.assert_close(values, torch.full((1, 16, 16), 30000.0), rtol=1e-4, atol=0)
