import pytest
import torch
from safetensors.torch import load_file

from hf_deepfake.cli.main import main
from hf_deepfake.config import DecisionConfig
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.combine import combine
from hf_deepfake.evaluation.evaluate import evaluate
from hf_deepfake.explain.cam import explain
from hf_deepfake.hub.card import build_card
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.models.fold import final_layer, unfold
from hf_deepfake.report.report import Report


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """Another untrained model of the same kind, in a run's folder."""
    torch.manual_seed(1)
    model = build_model("test_resnet", image_size=64, pretrained="off").eval()
    final_layer(model)[0].data *= 20
    return export_checkpoint(model, tmp_path_factory.mktemp("runs") / "second" / "checkpoint", image_size=64)


def decided(faces):
    return DecisionConfig(data=(str(faces),))


@pytest.fixture(scope="module")
def both(checkpoint, second, faces, cache, tmp_path_factory):
    """Folder and report of the two models' ensemble."""
    out = tmp_path_factory.mktemp("combined") / "both"
    return out, combine([str(checkpoint), str(second)], decided(faces), out, shares=[3, 1])


@pytest.mark.slow
def test_the_folder_is_measured_as_any_other(both, faces):
    out, report = both
    again, _ = evaluate(str(out), decided(faces))
    assert again.splits["test"].metrics["auc"] == report.splits["test"].metrics["auc"]
    assert set(report.splits) == {"validation", "test"}


def test_parts_and_shares_are_listed(both):
    out, _ = both
    report = Report.load(out / "report.json")
    found = [(part.name, part.model, part.share) for part in report.combination.parts]
    assert found == [("model", "test_resnet", 0.75), ("second", "test_resnet", 0.25)]
    sentence = "mean calibrated log-odds of model (test_resnet, 0.75), second (test_resnet, 0.25)"
    assert sentence in report.summary()
    card = build_card(report)
    assert f"The {sentence}." in card
    assert "import hf_deepfake.models.ensemble  #" in card


def test_log_odds_are_those_of_the_calibrated_parts(both, checkpoint, second):
    out, _ = both
    pixels = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    whole, first, other = (load_checkpoint(one) for one in (out, checkpoint, second))
    for one in (whole, first):
        unfold(one.model, one.temperature, one.operating_point)
    mean, std = (torch.tensor(first.config["pretrained_cfg"][name]).view(3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        odds = [(z[:, 1] - z[:, 0]) for z in (one.model((pixels - mean) / std) for one in (first, other))]
        found = whole.model(2 * pixels - 1)
    expected = 0.75 * odds[0] / first.temperature + 0.25 * odds[1]
    torch.testing.assert_close(found[:, 1] - found[:, 0], expected, rtol=1e-3, atol=1e-4)


def test_its_map_is_the_mean_of_its_members_maps(both):
    model = load_checkpoint(both[0]).model
    pixels = 2 * torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3)) - 1
    targets = torch.tensor([1, 0])
    maps = explain(model, pixels, targets=targets)
    parts = [
        explain(member, model.member_pixels(index, pixels), targets=targets).values
        for index, member in enumerate(model.members)
    ]
    torch.testing.assert_close(maps.values, 0.75 * parts[0] + 0.25 * parts[1])
    torch.testing.assert_close(maps.logits, model(pixels).detach())
    assert maps.values.max() > 0


@pytest.mark.parametrize("halves", [1, 2])
def test_parts_in_half_precision_make_a_whole_in_it(faces, cache, tmp_path, halves):
    model = build_model("test_resnet", image_size=64, pretrained="off").eval()
    parts = [
        str(export_checkpoint(model, tmp_path / f"part-{number}", image_size=64, save_fp16=number < halves))
        for number in range(2)
    ]
    combine(parts, decided(faces), tmp_path / "out", method="weights")
    kinds = {tensor.dtype for tensor in load_file(tmp_path / "out" / "model.safetensors").values()}
    assert kinds - {torch.int64} == {torch.float16 if halves == 2 else torch.float32}


@pytest.mark.slow
def test_averaged_weights_need_no_more_time_than_one_model(checkpoint, second, faces, cache, tmp_path):
    report = combine([str(checkpoint), str(second)], decided(faces), tmp_path / "soup", method="weights")
    assert report.checkpoint.model == "test_resnet"
    assert str(report.combination).startswith("averaged weights of model (test_resnet, 0.5)")
    first, other, soup = (load_checkpoint(one) for one in (checkpoint, second, tmp_path / "soup"))
    for one in (first, other, soup):
        unfold(one.model, one.temperature, one.operating_point)
    for mine, one, two in zip(*(model.model.parameters() for model in (soup, first, other)), strict=True):
        torch.testing.assert_close(mine, (one + two) / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_mirror_by_command(checkpoint, faces, cache, tmp_path, capsys):
    words = ["combine", str(checkpoint), "--flip", "--data", str(faces), "--out", str(tmp_path / "mirrored")]
    assert main(words) == 0
    assert "each on the image and its mirror image" in capsys.readouterr().out
    assert (tmp_path / "mirrored" / "README.md").exists()
    assert main(words) == 2
    assert "exists; give a new folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (1, {}, "cannot be combined with itself"),
        (2, {"method": "votes"}, "no method 'votes'"),
        (2, {"shares": [1, -1]}, "as many shares, all positive"),
        (2, {"shares": [1]}, "2 checkpoints need as many shares"),
    ],
)
def test_what_cannot_be_combined_is_refused(checkpoint, second, faces, tmp_path, count, options, message):
    with pytest.raises(InputError, match=message):
        combine([str(checkpoint), str(second)][:count], decided(faces), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
