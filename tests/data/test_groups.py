"""Groups that folders and file names tell, on the layouts of the field's data sets. No file is needed."""

import numpy as np
import pytest

from hf_deepfake.config import DataConfig
from hf_deepfake.data.groups import infer_groups, video_prefix
from hf_deepfake.data.names import class_names

CLASSES = class_names(DataConfig())


def groups(files, splits=None, how="auto"):
    """Group by file."""
    given = np.full(len(files), -1, np.int8) if splits is None else np.array(splits, np.int8)
    return dict(zip(files, infer_groups(files, given, CLASSES, how).groups, strict=True))


def note(files, splits=None):
    given = np.full(len(files), -1, np.int8) if splits is None else np.array(splits, np.int8)
    return infer_groups(files, given, CLASSES).note


def frames(*folders, count=4, name="{:04d}.png"):
    return [f"{folder}/{name.format(number)}" for folder in folders for number in range(count)]


def by_folder(found):
    """The one group of each folder."""
    result = {}
    for file, group in found.items():
        assert result.setdefault(file.rsplit("/", 1)[0], group) == group
    return result


@pytest.mark.parametrize(
    ("stem", "prefix"),
    [
        ("video12_frame003", "video12"),
        ("video12_frame_003", "video12"),
        ("video12-f3", "video12"),
        ("video12frame003", "video12"),
        ("abc_12", "abc"),
        ("000_003_0042", "000_003"),
        ("id0_id1_0000_00012", "id0_id1_0000"),
        ("aaagqkcdis_12_face0", "aaagqkcdis"),
        ("clip 7.0003", "clip 7"),
        ("0001", None),
        ("frame003", None),
        ("00F8LKY6JC", None),
        ("portrait", None),
    ],
)
def test_the_part_before_the_frames_number(stem, prefix):
    assert video_prefix(stem) == prefix


def test_pairs_of_faceforensics_join_both_videos():
    own = frames("real/000", "real/003", "fake/000_003", "fake/003_000")
    others = frames("real/010", "real/011", "fake/010_011", "real/020", "real/021", "fake/021_020")
    assert by_folder(groups(own + others)) == {
        **dict.fromkeys(("real/000", "real/003", "fake/000_003", "fake/003_000"), "000"),
        **dict.fromkeys(("real/010", "real/011", "fake/010_011"), "010"),
        **dict.fromkeys(("real/020", "real/021", "fake/021_020"), "020"),
    }
    assert "3 groups inferred from folders" in note(own + others)
    assert "such as 000_003 joins both" in note(own + others)


def test_faceforensics_own_folders():
    files = frames(
        *(f"original_sequences/youtube/c23/frames/{video}" for video in ("000", "003", "010", "011", "020")),
        *(
            f"manipulated_sequences/{method}/c23/frames/{pair}"
            for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter", "Other")
            for pair in ("000_003", "003_000", "010_011", "011_010")
        ),
    )
    found = groups(files)
    assert set(found.values()) == {"000", "010", "020"}
    assert by_folder(found)["original_sequences/youtube/c23/frames/011"] == "010"


def test_a_chain_of_pairs_stands_with_the_first():
    # 00_01, 01_02, ... 09_00 hang together through all ten videos.
    files = frames(*(f"real/{n:02}" for n in range(10)), *(f"fake/{n:02}_{(n + 1) % 10:02}" for n in range(10)))
    assert by_folder(groups(files)) == {
        folder: folder.split("/")[1].split("_")[0] for folder in (file.rsplit("/", 1)[0] for file in files)
    }
    assert "00_01 joins 00 alone" in note(files)


CELEB = frames(
    *(f"Celeb-real/id{person}_000{video}" for person in range(4) for video in range(3)),
    *(f"Celeb-synthesis/id{one}_id{other}_000{video}" for one in range(4) for other in range(4) if one != other
      for video in range(3)),
    "YouTube-real/00000", "YouTube-real/00001",
)  # fmt: skip


def test_persons_of_celeb_df_that_all_hang_together():
    found = by_folder(groups(CELEB))
    assert found["Celeb-real/id2_0001"] == found["Celeb-synthesis/id2_id3_0000"] == "id2"
    assert found["YouTube-real/00001"] == "00001"
    assert len(set(found.values())) == 6


def test_persons_of_celeb_df_in_small_circles_are_joined():
    real = [f"Celeb-real/id{person}_0000" for person in range(6)]
    fake = [f"Celeb-synthesis/id{one}_id{one ^ 1}_0000" for one in range(6)]
    found = by_folder(groups(frames(*real, *fake)))
    assert set(found.values()) == {"id0", "id2", "id4"}
    assert found["Celeb-synthesis/id3_id2_0000"] == found["Celeb-real/id3_0000"] == "id2"


def test_given_splits_that_share_persons_but_no_video_keep_their_videos():
    splits = [2 if "_0002/" in file or "YouTube-real/00001" in file else 0 for file in CELEB]
    found = by_folder(groups(CELEB, splits))
    assert found["Celeb-real/id2_0001"] == found["Celeb-synthesis/id2_id3_0001"] == "id2_0001"
    assert found["Celeb-real/id2_0002"] == "id2_0002"
    assert "the video id0_0000 alone" in note(CELEB, splits)


