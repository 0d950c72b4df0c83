"""A module has a test file of its name, in a folder of its room's name, so that everybody finds it."""

from pathlib import Path

import hf_deepfake

TESTS = Path(__file__).parent
PACKAGE = Path(hf_deepfake.__file__).parent

EXCEPTIONS = {
    "errors.py": "four classes without code, which the tests of what raises them expect",
    "__init__.py": "public names, held by test_imports.py",
    "__main__.py": "started as a program in cli/test_main.py",
}
"""Modules without a test file of their name, and why."""

TRIVIAL = 10
"""Lines that a module may have without a test: a docstring, an import."""


def test_every_module_has_a_test_file_of_its_name():
    modules = [path for path in PACKAGE.rglob("*.py") if len(path.read_text(encoding="utf-8").splitlines()) > TRIVIAL]
    names = {path.relative_to(PACKAGE) for path in modules}
    missing = {str(name) for name in names if not (TESTS / name.parent / f"test_{name.name}").is_file()}
    assert missing - EXCEPTIONS.keys() == set()
    found = [TESTS / name.parent / f"test_{name.name}" for name in names if str(name) not in EXCEPTIONS]
    assert [path for path in found if "\ndef test_" not in path.read_text(encoding="utf-8")] == []
    assert all((PACKAGE / name).is_file() and not (TESTS / f"test_{name}").exists() for name in EXCEPTIONS)


def test_test_files_of_one_name_may_be_in_several_rooms(pytestconfig):
    assert pytestconfig.getoption("importmode") == "importlib"
