"""The house rule: a room imports only from rooms above it, and importing the package costs next to nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hf_deepfake

ROOT = Path(hf_deepfake.__file__).parent
ROOMS = [
    "errors",
    "files",
    "progress",
    "options",
    "machine",
    "criterion",
    "config",
    "recipe",
    "images",
    "data",
    "models",
    "metrics",
    "report",
    "evaluation",
    "runtimes",
    "audits",
    "curate",
    "deepfake_metric",
    "explain",
    "forensics",
    "hub",
    "detect",
    "training",
    "page",
    "cli",
    "__main__",
]


def imported(path: Path) -> set[str]:
    """Rooms of the package that a file imports from."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("hf_deepfake.")}


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    own = ROOMS.index(room)
    assert [name for name in imported(path) if ROOMS.index(name) > own] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


def test_importing_the_package_imports_nothing_heavy():
    heavy = "torch", "timm", "transformers", "datasets", "pandas", "numpy", "matplotlib", "PIL"
    code = f"import hf_deepfake, hf_deepfake.cli.main, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_there():
    assert all(getattr(hf_deepfake, name) is not None for name in hf_deepfake.__all__)
    assert dir(hf_deepfake) == sorted(hf_deepfake.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        hf_deepfake.nonsense  # noqa: B018  # ty: ignore[unresolved-attribute]


def test_type_checkers_see_the_public_names():
    (block,) = (node for node in ast.parse((ROOT / "__init__.py").read_text()).body if isinstance(node, ast.If))
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(hf_deepfake.__all__)


def test_no_package_or_module_has_a_public_name():
    inside = {path.stem for path in ROOT.iterdir()}
    assert inside & set(hf_deepfake.__all__) == set()


MODULES = ("hf_deepfake.audits.search", "hf_deepfake.evaluation.evaluate", "hf_deepfake.training.run")
CHECK = """
from types import ModuleType
print([name for name in hf_deepfake.__all__ if isinstance(getattr(hf_deepfake, name), ModuleType)])
assert (audit, train) == (hf_deepfake.audit, hf_deepfake.train)
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", ["name", "rooms"])
def test_public_names_stay_themselves(first):
    """Importing a subpackage sets it as an attribute, which would hide a function of its name."""
    steps = {"name": "from hf_deepfake import audit, compare, evaluate, train", "rooms": "import " + ", ".join(MODULES)}
    second = "rooms" if first == "name" else "name"
    code = f"{steps[first]}\n{steps[second]}\nimport hf_deepfake\n{CHECK}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("0", "0")])
def test_onnxruntime_sends_nothing_unless_asked(given, expected, monkeypatch):
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    if given is not None:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", given)
    code = "import hf_deepfake, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
