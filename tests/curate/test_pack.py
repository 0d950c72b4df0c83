import subprocess
import sys

import pytest
from datasets import load_dataset

from hf_deepfake.cli.main import main
from hf_deepfake.config import DataConfig
from hf_deepfake.curate import pack as packing
from hf_deepfake.curate.pack import pack
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError


def configured(source, **options):
    return DataConfig(data=(str(source),), **options)


@pytest.fixture(scope="module")
def packed(faces, cache, tmp_path_factory):
    """The drawn pairs in files of ten images."""
    out = tmp_path_factory.mktemp("packed") / "shards"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "SHARD_IMAGES", 10)
        pack(configured(faces), out)
    return out


def test_it_loads_to_the_same_images_splits_and_groups(packed, faces):
    (before, first), (after, second) = prepare(configured(faces)), prepare(configured(packed))
    assert second.fingerprint == first.fingerprint
    assert second.counts == first.counts
    assert not second.made
    for split in before:
        one, other = (sorted(zip(data[split]["group"], data[split]["label"], strict=True)) for data in (before, after))
        assert one == other


def test_files_hold_the_encoded_images_unchanged(packed, faces):
    names = sorted(path.name for path in packed.iterdir())
    assert names[0].startswith("test-00000-of-0000")
    assert len(names) > 10
    rows = load_dataset("parquet", data_files=str(packed / "train-*.parquet"), split="train").with_format("arrow")
    image = rows[0]["image"][0].as_py()
    original = next(path for path in faces.rglob(image["path"].split("/")[-1]) if path.read_bytes() == image["bytes"])
    assert original.is_file()


BARS = """
import sys
from pathlib import Path
from hf_deepfake.config import DataConfig
from hf_deepfake.curate import pack as packing
from hf_deepfake.data.load import prepare
sys.stderr.isatty = lambda: True
packing.SHARD_IMAGES = 10
data, _ = prepare(DataConfig(data=(sys.argv[1],)))
print("BEFORE", file=sys.stderr)
packing.write_shards(data, Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_one_bar_shows_how_far_it_is(faces, cache, tmp_path):
    command = [sys.executable, "-c", BARS, str(faces), str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr.partition("BEFORE\n")[2]
    shown = [line for line in said.splitlines() if line]  # a bar begins its line anew each time
    assert all(line.startswith("packing:") for line in shown), shown
    assert shown[-1].startswith("packing: 100%")
    assert "120/120" in shown[-1]


def test_nothing_is_half_written(faces, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packing, "write_shards", full)
    with pytest.raises(InputError, match="No space left on device"):
        pack(configured(faces), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_exists_and_what_leaks_is_refused(faces, tmp_path, capsys):
    assert main(["pack", str(faces), str(tmp_path)]) == 2
    assert "exists; give a new folder" in capsys.readouterr().err
    with pytest.raises(InputError, match="splits that leak"):
        pack(configured(faces, on_leak="keep"), tmp_path / "out")


def test_the_command_says_what_was_packed(faces, cache, tmp_path, capsys):
    assert main(["pack", str(faces), str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "train" in printed
    assert f"packed  {tmp_path / 'out'}" in printed
