import pytest
import timm
import torch
from PIL import Image
from transformers import pipeline

from hf_deepfake.detect.detector import Detector
from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model, data_config
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.models.ensemble import average_weights, make_ensemble
from hf_deepfake.models.fold import final_layer

SIDES = (64, 48)


@pytest.fixture(scope="module")
def models():
    """Two untrained models of different kind, size and normalisation, whose scores are spread out."""
    made = []
    for seed, (name, side) in enumerate(zip(("test_resnet", "test_vit"), SIDES, strict=True)):
        torch.manual_seed(seed)
        model = build_model(name, image_size=side, pretrained="off").eval()
        final_layer(model)[0].data *= 20
        made.append(model)
    return made


def unit_images(side, seed=0):
    return torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(seed))


def normalised(model, side, unit):
    config = data_config(model, side)
    mean, std = (torch.tensor(config[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    return (unit - mean) / std


def odds(logits):
    return logits[:, 1] - logits[:, 0]


@torch.no_grad()
def test_log_odds_are_the_weighted_mean_of_the_members(models):
    ensemble, unit = make_ensemble(models, SIDES, [0.75, 0.25], flip=False), unit_images(64)
    smaller = torch.nn.functional.interpolate(unit, (48, 48), mode="bicubic", antialias=True).clamp(0, 1)
    first, second = (
        odds(models[0](normalised(models[0], 64, unit))),
        odds(models[1](normalised(models[1], 48, smaller))),
    )
    found = odds(ensemble(2 * unit - 1))
    torch.testing.assert_close(found, 0.75 * first + 0.25 * second, rtol=1e-4, atol=1e-5)
    assert (first - second).abs().min() > 1e-3


@torch.no_grad()
def test_flip_makes_an_image_and_its_mirror_equal(models):
    unit = unit_images(64)
    plain, flip = (make_ensemble(models[:1], SIDES[:1], [1.0], flip=one) for one in (False, True))
    pixels = 2 * unit - 1
    torch.testing.assert_close(flip(pixels), flip(pixels.flip(3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(odds(flip(pixels)), (odds(plain(pixels)) + odds(plain(pixels.flip(3)))) / 2)
    assert (odds(plain(pixels)) - odds(plain(pixels.flip(3)))).abs().min() > 1e-4


def test_all_readers_give_one_score(models, tmp_path):
    folder = export_checkpoint(
        make_ensemble(models, SIDES, [0.5, 0.5], flip=True),
        tmp_path / "both",
        image_size=64,
        temperature=1.7,
        operating_point=0.3,
    )
    image = Image.effect_noise((90, 70), 60).convert("RGB")
    loaded = load_checkpoint(folder)
    detector = Detector(loaded, "cpu", "off")
    expected = detector(image).fake_probability
    by_pipeline = pipeline("image-classification", model=str(folder), device="cpu")(image)
    assert {one["label"]: one["score"] for one in by_pipeline}["fake"] == pytest.approx(expected, abs=1e-5)
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    with torch.no_grad():
        logits = model(loaded.transform(image)[None])
    assert logits.softmax(dim=1)[0, 1].item() == pytest.approx(expected, abs=1e-5)


def test_an_ensemble_of_ensembles_loads(models, tmp_path):
    inner = make_ensemble(models, SIDES, [0.5, 0.5], flip=False)
    folder = export_checkpoint(
        make_ensemble([inner, models[0]], [64, 64], [0.5, 0.5], flip=False), tmp_path / "all", image_size=64
    )
    assert len(load_checkpoint(folder).model.members) == 2


@torch.no_grad()
def test_averaged_weights_by_hand(models):
    torch.manual_seed(5)
    other = build_model("test_resnet", image_size=64, pretrained="off").eval()
    mean = average_weights([models[0], other], [0.25, 0.75])
    for name, tensor in mean.state_dict().items():
        if tensor.is_floating_point():
            expected = 0.25 * models[0].state_dict()[name] + 0.75 * other.state_dict()[name]
            torch.testing.assert_close(tensor, expected)


def test_weights_of_different_models_have_no_average(models):
    with pytest.raises(InputError, match="one kind of model only"):
        average_weights(models, [0.5, 0.5])
