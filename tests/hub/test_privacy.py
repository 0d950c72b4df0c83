"""What is published does not tell where it was made."""

import io
import shutil
import subprocess
import zipfile

import pandas as pd
import pyarrow.parquet as pq
import pytest

from hf_deepfake.config import DataConfig
from hf_deepfake.curate.pack import pack
from hf_deepfake.curate.resplit import normalise, split

NAME = "jane-does-secret"
"""Folder of everything here: the data, the run, the clone of the Space and the working directory."""

INSIDE = """
import os
before = os.getcwd()
os.chdir(folder)
try:
    {}
finally:
    os.chdir(before)
"""
PUSH_DATA = INSIDE.format("""
    from hf_deepfake.config import DataConfig
    from hf_deepfake.hub.push_data import push_data
    result = push_data(DataConfig(data=tuple(data)), repo, license="cc-by-4.0").url
""")
TRAIN = INSIDE.format("""
    from hf_deepfake.config import TrainConfig
    from hf_deepfake.training.run import train
    result = train(TrainConfig(**options)).url
""")
PUSH_SPACE = INSIDE.format("""
    from hf_deepfake.hub.push_space import push_space
    result = push_space(checkpoint, repo).url
""")


@pytest.fixture(scope="module")
def folder(faces, tmp_path_factory):
    """A folder with a telling name, a repository of its own, and data in it with all that a report names."""
    folder = tmp_path_factory.mktemp("home") / NAME
    data = folder / "faces"
    shutil.copytree(faces, data)
    (data / "real" / "broken.jpg").write_text("no image")
    shutil.copy(data / "real" / "0000.jpg", data / "fake" / "conflict.jpg")
    shutil.copy(data / "real" / "0001.jpg", data / "real" / "again.jpg")
    table = pd.read_csv(data / "groups.csv")
    table["found"] = [str(data / file) for file in table["file"]]
    table.to_csv(data / "groups.csv", index=False)
    git = ["git", "-C", str(folder), "-c", "user.name=Jane", "-c", "user.email=jane@example.com"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", NAME], check=True)
    return folder


@pytest.fixture(scope="module")
def revision(folder):
    done = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def found(repo, *words):
    """Files of a repository that hold one of the words in name or content, packed or not."""
    return [path for path, content in repo.files().items() if _holds(path, content, words)]


def _holds(path, content, words):
    parts = [path.encode(), content]
    if path.endswith(".parquet"):
        table = pq.read_table(io.BytesIO(content))
        parts += [repr(table.schema.metadata).encode(), repr(table.to_pylist()).encode()]
    if path.endswith((".whl", ".zip")):
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            return any(_holds(name, opened.read(name), words) for name in opened.namelist())
    return any(word.encode() in part for part in parts for word in words)


@pytest.mark.slow
def test_a_data_set(hub, client, folder):
    config = DataConfig(data=(str(folder / "faces"),))
    split(config, folder / "split")
    normalise(config, folder / "normalised", size=32)
    pack(DataConfig(data=(str(folder / "split"),)), folder / "packed")
    for repo, data in {"plain": ["faces"], "split": ["split"], "two": ["normalised", "packed"]}.items():
        client(PUSH_DATA, folder=str(folder), data=[str(folder / one) for one in data], repo=f"me/{repo}-of-jane")
        pushed = hub.repos["dataset", f"me/{repo}-of-jane"]
        assert len(pushed.files()) >= 4
        assert found(pushed, NAME) == []
    rows = pq.read_table(io.BytesIO(pushed.files()["data/test-00000-of-00001.parquet"])).to_pylist()
    assert {row["original"].split("/")[0] for row in rows} == {"real", "fake"}


@pytest.mark.slow
def test_a_model_and_a_space(hub, client, folder, revision):
    options = {
        "data": [str(folder / "faces")], "output_dir": str(folder / "run"), "model": "test_resnet", "pretrained": "off",
        "image_size": 64, "batch_size": 16, "workers": 0, "mixed_precision": "no", "explained": 0, "audit": "basic",
        "epochs": 2, "steps_per_epoch": 1, "push_to_hub": "me/model-of-jane", "hub_license": "apache-2.0",
        "push_every": 1,
    }  # fmt: skip
    client(TRAIN, folder=str(folder), options=options)
    model = hub.repos["model", "me/model-of-jane"]
    report = model.files()["report.json"].decode()
    assert "broken.jpg is not an image" in report
    assert "conflict.jpg" in report
    assert found(model, NAME, revision) == []
    client(PUSH_SPACE, folder=str(folder), checkpoint=str(folder / "run" / "checkpoint"), repo="me/space-of-jane")
    space = hub.repos["space", "me/space-of-jane"]
    assert {"app.py", "checkpoint/report.json"} <= set(space.files())
    assert found(space, NAME, revision) == []
    local = [path for path in (folder / "run" / "checkpoint").iterdir() if NAME.encode() in path.read_bytes()]
    assert local == []  # nor in what lies beside, such as the page, which is for showing


def test_what_a_word_is_found_in():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.txt", "secret " * 9)
    table = io.BytesIO()
    pd.DataFrame({"a": ["secret"]}).to_parquet(table)
    assert all(_holds(path, content, ["secret"]) for path, content in {
        "a.whl": packed.getvalue(), "a.parquet": table.getvalue(), "secret.txt": b"", "a.txt": b"a secret",
    }.items())  # fmt: skip
    assert not _holds("a.txt", b"", ["secret"])
