import pytest
import torch

from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint
from hf_deepfake.models.fold import final_layer


@pytest.fixture(scope="session")
def model():
    """An untrained model whose scores are spread out."""
    torch.manual_seed(0)
    model = build_model("test_resnet", image_size=64, pretrained="off").eval()
    weight, _ = final_layer(model)
    weight.data *= 20
    return model


@pytest.fixture(scope="session")
def checkpoint(model, tmp_path_factory):
    """This model with T = 2, t = .4 and a band."""
    folder = tmp_path_factory.mktemp("checkpoint") / "model"
    return export_checkpoint(
        model,
        folder,
        image_size=64,
        temperature=2.0,
        operating_point=0.4,
        abstention_band=(0.3, 0.5),
        criterion="f1",
        confident_error=0.1,
    )
