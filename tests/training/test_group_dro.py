import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.nn import functional

from hf_deepfake.config import TrainConfig, build
from hf_deepfake.data.batch import Batch
from hf_deepfake.errors import InputError
from hf_deepfake.training.group_dro import GroupDro
from hf_deepfake.training.run import train
from hf_deepfake.training.run_progress import RunProgress
from hf_deepfake.training.signals import Stopped

CPU = torch.device("cpu")
LABELS, ORIGINS = [0, 1, 0, 1, 1, 0], ["a", "a", "b", "b", "b", "a"]
TRAIN = Dataset.from_dict({"label": LABELS, "origin": ORIGINS})
WHOLE = torch.ones(())


def batch(positions):
    """Images that stand at some positions of the training split."""
    positions = torch.tensor(positions)
    return Batch(torch.empty(len(positions), 3, 1, 1), torch.tensor(LABELS)[positions], positions)


def test_a_step_by_hand():
    """Steps of an a real with loss 2 and b fakes with losses 1 and 3."""
    dro = GroupDro(0.5, TRAIN, False, CPU)
    assert dro.names == ["a real", "a fake", "b real", "b fake"]
    assert dro.weights() == pytest.approx(dict.fromkeys(dro.names, 0.25))
    dro.begin(np.array([0, 3, 4]))
    losses = torch.tensor([2.0, 1.0, 3.0], requires_grad=True)
    loss = dro.mean(losses, batch([0, 3, 4]), WHOLE)
    assert loss.item() == pytest.approx(0.25 * 2 + 0.25 * (1 + 3) / 2)
    loss.backward()
    assert losses.grad.tolist() == pytest.approx([0.25, 0.125, 0.125])
    dro.end()
    # Both means are 2, so that both weights grow by exp(.5 * 2) = e, and the two others by exp(0) = 1.
    expected = [math.e / (2 * math.e + 2), 1 / (2 * math.e + 2)]
    assert list(dro.weights().values()) == pytest.approx([expected[0], expected[1], expected[1], expected[0]])
    dro.begin(np.array([1, 0, 5, 2]))
    loss = dro.mean(torch.tensor([1.0, 0.0, 4.0, 1.0]), batch([1, 0, 5, 2]), WHOLE)
    assert loss.item() == pytest.approx(expected[1] * 1 + expected[0] * 2 + expected[1] * 1)


def test_what_there_is_not_has_no_weight():
    train = Dataset.from_dict({"label": [0, 1, 0], "origin": ["a", "a", "photos"]})
    expected = dict.fromkeys(["a real", "a fake", "photos real"], 1 / 3)
    assert GroupDro(1.0, train, False, CPU).weights() == pytest.approx(expected)
    blending = GroupDro(1.0, train, True, CPU)
    assert blending.weights() == pytest.approx(dict.fromkeys([*expected, "photos fake"], 1 / 4))
    # Index 3 + 2 is the third image blended with itself, in the first epoch; 6 + 2 that image in the second.
    blending.begin(np.array([5, 8]))
    given = Batch(torch.empty(2, 3, 1, 1), torch.tensor([1, 0]), torch.tensor([2, 2]))
    assert blending.mean(torch.tensor([8.0, 4.0]), given, WHOLE).item() == pytest.approx((8 + 4) / 4)


def test_one_origin_is_refused():
    with pytest.raises(InputError, match="all training images are of a; add a source of another origin"):
        GroupDro(0.1, Dataset.from_dict({"label": [0, 1], "origin": ["a", "a"]}), False, CPU)


def test_class_weights_beside_it_are_refused():
    with pytest.raises(InputError, match="leave it or class_weights out"):
        TrainConfig(data=("any",), output_dir="run", group_dro=0.1, class_weights=(1.0, 2.0))
    with pytest.raises(InputError, match="group_dro"):
        TrainConfig(data=("any",), output_dir="run", group_dro=0.0)


class TextbookDro:
    """Group DRO on a list of groups, in plain numbers: q times exp(eta * mean loss), divided by the sum."""

    def __init__(self, eta, groups):
        self.eta, self.q = eta, dict.fromkeys(groups, 1 / len(groups))

    def __call__(self, losses, groups):
        means = {
            group: sum(loss for loss, one in zip(losses, groups, strict=True) if one == group) / groups.count(group)
            for group in set(groups)
        }
        total = sum(self.q[group] * mean for group, mean in means.items())
        grown = {
            group: q * math.exp(self.eta * float(means[group].detach() if group in means else 0))
            for group, q in self.q.items()
        }
        self.q = {group: value / sum(grown.values()) for group, value in grown.items()}
        return total


