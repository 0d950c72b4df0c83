"""Which images belong together, as far as folders and file names tell: the frames of a video, a person's images."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_deepfake.config import SPLITS
from hf_deepfake.data.names import normal, split_index
from hf_deepfake.data.split import SHARES

_NUMBERED = 3
"""Names of one shape (video#, #) that make a series; two where the shape is that of a known data set."""

_WORDY = 6
"""Siblings without numbers that are persons or videos rather than methods, of which few data sets have as many."""

_REPEATED = 1.5
"""Images for each name: a name that hardly any other image shares says nothing."""

# Words that number something else than videos or persons: frames, parts of a download, compressions (c23).
_NO_VIDEO = re.compile(r"(.*(part|chunk|batch|shard|fold|split|subset)|set|frames?|frm|c|q|crf)", re.IGNORECASE)

_KNOWN_SHAPES = frozenset({"#", "#_#", "id#_#", "id#_id#_#"})

_FACE = re.compile(r"[_\-. ]+(face|crop|person)[_\- ]*\d*$", re.IGNORECASE)
_FRAME = re.compile(r"([_\-. ]+(frame|frm|fr|f|img|image|no|n|t)?|frame)[_\-. ]*\d+$", re.IGNORECASE)

# A fake of two videos or persons, whose own video (the target, which it shows but for the face) is named first.
_PAIRS = (
    re.compile(r"(?P<one>\d{2,})_(?P<two>\d{2,})(?P<rest>)"),  # FaceForensics++: 000_003
    re.compile(r"(?P<one>id\d+)_(?P<two>id\d+)(?P<rest>(?:_\d+)?)"),  # Celeb-DF: id0_id1_0000
    re.compile(r"(?P<one>\d\d)_(?P<two>\d\d)(?P<rest>__.+)__\w+"),  # DeepFakeDetection: 01_02__scene__code
)
_SINGLES = (
    re.compile(r"(?P<one>\d{2,})(?P<rest>)"),
    re.compile(r"(?P<one>id\d+)(?P<rest>_\d+)"),
    re.compile(r"(?P<one>\d\d)(?P<rest>__.+)"),
)


@dataclass(frozen=True)
class Inferred:
    """Groups that names tell.

    Attributes:
        groups: of each image, None where its name tells none.
        note: one line that says what was inferred, empty if nothing was.
    """

    groups: list[str | None]
    note: str


@dataclass(frozen=True)
class _Name:
    """A video's name, taken apart.

    Attributes:
        parts: what it is made of: the videos or persons, the target first.
        video: the video whose frames these are, but for the face.
    """

    parts: tuple[str, ...]
    video: str


def video_prefix(stem: str) -> str | None:
    """The part of a file name before the frame's number (`video12` of `video12_frame003`); None if there is none."""
    stem = _FACE.sub("", stem)
    found = _FRAME.search(stem)
    return stem[: found.start()] or None if found else None


def infer_groups(
    files: Sequence[str],
    splits: NDArray[np.int8],
    classes: Mapping[str, int],
    how: str = "auto",
    *,
    clips: bool = False,
) -> Inferred:
    """Read groups out of paths.

    Taken as the name of a group are, in this order: the topmost folder below the class folder that is one of a
    numbered series (`000`, `id0_0000`, `video12`); the part of a file name before the frame's number where it is one
    of a series and repeats (`video12_frame003.jpg`); the same without a series, where there are at least six
    (`aaagqkcdis`, `Aaron_Eckhart`; fewer are rather methods). A name stands for the same group in both classes.

    A name of two videos or persons joins both (FaceForensics++ `000_003`: videos 000 and 003; Celeb-DF
    `id0_id1_0000`: persons id0 and id1), as long as what hangs together so can be split (three groups, none larger than
    train is to be), or keeps to the splits that are given. Where it does not (persons of Celeb-DF nearly all hang
    together), the fake stands with its target alone: the person id0; and if given splits do not keep to that either,
    the video (id0_0000, of which id0_id1_0000 shows all but the face).

    Where splits are given and hold the same folders and file names, numbers start anew in each and mean nothing across.

    Args:
        files: N paths relative to the source's folder, with `/`.
        splits: int8 (N,), as given; -1 where there is none.
        classes: from `names.class_names`.
        how: "auto"; "folder": the folder of each image below the class folder, whatever its name; "name": the part
            of its file name before the last number; "given": nothing.
        clips: the files are clips, each of which stands for a folder of frames.

    Returns:
        The groups.
    """
    frames = [f"{posixpath.splitext(file)[0]}/{frame}.jpg" for file in files for frame in (0, 1)] if clips else files
    names = _names(frames, classes, how)[:: 2 if clips else 1]
    images = sum(name is not None for name in names)
    if not images:
        return Inferred([None] * len(files), "")
    scopes = _scopes(files, splits)
    parsed = _parsed({name for name in names if name is not None})
    keys = [None if name is None else (scope, parsed[name]) for scope, name in zip(scopes, names, strict=True)]
    pairs = sorted(name for name, own in parsed.items() if len(own.parts) > 1)
    levels: list[tuple[Callable[[], list[str | None]], str]] = [(lambda: _by(keys, lambda name: name.video), "")]
    if pairs:
        together = f"; a name of two such as {pairs[0]} joins "
        levels = [
            (lambda: _joined(keys), together + "both"),
            (
                lambda: _by(keys, lambda name: name.parts[0]),
                together + f"{parsed[pairs[0]].parts[0]} alone, for groups of both do not fit into splits",
            ),
            (
                lambda: _by(keys, lambda name: name.video),
                together + f"the video {parsed[pairs[0]].video} alone, so that its persons may be in several splits",
            ),
        ]
    groups, said = levels[-1][0](), levels[-1][1]
    for level, words in levels[:-1]:
        found = level()
        if _fits(found, splits):
            groups, said = found, words
            break
    distinct = len(set(groups) - {None})
    example = next(name for name in names if name is not None)
    what, turned_off = ("clips", "") if clips else ("images", ", and --groups given turns this off")
    where = "folders and file names" if how == "auto" else "folders" if how == "folder" else "file names"
    return Inferred(
        groups,
        f"{distinct:,} groups inferred from {where} such as {example} ({images:,} {what}{said}); "
        f"a groups.csv comes before{turned_off}",
    )


def _names(files: Sequence[str], classes: Mapping[str, int], how: str) -> list[str | None]:
    """The name of the video or person of each image."""
    if how == "given":
        return [None] * len(files)
    paths = [posixpath.split(file) for file in files]
    chains = {folder: _below_class(tuple(folder.split("/")), classes) for folder in {folder for folder, _ in paths}}
    folders = [chains[folder] for folder, _ in paths]
    if how == "folder":
        return [chain[-1] if chain else None for chain in folders]
    stems = [posixpath.splitext(name)[0] for _, name in paths]
    prefixes = [video_prefix(stem) for stem in stems]
    if how == "name":
        return prefixes
    words = {prefix for prefix in set(prefixes) if prefix and _is_word(prefix, classes)}
    names: list[str | None] = [None] * len(files)
    for series in (_numbered, _wordy):
        free = [place for place, name in enumerate(names) if name is None]
        good = series([folders[place] for place in free])
        for place in free:
            names[place] = next((part for part in folders[place] if part in good), None)
        free = [place for place in free if names[place] is None]
        meant: list[tuple[str, ...]] = [
            (prefix,) if (prefix := prefixes[place]) and prefix not in words else () for place in free
        ]
        good = series(meant)
        for place, parts in zip(free, meant, strict=True):
            # A video's only image may bear its bare name: 000.png beside 000_003.png.
            names[place] = next((part for part in (*parts, stems[place]) if part in good), None)
    return names


def _below_class(parts: tuple[str, ...], classes: Mapping[str, int]) -> tuple[str, ...]:
    """The folders below the class folder, or all where there is none, without those that name a class or split."""
    depth = next((depth for depth, part in enumerate(parts) if normal(part) in classes), -1)
    return tuple(part for part in parts[depth + 1 :] if part and not _is_word(part, classes))


def _is_word(name: str, classes: Mapping[str, int]) -> bool:
    """Whether a name means a class or a split, or numbers something else than videos."""
    letters = re.sub(r"[\d_\-. ]", "", name)
    return normal(name) in classes or split_index(name) >= 0 or bool(_NO_VIDEO.fullmatch(letters))


def _shape(name: str) -> str:
    """The name with `#` for each number; of DFDC's names, ten random letters, just that."""
    return "# letters" if re.fullmatch(r"[a-z]{10}", name) else re.sub(r"\d+", "#", name.casefold())


def _numbered(chains: list[tuple[str, ...]]) -> set[str]:
    """Names that are numbers of a series."""
    count = Counter(part for chain in chains for part in chain)
    shapes: dict[str, set[str]] = defaultdict(set)
    for name in count:
        shapes[_shape(name)].add(name)
    return {
        name
        for shape, names in shapes.items()
        if "#" in shape and len(names) >= (2 if shape in _KNOWN_SHAPES else _NUMBERED)
        if sum(count[name] for name in names) >= _REPEATED * len(names)
        for name in names
    }


def _wordy(chains: list[tuple[str, ...]]) -> set[str]:
    """Names of several images that have many siblings of several images."""
    count = Counter(chain[: depth + 1] for chain in chains for depth in range(len(chain)))
    siblings: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
    for chain, images in count.items():
        if images > 1:
            siblings[chain[:-1]].add(chain)
    return {chain[-1] for family in siblings.values() if len(family) >= _WORDY for chain in family}


def _scopes(files: Sequence[str], splits: NDArray[np.int8]) -> list[str]:
    """What comes before each name: the split, where numbers start anew in each; otherwise nothing."""
    given = sorted(set(splits.tolist()) - {-1})
    if len(given) < 2:
        return [""] * len(files)
    folders = {folder: _without_split(folder) for folder in {posixpath.dirname(file) for file in files}}
    bare = [posixpath.join(folders[posixpath.dirname(file)], posixpath.basename(file)) for file in files]
    inside = [{bare[row] for row in np.flatnonzero(splits == split)} for split in given]
    shared = sum(map(len, inside)) - len(set().union(*inside))
    # Frames dealt out at random are in one split each; a tenth leaves room for copies.
    anew = shared > 0.1 * min(map(len, inside))
    return [f"{SPLITS[split]}/" if anew and split >= 0 else "" for split in splits.tolist()]


def _without_split(folder: str) -> str:
    """A folder's path without the parts that name a split."""
    return "/".join(part for part in folder.split("/") if split_index(part) < 0)


def _parsed(names: set[str]) -> dict[str, _Name]:
    """Each name taken apart, as that of a pair or a part of one where the source has such pairs."""
    parsed = {name: _Name((name,), name) for name in names}
    for pair, single in zip(_PAIRS, _SINGLES, strict=True):
        found = {name: match for name in names if (match := pair.fullmatch(name)) and _is_pair(match)}
        for name, match in found.items():
            parsed[name] = _Name((match["one"], match["two"]), match["one"] + match["rest"])
        if found:
            parsed |= {name: _Name((match["one"],), name) for name in names if (match := single.fullmatch(name))}
    return parsed


def _is_pair(match: re.Match[str]) -> bool:
    """Whether two numbers are of one kind: 000_003, but not 2021_0003."""
    return len(match["one"]) == len(match["two"]) or not match["one"].isdigit()


Keys = list[tuple[str, _Name] | None]


def _by(keys: Keys, part: Callable[[_Name], str]) -> list[str | None]:
    """Groups by one part of the names."""
    return [None if key is None else key[0] + part(key[1]) for key in keys]


def _joined(keys: Keys) -> list[str | None]:
    """Groups of all that hangs together through names of two, each called after its first part by the alphabet."""
    first: dict[str, str] = {}

    def root(node: str) -> str:
        while first.setdefault(node, node) != node:
            first[node] = first[first[node]]
            node = first[node]
        return node

    for scope, name in {key for key in keys if key is not None}:
        ends = sorted(root(scope + part) for part in name.parts)
        for end in ends[1:]:
            first[end] = ends[0]
    return [None if key is None else root(key[0] + key[1].parts[0]) for key in keys]


def _fits(groups: list[str | None], splits: NDArray[np.int8]) -> bool:
    """Whether given splits divide no group, and no group is too large for the splits that are to be made."""
    known = np.array([group is not None for group in groups], bool)
    own = {(group, split) for group, split in zip(groups, splits.tolist(), strict=True) if group is not None}
    given = Counter(group for group, split in own if split >= 0)
    if given and max(given.values()) > 1:
        return False
    if set(splits.tolist()) >= {0, 1, 2}:
        return True
    open_rows = known & (splits <= 0)  # without a split, or in the train of which validation or test is made
    sizes = Counter(group for group, is_open in zip(groups, open_rows, strict=True) if is_open)
    everything = (splits <= 0).sum()
    units = len(sizes) + everything - open_rows.sum()
    return not sizes or (max(sizes.values()) <= SHARES[0] * everything and units >= len(SPLITS))
