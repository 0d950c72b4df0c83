import pytest

from hf_deepfake.cli.main import main
from hf_deepfake.config import TrainConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.features import FEATURES_FILE
from hf_deepfake.recipe import read_recipe, recipe_names
from hf_deepfake.training import finish
from hf_deepfake.training.run import train

RUN = {"data": "faces", "output_dir": "run"}

KNOWN = {
    "deepdetect-resnet50",
    "resnet18-gradcam",
    "cnn5",
    "resnet50-dense512",
    "simple-cnn",
    "xception-frozen",
    "resnet50-frozen",
    "compact-cnn",
}


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_of_the_package_are_valid(name):
    recipe = read_recipe(name)
    config = build(TrainConfig, recipe.options, RUN)
    assert config.epochs + config.head_epochs > 0
    assert recipe.about.endswith(".")


def test_every_known_system_is_there():
    assert set(recipe_names()) >= KNOWN
    assert {name for name in KNOWN if not read_recipe(name).reported} == {"resnet18-gradcam"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stand_in"),
    [
        ("probe-clip-b16", {"model": "test_vit"}),
        ("vit-small-dinov2", {"model": "test_vit"}),
        ("efficientnet-lite2", {"model": "tf_efficientnet_lite0"}),
    ],
)
def test_variants_with_a_start_of_their_own_train(faces, tmp_path, monkeypatch, name, stand_in):
    monkeypatch.setattr(finish, "render", lambda folder: None)
    small = {"image_size": 32, "batch_size": 8, "steps_per_epoch": 2, "pretrained": "off", "workers": 0}
    small |= {"mixed_precision": "no", "audit": "off", "explained": 0, "cache_dir": str(tmp_path / "cache")}
    options = read_recipe(name).options
    short = {"head_epochs": min(1, options["head_epochs"]), "epochs": min(1, options["epochs"])}
    given = {"data": str(faces), "output_dir": str(tmp_path / "run")}
    report = train(build(TrainConfig, options, stand_in, small, short, given)).report
    assert [epoch["stage"] for epoch in report.training["epochs"]] == ["classifier", "main"][: sum(short.values())]
    # A linear probe has its features kept, for nothing in its recipe changes an image.
    assert (tmp_path / "cache" / FEATURES_FILE).is_file() == (name == "probe-clip-b16")


def test_options_given_win_over_the_recipe():
    config = build(TrainConfig, read_recipe("compact-cnn").options, RUN | {"epochs": "2"})
    assert (config.epochs, config.batch_size, config.seed, config.criterion) == (2, 22, 42, "f1")


def test_notes_are_no_options(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("about: Mine.\nreported: |\n  much\n  more\nmodel: resnet18\n")
    recipe = read_recipe(str(path))
    assert (recipe.about, recipe.reported, recipe.note) == ("Mine.", "much more", "")
    assert recipe.options == {"model": "resnet18"}


def test_list(capsys):
    assert main(["recipes"]) == 0
    printed = capsys.readouterr().out
    assert all(f"{name}\n" in printed for name in recipe_names())
    assert "reported: AUC .58, accuracy .56." in printed
    assert "have the classes swapped" in " ".join(printed.split())


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("nosuch", None, "unknown recipe 'nosuch'; known: "),
        ("missing.yaml", None, "no recipe file "),
        ("list.yaml", "- a\n- b\n", "holds no options"),
        ("broken.yaml", "model: [resnet18\n", "is not valid YAML"),
    ],
)
def test_bad_recipes(tmp_path, name, text, sentence):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_recipe(str(tmp_path / name) if name.endswith(".yaml") else name)
