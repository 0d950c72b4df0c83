"""`audit`, `split` and `normalise` as commands; what they call has tests of its own."""

import json

import pytest
from PIL import Image

from hf_deepfake.cli.main import main


@pytest.fixture(scope="module")
def telling(faces, tmp_path_factory):
    """The drawn set with its fakes saved as PNG, so that the format tells the class."""
    folder = tmp_path_factory.mktemp("telling")
    for label, form in (("real", "jpg"), ("fake", "png")):
        (folder / label).mkdir()
        for file in sorted((faces / label).iterdir()):
            Image.open(file).save(folder / label / f"{file.stem}.{form}")
    return folder


@pytest.mark.slow
def test_an_audit_is_written_and_the_exit_code_tells_of_what_is_fatal(faces, telling, cache, tmp_path, capsys):
    for source, code in ((faces, 0), (telling, 1)):
        out = tmp_path / source.name
        assert main(["audit", str(source), "--level", "basic", "--out", str(out)]) == code
        said = capsys.readouterr().out
        assert said.endswith(f"\n\naudit  {out / 'audit.html'}\n")
        assert ("FATAL: " in said) == bool(code)
        assert json.loads((out / "audit.json").read_text())["level"] == "basic"


def test_an_audit_needs_a_place_before_it_begins(faces, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["audit", str(faces), "--out", str(tmp_path / "file" / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_split_is_told_by_its_counts(faces, cache, tmp_path, capsys):
    assert main(["split", str(faces), str(tmp_path / "new")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["train", "validation", "test"]
    assert [line[2::2] for line in lines] == [["real,", "fake"]] * 3
    counts = {line[0]: (int(line[1]), int(line[3])) for line in lines}
    assert [sum(column) for column in zip(*counts.values(), strict=True)] == [60, 60]
    for name, told in counts.items():
        assert tuple(len(list((tmp_path / "new" / name / label).iterdir())) for label in ("real", "fake")) == told


def test_normalising_tells_how_many_images_were_written(telling, cache, tmp_path, capsys):
    target = tmp_path / "normalised"
    assert main(["normalise", str(telling), str(target)]) == 0
    assert capsys.readouterr().out == f"120 images written to {target}\n"
    written = [path for path in target.rglob("*") if path.suffix in {".jpg", ".png"}]
    assert len(written) == 120
    assert len({path.suffix for path in written}) == 1
