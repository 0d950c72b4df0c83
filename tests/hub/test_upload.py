import pytest
from hub_client import ClientError

from hf_deepfake.errors import InputError
from hf_deepfake.hub.upload import check_target

UPLOAD = """
from dataclasses import asdict
from hf_deepfake.hub.upload import check_target, upload
check_target(repo, dry_run=False)
files = {path: text.encode() for path, text in files.items()}
result = asdict(upload(kind, repo, files, message="test", **options))
"""
FILES = {"README.md": "small", "weights.bin": "large"}


@pytest.fixture
def upload(client, hub):
    """Uploads files by the real client, of which one goes through LFS and is new to it."""
    hub.objects.clear()

    def call(repo, token="hf_me", kind="model", files=FILES, **options):
        return client(UPLOAD, token=token, repo=repo, kind=kind, files=files, options=options)

    return call


def uploaded(hub, repo, kind="model"):
    return {path: text.decode() for path, text in hub.repos[kind, repo].files().items() if path != ".gitattributes"}


@pytest.mark.parametrize("name", ["detector", "me/a b", "me/a/b", "../me", "me/x.git", ""])
def test_names_that_are_none(name):
    with pytest.raises(InputError, match="give owner/name"):
        check_target(name, dry_run=True)


def test_a_dry_run_needs_no_token():
    check_target("me/x", dry_run=True)


def test_tokens(hub, upload):
    with pytest.raises(ClientError, match=r"^InputError: pushing to me/x needs a token; .*hf auth login"):
        upload("me/x", token=None)
    assert hub.requests == []
    with pytest.raises(ClientError, match=r"^InputError: .* the token is missing or not valid; "):
        upload("me/x", token="hf_wrong")
    assert hub.requests == ["whoami"]


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_one_commit(hub, upload, kind):
    result = upload("me/one", kind=kind, sdk="gradio" if kind == "space" else None)
    repo = hub.repos[kind, "me/one"]
    assert uploaded(hub, "me/one", kind) == FILES
    assert result == {
        "files": {"README.md": 5, "weights.bin": 5},
        "url": hub.endpoint + {"model": "", "dataset": "/datasets", "space": "/spaces"}[kind] + "/me/one",
        "commit": repo.refs["main"],
        "pull_request": None,
    }
    assert len(repo.commits) == 2  # the Hub itself makes the first
    assert repo.sdk == ("gradio" if kind == "space" else None)


def test_what_is_replaced(hub, upload):
    upload("me/old", files={"data/a-1.bin": "1", "data/b.txt": "2", "data/a-2.bin": "3", "README.md": "4"})
    upload("me/old", files={"data/a-1.bin": "new", "c": "5"}, replaced=["data/a-*", "none-*"])
    assert uploaded(hub, "me/old") == {"data/a-1.bin": "new", "data/b.txt": "2", "README.md": "4", "c": "5"}
    assert len(hub.repos["model", "me/old"].commits) == 3


def test_who_may_see_it(hub, upload):
    for name, private in (("open", False), ("closed", True), ("any", None)):
        upload(f"me/{name}", private=private)
        upload(f"me/{name}", private=private)
        assert hub.repos["model", f"me/{name}"].private == (private is True)
    with pytest.raises(ClientError, match=r"^InputError: me/open exists and is public; "):
        upload("me/open", private=True, files={"secret": ""})
    with pytest.raises(ClientError, match=r"^InputError: me/closed exists and is private; "):
        upload("me/closed", private=False)
    assert uploaded(hub, "me/open") == FILES


def test_somebody_elses_repository(hub, upload):
    for repo in ("other/new", "other/theirs"):
        with pytest.raises(ClientError, match=r"^InputError: .* the token does not allow it; "):
            upload(repo)
        hub.add("model", "other/theirs", {"README.md": b"theirs"})
    assert uploaded(hub, "other/theirs") == {"README.md": "theirs"}


FAILURES = [
    ("whoami", 401, "the token is missing or not valid"),
    ("whoami", "drop", "hung up"),
    ("create", 401, "the token is missing or not valid"),
    ("create", 403, "the token does not allow it"),
    ("create", 500, "trouble of its own"),
    ("create", "drop", "hung up"),
    ("validate", 429, "too many requests"),
    ("preupload", 401, "the token is missing or not valid"),
    ("preupload", 404, "refused with status 404"),
    ("preupload", 500, "trouble of its own"),
    ("batch", 403, "the token does not allow it"),
    ("batch", "drop", "hung up"),
    ("upload", 403, "the token does not allow it"),
    ("upload", 500, "trouble of its own"),
    ("upload", "drop", "hung up"),
    ("commit", 401, "the token is missing or not valid"),
    ("commit", 403, "the token does not allow it"),
    ("commit", 429, "too many requests"),
    ("commit", 500, "trouble of its own"),
    ("commit", "drop", "hung up"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("request_kind", "how", "said"), FAILURES)
def test_a_failed_upload_shows_nothing_and_can_be_repeated(hub, upload, request_kind, how, said):
    name = f"me/failed-{request_kind}-{how}"
    hub.fail(request_kind, how, times=99)  # the client asks up to six times
    with pytest.raises(ClientError, match=rf"^InputError: pushing to {name} [^\n]*{said}[^\n]*; [^\n]*$"):
        upload(name)
    assert ("model", name) not in hub.repos or uploaded(hub, name) == {}
    hub.failures.clear()
    upload(name)
    assert uploaded(hub, name) == FILES


def test_the_client_gets_over_a_short_failure(hub, upload):
    hub.fail("upload", "drop")
    upload("me/short")
    assert uploaded(hub, "me/short") == FILES


def test_a_commit_whose_answer_is_lost(hub, upload):
    hub.fail("commit", "lose")
    with pytest.raises(ClientError, match=r"^InputError: .*hung up"):
        upload("me/lost")
    repo = hub.repos["model", "me/lost"]
    assert upload("me/lost")["commit"] == repo.refs["main"]
    assert len(repo.commits) == 2


def test_offline(client, hub):
    code = """
import huggingface_hub
huggingface_hub.constants.HF_HUB_OFFLINE = True
try:
    {}
finally:
    huggingface_hub.constants.HF_HUB_OFFLINE = False
""".format(UPLOAD.strip().replace("\n", "\n    "))
    with pytest.raises(ClientError, match=r"^InputError: .*HF_HUB_OFFLINE keeps the Hub out of reach"):
        client(code, repo="me/offline", kind="model", files=FILES, options={})
    assert hub.requests == []
