"""Evaluate any number of images by any number of processes, in an order that does not change, going on after a stop."""

import csv
import hashlib
import io
import json
import os
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from tqdm import tqdm

from hf_deepfake.detect.detector import Detector
from hf_deepfake.detect.units import Item, Unit, cut
from hf_deepfake.detect.verdict import Verdict
from hf_deepfake.detect.video_verdict import VideoVerdict
from hf_deepfake.errors import ImageError, InputError
from hf_deepfake.files import make_folder, printable, replacing, try_file, try_folder
from hf_deepfake.images.video import is_video

Form = Literal["text", "json", "csv"]

COLUMNS = ("file", "label", "score", "fake_probability", "unsure", "faces", "reasons", "error", "checkpoint")
"""Of a CSV row; `faces` is their number, of a video that of its tracks; reasons are joined by spaces."""


def predict(
    detector: Detector,
    units: Sequence[Unit],
    *,
    form: Form = "text",
    out: Path | None = None,
    explanations: Path | None = None,
    sampling: Mapping[str, Any] | None = None,
    process: int = 0,
    processes: int = 1,
) -> Iterator[str]:
    """Evaluate images and lay out a line for each; a file that does not open has its error in its place.

    With `out`, each unit's lines are kept in a folder beside it as they come, and whoever finishes the last unit joins
    them. Processes never speak to each other: each takes every `processes`th unit, on one machine or on several that
    share a file system. However many there were, and however often they were stopped and started, `out` holds the same
    lines in the same order; images that it already has lines of are left out.

    Args:
        detector: evaluates.
        units: the images, from `find_units`.
        form: "text" for people, "json" for one object a line, "csv" for rows with the columns `COLUMNS`.
        out: file that receives the lines, for "json" and "csv".
        explanations: folder that receives the overlay of each image and the page on each video, in the folders that
            these have relative to each other.
        sampling: which frames of a video are evaluated: frames or every, as `Detector.video` takes it.
        process: which process this is, from 0.
        processes: how many there are.

    Yields:
        Lines without their end; with `out` none.

    Raises:
        InputError: `out` holds something else, or verdicts of another checkpoint, or is needed and not given.
    """
    if out is not None:
        out = try_file(out)
    overlays = None if explanations is None else _Overlays(units, explanations)
    if out is None:
        if processes > 1:
            raise InputError(f"{processes} processes need a place to join their verdicts; add --out FILE")
        if form == "csv":
            yield _csv(COLUMNS)
        yield from _Lines(detector, form, overlays, sampling or {}, units)(item for unit in units for item in unit)
        return
    if form == "text":
        raise InputError(f"{out} would hold text that no run can go on from; add --json or --csv")
    done = _done(out, form, detector.fingerprint)
    if done:
        files = [file for unit in units for file in unit.files if printable(file) not in done]
        units = cut(files) + [unit for unit in units if not unit.files]
    parts = out.with_name(out.name + ".parts")
    lines = _Lines(detector, form, overlays, sampling or {}, units[process::processes], quiet=process > 0)
    places = [parts / f"{number:06d}-{lines.key(unit)}" for number, unit in enumerate(units)]
    make_folder(parts)
    for unit, place in list(zip(units, places, strict=True))[process::processes]:
        if not place.exists():
            _score_unit(lines, unit, place, done)
    _join(out, parts, places, _csv(COLUMNS) + "\n" if form == "csv" else "")


class _Lines:
    """Lays out lines of images, in one form, with overlays where they are wanted."""

    def __init__(
        self,
        detector: Detector,
        form: Form,
        overlays: "_Overlays | None",
        sampling: Mapping[str, Any],
        units: Sequence[Unit],
        quiet: bool = False,
    ) -> None:
        self.detector, self.form, self.overlays, self.sampling = detector, form, overlays, sampling
        self.checkpoint = detector.fingerprint
        total = sum(len(unit.files) for unit in units) if all(unit.files for unit in units) else None
        self.progress = tqdm(total=total, unit=" images", disable=quiet or None)

    def key(self, unit: Unit) -> str:
        """Sixteen hexadecimal digits of what decides a unit's lines."""
        text = "\0".join([self.checkpoint, self.form, *map(str, self.sampling.items()), unit.name, *unit.files])
        return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).hexdigest()

    def __call__(self, items: Iterable[Item]) -> Iterator[str]:
        """A line for each image."""
        for clips, run in groupby(items, key=_is_clip):
            names: deque[str] = deque()
            noted = _noting(run, names)
            if clips:
                results = (self._watched(*item) for item in noted)
            elif self.overlays is None:
                results = self.detector.stream(image for _, image in noted)
            else:
                results = (self.overlays.explained(self.detector, *item) for item in noted)
            for result in results:
                self.progress.update()
                yield self._line(names.popleft(), result)

    def _watched(self, name: str, clip: str | bytes) -> VideoVerdict | ImageError:
        """Evaluate a video, and save its page."""
        try:
            verdict = self.detector.video(clip, **self.sampling, explain=self.overlays is not None)
        except ImageError as error:
            return error
        if self.overlays is not None:
            from hf_deepfake.detect.video_report import write_report  # Jinja is not needed for a verdict

            write_report(verdict, Path(name).name, self.overlays.place(name, clip, ".html"))
        return verdict

    def _line(self, name: str, result: Verdict | VideoVerdict | ImageError) -> str:
        """One line."""
        if self.form == "text":
            return f"{_said(result)}  {name}"
        record: dict[str, Any] = {"file": name}
        record |= {"error": printable(str(result))} if isinstance(result, ImageError) else result.to_dict()
        record["checkpoint"] = self.checkpoint
        return json.dumps(record, ensure_ascii=False) if self.form == "json" else _row(record)


