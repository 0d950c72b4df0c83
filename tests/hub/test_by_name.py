"""Detectors and starts of training by the Hub's names: token, revision, cache, and what is refused."""

import json

import pytest
import timm
from hub_client import Client, ClientError
from safetensors.torch import save

from hf_deepfake.detect.detector import Detector

LOAD = """
from hf_deepfake import Detector
detector = Detector.from_pretrained(repo, device="cpu", **options)
result = detector(image).fake_probability
"""


@pytest.fixture(scope="module")
def ours(server, tmp_path_factory):
    with Client(server.endpoint, tmp_path_factory.mktemp("by_name")) as process:
        yield process


@pytest.fixture(scope="module")
def image(faces):
    return str(faces / "fake" / "0003.jpg")


def files(checkpoint):
    return {name: (checkpoint / name).read_bytes() for name in ("config.json", "model.safetensors")}


@pytest.mark.slow
def test_token_and_cache_are_the_callers(hub, ours, checkpoint, image, tmp_path):
    hub.add("model", "me/secret", files(checkpoint), private=True)
    expected = Detector.from_pretrained(checkpoint, device="cpu")(image).fake_probability
    options = {"token": "hf_me", "cache_dir": str(tmp_path / "cache")}
    assert ours(LOAD, token=None, repo="me/secret", image=image, options=options) == pytest.approx(expected, abs=1e-6)
    assert list((tmp_path / "cache").rglob("model.safetensors"))
    for token in (None, False):
        with pytest.raises(ClientError, match=r"^InputError: me/secret .* there is no such repository, or it is priv"):
            ours(LOAD, token="hf_me" if token is False else None, repo="me/secret", image=image,
                 options={"token": token, "cache_dir": str(tmp_path / "other")})  # fmt: skip
    with pytest.raises(ClientError, match=r"^InputError: me/secret .* no such branch, tag or commit"):
        ours(LOAD, repo="me/secret", image=image, options={"revision": "nonsense"})


@pytest.mark.slow
def test_a_detector_pushes_itself(hub, ours, checkpoint, image, tmp_path):
    code = LOAD + 'result = detector.push_to_hub("me/itself", license="mit", private=True, token="hf_me").url'
    url = ours(code, token=None, repo=str(checkpoint), image=image, options={})
    repo = hub.repos["model", "me/itself"]
    assert (url, repo.private) == (f"{hub.endpoint}/me/itself", True)
    assert set(repo.files()) - {".gitattributes"} == {
        "README.md", "config.json", "model.safetensors", "report.json", "roc.png",
    }  # fmt: skip
    code = LOAD + "detector.save_pretrained(folder)"
    ours(code, repo="me/itself", image=image, options={}, folder=str(tmp_path / "saved"))
    assert (tmp_path / "saved" / "model.safetensors").read_bytes() == (checkpoint / "model.safetensors").read_bytes()


BUILD = """
from hf_deepfake.models.build import build_model
model = build_model(name, image_size=64, pretrained=pretrained)
result = [model.pretrained_cfg["architecture"], model.conv1[0].weight.sum().item(), list(model.pretrained_cfg["mean"])]
"""


def test_training_starts_from_any_repository_in_timms_format(hub, ours):
    start = timm.create_model("test_resnet", num_classes=7)
    stated = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    config = json.dumps({"architecture": "test_resnet", "num_classes": 7, "pretrained_cfg": stated}).encode()
    hub.add("model", "other/start", {"config.json": config, "model.safetensors": save(start.state_dict())})
    name, total, mean = ours(BUILD, name="hf-hub:other/start", pretrained="hub")
    assert (name, mean) == ("test_resnet", stated["mean"])
    assert total == pytest.approx(start.conv1[0].weight.sum().item(), abs=1e-5)
    sha = hub.repos["model", "other/start"].refs["main"]
    assert ours(BUILD, name=f"hf-hub:other/start@{sha}", pretrained="hub")[1] == pytest.approx(total, abs=1e-6)
    assert ours(BUILD, name="hf-hub:other/start", pretrained="off")[0] == "test_resnet"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hf-hub:nonsense", "names no repository; write hf-hub:OWNER/NAME"),
        ("hf-hub:other/nothing", "no such repository, or it is private"),
        ("hf-hub:other/plain", r"is not in timm's format"),
        ("hf-hub:other/bert", r"is not in timm's format"),
        ("hf-hub:other/odd", "unknown model 'test_nonsense'"),
        ("hf-hub:other/start@v9", "no such branch, tag or commit"),
    ],
)
def test_what_training_cannot_start_from(hub, ours, name, said):
    hub.add("model", "other/plain", {"README.md": b""})
    hub.add("model", "other/bert", {"config.json": b'{"architectures": ["BertModel"]}'})
    hub.add("model", "other/odd", {"config.json": b'{"architecture": "test_nonsense"}', "model.safetensors": b""})
    hub.add("model", "other/start", {"config.json": b'{"architecture": "test_resnet"}'})
    with pytest.raises(ClientError, match=rf"^InputError: [^\n]*{said}[^\n]*$"):
        ours(BUILD, name=name, pretrained="hub")


@pytest.mark.slow
def test_a_card_names_the_repository_that_training_started_from(ours):
    from hf_deepfake.hub.card import _base_model

    assert _base_model({"model": "hf-hub:other/start@v2", "pretrained": "hub"}) == "other/start"
    assert _base_model({"model": "hf-hub:other/start", "pretrained": "off"}) is None
