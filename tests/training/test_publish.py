import json
import logging

import pytest

from hf_deepfake.cli.main import main
from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.training import publish
from hf_deepfake.training.publish import epoch_publisher, publish_run
from hf_deepfake.training.resume import RunFolder


def config(folder, **options):
    known = {"push_to_hub": "me/x", "hub_license": "mit", "image_size": 64, "push_every": 1, **options}
    return TrainConfig(data=("x",), output_dir=str(folder), **known)


def failing(error):
    def call(*_, **__):
        raise error

    return call


@pytest.mark.parametrize(
    "error", [InputError("the token went"), KeyError("commit"), MemoryError(), OSError(28, "full")]
)
def test_whatever_fails_is_one_sentence_with_the_command_for_later(error, tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "push_to_hub", failing(error))
    folder = tmp_path / "my runs"
    with pytest.raises(InputError) as caught:
        publish_run(config(folder, hub_private=True), RunFolder(folder))
    again = f"hf-deepfake push '{folder / 'checkpoint'}' me/x --license mit --private"
    assert str(caught.value).endswith(f"; the run is finished, so push it later with: {again}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("broken", ["export_checkpoint", "upload"])
@pytest.mark.parametrize("error", [InputError("no space"), KeyError("commit")])
def test_an_epoch_that_cannot_be_pushed_is_warned_of(broken, error, tmp_path, monkeypatch, caplog):
    model = build_model("test_resnet", image_size=64, pretrained="off")
    run = RunFolder(tmp_path)
    run.save_best(model.state_dict())
    run.record["best_epoch"] = 1
    monkeypatch.setattr(publish, broken, failing(error))
    with caplog.at_level(logging.WARNING):
        epoch_publisher(config(tmp_path), run, model)(1)
    (said,) = caplog.messages
    assert said.endswith("; training goes on")


@pytest.mark.slow
def test_the_command_reports_and_exits_with_3(faces, cache, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("hf_deepfake.training.run.check_publishing", lambda config: None)
    monkeypatch.setattr(publish, "push_to_hub", failing(InputError("the Hub is away")))
    words = ["train", "--data", str(faces), "--output_dir", str(tmp_path / "run"), "--model", "test_resnet"]
    words += ["--pretrained", "off", "--image_size", "64", "--batch_size", "16", "--workers", "0", "--epochs", "1"]
    words += ["--steps_per_epoch", "1", "--explained", "0", "--audit", "off", "--mixed_precision", "no"]
    assert main([*words, "--push_to_hub", "me/x", "--hub_license", "mit"]) == 3
    printed = capsys.readouterr()
    assert "checkpoint  " in printed.out
    assert "Accuracy" in printed.out
    assert "pushed to" not in printed.out
    errors = [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "push it later with: hf-deepfake push" in errors[0]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"
    assert (tmp_path / "run" / "checkpoint" / "model.safetensors").is_file()
