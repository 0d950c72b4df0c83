"""The sample set: pairs, masks, and nothing but the image that tells real from fake."""

import csv
import filecmp

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from hf_deepfake.config import DataConfig
from hf_deepfake.data.load import prepare
from hf_deepfake.data.sample import draw_sample


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    draw_sample(folder, count=24, size=96)
    return folder


def values(path):
    return np.asarray(Image.open(path)).astype(float)


def pairs(sample):
    for number in range(24):
        yield sample / f"images/real/{number:04d}.jpg", sample / f"images/fake/{number:04d}.jpg"


def test_files(sample):
    for folder in ("images/real", "images/fake", "masks"):
        assert len(list((sample / folder).iterdir())) == 24
    with (sample / "images/groups.csv").open() as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert len(rows) == 48
    assert rows["real/0003.jpg"] == {"file": "real/0003.jpg", "group": "scene-0003", "manipulation": ""}
    assert rows["fake/0003.jpg"]["group"] == "scene-0003"
    assert {row["manipulation"] for row in rows.values()} == {"", "warp", "swap"}


def test_a_fake_differs_inside_its_mask_alone(sample):
    for real, fake in pairs(sample):
        mask = values(sample / f"masks/{fake.stem}.png")
        assert mask.max() == 255
        assert 0.02 < (mask > 127).mean() < 0.35
        change = np.abs(values(real) - values(fake)).mean(axis=2)
        # JPEG works on blocks of 8 px (16 for colour), so look well away from the mask.
        near = np.zeros_like(mask, bool)
        for y, x in np.argwhere(mask > 0):
            near[y // 16 * 16 : y // 16 * 16 + 16, x // 16 * 16 : x // 16 * 16 + 16] = True
        near = near | np.roll(near, 16, 0) | np.roll(near, -16, 0) | np.roll(near, 16, 1) | np.roll(near, -16, 1)
        assert change[~near].max() < 2
        assert change[mask > 127].mean() > 2


def test_file_facts_do_not_tell_the_class(sample):
    facts = {
        (image.size, image.format, image.mode, str(vars(image)["quantization"]), str(image.info))
        for pair in pairs(sample)
        for image in map(Image.open, pair)
    }
    assert len(facts) == 1
    sizes = [[path.stat().st_size for path in paths] for paths in zip(*pairs(sample), strict=True)]
    assert 0.35 < roc_auc_score([0] * 24 + [1] * 24, np.concatenate(sizes)) < 0.65


def test_the_seed_decides(sample, tmp_path):
    for name, seed in (("same", 0), ("other", 1)):
        (tmp_path / name).mkdir()
        draw_sample(tmp_path / name, count=24, size=96, seed=seed)
    files = [str(file.relative_to(sample)) for file in sample.rglob("*") if file.is_file()]
    assert len(files) == 24 * 3 + 1
    assert filecmp.cmpfiles(sample, tmp_path / "same", files, shallow=False) == (files, [], [])
    images = [file for file in files if file.endswith(".jpg")]
    assert filecmp.cmpfiles(sample, tmp_path / "other", images, shallow=False) == ([], images, [])


def test_it_loads_with_pairs_together_and_masks_apart(sample, tmp_path):
    data, report = prepare(DataConfig(data=(str(sample / "images"),), cache_dir=str(tmp_path)))
    assert report.clean
    assert report.listed == 48
    for split in data.values():
        groups = {
            label: sorted(split.filter(lambda row, label=label: row["label"] == label)["group"]) for label in (0, 1)
        }
        assert groups[0] == groups[1]
        assert groups[0]
