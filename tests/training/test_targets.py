import math

import numpy as np
import pytest
import torch
from timm.data import Mixup
from torch.nn import functional

from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model, data_config
from hf_deepfake.models.checkpoint import export_checkpoint
from hf_deepfake.models.fold import final_layer
from hf_deepfake.training.targets import Targets, soft_cross_entropy


def test_loss_by_hand():
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3)]])
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # -log(1/2) for the real, -log(3/4) for the fake
    assert soft_cross_entropy(logits, targets, torch.ones(2)).item() == pytest.approx(
        (math.log(2) + math.log(4 / 3)) / 2
    )
    weighted = soft_cross_entropy(logits, targets, torch.tensor([2.0, 1.0])).item()
    assert weighted == pytest.approx((2 * math.log(2) + math.log(4 / 3)) / 2)


def test_loss_with_smoothing_is_torchs():
    logits, labels = torch.randn(7, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1, 0, 1, 0, 0])
    targets = functional.one_hot(labels, 2) * 0.8 + 0.1
    expected = functional.cross_entropy(logits, labels, label_smoothing=0.2)
    assert soft_cross_entropy(logits, targets, torch.ones(2)).item() == pytest.approx(expected.item())


UNIT = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


def made(preprocessing, **options):
    config = TrainConfig(data=("sample",), output_dir="run", **options)
    return Targets(config, preprocessing, torch.device("cpu"))


def test_targets_are_the_labels():
    images = torch.rand(2, 3, 8, 8)
    same, targets, share = made(UNIT)(images, torch.tensor([0, 1]), 0)
    assert same is images
    assert share == 1
    assert targets.tolist() == [[1, 0], [0, 1]]


def test_smoothing_moves_half_its_share_to_the_other_class():
    _, targets, _ = made(UNIT, label_smoothing=0.2)(torch.rand(2, 3, 8, 8), torch.tensor([0, 1]), 0)
    torch.testing.assert_close(targets, torch.tensor([[0.9, 0.1], [0.1, 0.9]]))


def test_mixing_is_the_seed_s():
    mix, images, labels = made(UNIT, mixup=1.0), torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 0, 1])
    (one, first, _), (two, second, _), (_, third, _) = (mix(images.clone(), labels, seed) for seed in (3, 3, 4))
    assert torch.equal(one, two)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert not torch.equal(one, images)


@pytest.mark.parametrize("options", [{"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 0.3, "cutmix": 0.7}])
def test_mixed_targets_are_timms(options):
    images, labels = torch.rand(6, 3, 8, 8), torch.tensor([0, 1, 1, 1, 0, 0])
    for seed in range(4):
        mixed, targets, share = made(UNIT, label_smoothing=0.1, **options)(images.clone(), labels, seed)
        np.random.seed(seed)
        usual = Mixup(options.get("mixup", 0.0), options.get("cutmix", 0.0), num_classes=2, label_smoothing=0.1)
        theirs, expected = usual(images.clone(), labels)
        assert torch.equal(mixed, theirs)
        torch.testing.assert_close(targets, expected)
        # The second, a fake, is mixed with the fifth, a real.
        torch.testing.assert_close(targets[1, 1], share * 0.95 + (1 - share) * 0.05)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A model, and its checkpoint with T = 2 and t = .2."""
    torch.manual_seed(0)
    model = build_model("test_resnet", image_size=64, pretrained="off").eval()
    final_layer(model)[0].data *= 20
    folder = tmp_path_factory.mktemp("teacher") / "model"
    return model, export_checkpoint(model, folder, image_size=64, temperature=2.0, operating_point=0.2)


def test_the_teacher_s_share_is_its_calibrated_opinion_of_the_same_pixels(teacher):
    model, folder = teacher
    unit, labels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1])
    student = {"mean": (0.1, 0.2, 0.3), "std": (0.9, 0.8, 0.7)}
    given, taken = (
        (unit - torch.tensor(one["mean"]).view(3, 1, 1)) / torch.tensor(one["std"]).view(3, 1, 1)
        for one in (student, data_config(model, 64))
    )
    _, targets, _ = made(student, teacher=str(folder), distillation_weight=0.25)(given, labels, 0)
    with torch.no_grad():
        opinion = (model(taken) / 2).softmax(dim=1)
    expected = 0.75 * functional.one_hot(labels, 2) + 0.25 * opinion
    torch.testing.assert_close(targets, expected, rtol=1e-4, atol=1e-5)
    assert (opinion - 0.5).abs().max() > 0.02  # an probability, not a coin


def test_several_teachers_opinion_is_that_of_their_mean_log_odds(teacher, tmp_path):
    model, folder = teacher
    torch.manual_seed(5)
    other = build_model("test_resnet", image_size=64, pretrained="off").eval()
    final_layer(other)[0].data *= 20
    second = export_checkpoint(other, tmp_path / "other", image_size=64, temperature=3.0, operating_point=0.7)
    unit, labels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1])
    _, targets, _ = made(UNIT, teacher=(str(folder), str(second)), distillation_weight=1.0)(unit * 2 - 1, labels, 0)
    mean, std = (torch.tensor(data_config(model, 64)[name]).view(3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        logits = [one((unit - mean) / std) / t for one, t in ((model, 2.0), (other, 3.0))]
    odds = [each[:, 1] - each[:, 0] for each in logits]
    torch.testing.assert_close(targets[:, 1], ((odds[0] + odds[1]) / 2).sigmoid(), rtol=1e-4, atol=1e-5)
    assert (odds[0] - odds[1]).abs().min() > 0.02


@pytest.mark.parametrize(("precision", "dtype"), [("no", torch.float32), ("bf16", torch.bfloat16)])
def test_the_teacher_computes_in_the_run_s_precision(teacher, precision, dtype):
    config = TrainConfig(data=("sample",), output_dir="run", teacher=str(teacher[1]))
    targets = Targets(config, UNIT, torch.device("cpu"), precision)
    seen = []
    targets.teacher.members[0].get_classifier().register_forward_hook(lambda *given: seen.append(given[2].dtype))
    _, made_of, _ = targets(torch.rand(2, 3, 64, 64), torch.tensor([0, 1]), 0)
    assert seen == [dtype]
    assert made_of.dtype == torch.float32


def test_the_teacher_looks_at_its_own_size(teacher):
    _, targets, _ = made(UNIT, teacher=str(teacher[1]))(torch.rand(2, 3, 96, 96), torch.tensor([0, 1]), 0)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(2))


def test_a_teacher_that_is_none_is_refused():
    with pytest.raises(InputError, match="no checkpoint folder nowhere"):
        made(UNIT, teacher="nowhere")
