import numpy as np
import pytest
import torch
from torch import nn

from hf_deepfake.errors import InputError
from hf_deepfake.explain.cam import METHODS, explain
from hf_deepfake.models.build import build_model
from hf_deepfake.models.fold import final_layer, fold

FAMILIES = {
    "resnet18": (2, 4),
    "tf_efficientnet_lite0": (2, 4),
    "convnext_atto": (2, 4),
    "densenet121": (2, 4),
    "legacy_xception": (2, 4),
    "swin_tiny_patch4_window7_224": (2, 4),
    "vit_tiny_patch16_224": (4, None),
    "vit_small_patch16_dinov3": (4, None),
}


class Toy(nn.Module):
    """Features are the image's first two channels; the classifier follows mean pooling."""

    num_features = 2

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.fc.weight.data = torch.tensor([[1.0, -1.0], [2.0, 0.5]])
        self.fc.bias.data = torch.tensor([0.0, -3.0])

    def forward_features(self, x):
        return x[:, :2]

    def forward_head(self, x):
        return self.fc(x.mean(dim=(2, 3)))

    def forward(self, x):
        return self.forward_head(self.forward_features(x))


def build(name, size=64):
    torch.manual_seed(0)
    model = build_model(name, image_size=size, pretrained="off")
    torch.manual_seed(1)
    for parameter in final_layer(model):
        nn.init.normal_(parameter)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # timm's residual branches start at 0, so that no gradient reaches them
    return model


def draw_pixels(count=2, size=64):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(2))


def rescaled(values):
    """As pytorch-grad-cam leaves its maps: from 0 to 1 in each image."""
    values = values - values.amin(dim=(1, 2), keepdim=True)
    return (values / (1e-7 + values.amax(dim=(1, 2), keepdim=True))).numpy()


def second_opinion(kind, model, layer, pixels, targets, reshape=None):
    library = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with getattr(library, kind)(model, [layer], reshape_transform=reshape) as cam:
        cam.get_target_width_height = lambda _: None  # the map as it is, not enlarged
        maps = cam(pixels.clone(), [ClassifierOutputTarget(int(target)) for target in targets])
    assert (maps.max(axis=(1, 2)) > 0.99).all()  # no map is empty
    return maps


def test_grad_cam_by_hand():
    # Mean features are (1, 1): the logits are 1 - 1 = 0 and 2 + .5 - 3 = -.5, so that "real" is predicted.
    pixels = torch.tensor([[[4.0, 0.0], [0.0, 0.0]], [[0.0, 4.0], [0.0, 0.0]], [[9.0, 9.0], [9.0, 9.0]]])[None]
    predicted = explain(Toy(), pixels)
    assert predicted.logits.tolist() == [[0.0, -0.5]]
    assert predicted.targets.tolist() == [0]
    assert predicted.values.tolist() == [[[4.0, 0.0], [0.0, 0.0]]]
    asked = explain(Toy(), pixels, targets=torch.tensor([1]))
    assert asked.values.tolist() == [[[8.0, 2.0], [0.0, 0.0]]]


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0", "densenet121"])
def test_grad_cam_is_the_classifiers_row_times_the_features(name):
    # In float64: in float32 a sum over a thousand large features, most of which cancel, rounds by more than 1e-5.
    model, pixels = build(name).double(), draw_pixels().double()
    targets = torch.tensor([1, 0])
    with torch.no_grad():
        expected = torch.einsum("nc,nchw->nhw", final_layer(model)[0][targets], model.forward_features(pixels))
    maps = explain(model, pixels, targets=targets)
    torch.testing.assert_close(maps.values.double(), expected.relu(), rtol=1e-5, atol=1e-5)
    assert maps.values.max() > 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "grids"), FAMILIES.items())
def test_every_family_has_a_map_beside_unchanged_logits(name, grids):
    model, pixels = build(name), draw_pixels()
    with torch.no_grad():
        logits = model(pixels)
    coarse, finer = grids
    for fine, grid in ((False, coarse), (True, finer)):
        if grid is None:
            with pytest.raises(InputError, match="works on one scale"):
                explain(model, pixels, fine=fine)
            continue
        maps = explain(model, pixels, fine=fine)
        torch.testing.assert_close(maps.logits, logits, rtol=1e-6, atol=1e-6)
        assert maps.targets.tolist() == logits.argmax(dim=1).tolist()
        assert maps.values.shape == (2, grid, grid)
        assert maps.values.dtype == torch.float32
        assert not maps.values.requires_grad
        assert maps.values.min() >= 0
        assert (maps.values.amax(dim=(1, 2)) > 0).all()
        assert torch.equal(model(pixels).detach(), logits)  # nothing of ours is left on the model
    assert all(parameter.grad is None for parameter in model.parameters())


