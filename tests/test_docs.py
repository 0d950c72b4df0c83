"""The documentation: its code runs, all public names are in it, and its site is whole without a network."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

import hf_deepfake
from hf_deepfake.evaluation.others import open_scorer
from hf_deepfake.images.degrade import FAMILIES
from hf_deepfake.models.build import blocks
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture
def extended(tmp_path, monkeypatch):
    """What the code of the page about extending leaves, as a module run from top to bottom."""
    page = (DOCS / "extend.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    (tmp_path / "extension_of_the_docs.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = dict(FAMILIES)
    yield __import__("extension_of_the_docs")
    del sys.modules["extension_of_the_docs"]
    FAMILIES.clear()
    FAMILIES.update(before)


def test_code_of_the_page_about_extending_runs(extended, tmp_path):
    pixels = np.asarray(extended.darker)
    assert pixels[32, 32].min() > 250  # the middle keeps its light; a corner loses half
    assert abs(int(pixels[0, 0, 0]) - 127) <= 1
    assert extended.value == pytest.approx([(0.9 + 0.8 + 0.6) / 3 - (0.3 + 0.2 + 0.1) / 3])
    assert extended.low <= extended.value <= extended.high
    given = open_scorer("extension_of_the_docs:score").function([extended.darker, Image.new("RGB", (64, 64))])
    assert given == pytest.approx([1 - pixels.std() / 127.5, 1])
    assert (extended.config.model, extended.config.degrade) == ("resnet18", 0.5)
    assert [len(block) for block in blocks(extended.model)] == [2, 2, 2]
    folder = export_checkpoint(extended.model, tmp_path / "checkpoint", image_size=64)
    assert type(load_checkpoint(folder).model) is extended.TwoConvolutions


def test_every_public_name_is_in_the_reference():
    page = (DOCS / "api" / "index.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: hf_deepfake\.(\w+)$", page, re.MULTILINE)) == sorted(hf_deepfake.__all__)


LOADED = re.compile(r"<(?:img|script|link|source)\b[^>]*?\b(?:src|href)=\"?([^\"\s>]+)")
LINK = re.compile(r"<a\b[^>]*?\bhref=\"?([^\"\s>]+)")


@pytest.mark.slow
def test_the_site_is_whole_and_loads_nothing_from_elsewhere(tmp_path):
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = {page: page.read_text(encoding="utf-8") for page in (tmp_path / "site").rglob("*.html")}
    pages.pop(tmp_path / "site" / "404.html")  # its links start at the root of a server
    names = {page.relative_to(tmp_path / "site").as_posix() for page in pages}
    assert names >= {"index.html", "extend.html", "api/index.html", "api/options.html", "repository/CHANGELOG.html"}
    for page, text in pages.items():
        loaded = [place for place in LOADED.findall(text) if not place.startswith("data:")]
        assert [place for place in loaded if re.match(r"(https?:)?//", place)] == [], page
        for place in loaded + [link for link in LINK.findall(text) if not re.match(r"\w+:", link)]:
            path = unquote(place.partition("#")[0].partition("?")[0])
            assert (page.parent / path).exists(), (page, place)
