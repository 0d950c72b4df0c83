"""What all commands share: near misses are named, and lists of names end where they should."""

import argparse
from dataclasses import fields

import pytest

from hf_deepfake.cli.main import main
from hf_deepfake.cli.parser import Parser, add_command, add_options, text_of
from hf_deepfake.config import DataConfig, TrainConfig, build
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.errors import InputError


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "--modell", "x"], "error: unknown argument --modell; did you mean --model?\n"),
        (["data", "sample", "--split_sed=3"], "error: unknown argument --split_sed=3; did you mean --split_seed?\n"),
        (["data", "sample", "--xyzzy"], "error: unknown argument --xyzzy; see --help for what there is\n"),
        (["train", "--lr"], "error: argument --lr: expected one argument; see hf-deepfake train --help\n"),
        (["train", "--lr", "fast"], "error: lr is 'fast'; it must be a number\n"),
    ],
)
def test_errors_are_one_sentence_and_exit_with_2(words, sentence, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith(sentence)
    assert said.count("\n") == 1


def test_names_of_classes_do_not_swallow_what_comes_after_them(tmp_path, capsys):
    draw_sample(tmp_path / "sample", count=30, size=64, seed=0)
    for name, new in (("real", "0"), ("fake", "1")):
        (tmp_path / "sample" / "images" / name).rename(tmp_path / "sample" / "images" / new)
    source = str(tmp_path / "sample" / "images")
    named = ["--real_names", "0", "--fake_names", "1", "--fake_names", "generated"]
    for words in (["data", *named, source], ["data", source, *named], ["data", source, *named, "--split_seed", "1"]):
        assert main(words) == 0
        assert "train" in capsys.readouterr().out


@pytest.fixture
def parser():
    """A parser with a command `learn` that takes the options of training."""
    made = Parser(prog="hf-deepfake", allow_abbrev=False)
    commands = made.add_subparsers(required=True)
    command = add_command(commands, "learn", "DATA", "learn something", "  hf-deepfake learn x", lambda given: 7)
    add_options(command, TrainConfig, leave_out="seed")
    return made


def test_only_options_that_were_given_reach_the_configuration(parser):
    words = ["learn", "--data", "a", "b", "--lr", "1e-3", "--save_fp16", "--real_names", "x", "--real_names", "y"]
    given = vars(parser.parse_args(words))
    assert given.pop("command")({}) == 7
    assert given.pop("parser").prog == "hf-deepfake learn"
    assert given == {"data": ["a", "b"], "lr": "1e-3", "save_fp16": True, "real_names": ["x", "y"]}
    config = build(TrainConfig, given, {"output_dir": "run"})
    assert (config.data, config.lr, config.save_fp16, config.real_names) == (("a", "b"), 1e-3, True, ("x", "y"))


def test_an_option_that_is_left_out_is_unknown(parser):
    _, unknown = parser.parse_known_args(["learn", "--seed", "3"])
    assert unknown == ["--seed", "3"]


def test_help_has_every_option_with_its_default(parser, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(["learn", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "usage: hf-deepfake learn DATA [options]" in said
    assert "Learn something." in said
    assert "examples: hf-deepfake learn x" in said
    assert all(f"--{item.name} " in said for item in fields(TrainConfig) if item.name != "seed")
    assert f"(default {TrainConfig.batch_size})" in said


def test_what_argparse_refuses_is_one_sentence(parser):
    with pytest.raises(InputError, match=r"^the following arguments are required: .*; see hf-deepfake --help$"):
        parser.parse_args([])
    assert issubclass(Parser, argparse.ArgumentParser)


def test_the_text_of_a_data_option_is_that_of_the_configuration():
    (text,) = (item.metadata["help"] for item in fields(DataConfig) if item.name == "data")
    assert text_of("data") == text
