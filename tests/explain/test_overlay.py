import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

from hf_deepfake.explain.overlay import FLOOR, draw_overlay, shade, to_heatmap


def grey(size, level=128):
    return Image.new("RGB", size, (level, level, level))


def test_a_strong_map_reaches_one():
    heatmap = to_heatmap(torch.tensor([[0.0, 0.0], [0.0, 8.0]]), (60, 40))
    assert heatmap.shape == (40, 60)
    assert heatmap.dtype == np.float32
    assert heatmap.min() == 0
    assert heatmap.max() == 1
    assert heatmap[-1, -1] == 1
    assert heatmap[0, 0] == pytest.approx(0, abs=0.02)  # bicubic curves swing a little


def test_a_flat_map_stays_cool():
    heatmap = to_heatmap(np.full((7, 7), 0.01, np.float32), (64, 64))
    np.testing.assert_allclose(heatmap, 0.01, rtol=1e-4)


def test_only_maps_above_the_floor_are_scaled():
    values = np.array([[0.0, 0.0], [0.0, 1.0]], np.float32)
    weak, strong = (to_heatmap(factor * FLOOR * values, (2, 2)) for factor in (0.5, 3))
    np.testing.assert_allclose(weak, 0.5 * values, atol=1e-6)
    np.testing.assert_allclose(strong, values, atol=1e-6)


def test_an_empty_map_is_cold():
    assert to_heatmap(torch.zeros(3, 3), (50, 50)).max() == 0


def test_cells_keep_their_places():
    values = np.zeros((4, 4), np.float32)
    values[0, 3] = 5
    heatmap = to_heatmap(values, (80, 40))
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    assert row < 10
    assert column >= 60


def test_cold_places_show_the_image():
    image = Image.effect_noise((32, 32), 80).convert("RGB")
    assert ImageChops.difference(shade(image, np.zeros((32, 32), np.float32)), image).getbbox() is None


def test_hot_places_take_the_colours_of_viridis():
    shaded = np.asarray(shade(grey((3, 1), 0), np.array([[0, 0.5, 1]], np.float32))).astype(int)
    # Viridis is (33, 145, 140) in its middle and (253, 231, 37) at its end; opacity is .65 of the heat.
    np.testing.assert_allclose(shaded[0], [(0, 0, 0), (11, 47, 46), (164, 150, 24)], atol=2)


@pytest.mark.parametrize(
    ("size", "drawn"),
    [((64, 64), (448, 448)), ((600, 500), (600, 500)), ((4000, 2000), (1024, 512)), ((30, 300), (45, 448))],
)
def test_overlays_have_a_legible_size(size, drawn):
    overlay = draw_overlay(grey(size, 255), np.zeros((size[1], size[0]), np.float32), "real, score 0.98")
    assert overlay.mode == "RGB"
    assert overlay.width == max(drawn[0], 384)
    assert drawn[1] + 60 < overlay.height < drawn[1] + 120
    left = (overlay.width - drawn[0]) // 2
    corners = (left, 0), (left + drawn[0] - 1, drawn[1] - 1)
    assert [overlay.getpixel(corner) for corner in corners] == [(255, 255, 255)] * 2


def test_long_captions_are_wrapped_within_the_image():
    caption = "unsure (leans to fake, score 0.55). " + "No face was found, so the whole image was evaluated. " * 3
    short, long = (draw_overlay(grey((500, 500)), np.zeros((500, 500), np.float32), text) for text in ("real", caption))
    assert long.width == short.width == 500
    assert long.height > short.height + 50
    margin = np.asarray(long)[500:, -10:]
    assert (margin == margin[0, 0]).all()


def test_without_a_caption_the_legend_remains():
    overlay = draw_overlay(grey((500, 500)), np.zeros((500, 500), np.float32), "")
    below = np.asarray(overlay)[500:].reshape(-1, 3)
    assert len(np.unique(below, axis=0)) > 50


def test_boxes_are_drawn_where_the_faces_are():
    heatmap = np.zeros((896, 896), np.float32)
    plain, boxed = (
        draw_overlay(grey((896, 896)), heatmap, "real", boxes)
        for boxes in ([], [(100, 200, 300, 500), (600, 600, 700, 700)])
    )
    assert ImageChops.difference(plain, boxed).getbbox() == (99, 199, 702, 702)
    assert boxed.getpixel((200, 200)) == (255, 255, 255)
    assert boxed.getpixel((200, 350)) == plain.getpixel((200, 350))


def test_boxes_and_heat_follow_the_scale():
    heatmap = np.zeros((2048, 2048), np.float32)
    heatmap[1024:] = 1
    overlay = draw_overlay(grey((2048, 2048), 0), heatmap, "fake", [(400, 400, 800, 800)])
    assert overlay.getpixel((300, 200)) == (255, 255, 255)
    assert overlay.getpixel((900, 100)) == (0, 0, 0)
    assert overlay.getpixel((900, 900)) == pytest.approx((164, 150, 24), abs=2)
