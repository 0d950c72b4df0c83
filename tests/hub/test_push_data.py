import io
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from hub_client import ClientError
from huggingface_hub import DatasetCard
from PIL import Image

from hf_deepfake.config import DataConfig
from hf_deepfake.curate import pack
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError
from hf_deepfake.hub import push_data as module
from hf_deepfake.hub.push_data import push_data

PUSH = """
from dataclasses import asdict
from hf_deepfake.config import DataConfig
from hf_deepfake.curate import pack
from hf_deepfake.hub import push_data as module
pack.SHARD_IMAGES = shard_images
result = asdict(module.push_data(DataConfig(data=(source,)), repo, license="cc-by-4.0", **options))
"""
SHARDS = {
    *(f"data/train-{index:05d}-of-00003.parquet" for index in range(3)),
    "data/validation-00000-of-00001.parquet",
    "data/test-00000-of-00001.parquet",
}


@pytest.fixture
def push(client, faces):
    def call(repo, token="hf_me", source=faces, shard_images=40, **options):
        return client(PUSH, token=token, source=str(source), repo=repo, shard_images=shard_images, options=options)

    return call


def test_one_commit_of_shards_and_card(hub, push, faces):
    result = push("me/portraits", private=True)
    repo = hub.repos["dataset", "me/portraits"]
    assert set(result["files"]) == set(repo.files()) - {".gitattributes"} == SHARDS | {"README.md"}
    assert (repo.private, hub.requests.count("commit")) == (True, 1)
    rows = pq.read_table(io.BytesIO(repo.files()["data/test-00000-of-00001.parquet"])).to_pylist()
    assert len(rows) == 12
    for row in rows:
        file = faces / ["real", "fake"][row["label"]] / row["image"]["path"]  # the name alone, no path of this machine
        assert row["image"]["bytes"] == file.read_bytes()
        assert row["group"] == f"scene-{file.stem}"
    card = DatasetCard(repo.files()["README.md"].decode())
    assert card.data.license == "cc-by-4.0"
    paths = {split: f"data/{split}-*" for split in ("train", "validation", "test")}
    assert {entry["split"]: entry["path"] for entry in card.data.configs[0]["data_files"]} == paths
    info = card.data.dataset_info
    assert [split["num_examples"] for split in info["splits"]] == [96, 12, 12]
    assert info["download_size"] == sum(size for path, size in result["files"].items() if path != "README.md")
    assert str(faces) not in card.content
    for part in ('load_dataset("me/portraits")', "no image and no group", "| train | 48 | 48 |", "| test | 6 | 6 |"):
        assert part in card.text


def test_earlier_shards_are_replaced(hub, push):
    push("me/shards")
    result = push("me/shards", shard_images=1000)
    pushed = set(hub.repos["dataset", "me/shards"].files()) - {".gitattributes"}
    assert pushed == set(result["files"])
    assert len(pushed & SHARDS) == 2


def test_a_failure_shows_nothing(hub, push):
    hub.objects.clear()
    hub.fail("upload", 500, times=99)
    with pytest.raises(ClientError, match=r"^InputError: pushing to me/failed failed and nothing is lost: "):
        push("me/failed")
    assert set(hub.repos["dataset", "me/failed"].files()) == {".gitattributes"}


def test_no_token_is_said_before_anything_is_read(hub, push):
    with pytest.raises(ClientError, match=r"^InputError: pushing to me/x needs a token"):
        push("me/x", token=None, source="/nothing")
    assert hub.requests == []


def test_a_dry_run(faces, monkeypatch):
    monkeypatch.setattr(pack, "SHARD_IMAGES", 40)
    result = push_data(DataConfig(data=(str(faces),)), "me/portraits", license="mit", dry_run=True)
    assert (set(result.files), result.commit) == (SHARDS | {"README.md"}, None)
    assert all(result.files.values())


def test_leaks_are_not_published(faces):
    with pytest.raises(InputError, match="on_leak keep"):
        push_data(DataConfig(data=(str(faces),), on_leak="keep"), "me/x", license="mit", dry_run=True)


def test_a_full_disk(faces, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_shards", full)
    with pytest.raises(InputError, match=r"No space left on device.*TMPDIR"):
        push_data(DataConfig(data=(str(faces),)), "me/x", license="mit", dry_run=True)


def test_the_card_says_what_was_found(tmp_path):
    for split, label, name, shade in (
        ("train", "real", "a", 10),
        ("train", "real", "b", 20),
        ("train", "fake", "c", 30),
        ("train", "fake", "c2", 30),
        ("validation", "real", "d", 40),
        ("validation", "fake", "e", 50),
        ("test", "real", "f", 20),
        ("test", "real", "f2", 70),
        ("test", "fake", "g", 60),
    ):
        (tmp_path / split / label).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (shade, 0, 0)).save(tmp_path / split / label / f"{name}.png")
    (tmp_path / "test" / "fake" / "broken.png").write_bytes(b"broken")
    data, report = prepare(DataConfig(data=(str(tmp_path),)))
    info = module.DatasetInfo(features=data["train"].features)
    card = module.build_data_card(report, info, repo_id="me/small", license="mit")
    for part in (
        "splits that share no image.",
        "groups 0, images 1. Dropped from the earlier split: 1 images.",
        "left out: 1 of 10.",
        "were kept: 1.",
        "| train | 1 | 2 |",
        f"`{report.fingerprint}`",
    ):
        assert part in card
    for part in ("both classes", "that were made here", "by group", str(tmp_path), "broken.png"):
        assert part not in card
    several = replace(
        report, sources={"one": report.counts, "two": report.counts}, made={"one": ("validation", "test")}
    )
    card = module.build_data_card(several, info, repo_id="me/small", license="mit")
    assert "| two | 4 | 4 |" in card
    assert "Splits of one that were made here: validation, test." in card
