import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hf_deepfake.data.hub_errors import hub_errors
from hf_deepfake.errors import ImageError, InputError


class Answer:
    """As much of a response as an error needs."""

    def __init__(self, status):
        self.status_code, self.headers, self.request = status, {}, None


def said(error, cause=None):
    with pytest.raises(InputError) as caught, hub_errors("me/x cannot be had"):
        raise error from cause
    assert type(caught.value) is InputError
    text = str(caught.value)
    assert text.startswith("me/x cannot be had: ")
    assert ("; " in text, "\n" in text) == (True, False)
    return text


@pytest.mark.parametrize(
    ("kind", "status", "part"),
    [
        (RepositoryNotFoundError, 401, "no such repository, or it is private"),
        (RepositoryNotFoundError, 404, "no such repository, or it is private"),
        (GatedRepoError, 403, "it is gated"),
        (RevisionNotFoundError, 404, "no such branch, tag or commit"),
        (HfHubHTTPError, 401, "the token is missing or not valid"),
        (HfHubHTTPError, 403, "does not allow it"),
        (HfHubHTTPError, 429, "too many requests"),
        (HfHubHTTPError, 503, "status 503"),
        (HfHubHTTPError, 400, "status 400 (first line second)"),
    ],
)
def test_what_the_hub_refuses(kind, status, part):
    assert part in said(kind("first line\nsecond", response=Answer(status)))


def test_the_cause_says_more_than_what_wraps_it():
    wrapped = LocalEntryNotFoundError("not in the cache")
    assert "too many requests" in said(wrapped, HfHubHTTPError("", response=Answer(429)))
    assert "HF_HUB_OFFLINE" in said(wrapped, OfflineModeIsEnabled("off"))
    assert "trouble of its own" in said(RuntimeError("while uploading"), HfHubHTTPError("", response=Answer(500)))


def test_the_network_and_this_machine():
    assert "the Hub cannot be reached or hung up (no route); check the network" in said(HTTPError("no route"))
    assert "(PermissionError: [Errno 13] denied)" in said(PermissionError(13, "denied"))
    assert len(said(ValueError("x" * 5000))) < 400


def test_other_errors_pass():
    with pytest.raises(ImageError, match=r"^broken$"), hub_errors("x"):
        raise ImageError("broken")
    with pytest.raises(KeyError), hub_errors("x"):
        raise KeyError("a mistake of ours")
    with hub_errors("x"):
        pass
