import base64
import csv
import hashlib
import io
import zipfile
from importlib.metadata import version
from pathlib import Path

from hf_deepfake.hub.wheel import pack_wheel

ROOT = Path(__file__).parents[2]
WHEEL = f"hf_deepfake-{version('hf-deepfake')}-py3-none-any.whl"


def test_the_wheel_holds_the_package_and_nothing_of_its_place(tmp_path):
    name, content = pack_wheel()
    assert (name, pack_wheel()[1] == content) == (WHEEL, True)
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        files = {name: wheel.read(name) for name in wheel.namelist()}
    package = {name.removeprefix("hf_deepfake/") for name in files if name.startswith("hf_deepfake/")}
    paths = [path.relative_to(ROOT / "hf_deepfake") for path in (ROOT / "hf_deepfake").rglob("*") if path.is_file()]
    assert package == {str(path) for path in paths if "__pycache__" not in path.parts}
    assert {name.rpartition("/")[2] for name in files if ".dist-info/" in name} >= {"METADATA", "WHEEL", "RECORD"}
    assert not {name for name in files if name.endswith(("direct_url.json", ".pyc", ".pth"))}
    home = WHEEL.removesuffix("-py3-none-any.whl") + ".dist-info"
    rows = list(csv.reader(files.pop(f"{home}/RECORD").decode().splitlines()))
    assert {row[0] for row in rows} == set(files) | {f"{home}/RECORD"}
    for path, digest, size in rows[:-1]:
        bare = base64.urlsafe_b64encode(hashlib.sha256(files[path]).digest()).decode().strip("=")
        assert (digest, size) == (f"sha256={bare}", str(len(files[path])))