def _is_clip(item: Item) -> bool:
    """Whether an item is a video; shards hold images."""
    return isinstance(item[1], str) and is_video(item[1])


def _noting(items: Iterable[Item], names: deque[str]) -> Iterator[Item]:
    """The items, whose names are noted."""
    for item in items:
        names.append(item[0])
        yield item


def _score_unit(lines: _Lines, unit: Unit, place: Path, done: Set[str]) -> None:
    """Write a unit's lines to `place`, going on from a run that was killed."""
    started = place.with_name(place.name + ".started")
    begun = _whole_lines(started)
    fresh = (item for item in unit if item[0] not in done)
    with started.open("a", encoding="utf-8", newline="") as file:
        for line in lines(islice(fresh, begun, None)):
            file.write(line + "\n")
            file.flush()  # a run that is killed has lost nothing but the batch in hand
    started.replace(place)


def _whole_lines(file: Path) -> int:
    """Number of images that a file has lines of, of which a last one that was cut off is taken away."""
    if not file.exists():
        return 0
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    count = whole.count(b"\n")
    if count != sum(1 for _ in csv.reader(io.StringIO(whole.decode(), newline=""))):
        # A file whose name has a line's end in it takes two lines of CSV: the unit is evaluated anew.
        whole, count = b"", 0
    if whole != content:
        with file.open("r+b") as handle:
            handle.truncate(len(whole))
    return count


def _join(out: Path, parts: Path, places: Sequence[Path], header: str) -> None:
    """Add the parts to `out` and remove them, once all are there and no other process has done it."""
    lock = out.with_name(f".{out.name}.lock")
    with FileLock(lock):
        if parts.is_dir() and all(place.exists() for place in places):
            with replacing(out) as temporary, temporary.open("wb") as whole:
                whole.write(out.read_bytes() if out.exists() else header.encode())
                for place in places:
                    with place.open("rb") as part:
                        shutil.copyfileobj(part, whole)
            shutil.rmtree(parts)
        if not parts.is_dir():
            lock.unlink()  # who waits for it finds no parts, and leaves no lock either


def _said(result: Verdict | VideoVerdict | ImageError) -> str:
    """A result in words."""
    return f"error: {printable(str(result))}" if isinstance(result, ImageError) else str(result)


class _Overlays:
    """Saves overlays: each in the place in `folder` that its image has below the folder common to all files."""

    def __init__(self, units: Sequence[Unit], folder: Path) -> None:
        self.folder = try_folder(folder)
        places = [Path(printable(file)).absolute().parent for unit in units for file in unit.files]
        self.common = Path(os.path.commonpath(places)) if places else Path()

    def explained(self, detector: Detector, name: str, image: str | bytes) -> Verdict | ImageError:
        """Evaluate an image and save its overlay."""
        try:
            explanation = detector.explain(image)
        except ImageError as error:
            return error
        place = self.place(name, image, ".png")
        make_folder(place.parent)
        with replacing(place) as temporary:
            explanation.overlay.save(temporary, format="PNG")
        return explanation.verdict

    def place(self, name: str, image: str | bytes, suffix: str) -> Path:
        """Where to save what belongs to an image."""
        # An image of a shard has no path of its own: its name says where it lies among the others.
        of_file = isinstance(image, str) and printable(image) == name
        place = Path(name).absolute().relative_to(self.common) if of_file else Path(name.lstrip("/"))
        return self.folder / place.with_name(f"{place.name}{suffix}")


def _row(record: dict[str, Any]) -> str:
    """A record as a CSV row."""
    faces, reasons = record.get("faces", record.get("tracks")), record.get("reasons", ())
    flat = record | {"faces": None if faces is None else len(faces), "reasons": " ".join(reasons)}
    return _csv(flat.get(column) for column in COLUMNS)


def _csv(values: Iterable[Any]) -> str:
    """One CSV row without its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)  # with another end, one in a value is not quoted
    return text.getvalue()[:-1]


def _done(out: Path, form: Form, checkpoint: str) -> set[str]:
    """Images that `out` has lines of."""
    if not out.exists():
        return set()
    done, checkpoints = set(), set()
    with out.open(encoding="utf-8", newline="") as file:
        try:
            for row in csv.DictReader(file) if form == "csv" else map(json.loads, file):
                done.add(row["file"])
                checkpoints.add(row["checkpoint"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{out} holds no verdicts as {form}; choose another --out file") from error
    if checkpoints - {checkpoint}:
        raise InputError(f"{out} holds verdicts of another checkpoint; choose another --out file")
    return done
