"""An adapter's folder: what it states, for which adapter and which base that holds, and what is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_deepfake.errors import InputError
from hf_deepfake.models.adapter_folder import (
    base_digest,
    has_decision,
    is_adapter,
    is_unchanged,
    load_adapted,
    read_adapter,
    state_decision,
)
from hf_deepfake.models.adapters import adapt, merged, save_adapter
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint

NAME = "test_vit"


def base(seed=0):
    torch.manual_seed(seed)
    return build_model(NAME, image_size=160, pretrained="off").eval()


@pytest.fixture
def made(tmp_path):
    """An adapter whose classifier is not its base's, its base's weights, and the checkpoint made of both: T 2, t .4."""
    plain = base()
    save_file({name: tensor.clone() for name, tensor in plain.state_dict().items()}, tmp_path / "base.safetensors")
    digest = base_digest(plain)
    adapted = adapt(plain, "layernorm", base=NAME)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    save_adapter(adapted, tmp_path / "adapter")
    folded = {"temperature": 2.0, "operating_point": 0.4}
    export_checkpoint(merged(adapted), tmp_path / "checkpoint", image_size=160, **folded)
    state_decision(tmp_path / "adapter", tmp_path / "checkpoint", digest, save_fp16=False)
    return tmp_path


def test_a_folder_with_whole_weights_is_no_adapter(made):
    assert is_adapter(made / "adapter")
    assert not is_adapter(made / "checkpoint")
    (made / "adapter" / "model.safetensors").touch()
    assert not is_adapter(made / "adapter")


def test_the_digest_of_a_base_leaves_its_classifier_out():
    one, other = base(), base()
    with torch.no_grad():
        other.head.weight.add_(1)
    assert base_digest(one) == base_digest(other)
    assert len(base_digest(one)) == 64
    with torch.no_grad():
        other.norm.weight.add_(1e-3)
    assert base_digest(one) != base_digest(other)


def test_what_a_folder_states(made):
    name, config = read_adapter(made / "adapter")
    assert (name, config["architecture"]) == (NAME, NAME)
    assert config["hf_deepfake"]["base_digest"] == base_digest(base())
    assert (config["hf_deepfake"]["temperature"], config["hf_deepfake"]["save_fp16"]) == (2.0, False)
    assert is_unchanged(made / "adapter", config)
    (made / "adapter" / "config.json").unlink()
    assert not has_decision(made / "adapter")
    assert read_adapter(made / "adapter") == (NAME, {})


def test_laid_over_its_base_it_is_the_checkpoint(made):
    model, size, _, trusted = load_adapted(made / "adapter", made / "base.safetensors")
    assert (size, trusted) == (160, True)
    expected = load_file(made / "checkpoint" / "model.safetensors")
    assert model.state_dict().keys() == expected.keys()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-6, rtol=1e-6)


def test_the_decision_is_not_that_of_another_base_or_adapter(made):
    other = base(seed=1).state_dict()
    save_file({name: tensor.clone() for name, tensor in other.items()}, made / "other.safetensors")
    assert not load_adapted(made / "adapter", made / "other.safetensors")[-1]
    file = made / "adapter" / "adapter_model.safetensors"
    save_file({name: tensor + 0.5 for name, tensor in load_file(file).items()}, file)
    assert not is_unchanged(made / "adapter", read_adapter(made / "adapter")[1])
    assert not load_adapted(made / "adapter", made / "base.safetensors")[-1]


def test_what_is_damaged_is_refused(made):
    stated = json.loads((made / "adapter" / "adapter_config.json").read_text())
    for text in ("{", "[]", json.dumps(stated | {"base_model_name_or_path": None}), "{}"):
        (made / "adapter" / "adapter_config.json").write_text(text)
        with pytest.raises(InputError, match=r"the adapter in .* cannot be read .*; give one that training with"):
            read_adapter(made / "adapter")
    (made / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no adapter_model\.safetensors; fetch or copy the whole adapter again"):
        read_adapter(made / "adapter")


def test_a_base_that_cannot_be_had_is_named(made):
    with pytest.raises(InputError, match=r"^the base of .*adapter, test_vit, cannot be loaded .*weights as base$"):
        load_adapted(made / "adapter", made / "nowhere.safetensors")
