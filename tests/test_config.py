import dataclasses
import math

import pytest

from hf_deepfake.config import GROUPS, DataConfig, TrainConfig, build
from hf_deepfake.errors import InputError

RUN = {"data": "faces.zip", "output_dir": "out"}


def test_later_layers_win_and_text_is_converted():
    config = build(TrainConfig, {"lr": 1e-3, "epochs": 4}, RUN, {"lr": "2e-4", "flip": "0", "patience": "none"})
    assert (config.lr, config.epochs, config.flip, config.patience) == (2e-4, 4, 0.0, None)
    assert config.data == ("faces.zip",)


def test_yaml_words_for_off_and_no():
    config = build(TrainConfig, RUN, {"pretrained": False, "mixed_precision": False, "freeze_batchnorm": "true"})
    assert (config.pretrained, config.mixed_precision, config.freeze_batchnorm) == ("off", "no", True)


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
        ({"sampling": "odd"}, "sampling is 'odd'; it must be one of shuffle, balanced, paired"),
        ({"compile": "perhaps"}, "compile is 'perhaps'; it must be true or false"),
        ({"model": 5}, "model is 5; it must be text"),
        ({"class_weights": [1.0]}, "class_weights needs two numbers, real and fake, not 1"),
        ({"class_weights": [1.0, -1]}, "class_weights is -1.0; it must be at least 0.0"),
        ({"batch_size": 10, "accumulation": 3}, "batch_size 10 does not divide by accumulation 3"),
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
    assert all(len(item.metadata["text"]) > 10 for item in items)
    assert set(GROUPS) <= {item.name for item in items}


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DataConfig().split_seed = 3  # ty: ignore[invalid-assignment]
