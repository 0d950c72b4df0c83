"""Paths that a person gives: `~` is the home folder everywhere, and a place for results is tried before any work."""

import dataclasses

import pytest

from hf_deepfake.cli.main import _parser, main
from hf_deepfake.config import DataConfig, TrainConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.files import local_name, local_path
from hf_deepfake.options import FACTS

PATHS = {"CHECKPOINT", "DIR", "FILE", "OUT", "IMAGE", "TARGET"}
"""What help calls an argument that is, or may be, a path; DATA and SOURCE go through the configuration."""


def arguments():
    """All arguments of all commands, by command."""
    (actions,) = (action.choices for action in _parser()._actions if isinstance(action.choices, dict))
    return [(name, action) for name, parser in actions.items() for action in parser._actions]


def test_every_argument_that_is_a_path_knows_the_home_folder():
    paths = [(command, action) for command, action in arguments() if action.metavar in PATHS]
    assert len(paths) > 25
    assert [(command, action.dest) for command, action in paths if action.type not in (local_path, local_name)] == []


def test_every_option_that_is_a_path_knows_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    names = {item.name for item in dataclasses.fields(TrainConfig) if FACTS[item].path}
    assert names == {"data", "calibration_data", "output_dir", "cache_dir", "pretrained", "teacher"}
    config = build(TrainConfig, dict.fromkeys(names, "~/a"))
    assert {getattr(config, name) for name in names} == {str(tmp_path / "a"), (str(tmp_path / "a"),)}
    plain = build(TrainConfig, {"data": "owner/name", "output_dir": "runs/x"})
    assert (plain.data, plain.output_dir, plain.pretrained, plain.teacher) == (("owner/name",), "runs/x", "hub", ())
    assert plain.cache_dir is None


@pytest.mark.parametrize("path", ["{file}/x", "{long}"])
@pytest.mark.parametrize(
    "words",
    [
        ["train", "--data", "nowhere", "--output_dir", "{}"],
        ["pack", "nowhere", "{}"],
        ["audit", "nowhere", "--out", "{}"],
        ["split", "nowhere", "{}"],
        ["normalise", "nowhere", "{}"],
        ["crop", "nowhere", "{}"],
        ["evaluate", "nowhere", "nowhere", "--out", "{}"],
        ["evaluate", "{}", "nowhere", "--out", "{}"],
        ["recalibrate", "nowhere", "nowhere", "--out", "{}"],
        ["combine", "nowhere", "elsewhere", "--data", "nowhere", "--out", "{}"],
        ["compare", "nowhere", "elsewhere", "--out", "{}"],
        ["predict", "nowhere", "--checkpoint", "nowhere", "--json", "--out", "{}/verdicts.json"],
        ["predict", "nowhere", "--checkpoint", "nowhere", "--explain", "{}"],
        ["inspect", "nowhere", "--out", "{}/views.png"],
    ],
    ids=lambda words: " ".join(words[:1]),
)
def test_what_cannot_be_written_is_said_before_anything_is_read(words, path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    place = path.format(file="file", long="x" * 300)
    assert main([word.format(place) for word in words]) == 2
    said = capsys.readouterr().err
    assert "cannot be made or written in" in said  # and not that there is nothing to read
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_functions_know_the_home_folder_too(tmp_path, monkeypatch, faces):
    from hf_deepfake.curate.pack import pack
    from hf_deepfake.images.open import open_image
    from hf_deepfake.models.build import build_model
    from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model = build_model("test_resnet", image_size=64, pretrained="off")
    assert export_checkpoint(model, "~/model", image_size=64) == tmp_path / "model"
    assert load_checkpoint("~/model").folder == tmp_path / "model"
    (tmp_path / "faces").symlink_to(faces)
    pack(DataConfig(data=("~/faces",)), "~/packed")
    assert list((tmp_path / "packed").glob("*.parquet"))
    assert open_image(f"~/faces/real/{next((faces / 'real').iterdir()).name}").size == (64, 64)
    assert not (tmp_path / "~").exists()


def test_a_recipe_at_home(tmp_path, monkeypatch):
    from hf_deepfake.recipe import read_recipe

    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text("model: resnet18\n")
    assert read_recipe("~/mine.yaml").options == {"model": "resnet18"}
    with pytest.raises(InputError, match="no recipe file"):
        read_recipe("~/other.yaml")
