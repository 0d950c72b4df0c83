"""Cut data and weights into pieces that a narrow link takes one at a time, and put them together on the other side.

    python scripts/gpu_carry.py pack --data data/dfdc data/ciplab --weights clip=clip.safetensors --out pieces
    python scripts/gpu_carry.py take pieces --out data

Files of the data folders go into the pieces round by round, each folder's `groups.csv` into the first, so that any
first few pieces make usable sets. Weights travel in int8, a scale for each output channel, and come out as float32:
exactly as they were where they came from int8 of that kind, rounded by at most 1/254 of a channel's largest otherwise.
`cut` cuts one file; `cat` puts it together again.
"""

import argparse
import csv
import io
import sys
import tarfile
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from hf_deepfake.errors import InputError
from hf_deepfake.files import make_folder

SCALE = "|scale"
"""What a scale's name adds to its tensor's."""

HEADER = 128
"""What a file takes in a packed archive beside its content, bytes, where the content packs no better than noise."""

SMALL = 4096
"""Tensors of at most this many numbers stay as they are."""


def to_int8(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Large float tensors as int8 with a float32 scale for each first index; the rest as float32."""
    packed = {}
    for name, tensor in weights.items():
        if not tensor.is_floating_point() or tensor.ndim < 2 or tensor.numel() <= SMALL or tensor.shape[0] == 1:
            packed[name] = tensor.float() if tensor.is_floating_point() else tensor
            continue
        rows = tensor.float().flatten(1)
        scale = rows.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
        packed[name] = (rows / scale).round().to(torch.int8).view(tensor.shape)
        packed[name + SCALE] = scale.view(-1)
    return packed


def from_int8(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Undo `to_int8`: float32."""
    weights = {}
    for name, tensor in packed.items():
        if name.endswith(SCALE):
            continue
        scale = packed.get(name + SCALE)
        weights[name] = tensor if scale is None else tensor.float() * scale.view(-1, *[1] * (tensor.ndim - 1))
    return weights


def chunks(content: bytes, name: str, size: int) -> Iterator[tuple[str, bytes]]:
    """`NAME.000`, `NAME.001` ... of at most `size` bytes."""
    for number, start in enumerate(range(0, len(content), size)):
        yield f"{name}.{number:03}", content[start : start + size]


def in_order(folder: Path) -> list[Path]:
    """A set's files as its `groups.csv` lists them, pairs side by side; those that it does not list come last."""
    table, listed = folder / "groups.csv", []
    if table.is_file():
        with table.open(newline="", encoding="utf-8") as lines:
            listed = [folder / row["file"] for row in csv.DictReader(lines)]
    listed = [file for file in listed if file.is_file()]
    known = set(listed)
    return listed + sorted(file for file in folder.rglob("*") if file.is_file() and file not in known)


def pack(words: argparse.Namespace) -> None:
    """Write `01.tar.gz`, `02.tar.gz` ... of at most `--mib`: small JPEGs lose an eighth, their equal tables."""
    make_folder(words.out)
    limit = int(words.mib * 2**20)
    rows = chain.from_iterable(zip_longest(*(in_order(folder) for folder in words.data)))
    files = [file for file in rows if file is not None]
    names = {file: f"{folder.name}/{file.relative_to(folder)}" for folder in words.data for file in folder.rglob("*")}
    tables = [file for file in files if file.name == "groups.csv"]
    entries: Iterator[tuple[str, bytes]] = chain(
        ((names[file], file.read_bytes()) for file in tables),
        chain.from_iterable(
            chunks(save(to_int8(load_file(path))), f"{name}.int8.safetensors", limit // 8 - HEADER)
            for name, _, path in (text.partition("=") for text in words.weights)
        ),
        ((names[file], file.read_bytes()) for file in files if file not in set(tables)),
    )
    pieces: list[list[tuple[str, bytes]]] = []
    filled = limit
    for entry in entries:
        size = len(entry[1]) + HEADER
        if filled + size > limit:
            pieces.append([])
            filled = 0
        pieces[-1].append(entry)
        filled += size
    for number, piece in enumerate(pieces, start=1):
        with tarfile.open(words.out / f"{number:02}.tar.gz", "w:gz", compresslevel=1) as archive:
            for name, content in piece:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    print(f"{words.out}: {len(pieces)} pieces")


def take(words: argparse.Namespace) -> None:
    """Unpack the pieces that are there, and weights as soon as all their chunks are."""
    make_folder(words.out)
    for piece in sorted(words.pieces.glob("*.tar.gz")):
        with tarfile.open(piece) as archive:
            archive.extractall(words.out, filter="data")
    for first in sorted(words.out.glob("*.int8.safetensors.000")):
        stem = first.name.removesuffix(".000")
        whole = b"".join(part.read_bytes() for part in sorted(words.out.glob(f"{stem}.*")))
        try:
            weights = from_int8(load(whole))
        except SafetensorError as error:
            print(f"{stem}: not all chunks are there yet ({error})")
            continue
        save_file(weights, words.out / stem.replace(".int8", ""))
        print(f"{stem}: {sum(tensor.numel() for tensor in weights.values()) / 1e6:.1f} M numbers")


def cut(words: argparse.Namespace) -> None:
    """Write a file's chunks into a folder."""
    make_folder(words.out)
    for name, content in chunks(words.file.read_bytes(), words.file.name, int(words.mib * 2**20)):
        (words.out / name).write_bytes(content)


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    packing = commands.add_parser("pack", help="cut data and weights into pieces")
    packing.add_argument("--data", type=Path, nargs="+", default=[], help="folders")
    packing.add_argument("--weights", nargs="+", default=[], metavar="NAME=FILE", help="safetensors files")
    packing.add_argument("--mib", type=float, default=50, help="size of a piece, MiB (default 50)")
    packing.set_defaults(run=pack)
    taking = commands.add_parser("take", help="put pieces together")
    taking.add_argument("pieces", type=Path, help="folder of pieces")
    taking.set_defaults(run=take)
    cutting = commands.add_parser("cut", help="cut a file")
    cutting.add_argument("file", type=Path, help="any file")
    cutting.add_argument("--mib", type=float, default=15, help="size of a chunk, MiB (default 15)")
    cutting.set_defaults(run=cut)
    for command in (packing, taking, cutting):
        command.add_argument("--out", type=Path, required=True, help="folder")
    words = parser.parse_args()
    try:
        words.run(words)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
