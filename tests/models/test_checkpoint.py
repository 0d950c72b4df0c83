import json
import resource
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image

from hf_deepfake.errors import InputError
from hf_deepfake.images.crop import Margin
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.models.digest import weights_digest
from hf_deepfake.models.fold import unfold


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    return build_model("test_vit", image_size=48, pretrained="off")


@pytest.fixture
def folder(model, tmp_path) -> Path:
    return export_checkpoint(model, tmp_path / "run" / "checkpoint", image_size=48)


def test_config_states_the_contract(model, tmp_path):
    folder = export_checkpoint(
        model,
        tmp_path / "checkpoint",
        image_size=48,
        temperature=1.5,
        operating_point=0.4,
        abstention_band=(0.3, 0.6),
        criterion="f1",
        confident_error=0.1,
        face_margin=Margin(width=0.8, height=0.9, x=0.5, y=0.4),
        data_fingerprint="abc",
    )
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    config = json.loads((folder / "config.json").read_text())
    preprocessing = config["pretrained_cfg"]
    assert config["architecture"] == "test_vit"
    assert config["num_classes"] == 2
    assert config["label_names"] == ["real", "fake"]
    assert config["model_args"] == {"img_size": 48}
    assert preprocessing["input_size"] == preprocessing["test_input_size"] == [3, 48, 48]
    assert preprocessing["crop_pct"] == preprocessing["test_crop_pct"] == 1.0
    assert preprocessing["crop_mode"] == "squash"
    ours = config["hf_deepfake"]
    assert ours.pop("version")
    assert ours == {
        "temperature": 1.5,
        "operating_point": 0.4,
        "abstention_band": [0.3, 0.6],
        "criterion": "f1",
        "confident_error": 0.1,
        "face_margin": {"width": 0.8, "height": 0.9, "x": 0.5, "y": 0.4},
        "data_fingerprint": "abc",
        "weights_digest": weights_digest((folder / "model.safetensors").read_bytes()),
    }
    loaded = load_checkpoint(folder)
    assert loaded.trusted
    assert loaded.data_fingerprint == "abc"
    assert loaded.abstention_band == (0.3, 0.6)
    assert loaded.face_margin == Margin(width=0.8, height=0.9, x=0.5, y=0.4)


def test_unfolded_checkpoint_is_the_model_that_was_exported(model, tmp_path):
    folder = export_checkpoint(model, tmp_path / "c", image_size=48, temperature=2.5, operating_point=0.2)
    loaded = load_checkpoint(folder)
    assert (loaded.temperature, loaded.operating_point) == (2.5, 0.2)
    assert not loaded.model.training
    unfold(loaded.model, loaded.temperature, loaded.operating_point)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.model.state_dict()[name], value, rtol=1e-6, atol=1e-6)


def test_half_the_bytes_are_read_in_full_precision(model, folder, tmp_path):
    half = export_checkpoint(model, tmp_path / "half", image_size=48, save_fp16=True)
    sizes = [(one / "model.safetensors").stat().st_size for one in (folder, half)]
    assert sizes[1] < 0.52 * sizes[0]
    for name, value in load_checkpoint(half).model.state_dict().items():
        assert value.dtype == model.state_dict()[name].dtype
        torch.testing.assert_close(value, model.state_dict()[name].half().to(value.dtype), rtol=0, atol=0)


def test_weights_beyond_float16_are_refused(model, folder):
    before = (folder / "model.safetensors").read_bytes()
    with torch.no_grad():
        model.head.bias[0] = 70_000  # float16 ends at 65,504
    with pytest.raises(InputError, match=r"larger than float16 holds; export .* in float32"):
        export_checkpoint(model, folder, image_size=48, save_fp16=True)
    assert (folder / "model.safetensors").read_bytes() == before


def test_transform_shows_the_whole_image(folder):
    image = Image.new("RGB", (100, 50), "black")
    image.paste("white", (0, 0, 50, 50))
    pixels = load_checkpoint(folder).transform(image)
    assert pixels.shape == (3, 48, 48)
    # mean and std of test_vit are .5: white is 1, black is -1, and the halves lie side by side to the very border
    torch.testing.assert_close(pixels[:, :, 0], torch.ones(3, 48))
    torch.testing.assert_close(pixels[:, :, -1], -torch.ones(3, 48))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", [".", "", "../here"])
def test_an_empty_working_directory_is_filled(model, tmp_path, monkeypatch, name):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    export_checkpoint(model, name, image_size=48)
    assert sorted(files(tmp_path)) == ["here/config.json", "here/model.safetensors"]
    assert load_checkpoint(Path.cwd()).temperature == 1  # it is still this directory


