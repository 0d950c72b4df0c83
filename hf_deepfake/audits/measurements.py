"""The pass over the images: each is opened once and everything asked of it is measured."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from datasets import Dataset, Image
from numpy.typing import NDArray
from tqdm import tqdm

from hf_deepfake.audits.content import CONTENT, content
from hf_deepfake.audits.facts import FACTS, file_facts
from hf_deepfake.audits.fingerprint import COLOURS, CROPS, Codes, fingerprint
from hf_deepfake.audits.statistics import STATISTICS, statistics
from hf_deepfake.images.open import open_image
from hf_deepfake.machine import leave_signals_to_parent, usable_cores

_CHUNK = 32  # images per message to a worker: about half a second of work
_ALONE = 128  # with fewer images, starting workers costs more than it saves
_AHEAD = 4  # chunks that wait for each worker


class Wanted(NamedTuple):
    """What is to be measured of an image, besides the facts of its file."""

    fingerprint: bool
    statistics: bool
    content: bool


_Result = tuple[Codes | None, NDArray[np.uint8] | None, dict[str, float]]
"""Codes, colours and values of one image."""


@dataclass(frozen=True)
class Measured:
    """What was measured of N images.

    Attributes:
        codes: uint64 (N, 11, 4) and `colours` uint8 (N, 8, 8, 3), 0 where not wanted.
        colours: see `codes`.
        table: N rows of `FACTS`, `STATISTICS` and `CONTENT`, float64, NaN where not wanted or not there.
    """

    codes: Codes
    colours: NDArray[np.uint8]
    table: pd.DataFrame


def measure(images: Dataset, wanted: Sequence[Wanted]) -> Measured:
    """Measure images on all cores that this process may use.

    Args:
        images: N rows with the column image, all of which open.
        wanted: N, what is to be measured of each.

    Returns:
        The measurements, in the order of the rows.
    """
    codes = np.zeros((len(images), len(CROPS), 4), np.uint64)
    colours = np.zeros((len(images), COLOURS, COLOURS, 3), np.uint8)
    rows: list[dict[str, float]] = []
    encoded = images.select_columns(["image"]).cast_column("image", Image(decode=False))
    cores = usable_cores() if len(images) >= _ALONE else 1
    waiting: deque[Future[list[_Result]]] = deque()
    with (
        ProcessPoolExecutor(cores, initializer=leave_signals_to_parent) as workers,
        tqdm(total=len(images), desc="measuring images", unit=" images", disable=None) as progress,
    ):

        def collect(results: list[_Result]) -> None:
            """File the results of the next chunk."""
            for code, colour, values in results:
                if code is not None:
                    codes[len(rows)], colours[len(rows)] = code, colour
                rows.append(values)
            progress.update(len(results))

        for first in range(0, len(images), _CHUNK):
            chunk = range(first, min(first + _CHUNK, len(images)))
            files = [image["bytes"] or image["path"] for image in encoded.select(chunk)["image"]]
            asked = [wanted[row] for row in chunk]
            if cores == 1:
                collect(_measure_all(files, asked))
                continue
            waiting.append(workers.submit(_measure_all, files, asked))
            if len(waiting) > _AHEAD * cores:
                collect(waiting.popleft().result())
        while waiting:
            collect(waiting.popleft().result())
    return Measured(codes, colours, pd.DataFrame(rows, columns=[*FACTS, *STATISTICS, *CONTENT], dtype=np.float64))


def _measure_all(images: list[str | bytes], wanted: list[Wanted]) -> list[_Result]:
    """Codes, colours and values of each image."""
    results: list[_Result] = []
    for source, asked in zip(images, wanted, strict=True):
        encoded = Path(source).read_bytes() if isinstance(source, str) else source
        values = file_facts(encoded)
        code = colour = None
        if any(asked):
            image = open_image(encoded)
            if asked.fingerprint:
                code, colour = fingerprint(image)
            if asked.statistics:
                values |= statistics(image)
            if asked.content:
                values |= content(image)
        results.append((code, colour, values))
    return results
