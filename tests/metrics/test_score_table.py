import numpy as np
import pytest
from datasets import Dataset, DatasetDict, Image
from PIL import Image as PillowImage

from hf_deepfake.errors import InputError
from hf_deepfake.metrics.score_table import COLUMNS, groups_of, load_scores, save_scores, score_table


@pytest.fixture
def data(tmp_path):
    """Two splits of two sources; one image of the second has no path."""
    files = ["faces/Train/Real/a.jpg", "faces/Test/Fake/b.png", "faces/Test/Real/c.jpg", "more/x/d.webp"]
    for file, size in zip(files, [(64, 80), (90, 70), (64, 64), (33, 200)], strict=True):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        PillowImage.new("RGB", size).save(path)
    (tmp_path / "more/x/e.webp").write_bytes((tmp_path / "more/x/d.webp").read_bytes())
    images = [{"path": str(tmp_path / file), "bytes": None} for file in files]
    images.append({"path": None, "bytes": (tmp_path / "more/x/e.webp").read_bytes()})
    rows = {
        "image": images,
        "label": [0, 1, 0, 1, 0],
        "origin": ["faces", "faces", "faces", "painter", "more"],
        "source": ["faces", "faces", "faces", "more", "more"],
        "group": ["anna", "berta", None, None, None],
        "regions": ["0110", None, None, None, None],
    }
    table = Dataset.from_dict(rows).cast_column("image", Image())
    return DatasetDict({"train": table.select([0]), "test": table.select([1, 2, 3, 4])})


def test_table_by_hand(data):
    table = score_table(data, {"test": [0.9, 0.1, 0.8, 0.2]})
    assert list(table.columns) == list(COLUMNS)
    assert table["file"].tolist() == ["Test/Fake/b.png", "Test/Real/c.jpg", "d.webp", "image 3"]
    assert table["split"].tolist() == ["test"] * 4
    assert table["source"].tolist() == ["faces", "faces", "more", "more"]
    assert table["format"].tolist() == ["PNG", "JPEG", "WEBP", "WEBP"]
    assert table["side"].tolist() == [70, 64, 33, 33]
    assert table["label"].tolist() == [1, 0, 1, 0]
    assert table["score"].tolist() == [0.9, 0.1, 0.8, 0.2]
    assert table["manipulation"].isna().all()
    assert groups_of(table) == ["berta", None, None, None]
    assert groups_of(table.iloc[1:]) is None


def test_splits_follow_one_another(data):
    table = score_table(data, {"train": np.array([0.5]), "test": np.full(4, 0.5)})
    assert table["split"].tolist() == ["train"] + ["test"] * 4


def test_kept_as_they_are(data, tmp_path):
    table = score_table(data, {"test": [0.9, 0.1, 0.8, 1 / 3]})
    save_scores(tmp_path / "scores.parquet", table)
    assert load_scores(tmp_path / "scores.parquet").equals(table)


def test_tables_from_before_videos_have_none(data, tmp_path):
    table = score_table(data, {"test": [0.9, 0.1, 0.8, 0.2]})
    table.drop(columns="video").to_parquet(tmp_path / "scores.parquet")
    assert load_scores(tmp_path / "scores.parquet").equals(table)


def test_what_is_no_table(tmp_path):
    with pytest.raises(InputError, match=r"there is no .*scores\.parquet; evaluate"):
        load_scores(tmp_path / "scores.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(InputError, match="is no table of scores"):
        load_scores(tmp_path / "text.parquet")
    Dataset.from_dict({"file": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match=r"is no table of scores .*not in index"):
        load_scores(tmp_path / "other.parquet")
