"""Which images the rows of a table mean, however their paths are written."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from hf_deepfake.data.groups import video_prefix
from hf_deepfake.data.tables import MEDIA


class Finder:
    """Finds images by the paths that tables give."""

    def __init__(self, root: Path, files: Sequence[str]) -> None:
        """Keep the paths; what else is needed is made on first use.

        Args:
            root: folder of the images.
            files: N paths relative to it, with `/`.
        """
        self.root, self.files = root, files
        self._rows = {file: row for row, file in enumerate(files)}
        self._named: dict[str, list[int]] | None = None
        self._videos: dict[str, dict[str, list[int]]] | None = None

    def find(self, values: Sequence[str], folder: str) -> list[list[int]]:
        r"""Find the images that the cells of a column name.

        A path may be relative to the table's own folder or to the root, the end of an image's path, or absolute; with
        `\` for `/`, a `./` before it or other capitals. Where no cell is such a path, leading folders are taken off
        all cells alike (paths of the machine that wrote the table), and then cells are taken as videos, or as names
        without their end: all images of that name, in a folder of that name or with it before the frame's number.

        Args:
            values: the cells, empty where there is none.
            folder: the table's own folder, relative to the root, with `/`.

        Returns:
            Positions of images for each cell: none, one, the frames of a video, or all that a short name could mean.
        """
        paths = [self._clean(value) for value in values]
        for taken_off in range(max((path.count("/") for path in paths), default=0) + 1):
            found = [self._images(path, taken_off, folder) for path in paths]
            if any(found):
                return found
        return [self._frames(path, folder) for path in paths]

    def _clean(self, value: str) -> str:
        """A path with `/`, relative to the root where it is absolute and inside."""
        path = value.strip().replace("\\", "/")
        if not path:
            return ""
        path = posixpath.normpath(path)
        return path.removeprefix(f"{self.root.as_posix()}/")

    def _images(self, path: str, taken_off: int, folder: str) -> list[int]:
        """The images whose path this is or ends with, after some leading folders were taken off."""
        parts = [part for part in path.split("/") if part][taken_off:]
        if not parts:
            return []
        rest = "/".join(parts)
        for place in (posixpath.normpath(posixpath.join(folder, rest)), rest):
            if (row := self._rows.get(place)) is not None:
                return [row]
        if taken_off and len(parts) < 2:  # a name alone, of a path of which nothing else fits, may be any image
            return []
        if self._named is None:
            self._named = defaultdict(list)
            for row, file in enumerate(self.files):
                self._named[posixpath.basename(file).casefold()].append(row)
        end = f"/{rest}".casefold()
        fitting = [
            row for row in self._named.get(parts[-1].casefold(), ()) if f"/{self.files[row]}".casefold().endswith(end)
        ]
        return self._inside(fitting, folder)

    def _inside(self, rows: list[int], folder: str) -> list[int]:
        """Of several images those in the table's folder, if there are any."""
        if len(rows) > 1 and folder:
            return [row for row in rows if self.files[row].startswith(f"{folder}/")] or rows
        return rows

    def _frames(self, path: str, folder: str) -> list[int]:
        """The images of a video, or those of a name without its end."""
        name = MEDIA.sub("", path).casefold()
        parts = [part for part in name.split("/") if part and part != "."]
        if not parts:
            return []
        if self._videos is None:
            self._videos = self._index_videos()
        keys = self._videos.get(parts[-1], {})
        fitting = {key: rows for key, rows in keys.items() if _holds(key.split("/"), parts)}
        if not fitting and len(keys) == 1:  # a name that is there once, in folders that were renamed
            fitting = keys
        return self._inside(sorted({row for rows in fitting.values() for row in rows}), folder)

    def _index_videos(self) -> dict[str, dict[str, list[int]]]:
        """Images by whole path, by last part, of everything that can be a video's name."""
        index: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for row, file in enumerate(self.files):
            folder, name = posixpath.split(file.casefold())
            stem = posixpath.splitext(name)[0]
            for last in {stem, video_prefix(stem) or stem}:
                index[last][posixpath.join(folder, last)].append(row)
            while folder:
                index[posixpath.basename(folder)][folder].append(row)
                folder = posixpath.dirname(folder)
        return index


def is_video(value: str) -> bool:
    """Whether a path has the end of a video's name, so that it means all of several images."""
    return bool(re.search(r"\.(mp4|avi|mov|mkv|webm|m4v)$", value.strip(), re.IGNORECASE))


def _holds(whole: list[str], parts: list[str]) -> bool:
    """Whether the parts are in the whole, in their order."""
    rest = iter(whole)
    return all(part in rest for part in parts)
