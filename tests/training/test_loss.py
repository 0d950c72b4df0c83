import itertools
import math

import pytest
import torch
from torch.nn import functional

from hf_deepfake.config import TrainConfig
from hf_deepfake.models.adapters import adapt
from hf_deepfake.models.build import build_model
from hf_deepfake.models.fold import final_layer
from hf_deepfake.training.loss import Loss, alignment, embedding_loss, kept_embeddings, uniformity

EAST, NORTH, WEST = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]).unbind()
REAL, FAKE = 0, 1


def drawn(count=14, width=5, seed=0):
    """Embeddings of many lengths, and classes."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(count, width, generator=generator) * torch.rand(count, 1, generator=generator) * 9
    return embeddings, torch.randint(2, (count,), generator=generator)


def align_by_the_paper(embeddings, labels):
    """As the paper's own code has it: x and y are the two sides of all positive pairs."""
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    pairs = [(i, j) for i, j in itertools.combinations(range(len(labels)), 2) if labels[i] == labels[j]]
    x, y = (unit[list(side)] for side in zip(*pairs, strict=True))
    return (x - y).norm(p=2, dim=1).pow(2).mean()


def uniform_by_the_paper(embeddings, t=2):
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    return torch.pdist(unit, p=2).pow(2).mul(-t).exp().mean().log()


def test_alignment_by_hand():
    # Reals east and north, sqrt(2) apart; fakes north, west and west: 2, 2 and 0. Together 6 over 4 pairs. Lengths
    # mean nothing.
    embeddings = torch.stack([3 * EAST, NORTH, 0.1 * NORTH, WEST, 7 * WEST])
    labels = torch.tensor([REAL, REAL, FAKE, FAKE, FAKE])
    assert alignment(embeddings, labels).item() == pytest.approx(1.5)
    assert alignment(torch.stack([EAST, 2 * WEST]), torch.tensor([1, 1])).item() == pytest.approx(4)
    assert alignment(torch.stack([EAST, EAST, WEST]), torch.tensor([0, 0, 1])).item() == pytest.approx(0, abs=1e-6)


def test_uniformity_by_hand():
    # East, north, west: squared distances 2, 2 and 4.
    embeddings = torch.stack([EAST, 5 * NORTH, WEST])
    expected = math.log((2 * math.exp(-4) + math.exp(-8)) / 3)
    assert uniformity(embeddings).item() == pytest.approx(expected, abs=1e-5)
    expected = math.log((2 * math.exp(-2) + math.exp(-4)) / 3)
    assert uniformity(embeddings, t=1).item() == pytest.approx(expected, abs=1e-5)
    assert uniformity(torch.stack([EAST, 3 * EAST, 2 * EAST])).item() == pytest.approx(0, abs=1e-5)
    # The ends of the range: two opposites, and four corners of a tetrahedron, all equally far apart.
    assert uniformity(torch.stack([EAST, WEST])).item() == pytest.approx(-2 * 2 * 2 / 1)
    corners = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    assert uniformity(corners).item() == pytest.approx(-2 * 2 * 4 / 3)


@pytest.mark.parametrize("seed", range(4))
def test_values_and_gradients_are_the_papers(seed):
    embeddings, labels = drawn(seed=seed)
    for ours, theirs in (
        (lambda z: alignment(z, labels), lambda z: align_by_the_paper(z, labels)),
        (uniformity, uniform_by_the_paper),
    ):
        one, other = (embeddings.clone().requires_grad_() for _ in range(2))
        a, b = ours(one), theirs(other)
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
        a.backward()
        b.backward()
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_soft_targets_weigh_pairs_by_the_chance_of_one_class():
    embeddings, labels = drawn()
    one_hot = functional.one_hot(labels, 2)
    torch.testing.assert_close(alignment(embeddings, one_hot.double()), alignment(embeddings, labels))
    # .9 * .2 + .1 * .8 = .26 of a pair 2 apart, .9 * .5 + .1 * .5 = .5 of one 4 apart, .5 of one 2 apart.
    soft = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    expected = (0.26 * 2 + 0.5 * 4 + 0.5 * 2) / (0.26 + 0.5 + 0.5)
    assert alignment(torch.stack([EAST, NORTH, WEST]), soft).item() == pytest.approx(expected)


