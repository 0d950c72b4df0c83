"""A data set of videos made one of face crops: some frames of each clip, every crop encoded alike."""

import json
import multiprocessing
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from hf_deepfake.config import LABELS, SPLITS, DataConfig
from hf_deepfake.curate.crop_images import DFDC_MARGIN, JPEG, RECORD, claim
from hf_deepfake.data.clips import list_clips
from hf_deepfake.data.image_names import without_path
from hf_deepfake.data.index import Listing
from hf_deepfake.data.names import class_names
from hf_deepfake.data.walk import describe_left_out
from hf_deepfake.errors import InputError, VideoError
from hf_deepfake.files import local_path, refusal, replacing, try_folder, write_json
from hf_deepfake.images.crop import MIN_FACE, Margin, crop_region
from hf_deepfake.images.faces import find_faces
from hf_deepfake.images.scene_cuts import colours, is_cut
from hf_deepfake.images.tracks import area, link
from hf_deepfake.images.video import read_frames
from hf_deepfake.machine import leave_signals_to_parent, usable_cores
from hf_deepfake.progress import Progress

FRAMES = 16
"""Frames of a clip: more of them look nearly alike."""

DONE = ".clips.jsonl"
"""File in the new set with a line for each clip that is done, so that a run that was killed goes on."""


@dataclass(frozen=True)
class ClipReport:
    """What became of each clip of a set.

    Attributes:
        clips: clips of which there are crops.
        crops: the crops.
        several: clips with several tracks of faces, of which the largest was taken.
        without_face: clips in whose frames no face was found.
        too_small: clips whose largest track has no face with a side of `MIN_FACE` px.
        broken: name and reason of each clip that cannot be read.
        left_out: files that are no clips, by kind.
        notes: lines on where labels, splits and groups are from.
    """

    clips: int
    crops: int
    several: int
    without_face: tuple[str, ...]
    too_small: tuple[str, ...]
    broken: tuple[tuple[str, str], ...]
    left_out: dict[str, int]
    notes: tuple[str, ...]

    def summary(self) -> str:
        """A line for each count that is not zero, each clip that cannot be read, and each note."""
        counts = {
            f"crops of {self.clips:,} clips": self.crops,
            "clips with several faces, of which the largest was taken": self.several,
            "clips left out, no face found": len(self.without_face),
            f"clips left out, face smaller than {MIN_FACE} px": len(self.too_small),
            "clips left out, cannot be read:": len(self.broken),
        }
        lines = [f"{count:>9,}  {what}" for what, count in counts.items() if count]
        lines += [f"{'':11}{reason}" for _, reason in self.broken]
        return "\n".join([*lines, *([describe_left_out(self.left_out)] if self.left_out else []), *self.notes])


def crop_clips(
    source: str | Path,
    target: Path,
    *,
    margin: Margin = DFDC_MARGIN,
    frames: int = FRAMES,
    workers: int | None = None,
    real_names: tuple[str, ...] = (),
    fake_names: tuple[str, ...] = (),
) -> ClipReport:
    """Crop frames of every clip of a data set to the face that is largest over time.

    Each clip becomes a folder of its name with JPEGs of one encoding, 00.jpg for the first frame; they are not resized.
    The new set's groups.csv has group, video, time (seconds) and whatever else is known of the clip; its metadata.csv
    labels and splits, where not folders alone say them. Clips that were done in an earlier call are not read again,
    those that could not be read are tried again, and the result is the same to the byte as that of one call.

    Args:
        source: folder of clips, in a layout that `list_clips` knows.
        target: folder for the crops: new, or of an earlier call with the same margin and number of frames.
        margin: where the face lies in the crop.
        frames: of each clip, in the middle of as many equal parts of its time.
        workers: processes; by default one a core.
        real_names: further folder names that mean real.
        fake_names: further folder names that mean fake.

    Returns:
        What became of the clips; also in the new set's crop.json.

    Raises:
        InputError: the source is no set of clips, a number is out of range, or the target holds something else.
    """
    target, source = try_folder(target), local_path(source)
    workers = usable_cores() if workers is None else workers
    if min(frames, workers) < 1:
        raise InputError(f"{frames} frames and {workers} workers crop nothing; give at least 1 of both")
    settings = {"margin": asdict(margin), "jpeg": JPEG, "frames": frames}
    listing = list_clips(source, class_names(DataConfig(real_names=real_names, fake_names=fake_names)))
    claim(target, source, settings)
    names = dict(zip(listing.files, listing.columns["video"], strict=True))
    done = {clip: row for clip, row in _read_done(target) if clip in names}
    missing = [clip for clip in listing.files if clip not in done]
    with Progress("cropping", len(missing), "clips") as progress, (target / DONE).open("ab") as record:
        todo = {clip: target / str(names[clip]) for clip in missing}
        for clip, row in _outcomes(source, todo, frames, margin, workers):
            done[clip] = row
            if row["outcome"] != "broken":
                # One write, so that a kill leaves at most a line without its end.
                record.write(json.dumps({"clip": clip} | row).encode() + b"\n")
                record.flush()
            progress.update()
    _write_tables(target, listing, done)
    report = _report(listing, done)
    write_json(target / RECORD, settings | {"report": asdict(report)})
    return report


