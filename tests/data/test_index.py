"""Listing folders: classes, splits, CSV columns, and every layout that is refused. No file is opened here."""

import os

import pytest

from hf_deepfake.config import DataConfig
from hf_deepfake.data.index import list_folder
from hf_deepfake.data.names import class_names
from hf_deepfake.errors import InputError


def make(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


def listed(root, **options):
    """File: (label, split) of a folder."""
    listing = list_folder(root, class_names(DataConfig(**options)))
    return dict(zip(listing.files, zip(listing.labels.tolist(), listing.splits.tolist(), strict=True), strict=True))


@pytest.mark.parametrize("above", ["", "a/", "a/b/", "a/b/c/"])
def test_split_folders_above_class_folders_up_to_three_levels_down(tmp_path, above):
    make(tmp_path, *(f"{above}{file}" for file in ("Train/Real/1.jpg", "Validation/Fake/2.png", "TEST/fake/3.webp")))
    assert listed(tmp_path) == {
        f"{above}TEST/fake/3.webp": (1, 2),
        f"{above}Train/Real/1.jpg": (0, 0),
        f"{above}Validation/Fake/2.png": (1, 1),
    }


def test_deeper_class_folders_are_not_searched_for(tmp_path):
    make(tmp_path, "a/b/c/d/train/real/1.jpg")
    with pytest.raises(InputError, match="no folder that is known"):
        listed(tmp_path)


def test_class_folders_above_split_folders(tmp_path):
    make(tmp_path, "set/Real/train/1.jpg", "set/Fake/val/2.jpg", "set/Fake/test/deep/3.jpg")
    assert set(listed(tmp_path).values()) == {(0, 0), (1, 1), (1, 2)}


def test_no_splits_and_folders_below_a_class(tmp_path):
    make(tmp_path, "real/1.jpg", "fake/inswapper/2.jpg", "fake/a/b/c/d/e/f/3.jpg")
    assert listed(tmp_path) == {
        "fake/a/b/c/d/e/f/3.jpg": (1, -1),
        "fake/inswapper/2.jpg": (1, -1),
        "real/1.jpg": (0, -1),
    }


def test_only_images_are_listed(tmp_path):
    make(
        tmp_path,
        *(f"real/a{end}" for end in (".jpg", ".JPEG", ".PnG", ".webp", ".bmp", ".tif", ".TIFF", ".gif", ".avif")),
    )
    make(
        tmp_path, "real/.hidden.jpg", "real/a.txt", "real/a", "real/jpg", "__MACOSX/real/._1.jpg", ".git/x.jpg", "a.svg"
    )
    assert len(listed(tmp_path)) == 9


def test_order_is_by_path(tmp_path):
    make(tmp_path, "real/b.jpg", "real/a.jpg", "fake/c.jpg", "real/sub/a.jpg")
    assert list(listed(tmp_path)) == ["fake/c.jpg", "real/a.jpg", "real/b.jpg", "real/sub/a.jpg"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    make(tmp_path, "elsewhere/1.jpg", "set/fake/2.jpg")
    (tmp_path / "set/real").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/fake/again").symlink_to(tmp_path / "set")
    assert listed(tmp_path / "set") == {"real/1.jpg": (0, -1), "fake/2.jpg": (1, -1)}


def test_unknown_class_folders_are_listed(tmp_path):
    make(tmp_path, "train/real/1.jpg", "train/swapped/2.jpg", "train/swapped/3.jpg", "train/4.jpg", "5.jpg")
    expected = r"4 images in .* real or fake: \. \(1\), train \(1\), train/swapped \(2\) .*--fake_names"
    with pytest.raises(InputError, match=expected):
        listed(tmp_path)


def test_options_name_further_class_folders(tmp_path):
    make(tmp_path, "Live/1.jpg", "Swapped_Faces/2.jpg")
    assert listed(tmp_path, real_names=("live",), fake_names=("swapped faces",)) == {
        "Live/1.jpg": (0, -1),
        "Swapped_Faces/2.jpg": (1, -1),
    }


def test_a_folder_cannot_be_of_both_classes(tmp_path):
    make(tmp_path, "original/fake/1.jpg")
    with pytest.raises(InputError, match="real and as fake at once"):
        listed(tmp_path)


def test_images_beside_split_folders(tmp_path):
    make(tmp_path, "train/real/1.jpg", "test/fake/2.jpg", "real/3.jpg")
    with pytest.raises(InputError, match=r"1 images such as real/3\.jpg are in none"):
        listed(tmp_path)


def test_empty_folder(tmp_path):
    make(tmp_path, "real/readme.txt")
    with pytest.raises(InputError, match=r"holds no images; looked for \.apng, .*; 1 file left out: \.txt|1 \.txt"):
        listed(tmp_path)


def test_names_that_are_no_text_are_left_out_and_said(tmp_path):
    make(tmp_path, "real/ok.jpg")
    for name in (b"real/\xff\xfe.jpg", b"real/caf\xe9/1.jpg", b"fake/caf\xe9.csv"):
        make(tmp_path, os.fsdecode(name))
    listing = list_folder(tmp_path, class_names(DataConfig()))
    assert (listing.files, dict(listing.left_out)) == (["real/ok.jpg"], {"not named in UTF-8": 2, ".csv": 1})
    (tmp_path / "real/ok.jpg").unlink()
    with pytest.raises(InputError, match=r"holds no images.*2 not named in UTF-8.*rename"):
        listed(tmp_path)


def test_what_is_left_out_is_counted(tmp_path):
    make(tmp_path, "real/1.jpg", "fake/2.jfif", "fake/clip.mp4", "real/more.tar.gz", "groups.csv", "@eaDir/3.jpg")
    (tmp_path / "groups.csv").write_text("file,group\nreal/1.jpg,a\n")
    (tmp_path / "real/again").symlink_to(tmp_path / "fake")
    listing = list_folder(tmp_path, class_names(DataConfig()))
    assert listing.files == ["fake/2.jfif", "real/1.jpg"]
    assert dict(listing.left_out) == {".mp4": 1, ".gz": 1}
    assert listing.notes == (
        "images listed: 1 .jfif, 1 .jpg",
        "not looked into: 1 folders that are hidden or the system's",
        "real/again is a link to fake, so it lists no image again",
    )


@pytest.mark.parametrize("theme", ["Deepfakes", "AI-generated", "fake_news/deepfake", "synthetic", "original"])
def test_a_word_of_a_class_above_the_class_folders_decides_nothing(tmp_path, theme):
    make(tmp_path, f"{theme}/Train/Real/1.jpg", f"{theme}/Train/Fake/2.jpg", f"{theme}/test/b/fake/3.jpg")
    assert set(listed(tmp_path).values()) == {(0, 0), (1, 0), (1, 2)}


def test_words_of_both_classes_beside_each_other_are_class_folders(tmp_path):
    make(tmp_path, "real/1.jpg", "fake/original/2.jpg", "fake/generated/3.jpg")
    with pytest.raises(InputError, match="fake/original is named as real and as fake at once"):
        listed(tmp_path)


def columns(root):
    listing = list_folder(root, class_names(DataConfig()))
    return listing.columns, listing.unmatched


def test_columns_of_csv_files_at_several_levels(tmp_path):
    make(tmp_path, "set/real/1.jpg", "set/fake/2.jpg", "set/fake/3.jpg")
    (tmp_path / "set/groups.csv").write_text("file,group\nreal/1.jpg,a\nfake\\2.jpg,a\nfake/none.jpg,b\n")
    (tmp_path / "set/fake/Attributes.csv").write_text("\ufefffile,manipulation,regions\n2.jpg,swap,0110\n3.jpg,,NA\n")
    found, unmatched = columns(tmp_path)
    # Rows: fake/2, fake/3, real/1.
    assert found == {"group": ["a", None, "a"], "manipulation": ["swap", None, None], "regions": ["0110", "NA", None]}
    assert unmatched == 1


def test_equal_rows_are_one_and_different_rows_an_error(tmp_path):
    make(tmp_path, "real/1.jpg", "fake/2.jpg")
    table = tmp_path / "groups.csv"
    table.write_text("file,group\nreal/1.jpg,a\nreal/1.jpg,a\n./real/1.jpg,a\n")
    assert columns(tmp_path) == ({"group": [None, "a"]}, 0)
    table.write_text("file,group\nreal/1.jpg,a\nreal/1.jpg,b\n")
    with pytest.raises(InputError, match=r"group 'b' for real/1\.jpg, which has 'a' already"):
        columns(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not a readable CSV"),
        (b"name,group\n", "no column file; its columns are name, group"),
        (b"file,label\n", "a column label, a name that is taken"),
        (b'file,group\n"a', "not a readable CSV"),
        (b"file,group\n\xff\xff,a\n", "not a readable CSV"),
    ],
)
def test_unusable_csv_files(tmp_path, text, message):
    make(tmp_path, "real/1.jpg", "fake/2.jpg")
    (tmp_path / "groups.csv").write_bytes(text)
    with pytest.raises(InputError, match=message):
        columns(tmp_path)
