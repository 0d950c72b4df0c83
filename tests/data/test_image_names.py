import pytest
from datasets import Dataset, Image, Value

from hf_deepfake.data.image_names import below_shared, image_names, name_images, without_path


def table(*paths, **columns):
    """Images of these paths, none of which is read; of None, one that is embedded."""
    images = [{"path": path, "bytes": None if path else b"encoded"} for path in paths]
    data = Dataset.from_dict({"image": images}).cast_column("image", Image())
    for name, values in columns.items():
        data = data.add_column(name, values, feature=Value("string"))
    return data


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        (["/home/jane/faces/real/1.jpg"], ["1.jpg"]),
        (["/home/jane/faces/real/1.jpg", "/home/jane/faces/fake/1.jpg"], ["real/1.jpg", "fake/1.jpg"]),
        (["/home/jane/a/1.jpg", "/home/jane/ab/1.jpg"], ["a/1.jpg", "ab/1.jpg"]),
        (["/home/jane/1.jpg", "/home/jane/deep/2.jpg", None, ""], ["1.jpg", "deep/2.jpg", None, ""]),
        (["/1.jpg", "/a/1.jpg"], ["1.jpg", "a/1.jpg"]),
        (["C:\\Users\\jane\\real\\1.jpg", "C:/Users/jane/fake/1.jpg"], ["real/1.jpg", "fake/1.jpg"]),
        (["\\\\server\\jane\\1.jpg"], ["1.jpg"]),
        (["file:///home/jane/1.jpg", "/home/jane/2.jpg"], ["1.jpg", "2.jpg"]),
        (["scene-1", "a/b.jpg", "1/2", "https://example.com/a.jpg"], ["scene-1", "a/b.jpg", "1/2", "https://example.com/a.jpg"]),
        (["/home/jane/a\\b.jpg", "/home/jane/c/d.jpg"], ["a\\b.jpg", "c/d.jpg"]),
    ],
)  # fmt: skip
def test_the_shared_folder_goes(values, expected):
    assert below_shared(values) == expected
    assert len(set(below_shared(values))) == len(set(values))


def test_names_are_those_below_the_source_in_whichever_split():
    train = table("/home/jane/x/train/real/1.jpg", None, "/tmp/y/1.jpg", source=["x", "x", "y"])
    test = table("/home/jane/x/test/fake/1.jpg", "/tmp/y/fake/1.jpg", source=["x", "y"])
    assert image_names(train, test) == [["train/real/1.jpg", None, "1.jpg"], ["test/fake/1.jpg", "fake/1.jpg"]]


def test_rows_that_were_chosen_keep_their_names():
    chosen = table(*(f"/a/{number}/x.jpg" for number in range(2_500))).select([2_400, 3])
    assert image_names(chosen) == [["2400/x.jpg", "3/x.jpg"]]


def test_images_of_one_source_and_of_several():
    assert name_images(table("/a/b/1.jpg", None, "/a/2.jpg")) == ["b/1.jpg", "image-000001", "2.jpg"]
    two = table("/a/1.jpg", "/b/1.jpg", None, source=["one", "two", "two"])
    assert name_images(two) == ["one/1.jpg", "two/1.jpg", "two/image-000002"]


def test_what_was_said_of_a_file():
    path = "/home/jane/it's.jpg"
    assert without_path(f"{path} is broken", path, "it's.jpg") == "it's.jpg is broken"
    denied = str(PermissionError(13, "Permission denied", "/home/jané\t/1.jpg"))
    assert without_path(denied, "/home/jané\t/1.jpg", "1.jpg") == "[Errno 13] Permission denied: '1.jpg'"
