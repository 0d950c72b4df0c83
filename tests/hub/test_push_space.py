import hashlib
import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest
from hub_client import ClientError
from huggingface_hub import RepoCard

from hf_deepfake.errors import InputError
from hf_deepfake.hub.push_space import push_space

ROOT = Path(__file__).parents[2]
PUSH = """
from dataclasses import asdict
from hf_deepfake.hub.push_space import push_space
result = asdict(push_space(checkpoint, repo, space=space))
"""


@pytest.fixture
def clone(tmp_path):
    """A clone of a project with this one's name and a Space, small enough to be built in a second or two."""
    files = {
        "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "hf-deepfake"\nversion = "3.2"\n[tool.setuptools]\npackages = ["hf_deepfake"]\n',
        "hf_deepfake/__init__.py": "",
        "space/README.md": "---\nsdk: gradio\n---\n",
        "space/app.py": "import hf_deepfake",
        "space/requirements.txt": "pillow\nhf-deepfake[space,faces]\n",
        "space/examples/a.jpg": "a",
        "space/__pycache__/app.pyc": "generated",
        "space/.hidden/file": "hidden",
        "space/checkpoint/config.json": "another checkpoint",
    }
    for name, text in files.items():
        path = tmp_path / "clone" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "clone"


WHEEL = "hf_deepfake-3.2-py3-none-any.whl"
MODEL = {"config.json", "model.safetensors", "README.md", "report.json", "roc.png"}
FILES = {
    "README.md",
    "app.py",
    "requirements.txt",
    "examples/a.jpg",
    WHEEL,
    *(f"checkpoint/{name}" for name in MODEL),
}


def test_one_commit_of_space_wheel_and_checkpoint(hub, client, checkpoint, clone):
    names = {"checkpoint": str(checkpoint), "repo": "me/space", "space": str(clone / "space")}
    hub.add("space", "me/space", {"old-1.0-py3-none-any.whl": b"", "checkpoint/old.json": b"", "notes.md": b"mine"})
    result = client(PUSH, **names)
    repo = hub.repos["space", "me/space"]
    pushed = repo.files()
    assert set(result["files"]) == FILES == set(pushed) - {"notes.md"}
    assert hub.requests.count("commit") == 1
    assert all(pushed[f"checkpoint/{name}"] == (checkpoint / name).read_bytes() for name in MODEL)
    digest = hashlib.sha256(pushed[WHEEL]).hexdigest()
    url = f"{hub.endpoint}/spaces/me/space/resolve/main/{WHEEL}"
    assert pushed["requirements.txt"].decode() == f"pillow\nhf-deepfake[space,faces] @ {url}#sha256={digest}\n"
    hub.repos["space", "me/space"].private = True
    with pytest.raises(ClientError, match=r"^InputError: me/space exists and is private; "):
        client(PUSH, **names)


def test_a_dry_run(checkpoint, clone):
    result = push_space(checkpoint, "me/space", space=clone / "space", dry_run=True)
    assert (set(result.files), result.commit) == (FILES, None)


def test_what_is_no_space(checkpoint, clone, tmp_path):
    with pytest.raises(InputError, match=r"holds no app\.py"):
        push_space(checkpoint, "me/x", space=tmp_path, dry_run=True)
    with pytest.raises(InputError, match="no checkpoint folder"):
        push_space(tmp_path / "nothing", "me/x", space=clone / "space", dry_run=True)
    (clone / "space" / "requirements.txt").write_text("gradio\n")
    with pytest.raises(InputError, match=r"must name hf-deepfake"):
        push_space(checkpoint, "me/x", space=clone / "space", dry_run=True)
    (clone / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(InputError, match=r"cannot be built \(.+\); run pip install"):
        push_space(checkpoint, "me/x", space=clone / "space", dry_run=True)
    (clone / "pyproject.toml").unlink()
    with pytest.raises(InputError, match="is no clone of hf-deepfake"):
        push_space(checkpoint, "me/x", space=clone / "space", dry_run=True)


def test_no_token_is_said_before_anything_is_read(hub, client):
    with pytest.raises(ClientError, match=r"^InputError: pushing to me/x needs a token"):
        client(PUSH, token=None, checkpoint="/nothing", repo="me/x", space="/nothing")
    assert hub.requests == []


@pytest.mark.slow
def test_what_was_pushed_starts(hub, client, checkpoint, tmp_path):
    """This project's Space, with the wheel installed by pip from where requirements.txt says it is.

    The libraries that the wheel needs come from this environment: fetching them anew takes minutes.
    """
    client(PUSH, checkpoint=str(checkpoint), repo="me/real", space=str(ROOT / "space"))
    space, site = tmp_path / "space", tmp_path / "site"
    for path, content in hub.repos["space", "me/real"].files().items():
        (space / path).parent.mkdir(parents=True, exist_ok=True)
        (space / path).write_bytes(content)
    card = RepoCard.load(space / "README.md").data
    assert (card.sdk, card.app_file) == ("gradio", "app.py")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
    subprocess.run([*pip, "-r", str(space / "requirements.txt")], check=True, cwd=tmp_path)
    (wheel,) = space.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        assert "hf_deepfake/__init__.py" in opened.namelist()
    start = "print(hf_deepfake.__file__); runpy.run_path('app.py', run_name='__main__')"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_DEEPFAKE")}
    settings = {"PYTHONPATH": str(site), "PYTHONUNBUFFERED": "1", "GRADIO_SERVER_NAME": "127.0.0.1"}
    server = subprocess.Popen(
        [sys.executable, "-c", f"import hf_deepfake, runpy; {start}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=space,
        env={**environment, **settings, "GRADIO_ANALYTICS_ENABLED": "False"},
    )
    try:
        assert Path(server.stdout.readline().strip()).is_relative_to(site)
        said = []
        for line in server.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            pytest.fail("".join(said))
        with urllib.request.urlopen(found[0]) as page:
            assert page.status == 200
        with urllib.request.urlopen(f"{found[0]}/gradio_api/info") as described:
            assert b'"/predict"' in described.read()
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
