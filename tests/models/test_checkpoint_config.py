import json
from pathlib import Path

import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.models.checkpoint_config import check_labels, read_config, timm_config


@pytest.fixture
def folder(tmp_path) -> Path:
    return export_checkpoint(
        build_model("test_vit", image_size=48, pretrained="off"), tmp_path / "model", image_size=48
    )


def edit(folder: Path, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.parametrize(("model", "expected"), [("test_vit", {"img_size": 48}), ("test_resnet", {})])
def test_only_a_model_of_fixed_size_needs_model_args(model, expected):
    config = timm_config(build_model(model, image_size=48, pretrained="off"), 48)
    assert config["model_args"] == expected
    assert config["pretrained_cfg"]["input_size"] == (3, 48, 48)


@pytest.mark.parametrize("labels", [["fake", "real"], ["Real", "Fake"], ["real", "fake", "unsure"], None])
def test_other_labels_are_refused(folder, labels):
    edit(folder, label_names=labels)
    with pytest.raises(InputError, match=r"has the labels .*, not \['real', 'fake'\] in this order"):
        load_checkpoint(folder)


def test_checkpoint_of_timm_with_our_labels_counts_as_unfolded(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["hf_deepfake"]
    (folder / "config.json").write_text(json.dumps(config))
    loaded = load_checkpoint(folder)
    assert (loaded.temperature, loaded.operating_point) == (1.0, 0.5)


def test_our_labels_in_our_order_pass():
    check_labels("model", {"label_names": ["real", "fake"]})
    with pytest.raises(InputError, match="model has the labels None"):
        check_labels("model", {})


def test_read_config_needs_both_files(folder):
    assert read_config(folder)["architecture"] == "test_vit"
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no model\.safetensors; give the folder that training exported"):
        read_config(folder)
