"""Features that are computed once and kept in the cache."""

import shutil
import sqlite3
from contextlib import closing

import numpy as np
import PIL.Image
import pytest
import torch
from datasets import Image

from hf_deepfake.config import DataConfig
from hf_deepfake.data.batch import DecodedImages, Normalise
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError, Interrupted
from hf_deepfake.evaluation import features
from hf_deepfake.evaluation.features import FEATURES_FILE, compute_features, predict_logits_by_features
from hf_deepfake.evaluation.inference import predict_logits
from hf_deepfake.models.build import build_model, data_config


def model_of(seed=0, name="test_vit", size=32):
    torch.manual_seed(seed)
    return build_model(name, image_size=size, pretrained="off")


@pytest.fixture
def source(faces, tmp_path):
    """Where images and cache are; 20 + 20 images."""
    folder = tmp_path / "faces"
    for label in ("real", "fake"):
        (folder / label).mkdir(parents=True)
        for path in sorted((faces / label).iterdir())[:20]:
            shutil.copy(path, folder / label / path.name)
    return DataConfig(data=(str(folder),), cache_dir=str(tmp_path / "cache"), groups="given")


@pytest.fixture
def computed(monkeypatch):
    """Numbers of images that were computed, by call."""
    counts = []
    usual = features.make_loader

    def counting(images, batches, *given):
        counts.append(sum(len(batch) for batch in batches))
        return usual(images, batches, *given)

    monkeypatch.setattr(features, "make_loader", counting)
    return counts


def compute(model, split, cache, size=32, **changes):
    return compute_features(model, split, data_config(model, size), 0, cache=cache, **changes)


def test_features_are_what_the_classifier_takes(source, computed):
    split, model = prepare(source)[0]["train"], model_of()
    preprocessing = data_config(model, 32)
    images = DecodedImages(split, preprocessing).__getitems__(list(range(len(split)))).images
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(Normalise(preprocessing, "cpu")(images)), pre_logits=True)
    for _ in range(2):  # computed, then out of the cache
        torch.testing.assert_close(compute(model, split, source), expected, atol=1e-5, rtol=0)
    rows = [5, 0, 5, 7]
    torch.testing.assert_close(compute(model, split, source, rows=rows), expected[rows], atol=1e-5, rtol=0)
    assert computed == [len(split), 0, 0]


def test_logits_by_features_are_those_of_the_model(source):
    for name, size in (("test_vit", 32), ("resnetv2_18", 32), ("simple_cnn", 32)):
        split, model = prepare(source)[0]["test"], model_of(1, name, size)
        expected = predict_logits(model, split, data_config(model, size), 0)
        for _ in range(2):
            found = predict_logits_by_features(model, split, data_config(model, size), 0, cache=source)
            np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_what_makes_other_features_is_computed_again(source, computed):
    split, model = prepare(source)[0]["train"], model_of()
    size = len(split)
    compute(model, split, source)
    torch.nn.init.ones_(model.head.weight)
    compute(model, split, source)  # another classifier takes the same
    assert computed == [size, 0]
    computed.clear()
    compute(model, split, source, reduced=True)
    compute(model, split, source, precision="bf16")
    compute_features(model, split, data_config(model, 32) | {"mean": (0.1, 0.2, 0.3)}, 0, cache=source)
    model.pretrained_cfg["architecture"] = "test_vit2"  # the same tensors, another activation for example
    compute(model, split, source)
    with torch.no_grad():
        model.blocks[0].mlp.fc1.bias += 1e-3
    compute(model, split, source)
    assert computed == [size] * 5
    computed.clear()
    path = split.cast_column("image", Image(decode=False))[3]["image"]["path"]
    with PIL.Image.open(path) as image:
        turned = image.rotate(180)
    turned.save(path)
    compute(model, split, source)
    assert computed == [1]


def test_reduced_precision_is_that_of_the_model(source):
    split, model = prepare(source)[0]["test"], model_of(0, "test_resnet", 64)
    for _ in range(2):
        found = compute(model, split, source, size=64, precision="bf16")
        assert found.dtype == torch.bfloat16
    exact = compute(model, split, source, size=64)
    assert exact.dtype == torch.float32
    torch.testing.assert_close(found.float(), exact, atol=0.05 * float(exact.std()), rtol=0.05)


def test_stopping_keeps_what_was_computed(source, computed, monkeypatch):
    split, model = prepare(source)[0]["train"], model_of()
    monkeypatch.setattr(features, "BATCH_SIZE", 8)
    with pytest.raises(Interrupted):
        compute(model, split, source, asked_to_stop=lambda: True)
    compute(model, split, source)
    assert computed == [len(split), len(split) - 8]


def test_damage_costs_time_or_is_said(source, computed, tmp_path):
    split, model = prepare(source)[0]["train"], model_of()
    expected = compute(model, split, source)
    file = tmp_path / "cache" / FEATURES_FILE
    with closing(sqlite3.connect(file)) as memory, memory:
        memory.execute("UPDATE features SET value = x'00' WHERE key = (SELECT min(key) FROM features)")
    torch.testing.assert_close(compute(model, split, source), expected, atol=1e-5, rtol=0)
    assert computed == [len(split), 1]
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(InputError, match=r"features\.sqlite cannot be used .*delete it or choose another --cache_dir"):
        compute(model, split, source)