def drawn(steps, seed=0):
    """A linear model's steps: inputs, labels and positions of six images each."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        positions = torch.randint(len(LABELS), (6,), generator=generator)
        yield torch.randn(6, 4, generator=generator), torch.tensor(LABELS)[positions], positions.tolist()


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_weights_losses_and_gradients_are_the_textbooks_however_a_step_is_cut(parts):
    ours, theirs = torch.zeros(4, 2, requires_grad=True), torch.zeros(4, 2, requires_grad=True)
    names = [f"{ORIGINS[at]} {('real', 'fake')[LABELS[at]]}" for at in range(len(LABELS))]
    dro, textbook = GroupDro(0.7, TRAIN, False, CPU), TextbookDro(0.7, sorted(set(names)))
    for inputs, labels, positions in drawn(12):
        losses = functional.cross_entropy(inputs @ theirs, labels, reduction="none")
        expected = textbook(losses, [names[at] for at in positions])
        expected.backward()
        dro.begin(np.array(positions))
        size, total = len(positions) // parts, 0.0
        for part in range(0, len(positions), size):
            rows = slice(part, part + size)
            losses = functional.cross_entropy(inputs[rows] @ ours, labels[rows], reduction="none")
            loss = dro.mean(losses, batch(positions[rows]), WHOLE) / parts
            loss.backward()
            total += loss.item()
        dro.end()
        assert total == pytest.approx(expected.item(), rel=1e-5)
        assert dro.weights() == pytest.approx(textbook.q, rel=1e-5)
        torch.testing.assert_close(ours.grad, theirs.grad)
        for weights in (ours, theirs):
            weights.data -= 0.1 * weights.grad
            weights.grad = None


def test_a_mixed_image_is_a_part_of_each_of_its_groups():
    """An a real that is .7 its own beside a b fake, which are mixed with each other."""
    dro = GroupDro(1.0, TRAIN, False, CPU)
    dro.begin(np.array([0, 3]))
    loss = dro.mean(torch.tensor([1.0, 2.0]), batch([0, 3]), torch.tensor(0.7))
    real, fake = 0.7 * 1 + 0.3 * 2, 0.3 * 1 + 0.7 * 2
    assert loss.item() == pytest.approx(0.25 * real + 0.25 * fake)
    dro.end()
    total = math.exp(real) + math.exp(fake) + 2
    assert dro.weights() == pytest.approx(
        {"a real": math.exp(real) / total, "a fake": 1 / total, "b real": 1 / total, "b fake": math.exp(fake) / total}
    )


def test_a_loss_that_overflows_moves_no_weight_and_a_large_one_loses_none():
    dro = GroupDro(1.0, TRAIN, False, CPU)
    for value in (math.inf, math.nan):
        dro.begin(np.array([0, 3]))
        dro.mean(torch.tensor([1.0, value]), batch([0, 3]), WHOLE)
        dro.end()
        assert dro.weights() == pytest.approx(dict.fromkeys(dro.names, 0.25))
    for loser, winner in ((0, 3), (3, 0)):
        dro.begin(np.array([loser, winner]))
        dro.mean(torch.tensor([0.0, 1e4]), batch([loser, winner]), WHOLE)
        dro.end()
    # exp(-10,000) is no number that a float holds, yet the second step made up for the first.
    assert dro.weights() == pytest.approx({"a real": 0.5, "a fake": 0, "b real": 0, "b fake": 0.5})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_autocast_changes_nothing(dtype):
    losses = torch.rand(6, generator=torch.Generator().manual_seed(0))
    weights, values = [], []
    for enabled in (False, True):
        dro = GroupDro(0.3, TRAIN, False, CPU)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            dro.begin(np.arange(6))
            values.append(dro.mean(losses.to(dtype).float(), batch(range(6)), WHOLE).item())
            dro.end()
        weights.append(dro.weights())
    assert values[0] == values[1]
    assert weights[0] == weights[1]


def test_state_comes_back():
    dro, again = GroupDro(0.3, TRAIN, False, CPU), GroupDro(0.3, TRAIN, False, CPU)
    dro.begin(np.array([0, 3]))
    dro.mean(torch.tensor([1.0, 0.3]), batch([0, 3]), WHOLE)
    dro.end()
    again.restore(dro.state())
    assert again.state() == dro.state()
    assert again.weights() == dro.weights() != GroupDro(0.3, TRAIN, False, CPU).weights()


ROOT = Path(__file__).parents[2]
TINY = {"model": "test_convnext", "pretrained": "off", "image_size": 64, "batch_size": 16, "workers": 0, "lr": 1e-3}
TINY |= {"mixed_precision": "no", "explained": 0, "audit": "off", "epochs": 2, "steps_per_epoch": 3}
TINY |= {"sampling": "paired", "self_blend": 0.3, "label_smoothing": 0.1, "group_dro": 2.0}


@pytest.fixture(scope="module")
def two_origins(faces, tmp_path_factory):
    """Drawn faces, a quarter of whose groups are of an origin of their own."""
    folder = tmp_path_factory.mktemp("origins") / "faces"
    shutil.copytree(faces, folder)
    with (folder / "groups.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    groups = sorted({row["group"] for row in rows})
    with (folder / "groups.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "origin"])
        writer.writeheader()
        for row in rows:
            writer.writerow(row | {"origin": "street" if groups.index(row["group"]) % 4 == 0 else "studio"})
    return folder


def config(data, folder, **changes):
    return build(TrainConfig, TINY | {"data": str(data), "output_dir": str(folder)} | changes)


def state(folder):
    return torch.load(folder / "state.pt", weights_only=True)


@pytest.fixture(scope="module")
def whole(two_origins, tmp_path_factory):
    """A run that nothing disturbed."""
    return train(config(two_origins, tmp_path_factory.mktemp("whole") / "run"))


@pytest.mark.slow
def test_a_run_follows_the_loss_of_each_class_of_each_origin(whole):
    weights = [entry["group_weights"] for entry in json.loads((whole.folder / "run.json").read_text())["epochs"]]
    assert set(weights[0]) == {"street real", "street fake", "studio real", "studio fake"}
    for one in weights:
        assert sum(one.values()) == pytest.approx(1)
        assert len({round(value, 4) for value in one.values()}) > 1
    assert weights[0] != weights[1]
    assert whole.report.training["epochs"][1]["group_weights"] == weights[1]
    kept = sorted(math.exp(value) for value in state(whole.folder)["group_dro"])
    assert kept == pytest.approx(sorted(weights[1].values()))


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_weights(whole, two_origins, tmp_path, monkeypatch):
    usual = RunProgress.step

    def stopping(self, epoch, done, batch_size):
        usual(self, epoch, done, batch_size)
        if done == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(RunProgress, "step", stopping)
        with pytest.raises(Stopped):
            train(config(two_origins, tmp_path / "run"))
    assert state(tmp_path / "run")["group_dro"] != state(whole.folder)["group_dro"]
    train(config(two_origins, tmp_path / "run", resume=True))
    first, second = state(whole.folder), state(tmp_path / "run")
    assert first["group_dro"] == second["group_dro"]
    for name in first["model"]:
        assert torch.equal(first["model"][name], second["model"][name]), name


@pytest.mark.slow
def test_accumulation_changes_memory_not_weights(whole, two_origins, tmp_path):
    train(config(two_origins, tmp_path / "two", gradient_accumulation_steps=2))
    one, two = state(whole.folder), state(tmp_path / "two")
    assert one["group_dro"] == pytest.approx(two["group_dro"], abs=1e-4)
    for name in one["model"]:
        torch.testing.assert_close(one["model"][name], two["model"][name], atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_two_processes_weigh_as_one(whole, two_origins, tmp_path):
    given = TINY | {"data": str(two_origins), "output_dir": str(tmp_path / "two"), "workers": 1}
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launcher += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    done = subprocess.run(
        [*launcher, str(ROOT / "scripts" / "train.py"), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    one, two = state(whole.folder), state(tmp_path / "two")
    assert one["group_dro"] == pytest.approx(two["group_dro"], abs=1e-4)
    for name in one["model"]:
        torch.testing.assert_close(one["model"][name], two["model"][name], atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_mixed_images_train_too(two_origins, tmp_path):
    mixed = {"sampling": "shuffle", "self_blend": 0.0, "mixup": 0.4, "cutmix": 0.4, "alignment_weight": 0.1}
    train(config(two_origins, tmp_path / "run", epochs=1, steps_per_epoch=2, **mixed))
    (entry,) = json.loads((tmp_path / "run" / "run.json").read_text())["epochs"]
    assert sum(entry["group_weights"].values()) == pytest.approx(1)
    assert len(set(entry["group_weights"].values())) == 4


def test_a_run_of_one_origin_is_refused(faces, tmp_path):
    with pytest.raises(InputError, match="all training images are of images; add a source of another origin"):
        train(config(faces, tmp_path / "run"))
