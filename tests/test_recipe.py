import pytest

from hf_deepfake.cli.main import main
from hf_deepfake.config import TrainConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.recipe import read_recipe, recipe_names

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
