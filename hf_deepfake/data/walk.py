"""The one walk over a folder, for data sets and for images to be evaluated: what is listed, and what is left out."""

import os
import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hf_deepfake.errors import InputError
from hf_deepfake.images.formats import HEAD, begins_image


def _words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


IMAGE_SUFFIXES = _words(
    ".jpg .jpeg .jpe .jfif .jfi .jif .pjpeg .pjp .mpo .png .apng .webp .bmp .dib .tif .tiff .gif .avif .avifs .heic "
    ".heif .heics .heifs .hif"
)
"""Ends of the file names that are listed, in any case; what a file really is shows when it is opened."""

JUNK_FOLDERS = _words(
    "__macosx @eadir @tmp @recycle @recently-snapshot #recycle #snapshot $recycle.bin lost+found __pycache__"
) | {"system volume information"}
"""What systems put beside people's images: copies, thumbnails, deleted files. Hidden folders are skipped as well."""

NO_SUFFIX, HIDDEN, NOT_UTF8 = "without a suffix", "hidden", "not named in UTF-8"
"""Kinds of files that are left out, besides those that a suffix names."""

# A name such as frame.0001 or photo.jpg_large has no suffix that would say what the file is.
_SUFFIX = re.compile(r"\.(7z|3gp|[a-z][a-z0-9]*)")

_HINTS = {
    "unpack archives yourself": _words(".zip .tar .gz .tgz .bz2 .tbz2 .xz .txz .zst .rar .7z .lz4 .cab .iso"),
    "videos are no images, so crop the faces of their frames first (hf-deepfake crop FOLDER OUT)": _words(
        ".mp4 .m4v .avi .mov .mkv .webm .wmv .flv .mpg .mpeg .3gp .mts .m2ts .ts .ogv"
    ),
    "convert what is in another format to JPEG or PNG": _words(
        ".dng .cr2 .cr3 .nef .arw .orf .rw2 .raf .pef .svg .psd .jp2 .jxl .exr .hdr .ppm .pgm .tga .ico .eps .pdf"
    ),
    "write the images of arrays and records as files, or as parquet": _words(
        ".npy .npz .h5 .hdf5 .mat .pkl .pickle .pt .pth .tfrecord .tfrecords .lmdb .mdb .rec .bin .arrow"
    ),
}
"""What to do about files of these suffixes, which may well hold images."""

_NAMED = 10  # kinds that are named; the counts themselves tell of all


@dataclass(frozen=True)
class Walked:
    """What lies in a folder, at any depth.

    Attributes:
        images: names of the images by folder, which is given by the parts of its path; sorted.
        others: paths of the other files, with `/`, sorted; without hidden ones.
        hidden: how many images are hidden, by their names.
        skipped: how many folders were not looked into.
        again: by path of a folder that is a link, the folder above or in this one whose files it would list again.
    """

    images: dict[tuple[str, ...], list[str]]
    others: list[str]
    hidden: int
    skipped: int
    again: dict[str, str]

    @property
    def files(self) -> list[str]:
        """Paths of all images, with `/`, sorted by folder and name."""
        return [posixpath.join(*folder, name) for folder, names in self.images.items() for name in names]

    def left_out(self, used: Collection[str] = ()) -> Counter[str]:
        """Count what is not listed by suffix, or by `NO_SUFFIX` or `HIDDEN`.

        Args:
            used: those of the `others` that were read as something else, such as tables.

        Returns:
            Counts by kind.
        """
        used = frozenset(used)
        kinds = Counter(kind_of(file) for file in self.others if file not in used)
        return kinds + Counter({HIDDEN: self.hidden})

    def kinds(self) -> list[str]:
        """A sentence on the kinds of images, where there are several."""
        kinds = Counter(map(kind_of, self.files))
        return [f"images listed: {_count(kinds)}"] if len(kinds) > 1 else []

    def remarks(self) -> list[str]:
        """Sentences on folders that are passed over, and on links to what is listed anyway."""
        skipped = f"not looked into: {self.skipped:,} folders that are hidden or the system's"
        said = [skipped] if self.skipped else []
        return said + [f"{link} is a link to {real}, so it lists no image again" for link, real in self.again.items()]


