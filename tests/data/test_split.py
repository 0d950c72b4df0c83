"""Units, leaks and splits on toy data, worked out by hand."""

import numpy as np
import pytest

from hf_deepfake.data.split import connect, find_leaks, join_given, make_splits, missing_splits


def hashed(text):
    """One hash for each letter."""
    return np.array([letter.encode() * 32 for letter in text], "S32")


def grouped(*groups):
    return np.array(groups, object)


def split_of(text):
    """Splits from letters: t(rain), v(alidation), e (test), - (none)."""
    return np.array(["tve-".index(letter) if letter != "-" else -1 for letter in text], np.int8)


def unnamed(count):
    return np.full(count, None, object)


def test_units_join_equal_images_and_groups_through_others():
    # 0 and 1 are one image, 1 and 3 one group, 3 and 4 one image; 2 and 5 stand alone; None is no group.
    units = connect(hashed("aabccd"), grouped(None, "g", None, "g", "h", None))
    assert units[0] == units[1] == units[3] == units[4]
    assert len({units[0], units[2], units[5]}) == 3
    assert connect(hashed(""), grouped()).tolist() == []


def test_images_without_a_split_follow_their_unit():
    units = np.array([0, 0, 1, 1, 1, 2])
    assert join_given(split_of("t-v-e-"), units).tolist() == split_of("ttvee-").tolist()


def test_leaks_of_groups_and_of_images():
    splits = split_of("ttvvee-")
    groups = grouped("g", "h", "h", None, "i", "i", "g")
    hashes = hashed("abcdefa")
    leaks = find_leaks(splits, hashes, groups)
    assert leaks.rows.tolist() == [False, True, False, False, False, False, False]
    assert (leaks.groups, leaks.images) == (["h"], 0)
    leaks = find_leaks(splits, hashed("abcaeba"), unnamed(7))
    assert leaks.rows.tolist() == [True, True, False, False, False, False, False]
    assert (leaks.groups, leaks.images) == ([], 2)


def test_the_earlier_split_loses():
    leaks = find_leaks(split_of("tve"), hashed("aaa"), unnamed(3))
    assert leaks.rows.tolist() == [True, True, False]
    assert leaks.images == 1


def test_what_leaks_only_into_a_dropped_image_stays():
    # Validation's image goes because of test, so that train's shares its group with nobody any more.
    leaks = find_leaks(split_of("tve"), hashed("abb"), grouped("g", "g", None))
    assert leaks.rows.tolist() == [False, True, False]


def test_repeats_within_a_split_are_no_leak():
    leaks = find_leaks(split_of("tte"), hashed("aab"), grouped("g", "g", "h"))
    assert not leaks.rows.any()
    assert (leaks.groups, leaks.images) == ([], 0)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [("--", (0, 1, 2)), ("tt", (1, 2)), ("tv", (2,)), ("te", (1,)), ("tve", None), ("ee", None), ("ve", None)],
)
def test_which_splits_are_missing(splits, expected):
    found = missing_splits(split_of(splits), np.zeros(len(splits), np.int64))
    assert found == ({} if expected is None else {0: expected})


def random_hashes(count, seed=0):
    generator = np.random.default_rng(seed)
    return np.array([generator.bytes(16).hex().encode() for _ in range(count)], "S32")


def made(given, hashes, groups, labels, sources=None, share=0.15, seed=0):
    sources = np.zeros(len(given), np.int64) if sources is None else sources
    missing = missing_splits(given, sources)
    joined = join_given(given, connect(hashes, groups))
    return make_splits(joined, missing, hashes, groups, labels, sources, share, seed)


def counts(splits, where):
    return np.bincount(splits[where], minlength=3).tolist()


def test_eighty_ten_ten_of_each_class():
    labels = np.repeat([0, 1], [60, 40]).astype(np.int8)
    splits = made(np.full(100, -1, np.int8), random_hashes(100), unnamed(100), labels)
    assert counts(splits, labels == 0) == [48, 6, 6]
    assert counts(splits, labels == 1) == [32, 4, 4]


