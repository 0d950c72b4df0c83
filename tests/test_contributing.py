"""What contributors are told is what is there."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from test_imports import ROOMS

from hf_deepfake.cli.main import main

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def recipe_of(target):
    """Commands of a target of the Makefile, in order."""
    (found,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in found.splitlines()]


def read_yaml(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_layout_is_the_order_of_imports():
    assert re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE) == ROOMS


def test_files_that_the_guide_names_are_there():
    named = re.findall(
        r"`((?:hf_deepfake|tests|space|scripts|benchmarks|docs)/[\w./]+|[A-Z]\w+\.md|constraints\.txt)`", GUIDE
    )
    assert len(named) > 10
    assert [name for name in named if "NAME" not in name and not (ROOT / name).exists()] == []


def test_targets_that_the_guide_names_are_there():
    named = set(re.findall(r"\bmake ([a-z-]+)", GUIDE))
    assert named >= {"lint", "test", "test-fast"}
    assert all(recipe_of(name) for name in named)


def test_pre_commit_runs_what_make_lint_runs():
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert [hook["entry"] for hook in repository["hooks"]] == recipe_of("lint")
    assert all(hook["pass_filenames"] is False and hook["language"] == "system" for hook in repository["hooks"])


def test_the_workflow_runs_what_a_person_runs():
    (job,) = read_yaml(".github/workflows/ci.yml")["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12"]
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_citation_is_of_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = read_yaml("CITATION.cff")
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_issue_forms_have_what_github_asks_for(name):
    form = read_yaml(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert form["name"]
    assert form["description"]
    fields = [item for item in form["body"] if item["type"] != "markdown"]
    assert all(item["attributes"]["label"] for item in fields)
    assert len({item["id"] for item in fields}) == len(fields) > 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_without_a_browser_one_sentence_says_what_to_install(tmp_path, workers):
    words = [sys.executable, "-m", "pytest", "tests/browser/test_page.py", "-k", "test_phone", "-p", "no:cacheprovider"]
    words += workers
    environment = {**os.environ, "PATH": str(tmp_path), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path)}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2
    assert "need Chromium or Chrome on the PATH; run .venv/bin/playwright install chromium" in done.stdout + done.stderr
    assert "passed" not in done.stdout
    assert "failed" not in done.stdout


def test_the_form_for_bugs_names_commands_that_there_are(capsys):
    text = (ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text(encoding="utf-8")
    for words in re.findall(r"`hf-deepfake (\w+) (--\w+)", text):
        with pytest.raises(SystemExit):
            main([words[0], "--help"])
        assert words[1] in capsys.readouterr().out
