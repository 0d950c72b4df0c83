"""Which clips a folder of videos holds, and what folders, tables and names say of each; none is opened."""

import posixpath
from collections import Counter
from dataclasses import replace
from pathlib import Path

from hf_deepfake.data.groups import infer_groups
from hf_deepfake.data.index import Listing, label_files, tables_in
from hf_deepfake.data.layouts import is_mask
from hf_deepfake.data.walk import NOT_UTF8, Walked, is_utf8, kind_of, walk
from hf_deepfake.errors import InputError
from hf_deepfake.images.video import SUFFIXES

MASKS = "clips of masks"
"""How FaceForensics++'s masks are counted among what is left out."""


def holds_clips(root: Path) -> bool:
    """Tell whether a folder is one of clips: there are more of them than images.

    Args:
        root: the folder.

    Returns:
        Whether it is; no file is opened, but those without a suffix.
    """
    walked = walk(root)
    return len(_clips(walked)) > len(walked.files)


def list_clips(root: Path, classes: dict[str, int]) -> Listing:
    """List and label the clips of a folder as `list_folder` does images, opening none of them.

    The split is that of folders, of tables, or of the data set's own lists (FaceForensics++, Celeb-DF). A group is what
    a table says, DFDC's `original`, or what names tell as they do for folders of frames (`infer_groups`: a swap 000_003
    belongs to the videos 000 and 003); else each clip is one.

    Args:
        root: the folder.
        classes: index of the class by name, from `names.class_names`.

    Returns:
        The clips, with the columns group and video (its path without the suffix), none of whose values is missing, and
        manipulation, compression and others where they are known.

    Raises:
        InputError: there are no clips, two differ by their suffix alone, or what `list_folder` refuses in images.
    """
    walked = walk(root)
    clips = _clips(walked)
    if not clips:
        raise InputError(f"{root} holds no videos; looked for {', '.join(sorted(SUFFIXES))}")
    files = [clip for clip in clips if is_utf8(clip) and not is_mask(clip)]
    tables = tables_in(walked)
    listing = label_files(root, files, tables, classes)
    names = [posixpath.splitext(clip)[0] for clip in listing.files]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"several clips are called {twice[0]}, but for the suffix; rename all but one")
    inferred = infer_groups(listing.files, listing.splits, classes, clips=True)
    given = listing.columns.get("group", [None] * len(names))
    groups = [own or other or name for own, other, name in zip(given, inferred.groups, names, strict=True)]
    left_out = walked.left_out([*tables, *clips]) + Counter(map(kind_of, walked.files))
    left_out[NOT_UTF8] = sum(not is_utf8(clip) for clip in clips)
    left_out[MASKS] = sum(is_mask(clip) for clip in clips)
    notes = (*listing.notes, *([inferred.note] if inferred.note else []), *walked.remarks())
    columns = listing.columns | {"group": groups, "video": names}
    return replace(listing, columns=columns, notes=notes, left_out=+left_out)


def _clips(walked: Walked) -> list[str]:
    """Paths of the videos, by their names."""
    return [file for file in walked.others if kind_of(file) in SUFFIXES]
