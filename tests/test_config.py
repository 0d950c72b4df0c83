import dataclasses
import math
import typing

import pytest
from transformers import HfArgumentParser

from hf_deepfake.cli.parser import GROUPS
from hf_deepfake.config import DataConfig, TrainConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.options import FACTS

RUN = {"data": "faces.zip", "output_dir": "out"}


def test_later_layers_win_and_text_is_converted():
    config = build(TrainConfig, {"lr": 1e-3, "epochs": 4}, RUN, {"lr": "2e-4", "flip": "0", "patience": "none"})
    assert (config.lr, config.epochs, config.flip, config.patience) == (2e-4, 4, 0.0, None)
    assert config.data == ("faces.zip",)


def test_yaml_words_for_off_and_no():
    config = build(TrainConfig, RUN, {"pretrained": False, "mixed_precision": False, "freeze_batchnorm": "true"})
    assert (config.pretrained, config.mixed_precision, config.freeze_batchnorm) == ("off", "no", True)
    config = build(TrainConfig, RUN, dict.fromkeys(("audit", "tracker", "data_license", "cache_dir"), False))
    assert (config.audit, config.tracker, config.data_license) == ("off", "none", "")
    assert config.cache_dir is None


@pytest.mark.parametrize("item", dataclasses.fields(TrainConfig), ids=lambda item: item.name)
def test_no_option_takes_what_means_nothing(item):
    """Each of these is refused, or means that the option is off: never a word, and never a number without end."""
    for odd in (math.inf, -math.inf, math.nan, [], {}, b"off", object()):
        if typing.get_origin(item.type) is tuple and odd == []:
            continue
        with pytest.raises(InputError):
            build(TrainConfig, RUN, {item.name: odd})
    try:
        value = getattr(build(TrainConfig, RUN, {item.name: False}), item.name)
    except InputError:
        return
    assert value in (False, None, "", "off", "no", "none")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"modle": "resnet18"}, "unknown option 'modle'; did you mean model?"),
        ({"batch_size": "many"}, "batch_size is 'many'; it must be a whole number"),
        ({"batch_size": 2.5}, "batch_size is 2.5; it must be a whole number"),
        ({"batch_size": True}, "batch_size is True; it must be a whole number"),
        ({"image_size": 8}, "image_size is 8; it must be between 32 and 1024"),
        ({"epochs": -1}, "epochs is -1; it must be at least 0"),
        ({"lr": math.nan}, "lr is nan; it must be at least 0.0"),
        ({"lr": math.inf}, "lr is inf; it must be at least 0.0 and finite"),
        ({"mixup": "inf"}, "mixup is inf; it must be at least 0.0 and finite"),
        ({"miss_cost": math.inf}, "miss_cost is inf; it must be at least 0.001 and finite"),
        ({"max_grad_norm": 0}, "max_grad_norm is 0.0; it must be more than 0.0"),
        ({"max_grad_norm": math.inf}, "max_grad_norm is inf; it must be more than 0.0 and finite"),
        ({"class_weights": [0, 0]}, "class_weights is 0.0; it must be more than 0.0"),
        ({"class_weights": [1, math.inf]}, "class_weights is inf; it must be more than 0.0 and finite"),
        ({"ema": 1.0}, "ema is 1.0; it must be at least 0.0 and less than 1.0"),
        ({"flip": 1.5}, "flip is 1.5; it must be between 0.0 and 1.0"),
        ({"seed": 2**32}, "seed is 4294967296; it must be between 0 and 4294967295"),
        ({"patience": False}, "patience is False; it must be a whole number"),
        ({"model": False}, "model is False; it must be text, so put a word that YAML takes for this in quotes"),
        ({"model": True}, "model is True; it must be text, so put a word that YAML takes for this in quotes"),
        (
            {"real_names": [False]},
            "real_names is False; it must be text, so put a word that YAML takes for this in quotes",
        ),
        ({"sampling": False}, "sampling is False; it must be one of shuffle, balanced, paired"),
        ({"data": ["a", ""]}, "data holds an empty name; leave it out or give one"),
        ({"output_dir": False}, "no output folder given; add --output_dir runs/NAME"),
        ({"sampling": "odd"}, "sampling is 'odd'; it must be one of shuffle, balanced, paired"),
        ({"compile": "perhaps"}, "compile is 'perhaps'; it must be true or false"),
        ({"model": 5}, "model is 5; it must be text"),
        ({"class_weights": [1.0]}, "class_weights needs two numbers, real and fake, not 1"),
        ({"class_weights": [1.0, -1]}, "class_weights is -1.0; it must be more than 0.0"),
        (
            {"batch_size": 10, "gradient_accumulation_steps": 3},
            "batch_size 10 does not divide by gradient_accumulation_steps 3",
        ),
        ({"epochs": 0}, "head_epochs and epochs are both 0; nothing would be trained, so raise one of them"),
        ({"resume": True, "overwrite": True}, "--resume and --overwrite contradict each other; give one of them"),
        ({"data": []}, "no data given; name a source, such as --data faces.zip or --data sample"),
        ({"output_dir": ""}, "no output folder given; add --output_dir runs/NAME"),
    ],
)
def test_bad_options_are_one_sentence(options, sentence):
    with pytest.raises(InputError) as caught:
        build(TrainConfig, RUN, options)
    assert str(caught.value) == sentence


def test_every_option_is_explained_and_every_group_begins_with_one():
    items = dataclasses.fields(TrainConfig)
    assert all(len(item.metadata["help"]) > 10 for item in items)
    assert set(GROUPS) <= {item.name for item in items}


def test_options_that_hold_several_values_are_the_tuples():
    hints = typing.get_type_hints(TrainConfig)
    tuples = {name for name, hint in hints.items() if "tuple" in str(hint)}
    assert tuples == {item.name for item in dataclasses.fields(TrainConfig) if FACTS[item].several}
    assert tuples == {
        *("data", "calibration_data", "origins", "without_origins"),
        *("real_names", "fake_names", "class_weights", "teacher"),
    }


def test_the_parser_of_transformers_reads_the_same_options(capsys):
    options = {
        "data": ["faces", "more.zip"],
        "output_dir": "run",
        "real_names": ["original"],
        "class_weights": [1.3, 1.0],
        "model": "resnet18",
        "image_size": 128,
        "lr": 1e-3,
        "ema": 0.99,
        "last_blocks": 2,
        "save_fp16": True,
        "sampling": "paired",
    }
    words = []
    for name, value in options.items():
        words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    parser = HfArgumentParser(TrainConfig)  # ty: ignore[invalid-argument-type]
    (config,) = parser.parse_args_into_dataclasses(words)
    assert config == build(TrainConfig, options)
    assert config.data == ("faces", "more.zip")
    (plain,) = parser.parse_args_into_dataclasses(["--data", "faces", "--output_dir", "run"])
    assert plain == TrainConfig(data=("faces",), output_dir="run")
    with pytest.raises(InputError, match="lr is -1"):
        parser.parse_args_into_dataclasses(["--data", "faces", "--output_dir", "run", "--lr=-1"])
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    assert "confidently misclassified" in " ".join(capsys.readouterr().out.split())


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DataConfig().split_seed = 3  # ty: ignore[invalid-assignment]
