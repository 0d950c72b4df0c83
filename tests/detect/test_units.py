"""What words name, cut into units: which files, in which order, and which rows of shards."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features
from datasets import Image as Feature
from PIL import Image

from hf_deepfake.detect.units import UNIT_FILES, Unit, cut, find_units
from hf_deepfake.errors import InputError


@pytest.fixture
def inbox(tmp_path) -> Path:
    """Three images, one of them below a folder, a broken one and a text."""
    (tmp_path / "inbox" / "more").mkdir(parents=True)
    for number, name in enumerate(("b.png", "a.jpg", "more/c.PNG")):
        Image.new("RGB", (40, 40), (80 * number, 0, 0)).save(tmp_path / "inbox" / name, format="PNG")
    (tmp_path / "inbox" / "d.jpg").write_bytes(b"no image")
    (tmp_path / "inbox" / "notes.txt").write_text("no image either")
    return tmp_path / "inbox"


def find_images(words: list[str]) -> list[str]:
    return [file for unit in find_units(words) for file in unit.files]


def names(paths: list[str], root: Path) -> list[str]:
    return [str(Path(path).relative_to(root)) for path in paths]


def test_files_folders_and_patterns(inbox):
    assert names(find_images([str(inbox)]), inbox) == ["a.jpg", "b.png", "d.jpg", "more/c.PNG"]
    assert names(find_images([str(inbox / "*.png"), str(inbox)]), inbox)[0] == "b.png"
    assert names(find_images([str(inbox / "**" / "*.PNG")]), inbox) == ["more/c.PNG"]
    assert names(find_images([str(inbox / "notes.txt")]), inbox) == ["notes.txt"]  # a file is evaluated as told


@pytest.mark.parametrize("word", ["nosuch.jpg", "nosuch/*.jpg"])
def test_a_word_that_names_nothing_is_an_error(word):
    with pytest.raises(InputError, match=r"names no image and no video; give files, folders"):
        find_units([word])


def test_a_pattern_in_a_file_name_is_the_file(tmp_path):
    odd = tmp_path / "a[1].png"
    Image.new("RGB", (40, 40)).save(odd)
    assert find_images([str(odd)]) == [str(odd)]


def test_a_folder_is_walked_as_a_data_set_is(tmp_path, caplog):
    """Junk and hidden files are passed over, linked folders are not, and what is left out is said."""
    folder = tmp_path / "in"
    for name in ("a.JFIF", "n12", ".thumbnails/a.jpg", "__MACOSX/b.jpg", "@eaDir/c.jpg", "sub/d.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40)).save(folder / name, "JPEG")
    (folder / "phone.heic").touch()
    (folder / "notes.txt").touch()
    (folder / "more.zip").touch()
    (tmp_path / "other").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "other/e.jpg")
    (folder / "linked").symlink_to(tmp_path / "other")
    (folder / "gone.jpg").symlink_to("nowhere")
    assert names(find_images([str(folder)]), folder) == [
        "a.JFIF", "gone.jpg", "n12", "phone.heic", "linked/e.jpg", "sub/d.png",
    ]  # fmt: skip
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder}: 2 files left out: 1 .txt, 1 .zip; unpack archives yourself",
        f"{folder}: not looked into: 3 folders that are hidden or the system's",
    ]


def test_files_are_cut_into_units_in_their_order():
    units = cut(str(number) for number in range(2 * UNIT_FILES + 1))
    assert [len(unit.files) for unit in units] == [UNIT_FILES, UNIT_FILES, 1]
    assert [file for unit in units for file in unit.files] == [str(number) for number in range(2 * UNIT_FILES + 1)]
    assert cut([]) == []


def test_a_file_that_several_words_name_comes_once(inbox):
    files = find_images([str(inbox / "b.png"), str(inbox), str(inbox / "*.png")])
    assert names(files, inbox) == ["b.png", "a.jpg", "d.jpg", "more/c.PNG"]


def test_names_of_files_can_be_printed():
    assert list(Unit(("a.jpg", "caf\udce9.png"))) == [("a.jpg", "a.jpg"), ("caf\\xe9.png", "caf\udce9.png")]


@pytest.fixture
def packed(tmp_path, inbox):
    """Two parquet shards: a named image and one without a name; and one more named one."""
    (tmp_path / "packed").mkdir()
    content = (inbox / "a.jpg").read_bytes()
    for shard, paths in enumerate((["a.jpg", None], ["b.jpg"])):
        rows = [{"path": path, "bytes": content} for path in paths]
        table = Dataset.from_dict({"image": rows}, Features(image=Feature()))
        table.to_parquet(tmp_path / "packed" / f"part-{shard}.parquet")
    return tmp_path / "packed", content


def test_each_shard_is_a_unit_whose_rows_have_names(packed):
    folder, content = packed
    units = find_units([str(folder)])
    assert [unit.name for unit in units] == [f"{folder}/all-00000", f"{folder}/all-00001"]
    assert [unit.column for unit in units] == ["image", "image"]
    rows = [f"{folder}/all-00000/00000/a.jpg", f"{folder}/all-00000/00001", f"{folder}/all-00001/00000/b.jpg"]
    assert [item for unit in units for item in unit] == [(row, content) for row in rows]


def test_shards_come_after_all_files(packed, inbox):
    units = find_units([str(packed[0]), str(inbox / "a.jpg")])
    assert [bool(unit.files) for unit in units] == [True, False, False]
    assert units[0].files == (str(inbox / "a.jpg"),)


def test_what_was_saved_to_disk_is_cut_by_rows(tmp_path, inbox):
    rows = [{"path": None, "bytes": (inbox / "a.jpg").read_bytes()}] * 3
    Dataset.from_dict({"face": rows}, Features(face=Feature())).save_to_disk(str(tmp_path / "saved"))
    (unit,) = find_units([str(tmp_path / "saved")])
    assert (unit.column, len(list(unit))) == ("face", 3)


def test_parquet_without_images_is_a_file_like_any_other(tmp_path):
    pq.write_table(pa.table({"score": [0.5]}), tmp_path / "scores.parquet")
    assert find_images([str(tmp_path / "scores.parquet")]) == [str(tmp_path / "scores.parquet")]
    with pytest.raises(InputError, match="names no image"):
        find_units([str(tmp_path)])
