import pytest
from hub_client import ClientError
from huggingface_hub import ModelCard

from hf_deepfake.errors import InputError
from hf_deepfake.hub.push import push_to_hub

PUSH = """
from dataclasses import asdict
from hf_deepfake.hub.push import push_to_hub
result = asdict(push_to_hub(checkpoint, repo, license="apache-2.0", **options))
"""
FILES = {"README.md", "config.json", "model.safetensors", "report.json", "roc.png"}


@pytest.fixture
def push(client, checkpoint):
    """Pushes the checkpoint, or what is given, by the real client."""
    before = contents(checkpoint)

    def call(repo, token="hf_me", checkpoint=checkpoint, **options):
        return client(PUSH, token=token, checkpoint=str(checkpoint), repo=repo, options=options)

    yield call
    assert contents(checkpoint) == before


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_one_commit_holds_the_contract_and_no_more(hub, push, checkpoint):
    result = push("me/first")
    repo = hub.repos["model", "me/first"]
    pushed = repo.files()
    assert (set(result["files"]), set(pushed) - {".gitattributes"}) == (FILES, FILES)
    assert result["files"] == {path: len(pushed[path]) for path in FILES}
    assert (result["url"], result["commit"]) == (f"{hub.endpoint}/me/first", repo.refs["main"])
    assert (len(repo.commits), hub.requests.count("commit"), repo.private) == (2, 1, False)  # the Hub makes the first
    local = contents(checkpoint)
    assert all(pushed[path] == local[path] for path in FILES - {"README.md"})
    card = ModelCard(pushed["README.md"].decode())
    assert card.data.license == "apache-2.0"
    assert 'pipeline("image-classification", model="me/first")' in card.text
    assert "(roc.png)" in card.text


def test_pushing_again_changes_nothing(hub, push):
    first = push("me/again")
    hub.requests.clear()
    assert push("me/again") == first
    assert not {"upload", "commit"} & set(hub.requests)


def test_private_branch_and_pull_request(hub, push):
    push("me/hidden", private=True)
    repo = hub.repos["model", "me/hidden"]
    assert repo.private
    assert push("me/hidden", private=True, revision="epoch-3")["commit"] == repo.refs["epoch-3"]
    hub.add("model", "other/open", {"README.md": b"theirs"})
    result = push("other/open", create_pr=True)
    theirs = hub.repos["model", "other/open"]
    assert result["pull_request"] == f"{hub.endpoint}/other/open/discussions/1"
    assert (set(theirs.files()), set(theirs.files("refs/pr/1"))) == ({"README.md"}, FILES)


def test_a_dry_run_asks_the_hub_nothing(checkpoint):
    result = push_to_hub(checkpoint, "me/first", license="mit", dry_run=True)
    assert (set(result.files), result.url, result.commit) == (FILES, None, None)
    assert result.files["model.safetensors"] == (checkpoint / "model.safetensors").stat().st_size
    lines = result.summary().splitlines()
    assert [line.split()[0] for line in lines[:-1]] == list(result.files)
    assert lines[-1] == "dry run: nothing was pushed"


def test_contradicting_options(checkpoint):
    with pytest.raises(InputError, match="leave out --revision or --create_pr"):
        push_to_hub(checkpoint, "me/x", license="mit", revision="b", create_pr=True, dry_run=True)


def test_what_is_no_checkpoint(checkpoint, tmp_path):
    with pytest.raises(InputError, match="no checkpoint folder"):
        push_to_hub(tmp_path / "nothing", "me/x", license="mit", dry_run=True)
    for path in checkpoint.iterdir():
        if path.name != "report.json":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"report\.json"):
        push_to_hub(tmp_path, "me/x", license="mit", dry_run=True)
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match="is damaged"):
        push_to_hub(tmp_path, "me/x", license="mit", dry_run=True)


def test_no_token_is_said_before_anything_is_read(hub, push, tmp_path):
    with pytest.raises(ClientError, match=r"^InputError: pushing to me/x needs a token; .*hf auth login"):
        push("me/x", token=None, checkpoint=tmp_path / "nothing")
    assert hub.requests == []
    with pytest.raises(ClientError, match=r"^InputError: .* the token is missing or not valid; "):
        push("me/x", token="hf_wrong", checkpoint=tmp_path / "nothing")
    assert hub.requests == ["whoami"]


def test_a_licence_that_the_hub_does_not_know(hub, client, checkpoint):
    code = PUSH.replace("apache-2.0", "free for all")
    with pytest.raises(ClientError, match=r'^InputError: .*refused.*"license" must be one of'):
        client(code, checkpoint=str(checkpoint), repo="me/free", options={})
    assert set(hub.repos["model", "me/free"].files()) == {".gitattributes"}


def test_a_failed_push_leaves_the_folder_whole_and_can_be_repeated(hub, push):
    hub.objects.clear()  # so that there is something to upload
    hub.fail("upload", "drop", times=99)
    with pytest.raises(ClientError, match=r"^InputError: pushing to me/failed failed and nothing is lost: .*hung up"):
        push("me/failed")
    assert set(hub.repos["model", "me/failed"].files()) == {".gitattributes"}
    hub.failures.clear()
    assert set(push("me/failed")["files"]) == FILES
