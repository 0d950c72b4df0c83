import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.models import fetch
from hf_deepfake.models.fetch import fetch_repo, is_repo


@pytest.mark.parametrize("name", ["owner/name", "me/my-model_v1.5", "_a/b", "0/1"])
def test_names_of_repositories(name):
    assert is_repo(name)


@pytest.mark.parametrize(
    "name", ["name", "a/b/c", "/a/b", "./b", "../b", "a/", "a b/c", "hf-hub:a/b", "a/b\n", "runs/.hidden/x", ""]
)
def test_paths_and_other_texts_are_none(name):
    assert not is_repo(name)


def test_only_the_files_that_are_named_are_asked_for(monkeypatch, tmp_path):
    asked = {}

    def snapshot(repo_id, **options):
        asked.update(options, repo_id=repo_id)
        return str(tmp_path)

    monkeypatch.setattr(fetch, "snapshot_download", snapshot)
    found = fetch_repo("me/x", ("a", "b"), revision="new", token=False, cache_dir="cache")
    assert found == tmp_path
    assert asked == {
        "repo_id": "me/x", "allow_patterns": ["a", "b"], "revision": "new", "token": False, "cache_dir": "cache",
    }  # fmt: skip


def test_offline_the_error_says_what_could_not_be_fetched(tmp_path):
    with pytest.raises(InputError, match=r"^nobody/nothing is no folder here and cannot be fetched from the Hugging"):
        fetch_repo("nobody/nothing", ["config.json"], cache_dir=tmp_path)
