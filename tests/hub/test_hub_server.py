"""The stand-in Hub, asked by huggingface_hub itself."""

import pytest
from hub_client import ClientError

PUSH = """
from huggingface_hub import CommitOperationAdd, HfApi
api = HfApi()
sdk = "gradio" if kind == "space" else None
api.create_repo(repo, repo_type=kind, exist_ok=True, private=private, space_sdk=sdk)
files = {"README.md": b"hello", "sub/model.safetensors": bytes(range(256)) * 40}
operations = [CommitOperationAdd(path, content) for path, content in files.items()]
commit = api.create_commit(repo, operations, commit_message="first", repo_type=kind)
result = commit.oid
"""
DOWNLOAD = """
from pathlib import Path
from huggingface_hub import snapshot_download
folder = Path(snapshot_download(repo, repo_type=kind, revision=revision))
result = {str(file.relative_to(folder)): file.read_bytes().hex() for file in folder.rglob("*") if file.is_file()}
"""
LARGE = (bytes(range(256)) * 40).hex()


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_what_was_pushed_comes_back(hub, client, kind):
    sha = client(PUSH, repo=f"me/{kind}-1", kind=kind, private=False)
    assert hub.requests.count("commit") == 1
    assert hub.repos[kind, f"me/{kind}-1"].refs == {"main": sha}
    got = client(DOWNLOAD, token=None, repo=f"me/{kind}-1", kind=kind, revision=None)
    assert got == {".gitattributes": "", "README.md": b"hello".hex(), "sub/model.safetensors": LARGE}
    assert hub.requests.count("download") == 1  # the large file, from the other host


def test_branch_tag_commit_and_pull_request(hub, client):
    sha = client(PUSH, repo="me/refs", kind="model", private=False)
    client("""
from huggingface_hub import HfApi
HfApi().create_branch("me/refs", branch="a/b")
HfApi().create_tag("me/refs", tag="v1")
""")
    code = """
from huggingface_hub import HfApi
commit = HfApi().upload_file(path_or_fileobj=b"new", path_in_repo="new.txt", repo_id="me/refs", **options)
result = [commit.oid, commit.pr_url]
"""
    branch, nothing = client(code, options={"revision": "a/b"})
    request, url = client(code, options={"create_pr": True}, token="hf_other")
    assert (nothing, url) == (None, f"{hub.endpoint}/me/refs/discussions/1")
    assert hub.repos["model", "me/refs"].refs == {"main": sha, "a/b": branch, "v1": sha, "refs/pr/1": request}
    for revision in ("main", "v1", sha):
        assert "new.txt" not in client(DOWNLOAD, repo="me/refs", kind="model", revision=revision)
    for revision in ("a/b", "refs/pr/1", branch):
        assert "new.txt" in client(DOWNLOAD, repo="me/refs", kind="model", revision=revision)
    with pytest.raises(ClientError, match=r"^RevisionNotFoundError"):
        client(DOWNLOAD, repo="me/refs", kind="model", revision="nonsense")


def test_unchanged_files_make_no_commit(hub, client):
    first = client(PUSH, repo="me/same", kind="model", private=False)
    assert client(PUSH, repo="me/same", kind="model", private=False) == first
    assert hub.requests.count("commit") == 1


def test_deleting(hub, client):
    client(PUSH, repo="me/less", kind="model", private=False)
    code = "from huggingface_hub import HfApi; HfApi().delete_file(path, repo_id='me/less')"
    client(code, path="README.md")
    assert set(hub.repos["model", "me/less"].files()) == {".gitattributes", "sub/model.safetensors"}
    with pytest.raises(ClientError, match=r"^RemoteEntryNotFoundError"):
        client(code, path="README.md")


def test_who_may_see_and_write(hub, client):
    client(PUSH, repo="me/private", kind="model", private=True)
    hub.add("model", "me/gated", {"config.json": b"{}"}, gated=True)
    private, gated = ({"repo": f"me/{name}", "kind": "model", "revision": None} for name in ("private", "gated"))
    for token in (None, "hf_other"):  # first of all, because the client falls back on what it has once fetched
        with pytest.raises(ClientError, match=r"^RepositoryNotFoundError"):
            client(DOWNLOAD, token=token, **private)
        with pytest.raises(ClientError, match=r"^GatedRepoError"):
            client(DOWNLOAD, token=token, **gated)
    assert (len(client(DOWNLOAD, **private)), len(client(DOWNLOAD, **gated))) == (3, 1)
    with pytest.raises(ClientError, match=r"^HfHubHTTPError: .*403"):
        client(PUSH, token="hf_other", repo="me/gated", kind="model", private=False)
    with pytest.raises(ClientError, match=r"^HfHubHTTPError: Invalid user token"):
        client("from huggingface_hub import whoami; whoami()", token="hf_wrong")
    assert client("from huggingface_hub import whoami; result = whoami()['name']") == "me"


def test_tree_paths_and_ranges(hub, client):
    hub.add("dataset", "me/files", {"a.txt": b"0123456789", "b/c/d.parquet": b"abcdefghij", "b/e.txt": b""})
    listed = client("""
from huggingface_hub import HfFileSystem
files = HfFileSystem()
files_at = "datasets/me/files"
result = [
    sorted(files.find(files_at)),
    [item["name"] for item in files.ls(f"{files_at}/b")],
    files.glob(f"{files_at}/**/*.parquet"),
    files.cat_file(f"{files_at}/a.txt", start=2, end=5).decode(),
    files.open(f"{files_at}/b/c/d.parquet").read().decode(),
    files.exists(f"{files_at}/nothing"),
]
""")
    root = "datasets/me/files"
    assert listed == [
        [f"{root}/a.txt", f"{root}/b/c/d.parquet", f"{root}/b/e.txt"],
        [f"{root}/b/c", f"{root}/b/e.txt"],
        [f"{root}/b/c/d.parquet"],
        "234",
        "abcdefghij",
        False,
    ]


def test_ordered_failures(hub, client):
    hub.add("model", "me/broken", {"model.safetensors": bytes(range(256)) * 40})
    names = {"repo": "me/broken", "kind": "model", "revision": None}
    hub.fail("tree", 403)
    with pytest.raises(ClientError, match=r"^LocalEntryNotFoundError: .*403"):
        client(DOWNLOAD, **names)
    hub.fail("download", "drop")
    assert client(DOWNLOAD, **names) == {"model.safetensors": LARGE}
    assert hub.requests.count("download") == 2  # the client asked for the rest
    hub.fail("commit", "drop")
    with pytest.raises(ClientError, match=r"^RemoteProtocolError"):
        client(PUSH, **names, private=False)
    assert set(hub.repos["model", "me/broken"].files()) == {"model.safetensors"}
    hub.fail("commit", "lose")
    with pytest.raises(ClientError, match=r"^RemoteProtocolError"):
        client(PUSH, **names, private=False)
    assert "README.md" in hub.repos["model", "me/broken"].files()