def test_weights_add_up():
    embeddings, labels = drawn()
    whole = embedding_loss(embeddings, labels, 0.1, 0.5)
    assert whole.item() == pytest.approx(
        0.1 * alignment(embeddings, labels).item() + 0.5 * uniformity(embeddings).item()
    )
    assert embedding_loss(embeddings, labels, alignment_weight=2).item() == 2 * alignment(embeddings, labels).item()
    assert embedding_loss(embeddings, labels, uniformity_weight=2).item() == 2 * uniformity(embeddings).item()
    assert embedding_loss(embeddings, labels).item() == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_autocast_changes_nothing(dtype):
    embeddings, labels = drawn(64, 256)
    embeddings = embeddings.to(dtype)
    expected = embedding_loss(embeddings.float(), labels, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        loss = embedding_loss(embeddings, labels, 1, 1)
    assert loss.dtype == torch.float32
    assert loss.item() == expected.item()


@pytest.mark.parametrize("labels", [[0], [0, 1]])
def test_without_a_pair_there_is_nothing_to_learn(labels):
    embeddings = torch.stack([EAST, NORTH])[: len(labels)].requires_grad_()
    assert alignment(embeddings, torch.tensor(labels)).item() == 0
    loss = embedding_loss(embeddings, torch.tensor(labels), 1, 1)
    loss.backward()
    assert embeddings.grad.isfinite().all()
    assert (loss.item() == 0) == (len(labels) == 1)


def test_alike_embeddings_leave_no_nan():
    embeddings = EAST.repeat(4, 1).requires_grad_()
    embedding_loss(embeddings, torch.tensor([0, 0, 1, 1]), 1, 1).backward()
    assert embeddings.grad.isfinite().all()


def test_a_real_and_its_fake_are_parted_before_strangers():
    """Of three at nearly one place and far apart, the gradient is that of the two that are close."""
    angles = torch.tensor([0.0, 0.3, 2.0])
    embeddings = torch.stack([angles.cos(), angles.sin()], dim=1).requires_grad_()
    uniformity(embeddings).backward()
    steps = embeddings.grad.norm(dim=1)
    assert steps[:2].min() > 5 * steps[2]


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "mobilenetv4_conv_small"])
def test_embeddings_are_what_the_classifier_takes(name):
    model = build_model(name, image_size=160, pretrained="off").eval()
    images = torch.randn(3, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with kept_embeddings(model) as kept:
        logits = model(images)
    (embeddings,) = kept
    weight, bias = final_layer(model)
    torch.testing.assert_close(embeddings @ weight.flatten(1).T + bias, logits)
    model(images)
    assert len(kept) == 1


@pytest.mark.parametrize("adapter", ["none", "layernorm"])
def test_the_loss_of_a_step_by_hand(adapter):
    model = build_model("test_vit", image_size=160, pretrained="off")
    if adapter != "none":
        model = adapt(model, adapter)
    images, targets = torch.randn(4, 3, 160, 160), torch.eye(2)[[0, 1, 1, 0]]
    config = TrainConfig(data=("sample",), output_dir="x", alignment_weight=0.5, uniformity_weight=0.25)
    found = Loss(config, model, torch.device("cpu"))(model, images, targets)
    features = model.eval().forward_head(model.forward_features(images), pre_logits=True)
    hard = targets.argmax(1)
    expected = functional.cross_entropy(model(images), hard)
    expected = expected + 0.5 * align_by_the_paper(features, hard.tolist()) + 0.25 * uniform_by_the_paper(features)
    torch.testing.assert_close(found, expected)