def _read_done(target: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Clips that are done, and what became of each; a last line without its end is taken away."""
    path = target / DONE
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
        with replacing(path) as temporary:
            temporary.write_bytes(b"".join(lines))
    for line in lines:
        row = json.loads(line)
        yield row.pop("clip"), row


def _outcomes(
    source: Path, folders: dict[str, Path], frames: int, margin: Margin, workers: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Crop clips, each on one core, to their folders; what became of each as it is done."""
    pool: Executor = ThreadPoolExecutor(1) if workers == 1 else ProcessPoolExecutor(workers, initializer=_begin_worker)
    waiting = {pool.submit(crop_clip, source, clip, folder, frames, margin): clip for clip, folder in folders.items()}
    try:
        for future in as_completed(waiting):
            yield waiting[future], future.result()
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process was ended from outside; give the same command with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Let the parent alone end this process, and end it where the parent is gone: nobody would take its results."""
    leave_signals_to_parent()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        """End with the parent."""
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def crop_clip(source: Path, clip: str, folder: Path, frames: int, margin: Margin) -> dict[str, Any]:
    """Crop some frames of one clip to the face that is largest over time.

    Args:
        source: folder of clips.
        clip: path in it.
        folder: for the crops; appears when it is complete, in place of one of its name.
        frames: of the clip.
        margin: where the face lies in the crop.

    Returns:
        What became of it (outcome: "written", or the field of the report), why (reason), number and seconds of each
        frame that there is a crop of (frames), and whether there were several tracks (several).
    """
    row: dict[str, Any] = {"outcome": "written", "reason": "", "frames": [], "several": False}
    found, crops, times, looks = [], [], [], []
    try:
        for frame in read_frames(source / clip, count=frames):
            faces = find_faces(frame.image)
            found.append(faces)
            looks.append(colours(frame.image))
            times.append(round(frame.time, 3))
            # Only what may be wanted is kept: sixteen frames of 4K would take half a gigabyte.
            crops.append({face: frame.image.crop(crop_region(face, margin, frame.image.size)) for face in faces})
    except VideoError as error:
        return row | {"outcome": "broken", "reason": without_path(str(error), str(source / clip), clip)}
    cuts = {number for number in range(1, len(looks)) if is_cut(looks[number - 1], looks[number])}
    tracks = link([[face.box for face in faces] for faces in found], cuts)
    if not tracks:
        return row | {"outcome": "without_face"}
    # Large in sum is who is near and long in the picture.
    largest = max(tracks, key=lambda track: sum(area(found[number][face].box) for number, face in track))
    faces = {number: found[number][face] for number, face in largest}
    chosen = {number: crops[number][face] for number, face in faces.items() if face.shortest_side >= MIN_FACE}
    if not chosen:
        return row | {"outcome": "too_small"}
    _write_crops(folder, chosen)
    return row | {"frames": [[number, times[number]] for number in chosen], "several": len(tracks) > 1}


def _write_crops(folder: Path, crops: dict[int, Image.Image]) -> None:
    """Write the crops of a clip, all or none."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        for number, crop in crops.items():
            crop.save(temporary / _file_name(number), "JPEG", **JPEG)
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed before it noted that this clip is done
        temporary.replace(folder)
    except OSError as error:
        raise InputError(f"{folder} could not be saved: {refusal(error)}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _file_name(number: int) -> str:
    """The crop's name by the number of its frame among those read."""
    return f"{number:02}.jpg"


def _write_tables(target: Path, listing: Listing, done: dict[str, dict[str, Any]]) -> None:
    """Write what is known of the clips for each crop."""
    rows = [
        {"file": f"{video}/{_file_name(number)}", "clip": place, "time": seconds}
        for place, (clip, video) in enumerate(zip(listing.files, listing.columns["video"], strict=True))
        for number, seconds in done[clip]["frames"]
    ]
    crops = pd.DataFrame(rows, columns=["file", "clip", "time"])
    clips = pd.DataFrame(listing.columns).iloc[crops.pop("clip")].reset_index(drop=True)
    with replacing(target / "groups.csv") as temporary:
        pd.concat([crops, clips], axis=1).to_csv(temporary, index=False)
    if listing.from_tables:
        labels = pd.DataFrame({"label": [LABELS[label] for label in listing.labels]})
        if (listing.splits >= 0).all():
            labels["split"] = [SPLITS[split] for split in listing.splits]
        labels = labels.iloc[[row["clip"] for row in rows]].reset_index(drop=True)
        with replacing(target / "metadata.csv") as temporary:
            pd.concat([crops.rename(columns={"file": "file_name"})[["file_name"]], labels], axis=1).to_csv(
                temporary, index=False
            )


def _report(listing: Listing, done: dict[str, dict[str, Any]]) -> ClipReport:
    """What became of all clips, in the order of the listing."""
    rows = {clip: done[clip] for clip in listing.files}
    counts = Counter(row["outcome"] for row in rows.values())
    return ClipReport(
        clips=counts["written"],
        crops=sum(len(row["frames"]) for row in rows.values()),
        several=sum(row["several"] for row in rows.values()),
        without_face=tuple(clip for clip, row in rows.items() if row["outcome"] == "without_face"),
        too_small=tuple(clip for clip, row in rows.items() if row["outcome"] == "too_small"),
        broken=tuple((clip, row["reason"]) for clip, row in rows.items() if row["outcome"] == "broken"),
        left_out=dict(listing.left_out),
        notes=listing.notes,
    )