def test_each_source_is_split_by_itself():
    labels = np.tile([0, 1], 60).astype(np.int8)
    sources = np.repeat([0, 1], [100, 20])
    splits = made(np.full(120, -1, np.int8), random_hashes(120), unnamed(120), labels, sources)
    assert counts(splits, sources == 0) == [80, 10, 10]
    assert counts(splits, sources == 1) == [16, 2, 2]


def test_what_train_gives_to_the_missing_splits():
    labels = np.tile([0, 1], 100).astype(np.int8)
    without_both = made(np.zeros(200, np.int8), random_hashes(200), unnamed(200), labels, share=0.2)
    assert counts(without_both, labels >= 0) == [120, 40, 40]
    given = np.repeat([0, 2], [100, 100]).astype(np.int8)
    without_validation = made(given, random_hashes(200), unnamed(200), labels, share=0.2)
    assert counts(without_validation, labels >= 0) == [80, 20, 100]
    assert (without_validation[100:] == 2).all()


def test_test_alone_stays_test():
    given = np.full(10, 2, np.int8)
    assert made(given, random_hashes(10), unnamed(10), np.tile([0, 1], 5).astype(np.int8)).tolist() == [2] * 10


@pytest.mark.parametrize("seed", range(8))
def test_groups_and_equal_images_stay_together(seed):
    generator = np.random.default_rng(seed)
    groups = generator.integers(0, 40, 300).astype(str).astype(object)
    groups[generator.random(300) < 0.3] = None
    hashes = random_hashes(250)[generator.integers(0, 250, 300)]
    labels = generator.integers(0, 2, 300).astype(np.int8)
    splits = made(np.full(300, -1, np.int8), hashes, groups, labels, seed=seed)
    for key in (hashes, groups):
        for value in set(key) - {None}:
            assert len(set(splits[key == value])) == 1
    assert min(counts(splits, labels == 0)) > 0


def test_pairs_are_dealt_as_units():
    groups = np.repeat(np.arange(50).astype(str), 2).astype(object)
    labels = np.tile([0, 1], 50).astype(np.int8)
    splits = made(np.full(100, -1, np.int8), random_hashes(100), groups, labels)
    assert counts(splits, labels == 0) == counts(splits, labels == 1) == [40, 5, 5]


def test_three_units_reach_into_three_splits_however_large_they_are():
    groups = grouped(*["a"] * 20, *["b"] * 5, "c")
    splits = made(np.full(26, -1, np.int8), random_hashes(26), groups, np.zeros(26, np.int8))
    assert counts(splits, slice(None)) == [20, 5, 1]


def test_an_image_that_another_source_has_in_test_goes_to_test():
    hashes = np.concatenate([random_hashes(30), random_hashes(30)[:5], random_hashes(30, 1)])
    given = np.concatenate([np.repeat([0, 1, 2], 10), np.full(35, -1)]).astype(np.int8)
    sources = np.repeat([0, 1], [30, 35])
    given[:5] = 2
    splits = made(given, hashes, unnamed(65), np.tile([0, 1], 33)[:65].astype(np.int8), sources)
    assert splits[30:35].tolist() == [2] * 5
    assert splits[:30].tolist() == given[:30].tolist()


def test_a_unit_that_is_in_two_splits_is_not_moved():
    # As with --on_leak keep: train's image is in test too, and must not come into validation as well.
    hashes = np.concatenate([random_hashes(40), random_hashes(1)])
    given = np.repeat([0, 2], [40, 1]).astype(np.int8)
    labels = np.tile([0, 1], 21)[:41].astype(np.int8)
    for seed in range(20):
        assert made(given, hashes, unnamed(41), labels, share=0.5, seed=seed)[0] == 0


def test_the_result_depends_on_content_and_seed_alone():
    hashes, labels = random_hashes(100), np.tile([0, 1], 50).astype(np.int8)
    groups = (np.arange(100) // 4).astype(str).astype(object)
    given = np.full(100, -1, np.int8)
    first = made(given, hashes, groups, labels)
    shuffle = np.random.default_rng(5).permutation(100)
    renamed = np.array([f"other {group}" for group in groups], object)
    again = made(given, hashes[shuffle], renamed[shuffle], labels[shuffle])
    np.testing.assert_array_equal(again, first[shuffle])
    assert (made(given, hashes, groups, labels, seed=1) != first).any()