def walk(root: Path) -> Walked:
    """Walk over a folder, opening no file but those whose names do not say what they are.

    A file is an image by its suffix, or, where it has none, by how it begins. Links are followed, each real folder is
    listed once, under its own path where it has one below `root`. Hidden files and folders and `JUNK_FOLDERS` are
    passed over.

    Args:
        root: the folder.

    Returns:
        What was found.

    Raises:
        InputError: a folder cannot be listed.
    """
    images: dict[tuple[str, ...], list[str]] = {}
    others: list[str] = []
    hidden, skipped, again = 0, 0, {}
    waiting: list[tuple[str, ...]] = [()]
    links: list[tuple[str, ...]] = []
    above = set(root.resolve().parents)
    first: dict[Path, str] = {}
    while waiting or links:
        # Links last, so that a folder is listed under its own path whatever the order of the file system.
        folder = waiting.pop() if waiting else links.pop(links.index(min(links)))
        path, name = root.joinpath(*folder), "/".join(folder)
        if (real := path.resolve()) in first or real in above:
            again[name] = first.get(real, "a folder above")
            continue
        first[real] = name or "the whole folder"
        found = []
        for entry in _entries(path):
            if _is_folder(entry):
                place = (*folder, entry.name)
                if is_junk(entry.name):
                    skipped += 1
                else:
                    (links if entry.is_symlink() else waiting).append(place)
            elif entry.name.startswith("."):
                hidden += says_image(entry.name) is True
            elif _is_image(entry):
                found.append(entry.name)
            else:
                others.append(posixpath.join(*folder, entry.name))
        if found:
            images[folder] = sorted(found)
    return Walked(dict(sorted(images.items())), sorted(others), hidden, skipped, dict(sorted(again.items())))


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """Say what was left out, and what to do where it may hold images.

    Args:
        left_out: counts by kind.

    Returns:
        Such as "31 files left out: 30 .txt, 1 without a suffix"; empty where there is nothing.
    """
    if not left_out:
        return ""
    total = sum(left_out.values())
    return "; ".join([f"{total:,} file{'s' * (total > 1)} left out: {_count(left_out)}", *hints(left_out)])


def hints(kinds: Iterable[str]) -> list[str]:
    """Say what to do about files that are not read and may hold images.

    Args:
        kinds: of the files, as `kind_of` has them.

    Returns:
        A clause for each thing to be done.
    """
    kinds = frozenset(kinds)
    renamed = ["rename files whose names are not UTF-8, such as with convmv"] if NOT_UTF8 in kinds else []
    return [hint for hint, suffixes in _HINTS.items() if kinds & suffixes] + renamed


def _count(kinds: Mapping[str, int]) -> str:
    """Counts by kind, the largest first."""
    counts = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {kind}" for kind, count in counts[:_NAMED]) + (", ..." if counts[_NAMED:] else "")


def is_utf8(name: str) -> bool:
    """Whether a file's name is text that can be written down; a data set's columns cannot hold another."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_junk(folder: str) -> bool:
    """Whether a folder of this name is not looked into."""
    return folder.startswith(".") or folder.lower() in JUNK_FOLDERS


def says_image(name: str) -> bool | None:
    """Whether a file's name says that it is an image; None where it has no suffix that would say what it is."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path each costs seconds
    return suffix in IMAGE_SUFFIXES if _SUFFIX.fullmatch(suffix) else None


def kind_of(file: str) -> str:
    """How a file is counted that is left out: its suffix, or `NO_SUFFIX`."""
    suffix = posixpath.splitext(file)[1].lower()
    return suffix if _SUFFIX.fullmatch(suffix) else NO_SUFFIX


def _entries(path: Path) -> list[os.DirEntry[str]]:
    """What lies in one folder."""
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except OSError as error:
        raise InputError(f"{path} cannot be listed ({error.strerror}); check its permissions") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; a link to itself is neither."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Whether a file is to be listed, by its suffix or how it begins."""
    if (said := says_image(entry.name)) is not None:
        return said
    try:
        if not entry.is_file():  # a pipe would never answer
            return False
        with open(entry.path, "rb") as file:  # noqa: PTH123 - a Path each costs seconds
            return begins_image(file.read(HEAD))
    except OSError:
        return False