@pytest.mark.parametrize("name", [".", "..", "../here", "/", "file"])
def test_what_is_no_checkpoint_is_not_replaced(model, tmp_path, monkeypatch, name):
    here = tmp_path / "here"
    here.mkdir()
    (here / "file").write_text("of somebody")
    monkeypatch.chdir(here)
    with pytest.raises(InputError, match=f"^{name} is there and no checkpoint, so that it is not replaced"):
        export_checkpoint(model, name, image_size=48)
    assert files(tmp_path) == {"here/file": b"of somebody"}


def test_a_checkpoint_that_holds_the_working_directory_is_not_replaced(model, folder, monkeypatch):
    (folder / "backends").mkdir()
    before = files(folder)
    for inside, name in ((folder, "."), (folder / "backends", "..")):
        monkeypatch.chdir(inside)
        with pytest.raises(InputError, match="holds the working directory"):
            export_checkpoint(model, name, image_size=48)
    assert files(folder) == before


def test_a_link_stays_a_link(model, folder, tmp_path):
    (folder / "report.json").write_text("of the checkpoint before")
    link = tmp_path / "latest"
    link.symlink_to(folder)
    assert export_checkpoint(model, link, image_size=48) == link
    assert link.is_symlink()
    assert sorted(files(folder)) == ["config.json", "model.safetensors"]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["checkpoint"]


def test_export_replaces_the_whole_folder(model, folder):
    (folder / "report.json").write_text("of the checkpoint before")
    with torch.no_grad():
        model.head.bias.add_(1)
    export_checkpoint(model, folder, image_size=48)
    assert sorted(path.name for path in folder.parent.rglob("*")) == ["checkpoint", "config.json", "model.safetensors"]
    assert torch.equal(load_checkpoint(folder).model.state_dict()["head.bias"], model.head.bias)


def test_a_full_disk_leaves_the_checkpoint_before(model, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # the weights are 1.2 MB
    try:
        with pytest.raises(InputError, match=r"cannot be written .* is untouched"):
            export_checkpoint(model, folder, image_size=48)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["checkpoint"]


def test_a_failing_rename_brings_the_checkpoint_back(model, folder, monkeypatch):
    before = (folder / "model.safetensors").read_bytes()
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(InputError, match="No space left on device"):
        export_checkpoint(model, folder, image_size=48)
    assert (folder / "model.safetensors").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["checkpoint"]


def test_places_that_are_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match=r"has no config\.json; give the folder that training exported"):
        load_checkpoint(tmp_path)
    with pytest.raises(InputError, match="no checkpoint folder"):
        load_checkpoint(tmp_path / "missing")
    with pytest.raises(InputError, match="cannot be fetched from the Hugging Face Hub"):
        load_checkpoint("nobody/nothing", revision="main")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b"\xff\xfe"),
        ("config.json", b"[1]"),
        ("config.json", b'{"label_names": ["real", "fake"]}'),
        ("config.json", b'{"label_names": ["real", "fake"], "architecture": "nonet", "pretrained_cfg": {}}'),
        ("model.safetensors", b""),
        ("model.safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00notjson!"),
    ],
)
def test_damaged_files(folder, file, content):
    (folder / file).write_bytes(content)
    with pytest.raises(InputError, match="again"):
        load_checkpoint(folder)


def test_cut_or_foreign_weights(folder, tmp_path):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="is damaged"):
        load_checkpoint(folder)
    other = build_model("test_resnet", image_size=48, pretrained="off")
    file.write_bytes((export_checkpoint(other, tmp_path / "o", image_size=48) / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match="is damaged"):
        load_checkpoint(folder)


def test_the_model_is_built_when_it_is_needed(folder, monkeypatch):
    loaded = load_checkpoint(folder)
    with monkeypatch.context() as patch:
        patch.setattr(timm, "create_model", None)
        load_checkpoint(folder)
    assert not loaded.model.training
    assert loaded.model is loaded.model


def test_weights_that_change_after_loading_are_refused(folder):
    loaded = load_checkpoint(folder)
    other = build_model("test_vit", image_size=48, pretrained="off")
    export_checkpoint(other, folder, image_size=48)
    with pytest.raises(InputError, match="have changed since they were loaded"):
        loaded.model  # noqa: B018 - made when it is asked for
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="is damaged"):
        loaded.model  # noqa: B018
