"""The folder `space/`: what a Space of the bundled model is made of."""

import runpy
from pathlib import Path

import pytest

from hf_deepfake.hub import push_space

SPACE = Path(__file__).parents[1] / "space"


def test_missing_checkpoint_is_said_in_one_line(monkeypatch, capsys):
    monkeypatch.setenv("HF_DEEPFAKE_CHECKPOINT", "/nowhere")
    monkeypatch.setattr("hf_deepfake.page.keep.end_on_signals", lambda: None)  # this process goes on
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(SPACE / "app.py"), run_name="__main__")
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "/nowhere" in said


def test_it_is_what_is_pushed():
    """Only requirements.txt differs: what is pushed says where the wheel is."""
    card = Path(push_space.__file__).with_name("space_card_template.md")
    assert (SPACE / "README.md").read_text(encoding="utf-8") == card.read_text(encoding="utf-8")
    assert (SPACE / push_space.APP_FILE).read_text(encoding="utf-8") == push_space.APP
    assert (SPACE / push_space.REQUIREMENTS_FILE).read_text(encoding="utf-8") == f"{push_space.REQUIREMENT}\n"
    assert (SPACE / push_space.CHECKPOINT_FOLDER / "config.json").is_file()


def test_examples_are_few_and_small_and_say_where_they_are_from():
    files = sorted((SPACE / "examples").glob("*.jpg"))
    assert 1 <= len(files) <= 6
    assert max(file.stat().st_size for file in files) < 40_000
    origins = (SPACE / "examples" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{file.name}`" in origins for file in files)
    assert "MIT" in origins
    assert "drawn by this project" in origins
