"""Opening and hashing: what is equal, what is broken, and what the cache remembers."""

import hashlib
import io
import os
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from datasets import Dataset, Features, Image
from PIL import Image as PILImage

from hf_deepfake.data import scan as scanning
from hf_deepfake.data.scan import hash_image, scan
from hf_deepfake.errors import InputError


def noise(seed):
    return PILImage.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 32, 3), dtype=np.uint8))


def encoded(image, form):
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def rows(*images):
    """A data set of paths and encoded bytes."""
    entries = [
        {"bytes": item, "path": None} if isinstance(item, bytes) else {"bytes": None, "path": str(item)}
        for item in images
    ]
    return Dataset.from_dict({"image": entries}, features=Features({"image": Image()}))


@pytest.fixture
def opened(monkeypatch):
    """What the scan opens, in order."""
    seen = []

    def watched(image):
        seen.append(image)
        return hash_image(image)

    monkeypatch.setattr(scanning, "hash_image", watched)
    return seen


def test_the_hash_is_of_size_and_pixels():
    image = noise(0)
    expected = hashlib.blake2b(b"32 x 40 " + np.asarray(image).tobytes(), digest_size=16).digest()
    assert hash_image(encoded(image, "PNG")) == hash_image(encoded(image, "BMP")) == expected
    assert hash_image(encoded(noise(1), "PNG")) != expected
    tall, wide = (encoded(PILImage.new("RGB", size), "PNG") for size in ((40, 80), (80, 40)))
    assert hash_image(tall) != hash_image(wide)


def test_orientation_counts_as_it_is_seen(tmp_path):
    exif = PILImage.Exif()
    exif[0x0112] = 3
    noise(0).transpose(PILImage.Transpose.ROTATE_180).save(tmp_path / "turned.png", exif=exif)
    assert hash_image(str(tmp_path / "turned.png")) == hash_image(encoded(noise(0), "PNG"))


def test_files_and_embedded_images_and_what_does_not_open(tmp_path):
    noise(0).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"broken")
    data = rows(
        tmp_path / "a.png",
        tmp_path / "b.jpg",
        encoded(noise(0), "BMP"),
        tmp_path / "none.jpg",
        encoded(noise(1), "PNG"),
    )
    hashes, problems = scan(data, tmp_path)
    assert hashes[0] == hashes[2] == hash_image(str(tmp_path / "a.png")).hex().encode()
    assert hashes[4] not in (b"", hashes[0])
    assert sorted(problems) == [1, 3]
    assert [hashes[row] for row in problems] == [b"", b""]
    assert "b.jpg is not an image" in problems[1]
    assert "no such file" in problems[3]


def test_the_next_run_opens_only_what_changed_or_failed(tmp_path, opened):
    for name in ("a", "b"):
        noise(0).save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes(b"broken")
    data = rows(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png", encoded(noise(1), "PNG"))
    first, _ = scan(data, tmp_path)
    assert len(opened) == 4
    noise(2).save(tmp_path / "b.png")
    os.utime(tmp_path / "b.png", ns=(5, 5))
    opened.clear()
    second, problems = scan(data, tmp_path)
    assert opened == [str(tmp_path / "b.png"), str(tmp_path / "c.png")]
    assert (second == first).tolist() == [True, False, True, True]
    assert list(problems) == [2]


def test_another_decoder_opens_all_anew(tmp_path, opened, monkeypatch):
    noise(0).save(tmp_path / "a.png")
    data = rows(tmp_path / "a.png", encoded(noise(1), "PNG"))
    scan(data, tmp_path)
    scan(data, tmp_path)
    assert len(opened) == 2
    monkeypatch.setattr(scanning, "decoders", lambda: "pil 99.0")
    scan(data, tmp_path)
    assert len(opened) == 4


def test_an_unusable_cache(tmp_path):
    (tmp_path / "images.sqlite").write_bytes(b"no data base" * 100)
    with pytest.raises(InputError, match=r"images\.sqlite cannot be used .*--cache_dir"):
        scan(rows(encoded(noise(0), "PNG")), tmp_path)


@pytest.mark.parametrize("entry", [None, "text", b"short", b"x" * 40, 5])
def test_a_damaged_entry_is_made_anew(tmp_path, entry):
    data = rows(encoded(noise(0), "PNG"))
    expected, _ = scan(data, tmp_path)
    with sqlite3.connect(tmp_path / "images.sqlite") as memory:
        memory.execute("UPDATE images SET hash = ?", (entry,))
    hashes, problems = scan(data, tmp_path)
    assert (hashes.tolist(), problems) == (expected.tolist(), {})


def test_a_cache_that_is_cut_off(tmp_path):
    data = rows(*(encoded(noise(seed), "PNG") for seed in range(200)))
    scan(data, tmp_path)
    whole = (tmp_path / "images.sqlite").read_bytes()
    (tmp_path / "images.sqlite").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"images\.sqlite cannot be used .*delete it or choose another --cache_dir"):
        scan(data, tmp_path)


def test_no_images(tmp_path):
    hashes, problems = scan(rows(), tmp_path)
    assert (len(hashes), problems) == (0, {})


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_give_the_same_in_the_same_order(tmp_path, method):
    paths = []
    for number in range(40):
        noise(number).save(tmp_path / f"{number:02d}.png")
        paths.append(tmp_path / f"{number:02d}.png")
    (tmp_path / "07.png").write_bytes(b"broken")
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, sys\n"
        "from pathlib import Path\n"
        "from datasets import Dataset, Image\n"
        "from hf_deepfake.data import scan as scanning\n"
        "if __name__ == '__main__':\n"
        f"    multiprocessing.set_start_method({method!r})\n"
        "    scanning._ALONE, scanning._CHUNK, scanning.usable_cores = 1, 3, lambda: 2\n"
        "    files = sorted(map(str, Path(sys.argv[1]).glob('*.png')))\n"
        "    images = Dataset.from_dict({'image': files}).cast_column('image', Image())\n"
        "    hashes, problems = scanning.scan(images, Path(sys.argv[1]))\n"
        "    print(*[h.decode() or '-' for h in hashes], list(problems))\n"
    )
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=True)
    expected = [hash_image(str(path)).hex() if path.name != "07.png" else "-" for path in paths]
    assert done.stdout.split() == [*expected, "[7]"]
