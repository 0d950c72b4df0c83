"""Score files, folders and globs by the thousand, in an order that does not change, so that a run can go on."""

import csv
import glob
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from hf_deepfake.data.index import PICTURE_SUFFIXES
from hf_deepfake.detect.detector import Detector
from hf_deepfake.detect.verdict import Verdict
from hf_deepfake.errors import InputError, PictureError
from hf_deepfake.files import replacing

Form = Literal["text", "json", "csv"]

COLUMNS = ("file", "label", "score", "fake_probability", "unsure", "faces", "reasons", "error", "checkpoint")
"""Of a CSV row; `faces` is their number, reasons are joined by spaces."""


def find_pictures(words: Sequence[str]) -> list[str]:
    """Find the pictures that files, folders and globs name.

    Args:
        words: paths of files, taken whatever their names; of folders, searched at any depth for names that pictures
            have; or patterns with `*`, `?`, `[...]` and `**`.

    Returns:
        Paths without repetition, in the order of `words`, sorted within each.

    Raises:
        InputError: a word names nothing.
    """
    found: dict[str, None] = {}
    for word in words:
        matches = [word] if os.path.exists(word) else sorted(glob.glob(word, recursive=True))  # noqa: PTH110, PTH207
        files = [file for match in matches for file in _files(Path(match))]
        if not files:
            raise InputError(f"{word} names no picture; give files, folders with pictures, or a pattern in quotes")
        found |= dict.fromkeys(files)
    return list(found)


def predict(
    detector: Detector,
    files: Sequence[str],
    *,
    form: Form = "text",
    out: Path | None = None,
    explanations: Path | None = None,
) -> Iterator[str]:
    """Judge files and lay out a line for each; a file that does not open has its error in its place.

    With `out`, lines are added to that file as they come, and files that it already has lines of are left out: a run
    that was stopped goes on when called again.

    Args:
        detector: judges.
        files: paths.
        form: "text" for people, "json" for one object a line, "csv" for rows with the columns `COLUMNS`.
        out: file that receives the lines, for "json" and "csv".
        explanations: folder that receives the overlay of each picture, in the folders that the pictures have
            relative to each other.

    Yields:
        Lines without their end; with `out` none.

    Raises:
        InputError: `out` holds something else, or verdicts of another checkpoint.
    """
    checkpoint = detector.fingerprint
    overlays = {} if explanations is None else _overlays(files, explanations)
    if out is None:
        if form == "csv":
            yield _csv(COLUMNS)
        yield from _lines(detector, files, form, checkpoint, overlays)
        return
    if form == "text":
        raise InputError(f"{out} would hold text that no run can go on from; add --json or --csv")
    done = _done(out, form, checkpoint)
    with out.open("a", encoding="utf-8", newline="") as file:
        if form == "csv" and file.tell() == 0:
            file.write(_csv(COLUMNS) + "\n")
        for line in _lines(detector, [name for name in files if name not in done], form, checkpoint, overlays):
            file.write(line + "\n")
            file.flush()  # a run that is killed has lost nothing but the batch in hand


def _files(path: Path) -> list[str]:
    """The file itself, or the pictures in a folder, sorted."""
    if not path.is_dir():
        return [str(path)]
    walked = (Path(folder) / name for folder, _, names in os.walk(path) for name in names if not name.startswith("."))
    return sorted(str(file) for file in walked if file.suffix.lower() in PICTURE_SUFFIXES)


def _lines(
    detector: Detector, files: Sequence[str], form: Form, checkpoint: str, overlays: Mapping[str, Path]
) -> Iterator[str]:
    """A line for each file, and its overlay where one is wanted."""
    results = _explained(detector, files, overlays) if overlays else detector.stream(files)
    for file, result in zip(files, tqdm(results, total=len(files), unit=" pictures", disable=None), strict=True):
        if form == "text":
            yield f"{_said(result)}  {file}"
            continue
        record: dict[str, Any] = {"file": file}
        record |= {"error": str(result)} if isinstance(result, PictureError) else result.to_dict()
        record["checkpoint"] = checkpoint
        yield json.dumps(record, ensure_ascii=False) if form == "json" else _row(record)


def _said(result: Verdict | PictureError) -> str:
    """A result in words."""
    return f"error: {result}" if isinstance(result, PictureError) else " ".join([result.title, *result.reasons])


def _overlays(files: Sequence[str], folder: Path) -> dict[str, Path]:
    """Where each file's overlay goes: the same place in `folder` as the file has below the folder common to all."""
    places = [Path(file).absolute() for file in files]
    common = Path(os.path.commonpath([place.parent for place in places])) if places else Path()
    return {
        file: folder / place.relative_to(common).with_name(f"{place.name}.png")
        for file, place in zip(files, places, strict=True)
    }


def _explained(
    detector: Detector, files: Sequence[str], overlays: Mapping[str, Path]
) -> Iterator[Verdict | PictureError]:
    """Judge one file after the other and save its overlay."""
    for file in files:
        try:
            explanation = detector.explain(file)
        except PictureError as error:
            yield error
            continue
        overlays[file].parent.mkdir(parents=True, exist_ok=True)
        with replacing(overlays[file]) as temporary:
            explanation.overlay.save(temporary, format="PNG")
        yield explanation.verdict


def _row(record: dict[str, Any]) -> str:
    """A record as a CSV row."""
    faces, reasons = record.get("faces"), record.get("reasons", ())
    flat = record | {"faces": None if faces is None else len(faces), "reasons": " ".join(reasons)}
    return _csv(flat.get(column) for column in COLUMNS)


def _csv(values: Iterable[Any]) -> str:
    """One CSV row without its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def _done(out: Path, form: Form, checkpoint: str) -> set[str]:
    """Files that `out` has whole lines of; a last line that was cut off is taken away."""
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        return set()
    content = out.read_text(encoding="utf-8")
    whole = content[: content.rfind("\n") + 1]
    try:
        rows = (
            list(csv.DictReader(io.StringIO(whole)))
            if form == "csv"
            else [json.loads(line) for line in whole.split("\n")[:-1]]
        )
        done, checkpoints = {row["file"] for row in rows}, {row["checkpoint"] for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{out} holds no verdicts as {form}; choose another --out file") from error
    if checkpoints - {checkpoint}:
        raise InputError(f"{out} holds verdicts of another checkpoint; choose another --out file")
    if whole != content:
        with out.open("r+b") as file:
            file.truncate(len(whole.encode()))
    return done
