import hashlib
import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from importlib.metadata import version
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
result = asdict(push_space(checkpoint, repo))
"""
WHEEL = f"hf_deepfake-{version('hf-deepfake')}-py3-none-any.whl"
MODEL = {"config.json", "model.safetensors", "README.md", "report.json", "roc.png"}
FILES = {"README.md", "app.py", "requirements.txt", WHEEL, *(f"checkpoint/{name}" for name in MODEL)}


def test_one_commit_of_space_wheel_and_checkpoint(hub, client, checkpoint):
    names = {"checkpoint": str(checkpoint), "repo": "me/space"}
    hub.add("space", "me/space", {"old-1.0-py3-none-any.whl": b"", "checkpoint/old.json": b"", "notes.md": b"mine"})
    result = client(PUSH, **names)
    repo = hub.repos["space", "me/space"]
    pushed = repo.files()
    assert set(result["files"]) == FILES == set(pushed) - {"notes.md"}
    assert hub.requests.count("commit") == 1
    assert all(pushed[f"checkpoint/{name}"] == (checkpoint / name).read_bytes() for name in MODEL)
    digest = hashlib.sha256(pushed[WHEEL]).hexdigest()
    url = f"{hub.endpoint}/spaces/me/space/resolve/main/{WHEEL}"
    assert pushed["requirements.txt"].decode() == f"hf-deepfake[space] @ {url}#sha256={digest}\n"
    hub.repos["space", "me/space"].private = True
    with pytest.raises(ClientError, match=r"^InputError: me/space exists and is private; "):
        client(PUSH, **names)


def test_a_docker_space_has_no_files_of_the_other(hub, client, checkpoint):
    names = {"checkpoint": str(checkpoint), "repo": "me/docker"}
    client(PUSH, **names)
    client(PUSH.replace("repo))", 'repo, sdk="docker"))'), **names)
    pushed = hub.repos["space", "me/docker"].files()
    assert set(pushed) - {".gitattributes"} == FILES - {"app.py", "requirements.txt"} | {"Dockerfile"}
    card = RepoCard(pushed["README.md"].decode()).data
    assert (card.sdk, card.app_port) == ("docker", 7860)
    assert not hasattr(card, "sdk_version")
    assert pushed["Dockerfile"] == (ROOT / "hf_deepfake" / "hub" / "Dockerfile").read_bytes()
    client(PUSH.replace("repo))", 'repo, sdk="docker"))'), **names | {"repo": "me/new"})
    assert hub.repos["space", "me/new"].sdk == "docker"
    assert hub.repos["space", "me/docker"].sdk == "gradio"  # as it was made; the Hub heeds the card


def test_a_dry_run_far_from_any_clone(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = push_space(checkpoint, "me/space", dry_run=True)
    assert (set(result.files), result.commit) == (FILES, None)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match="no checkpoint folder"):
        push_space(tmp_path / "nothing", "me/x", dry_run=True)


def test_no_token_is_said_before_anything_is_read(hub, client):
    with pytest.raises(ClientError, match=r"^InputError: pushing to me/x needs a token"):
        client(PUSH, token=None, checkpoint="/nothing", repo="me/x")
    assert hub.requests == []


@pytest.mark.slow
def test_what_was_pushed_starts(hub, client, checkpoint, tmp_path):
    """This project's Space, with the wheel installed by pip from where requirements.txt says it is.

    The libraries that the wheel needs come from this environment: fetching them anew takes minutes.
    """
    client(PUSH, checkpoint=str(checkpoint), repo="me/real")
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
        assert {"hf_deepfake/__init__.py", "hf_deepfake/page/page.css"} <= set(opened.namelist())
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
