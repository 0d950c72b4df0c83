"""What folders, labels and splits are called in the wild, and which class or split each name means."""

import re
from collections.abc import Iterable, Mapping

from hf_deepfake.config import LABELS, DataConfig
from hf_deepfake.errors import InputError

_WORDS = (
    ("real", "original", "authentic", "genuine", "pristine", "bonafide", "realism", "human"),
    (
        "fake",
        "deepfake",
        "ai",
        "aigenerated",
        "artificial",
        "synthetic",
        "generated",
        "forged",
        "tampered",
        "manipulated",
    ),
)
_PREFIXES = ("", "0", "1", "train", "training")
_SUFFIXES = ("", "s", "face", "faces", "image", "images", "img", "imgs", "photo", "photos", "image", "images")

_SPLIT_WORDS = (
    ("train", "training", "tr", "trn"),
    ("validation", "validate", "valid", "val", "dev", "development"),
    ("test", "testing", "tst", "te", "eval", "evaluation", "evaluate"),
)


def normal(name: str) -> str:
    """The name without capitals, `_`, `-` and space, in which the same name is written differently."""
    return re.sub(r"[_\-\s]", "", name.casefold())


_CLASSES = {
    f"{prefix}{word}{suffix}": label
    for label, words in enumerate(_WORDS)
    for word in words
    for prefix in _PREFIXES
    for suffix in _SUFFIXES
} | {
    # Folders of FaceForensics++ and Celeb-DF.
    "originalsequences": 0,
    "manipulatedsequences": 1,
    "celebreal": 0,
    "youtubereal": 0,
    "celebsynthesis": 1,
}
_SPLITS = {
    f"{word}{suffix}": split for split, words in enumerate(_SPLIT_WORDS) for word in words for suffix in ("", "set")
}


def class_names(config: DataConfig) -> dict[str, int]:
    """Every name of a class, as `normal` writes it, with the class's index in `LABELS`.

    Args:
        config: its `real_names` and `fake_names` come before what the names mean otherwise.

    Returns:
        Index by name.

    Raises:
        InputError: a name is given for both classes.
    """
    given = [{normal(name) for name in names} for names in (config.real_names, config.fake_names)]
    if both := given[0] & given[1]:
        raise InputError(f"{sorted(both)[0]!r} stands in both --real_names and --fake_names; leave it in one")
    return _CLASSES | {name: label for label, names in enumerate(given) for name in names}


def split_index(name: str) -> int:
    """Index in `SPLITS` of the split that a name means; -1 if it means none."""
    return _SPLITS.get(normal(name), -1)


def label_indices(values: Iterable[str], classes: Mapping[str, int], where: str) -> dict[str, int]:
    """Index in `LABELS` of each label of a data set.

    Args:
        values: the labels as the data set has them.
        classes: from `class_names`.
        where: name of the data set, for the error.

    Returns:
        Index by label.

    Raises:
        InputError: a label is not known to mean either class.
    """
    values = list(values)
    unknown = [value for value in values if normal(value) not in classes]
    if unknown:
        raise InputError(
            f"{where} has the labels {', '.join(values[:10])}, of which {', '.join(unknown[:10])} could mean "
            f"{LABELS[0]} or {LABELS[1]}; say which with --real_names and --fake_names"
        )
    return {value: classes[normal(value)] for value in values}
