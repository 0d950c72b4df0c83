"""The handler, found and called in a fresh process as the Hub's inference toolkit does it."""

import base64
import io
import json
import subprocess
import sys
import zipfile

import pytest
from PIL import Image

from hf_deepfake import Detector
from hf_deepfake.hub.push import handler_files, push_to_hub

TOOLKIT = """
import importlib.util, io, json, sys
from PIL import Image
folder, image, text = sys.argv[1:]
spec = importlib.util.spec_from_file_location("handler.EndpointHandler", folder + "/handler.py")
sys.path.insert(0, folder)
handler = sys.modules["handler.EndpointHandler"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(handler)
serve = handler.EndpointHandler(folder)
try:
    serve({"inputs": "bm8gaW1hZ2U="})
except Exception as error:
    refused = str(error)
opened = Image.open(io.BytesIO(open(image, "rb").read())).convert("RGB")
print(json.dumps([serve({"inputs": opened}), serve({"inputs": text, "parameters": {}}), refused]))
"""


@pytest.mark.slow
def test_verdicts_as_the_toolkit_asks_for_them(checkpoint, tmp_path):
    folder = tmp_path / "repository"
    Detector.from_pretrained(checkpoint, backend="torch").save_pretrained(folder)
    for name, content in handler_files().items():
        (folder / name).write_bytes(content)
    Image.new("RGB", (64, 64), (200, 150, 120)).save(tmp_path / "face.png")
    text = "data:image/png;base64," + base64.b64encode((tmp_path / "face.png").read_bytes()).decode()
    words = [sys.executable, "-c", TOOLKIT, str(folder), str(tmp_path / "face.png"), text]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
    by_image, by_text, refused = json.loads(done.stdout)
    expected = Detector.from_pretrained(checkpoint)(tmp_path / "face.png")
    assert by_image == by_text
    assert by_image["fake_probability"] == pytest.approx(expected.fake_probability, abs=1e-5)
    assert by_image["label"] == expected.label
    assert refused.startswith("the image is not an image in any of")


def test_it_is_pushed_when_asked_for_with_the_package_that_it_needs(checkpoint):
    plain = push_to_hub(checkpoint, "me/x", license="mit", dry_run=True).files
    files = push_to_hub(checkpoint, "me/x", license="mit", handler=True, dry_run=True).files
    (wheel,) = (name for name in files if name.endswith(".whl"))
    assert set(files) - set(plain) == {"handler.py", "requirements.txt", wheel}
    content = handler_files()
    assert content["requirements.txt"].decode() == f"hf-deepfake @ file:///repository/{wheel}\n"
    assert "hf_deepfake/hub/handler.py" in zipfile.ZipFile(io.BytesIO(content[wheel])).namelist()
