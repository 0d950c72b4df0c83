import pytest
import torch

from hf_deepfake.detect.answers import answer_regions, explain_regions
from hf_deepfake.detect.backends import TorchBackend
from hf_deepfake.explain.cam import explain
from hf_deepfake.models.build import build_model
from hf_deepfake.runtimes.variants import Variant


class Exported:
    """A backend with planes of both labels, as exported files have them."""

    variant = Variant("openvino", "fp32")

    def __init__(self, logits):
        self.logits = torch.tensor(logits)

    def __call__(self, pixels):
        return self.logits[: len(pixels)], torch.tensor([[[[-1.0, 2.0]], [[3.0, -4.0]]]]).repeat(len(pixels), 1, 1, 1)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("test_resnet", image_size=64, pretrained="off").eval()


@pytest.fixture(scope="module")
def batch():
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_planes_of_each_region_s_own_label(model, batch):
    logits, values = answer_regions(batch[:2], Exported([[1.0, 0.0], [0.0, 1.0]]), lambda: model, explained=True)
    assert logits.tolist() == [[1, 0], [0, 1]]
    assert values.tolist() == [[[0, 2]], [[3, 0]]]  # what speaks against it is left out


def test_the_model_itself_is_asked_where_there_are_no_planes(model, batch):
    expected = explain(model, batch)
    for precision in ("fp32", "bf16"):
        logits, values = answer_regions(batch, TorchBackend(model, precision), lambda: model, explained=True)
        torch.testing.assert_close(logits, expected.logits, atol=0.1, rtol=0.1)
        torch.testing.assert_close(values, expected.values, atol=1e-4, rtol=1e-4)
    logits, values = answer_regions(batch, TorchBackend(model), lambda: model, explained=False)
    torch.testing.assert_close(logits, expected.logits)
    assert values is None


def test_all_regions_of_an_image_are_explained_for_its_label(model, batch):
    backend = Exported([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    logits, values = explain_regions([batch[:2], batch[2:]], backend, lambda: model, "gradcam", False)
    assert len(logits) == 3
    assert values.tolist() == [[[3, 0]]] * 3  # one face is fake, so the image is
    plain = TorchBackend(model)
    logits, values = explain_regions([batch], plain, lambda: model, "gradcam", False)
    label = int((logits[:, 1] > logits[:, 0]).any())
    torch.testing.assert_close(values, explain(model, batch, targets=torch.full((3,), label)).values)