def test_given_splits_that_share_a_video_do_not_hide_it():
    files = frames("train/real/000", "train/fake/000_003", "train/real/003", "test/fake/003_000", "test/real/010")
    files = [file.replace("/0000", "/0009") if file.startswith("test") else file for file in files]
    found = by_folder(groups(files, [2 if file.startswith("test") else 0 for file in files]))
    assert found["train/real/003"] == found["test/fake/003_000"] == "003"


def test_frames_dealt_out_at_random_share_their_video():
    files = [f"{'test' if n % 4 == 3 else 'train'}/{label}/video{v}_frame{n:03}.jpg"
             for label in ("real", "fake") for v in range(5) for n in range(8)]  # fmt: skip
    found = groups(files, [2 if file.startswith("test") else 0 for file in files])
    assert found["test/real/video3_frame003.jpg"] == found["train/fake/video3_frame000.jpg"] == "video3"


def test_numbers_that_start_anew_in_each_split_mean_nothing_across():
    files = frames(*(f"{split}/{label}/{n:03}" for split in ("train", "test") for label in ("real", "fake")
                     for n in range(4)))  # fmt: skip
    found = by_folder(groups(files, [2 if file.startswith("test") else 0 for file in files]))
    assert found["train/real/002"] == found["train/fake/002"] == "train/002"
    assert found["test/real/002"] == "test/002"


def test_folders_of_dfdc_and_of_persons():
    names = ("aagfhgtpmv", "aapnvogymq", "abarnvbtwb")
    assert by_folder(groups(frames(*(f"real/part_{n}/{name}" for n, name in enumerate(names))))) == {
        f"real/part_{n}/{name}": name for n, name in enumerate(names)
    }
    persons = [f"real/{name}" for name in ("Ann_Lee", "Bo_Wu", "Cy_Fox", "Di_Orr", "Ed_Poe", "Fay_Gray")]
    assert set(groups(frames(*persons)).values()) == {name[5:] for name in persons}


def test_file_names_in_one_folder():
    files = [f"{label}/vid{v}_frame{n}.jpg" for label in ("real", "fake") for v in range(3) for n in range(3)]
    assert groups(files)["real/vid1_frame2.jpg"] == groups(files)["fake/vid1_frame0.jpg"] == "vid1"
    words = [f"real/{word}_{n}.png" for word in ("abc", "xyz", "kqr", "uio", "plm", "wer") for n in range(3)]
    assert groups(words)["real/kqr_2.png"] == "kqr"
    pairs = [f"fake/{pair}_{n:04}.jpg" for pair in ("000_003", "003_000", "010_011") for n in range(3)]
    reals = [f"real/{video}_{n:04}.jpg" for video in ("000", "003", "010", "011", "020") for n in range(3)]
    found = groups(pairs + reals)
    assert found["fake/003_000_0001.jpg"] == found["real/000_0000.jpg"] == "000"
    assert found["fake/010_011_0001.jpg"] == found["real/011_0000.jpg"] == "010"


def test_the_only_image_of_a_video_may_bear_its_bare_name():
    files = [*(f"fake/{v:03}_{n}.png" for v in range(4) for n in range(3)), *(f"real/{v:03}.png" for v in range(4))]
    assert groups(files)["real/002.png"] == groups(files)["fake/002_1.png"] == "002"


@pytest.mark.parametrize(
    "files",
    [
        [f"{label}/{n}.jpg" for label in ("real", "fake") for n in range(20)],
        [f"{label}/{label}_{n}.jpg" for label in ("real", "fake") for n in range(20)],
        [f"{label}/img_{n}.jpg" for label in ("real", "fake") for n in range(20)],
        [
            *(f"fake/{level}_{n}_1100.jpg" for n in range(20) for level in ("easy", "mid")),
            *(f"fake/{method}_{n:03}.jpg" for n in range(20) for method in ("began", "pggan", "stargan")),
        ],
        frames("fake/inswapper", "fake/simswap", "fake/stylegan2", "fake/stylegan3", "real/ffhq", count=9),
        frames("fake/Deepfakes/c23", "fake/Face2Face/c40", "fake/FaceSwap/c0", "real/c23", count=9),
        frames("real/part_1", "real/part_2", "real/part_3", "fake/part_1", count=9),
        [f"real/seed{n:04}.png" for n in range(50)],
    ],
    ids=["numbers", "class words", "img", "levels", "methods", "compressions", "parts", "seeds"],
)
def test_what_tells_no_group(files):
    assert set(groups(files).values()) == {None}
    assert note(files) == ""


def test_what_the_option_says_counts():
    files = [*frames("real/ann", "fake/bob"), "real/x_1.jpg", "real/x_2.jpg"]
    assert set(groups(files, how="folder").values()) == {"ann", "bob", None}
    assert groups(files, how="name")["real/x_1.jpg"] == "x"
    videos = frames("real/000", "real/001", "real/002")
    assert set(groups(videos, how="given").values()) == {None}
