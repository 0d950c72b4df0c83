"""Recipes: named sets of training options, in the package or in a file of one's own."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path

NOTES = ("about", "reported", "note")
"""What a recipe says besides options: what it is, what its origin reported, and where that needs a word."""


@dataclass(frozen=True)
class Recipe:
    """A recipe.

    Attributes:
        name: how `--recipe` finds it.
        options: training options by name; not checked yet.
        about: what it is, in a sentence.
        reported: what its origin reported; empty where it has none.
        note: contradictions in that report, and what is done differently here; empty where there are none.
    """

    name: str
    options: dict[str, Any]
    about: str = ""
    reported: str = ""
    note: str = ""


def recipe_names() -> list[str]:
    """Names of the package's recipes.

    Returns:
        The names, sorted.
    """
    folder = resources.files("hf_deepfake") / "recipes"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def read_recipe(name: str) -> Recipe:
    """Read a recipe.

    Args:
        name: name of a recipe in the package, or path of a YAML file.

    Returns:
        The recipe.

    Raises:
        InputError: there is no such recipe, or the file is not a YAML mapping.
    """
    import yaml

    if Path(name).suffix in {".yaml", ".yml"}:
        path: Any = local_path(name)
        if not path.is_file():
            raise InputError(f"no recipe file {name}; give an existing YAML file or the name of a recipe")
    elif name in recipe_names():
        path = resources.files("hf_deepfake") / "recipes" / f"{name}.yaml"
    else:
        raise InputError(f"unknown recipe {name!r}; known: {', '.join(recipe_names())}, or give a YAML file")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{name} holds no options; write lines such as 'model: resnet18'")
    notes = {key: " ".join(str(content.pop(key)).split()) for key in NOTES if key in content}
    return Recipe(name, content, **notes)