def test_grad_cam_agrees_with_pytorch_grad_cam():
    model, pixels, targets = build("resnet18", 96), draw_pixels(size=96), torch.tensor([0, 1])
    maps = explain(model, pixels, targets=targets)
    other = second_opinion("GradCAM", model, model.layer4, pixels, targets)
    np.testing.assert_allclose(rescaled(maps.values), other, atol=1e-3)


def test_the_finer_map_agrees_with_pytorch_grad_cams_layer_cam():
    model, pixels, targets = build("resnet18", 96), draw_pixels(size=96), torch.tensor([0, 1])
    nn.init.uniform_(final_layer(model)[0])  # both classes see something in both images
    maps = explain(model, pixels, targets=targets, fine=True)
    other = second_opinion("LayerCAM", model, model.layer3, pixels, targets)
    np.testing.assert_allclose(rescaled(maps.values), other, atol=1e-3)


def test_a_vit_agrees_with_pytorch_grad_cam_before_its_last_block():
    model, pixels, targets = build("vit_tiny_patch16_224", 96), draw_pixels(size=96), torch.tensor([0, 1])
    maps = explain(model, pixels, targets=targets)

    def to_grid(tokens):
        return tokens[:, 1:].reshape(len(tokens), 6, 6, -1).permute(0, 3, 1, 2)

    other = second_opinion("GradCAM", model, model.blocks[-2], pixels, targets, to_grid)
    np.testing.assert_allclose(rescaled(maps.values), other, atol=1e-3)


def test_a_swin_agrees_with_pytorch_grad_cam():
    model, pixels, targets = build("swin_tiny_patch4_window7_224", 96), draw_pixels(size=96), torch.tensor([0, 1])
    maps = explain(model, pixels, targets=targets)
    other = second_opinion("GradCAM", model, model.norm, pixels, targets, lambda x: x.permute(0, 3, 1, 2))
    np.testing.assert_allclose(rescaled(maps.values), other, atol=1e-3)


def test_the_finer_map_keeps_the_total():
    model, pixels = build("convnext_atto"), draw_pixels()
    coarse, finer = (explain(model, pixels, fine=fine).values.mean(dim=(1, 2)) for fine in (False, True))
    torch.testing.assert_close(finer, coarse)


def test_the_unit_is_the_logit_of_the_folded_model():
    model, pixels, targets = build("resnet18"), draw_pixels(), torch.tensor([1, 1])
    before = explain(model, pixels, targets=targets).values
    fold(model, 2.0, 0.3)
    torch.testing.assert_close(explain(model, pixels, targets=targets).values, before / 2)


def test_a_model_that_says_nothing_has_an_empty_map():
    model = build("resnet18")
    nn.init.zeros_(final_layer(model)[0])
    for fine in (False, True):
        assert explain(model, draw_pixels(), fine=fine).values.abs().max() == 0


@pytest.mark.parametrize(("name", "first"), [("resnet18", "layer1"), ("vit_tiny_patch16_224", "blocks.0")])
def test_the_backbone_runs_once_and_records_no_graph(name, first):
    model, runs = build(name), []
    model.get_submodule(first).register_forward_hook(lambda *run: runs.append(run[-1].requires_grad))
    with torch.no_grad():
        explain(model, draw_pixels())
        assert not torch.is_grad_enabled()
    assert runs == [False]


def test_frozen_and_channels_last_models_are_explained_alike():
    model, pixels = build("tf_efficientnet_lite0"), draw_pixels()
    expected = explain(model, pixels).values
    model = model.requires_grad_(False).to(memory_format=torch.channels_last)
    values = explain(model, pixels.to(memory_format=torch.channels_last)).values
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_methods_share_one_unit(method):
    # Where every place is like every other, each alone is what the logit is made of: 2 - .5 = 1.5 for "fake".
    pixels = torch.tensor([1.0, -1.0, 0.0])[None, :, None, None].expand(2, 3, 64, 64)
    maps = explain(Toy(), pixels, targets=torch.tensor([1, 1]), method=method)
    torch.testing.assert_close(maps.values, torch.full_like(maps.values, 1.5), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(maps.logits[:, 1], torch.full((2,), 1.5 - 3))


@pytest.mark.parametrize("name", ["mixer_s32_224", "xcit_nano_12_p16_224"])
def test_a_model_without_a_grid_is_refused(name):
    with pytest.raises(InputError, match=r"lie on no grid.*use the method occlusion"):
        explain(build(name, 224), draw_pixels(1, 224))


def test_wrong_methods_are_refused():
    with pytest.raises(InputError, match="no method 'magic'; use one of gradcam, "):
        explain(Toy(), draw_pixels(), method="magic")  # ty: ignore[invalid-argument-type]
    with pytest.raises(InputError, match="gradcam alone, not by occlusion"):
        explain(Toy(), draw_pixels(), method="occlusion", fine=True)
