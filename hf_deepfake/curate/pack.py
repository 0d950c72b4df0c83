"""Pack a data set into parquet files with the images inside: few large files in place of many small ones."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from datasets import (
    Dataset,
    DatasetDict,
    DatasetInfo,
    SplitInfo,
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)
from datasets.splits import SplitDict
from datasets.table import embed_table_storage
from tqdm import tqdm

from hf_deepfake.config import DataConfig
from hf_deepfake.data.data_report import DataReport
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError
from hf_deepfake.files import make_folder, refusal, try_folder

SHARD_IMAGES = 2_000
"""Images of a parquet file: at 5 to 200 kB each, 10 to 400 MB."""


def pack(config: DataConfig, out: str | Path) -> DataReport:
    """Write what `load_images` makes of the sources as parquet files, whole or not at all.

    The folder is a source like any other and loads to the same images, splits, groups and fingerprint; pushed to the
    Hub, its viewer shows the images. Files go in unchanged, with their names and metadata.

    Args:
        config: sources and options.
        out: new folder.

    Returns:
        What was found in the sources.

    Raises:
        InputError: the sources cannot be used, leaks are to be kept, or the folder exists or cannot be written.
    """
    out = try_folder(out).absolute()
    if out.exists():
        raise InputError(f"{out} exists; give a new folder")
    if config.on_leak == "keep":
        raise InputError("--on_leak keep would pack splits that leak; leave it out")
    data, report = prepare(config)
    scratch = Path(mkdtemp(prefix=f".{out.name}.", dir=make_folder(out.parent)))
    try:
        write_shards(data, scratch)
        scratch.chmod(0o755)
        scratch.rename(out)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {refusal(error)}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return report


def write_shards(data: DatasetDict, folder: Path) -> tuple[list[Path], DatasetInfo]:
    """Write splits as parquet files in the format of `datasets`; an empty split is left out.

    Args:
        data: the splits.
        folder: which exists.

    Returns:
        The files, and their description: columns, and size of each split.
    """
    filled = {str(name): split for name, split in data.items() if len(split)}
    shards: list[Path] = []
    splits: dict[str, Any] = {}
    total = sum(map(len, filled.values()))
    with _no_other_bars(), tqdm(total=total, desc="packing", unit=" images", disable=None) as progress:
        for name, split in filled.items():
            count = -(-len(split) // SHARD_IMAGES)
            bytes_read = 0
            for index in range(count):
                path = folder / f"{name}-{index:05d}-of-{count:05d}.parquet"
                shard = split.shard(count, index, contiguous=True)
                bytes_read += _embedded(shard).to_parquet(path)
                progress.update(len(shard))
                shards.append(path)
            splits[name] = SplitInfo(name=name, num_bytes=bytes_read, num_examples=len(split))
    info = DatasetInfo(
        features=next(iter(filled.values())).features,
        splits=SplitDict(splits),
        download_size=sum(path.stat().st_size for path in shards),
        dataset_size=sum(split.num_bytes for split in splits.values()),
    )
    return shards, info


@contextmanager
def _no_other_bars() -> Generator[None]:
    """Without the two bars that `datasets` shows for each shard."""
    quiet = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not quiet:
            enable_progress_bars()


def _embedded(shard: Dataset) -> Dataset:
    """The shard with the content of every image's file in place of its path."""
    table = shard.with_format("arrow").map(embed_table_storage, batched=True, batch_size=100, keep_in_memory=True)
    return table.with_format(None)
