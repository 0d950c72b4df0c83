"""The built package: what is inside, and that it works in an environment that holds nothing of this checkout."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSIDE = {
    f"hf_deepfake/{path.relative_to(ROOT / 'hf_deepfake').as_posix()}"
    for path in (ROOT / "hf_deepfake").rglob("*")
    if path.is_file() and path.suffix != ".pyc"
}
"""Every file of the package: one that is added and not named in pyproject.toml would be missing."""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with wheel and sdist."""
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(words, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_wheel_and_sdist_hold_what_the_package_reads(built):
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as opened:
        assert set(opened.namelist()) >= INSIDE
    with tarfile.open(sdist) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert names >= INSIDE | {"LICENSE", "README.md", "pyproject.toml"}


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(built, faces, tmp_path):
    """The libraries that the wheel needs come by path from this environment: fetching them anew takes minutes."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True)
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    Path(site, "libraries.pth").write_text(sysconfig.get_path("purelib"))

    def run(*words):
        return subprocess.run(
            words, capture_output=True, text=True, check=True, cwd=tmp_path, env=dict(os.environ)
        ).stdout

    assert "train a detector" in run(tmp_path / "venv" / "bin" / "hf-deepfake", "--help")
    where = run(python, "-c", "import hf_deepfake; print(hf_deepfake.__file__)").strip()
    assert Path(where).is_relative_to(tmp_path)
    code = f"import hf_deepfake as h; print({{name: len(s) for name, s in h.load_images({str(faces)!r}).items()}})"
    assert run(python, "-c", code).strip() == "{'train': 96, 'validation': 12, 'test': 12}"
