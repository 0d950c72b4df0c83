import os
import signal

import numpy as np
import pytest
import timm.data
import torch
from datasets import Dataset, Image
from PIL import Image as Pillow
from torch.utils.data._utils import signal_handling

from hf_deepfake.config import TrainConfig
from hf_deepfake.data.batch import Augment, DecodedImages, Normalise, make_loader

DATA_CONFIG = {
    "input_size": (3, 32, 32),
    "interpolation": "bicubic",
    "mean": (0.5, 0.4, 0.3),
    "std": (0.2, 0.25, 0.5),
    "crop_pct": 1.0,
    "crop_mode": "squash",
}


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    paths = []
    for number, size in enumerate([(40, 50), (64, 33), (32, 32), (120, 90)]):
        path = folder / f"{number}.png"
        Pillow.fromarray(generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
        paths.append(str(path))
    return Dataset.from_dict({"image": paths, "label": [0, 1, 1, 0]}).cast_column("image", Image())


def augment(**options):
    config = TrainConfig(data=("x",), output_dir="y", **({"crop_scale": 1.0, "colour": 0.0, "flip": 0.0} | options))
    return Augment(config, Normalise(DATA_CONFIG, torch.device("cpu")))


def test_decoded_and_normalised_as_timms_evaluation_transform(split):
    transform = timm.data.create_transform(**DATA_CONFIG, is_training=False)
    batch = DecodedImages(split, DATA_CONFIG).__getitems__([3, 0])
    ours = Normalise(DATA_CONFIG, torch.device("cpu"))(batch.images)
    theirs = torch.stack([transform(split[position]["image"].convert("RGB")) for position in (3, 0)])
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    assert (batch.labels.tolist(), batch.positions.tolist()) == ([0, 0], [3, 0])
    assert batch.images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_keeps_the_order_of_its_batches(split, workers):
    batches = [[2], [0, 3], [1]]
    loader = make_loader(DecodedImages(split, DATA_CONFIG), batches, workers, pin_memory=False)
    assert [batch.positions.tolist() for batch in loader] == batches
    assert [batch.labels.tolist() for batch in loader] == [[1], [0, 0], [1]]


def test_a_worker_outlives_a_signal_to_the_group_while_it_starts(split, monkeypatch):
    usual = signal_handling._set_worker_signal_handlers

    def signalled():
        usual()  # with this handler, a signal that is not from its parent ends a worker
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(signal_handling, "_set_worker_signal_handlers", signalled)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    loader = make_loader(DecodedImages(split, DATA_CONFIG), [[2], [0, 3], [1]], 1, pin_memory=False)
    assert [batch.positions.tolist() for batch in loader] == [[2], [0, 3], [1]]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_nothing_drawn_is_plain_normalisation(split):
    images = DecodedImages(split, DATA_CONFIG).__getitems__([0, 1, 2]).images
    changed = augment()
    drawn = changed.draw(3, torch.Generator().manual_seed(0))
    torch.testing.assert_close(changed(images, drawn), changed.normalise(images))


def test_flip_mirrors_exactly_the_drawn_images(split):
    images = DecodedImages(split, DATA_CONFIG).__getitems__([0, 1]).images
    changed = augment(flip=0.5)
    drawn = torch.full((2, 8), 0.5)
    drawn[:, 0] = torch.tensor([0.4, 0.6])
    result, plain = changed(images, drawn), changed.normalise(images)
    torch.testing.assert_close(result[0], plain[0].flip(2))
    torch.testing.assert_close(result[1], plain[1])


def test_flip_through_resampling_is_the_same_mirror():
    images = (torch.arange(2 * 3 * 8 * 8).view(2, 3, 8, 8) % 251).to(torch.uint8)
    drawn = torch.full((2, 8), 0.5)
    drawn[:, 0], drawn[:, 1] = torch.tensor([0.1, 0.9]), 1.0  # the largest crop: the whole image
    changed = augment(flip=0.5, crop_scale=0.5)
    plain = changed.normalise(images)
    torch.testing.assert_close(changed(images, drawn), torch.stack([plain[0].flip(2), plain[1]]), atol=1e-4, rtol=1e-4)


def test_a_crop_of_a_quarter_shows_the_drawn_corner():
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    images[:, :, :4, :4] = 200  # top left quarter
    changed = augment(crop_scale=0.25)
    drawn = torch.tensor([[0.9, 0.0, 0.5, 0.0, 0.0, 0.5, 0.5, 0.5]])  # half a side, shifted to the top left
    result = changed(images, drawn)
    inside = changed.normalise(torch.full((1, 3, 8, 8), 200, dtype=torch.uint8))
    torch.testing.assert_close(result[:, :, :7, :7], inside[:, :, :7, :7])


def test_colour_by_hand():
    images = torch.full((1, 3, 4, 4), 100, dtype=torch.uint8)
    drawn = torch.full((1, 8), 0.5)
    drawn[0, 5] = 1.0  # brightest: + 20 %; contrast and saturation stay
    changed = augment(colour=0.2)
    expected = changed.normalise.unit(torch.full((1, 3, 4, 4), 120 / 255))
    torch.testing.assert_close(changed(images, drawn), expected)


def test_rows_of_a_draw_are_what_a_process_needs(split):
    images = DecodedImages(split, DATA_CONFIG).__getitems__([0, 1, 2, 3]).images
    changed = augment(flip=0.5, crop_scale=0.6, colour=0.3, rotate=20.0)
    drawn = changed.draw(4, torch.Generator().manual_seed(5))
    whole = changed(images, drawn)
    torch.testing.assert_close(torch.cat([changed(images[:2], drawn[:2]), changed(images[2:], drawn[2:])]), whole)


def test_a_change_gets_the_index_that_counts_on(split):
    seen = []

    def change(image, index):
        seen.append((image.size, index))
        return image.point(lambda value: 255 - value)

    images = DecodedImages(split, DATA_CONFIG, change=change)
    count = len(images)
    first, later = images.__getitems__([1, 0]), images.__getitems__([1 + 2 * count, count])
    plain = DecodedImages(split, DATA_CONFIG).__getitems__([1, 0])
    assert [index for _, index in seen] == [1, 0, 1 + 2 * count, count]
    assert first.positions.tolist() == later.positions.tolist() == [1, 0]
    assert first.labels.tolist() == later.labels.tolist() == plain.labels.tolist()
    assert torch.equal(first.images, later.images)
    # Nearly: the resampling rounds once before and once after.
    assert (first.images.int() - (255 - plain.images.int())).abs().max() <= 1


def test_a_large_image_is_shrunk_before_a_change(tmp_path):
    Pillow.new("RGB", (1000, 900)).save(tmp_path / "large.png")
    rows = {"image": [str(tmp_path / "large.png")], "label": [0]}
    sizes = []
    images = DecodedImages(
        Dataset.from_dict(rows).cast_column("image", Image()),
        DATA_CONFIG,
        change=lambda image, index: sizes.append(image.size) or image,
    )
    images.__getitems__([0])
    assert sizes == [(249, 224)]


def test_an_odd_pass_blends_an_image_with_itself_and_calls_it_fake(split):
    blending, plain = DecodedImages(split, DATA_CONFIG, blend_seed=5), DecodedImages(split, DATA_CONFIG)
    count = len(plain)
    batch, before = blending.__getitems__([0, count, 2 * count + 3, 3 * count + 3]), plain.__getitems__([0, 0, 3, 3])
    assert (batch.labels.tolist(), batch.positions.tolist()) == ([0, 1, 0, 1], [0, 0, 3, 3])
    assert [torch.equal(*pair) for pair in zip(batch.images, before.images, strict=True)] == [
        True, False, True, False,
    ]  # fmt: skip
    assert torch.equal(blending.__getitems__([count]).images[0], batch.images[1])
    assert plain.__getitems__([3 * count]).labels.tolist() == [0]
