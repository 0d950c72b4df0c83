"""`predict`, `inspect`, `crop` and `serve` as commands; what they call has tests of its own."""

import json
import sys

import pytest
from clips import encode, numbered
from PIL import Image

from hf_deepfake.cli.main import main
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An untrained model, which states no margin around the face."""
    model = build_model("test_resnet", image_size=32, pretrained="off")
    return export_checkpoint(model, tmp_path_factory.mktemp("cli") / "model", image_size=32)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["crop", "nosuch", "target"], "error: nosuch is neither a folder nor a zip"),
        (["serve"], "error: no checkpoint given; add --checkpoint"),
        (["serve", "--checkpoint", "nosuch", "--port", "x"], "error: argument --port: invalid int value: 'x'; see"),
    ],
)
def test_errors_are_one_sentence_and_exit_with_2(words, sentence, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith(sentence)
    assert said.count("\n") == 1


def test_predict_writes_lines_tables_and_overlays(checkpoint, tmp_path, capsys):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 40)).save(tmp_path / name)
    words = ["predict", str(tmp_path / "*.png"), "--checkpoint", str(checkpoint), "--device", "cpu", "--faces", "off"]
    assert main([*words, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["file"] for line in lines] == [str(tmp_path / name) for name in ("a.png", "b.png")]
    assert main([*words, "--csv", "--out", str(tmp_path / "verdicts.csv"), "--explain", str(tmp_path / "maps")]) == 0
    assert len((tmp_path / "verdicts.csv").read_text().splitlines()) == 3
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {"a.png.png", "b.png.png"}
    assert main([*words, "--json", "--csv"]) == 2
    assert "not allowed with" in capsys.readouterr().err


def test_predict_watches_videos(checkpoint, tmp_path, capsys):
    clip, pages = tmp_path / "clip.mp4", tmp_path / "pages"
    clip.write_bytes(encode([numbered(0)] * 25))
    words = ["predict", str(clip), "--checkpoint", str(checkpoint), "--device", "cpu", "--json"]
    assert main([*words, "--explain", str(pages)]) == 0
    assert len(json.loads(capsys.readouterr().out)["frames"]) == 16
    assert (pages / "clip.mp4.html").is_file()
    assert main([*words, "--frames", "4"]) == 0
    assert len(json.loads(capsys.readouterr().out)["frames"]) == 4
    assert main([*words, "--every", "0.5"]) == 0
    assert len(json.loads(capsys.readouterr().out)["frames"]) == 2
    for extra, sentence in ((["--frames", "0"], "count is 0"), (["--frames", "4", "--every", "1"], "not allowed with")):
        assert main([*words, *extra]) == 2
        assert sentence in capsys.readouterr().err


def test_predict_takes_the_checkpoint_of_the_environment(checkpoint, tmp_path, monkeypatch, capsys):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    monkeypatch.delenv("HF_DEEPFAKE_CHECKPOINT", raising=False)
    assert main(["predict", str(tmp_path / "a.png")]) == 2
    assert capsys.readouterr().err.startswith("error: no checkpoint given; add --checkpoint")
    monkeypatch.setenv("HF_DEEPFAKE_CHECKPOINT", str(checkpoint))
    assert main(["predict", str(tmp_path / "a.png"), "--json", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoint"]


def test_inspect_prints_facts_and_writes_views(tmp_path, capsys):
    image, out = tmp_path / "face.jpg", tmp_path / "views.png"
    Image.new("RGB", (96, 64), (200, 150, 120)).save(image, quality=80)
    assert main(["inspect", str(image), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "quality about 80 of 100" in printed
    assert "Content Credentials\n  none\n" in printed
    with Image.open(out) as views:
        plain = views.size
    checkpoint = export_checkpoint(
        build_model("test_resnet", image_size=64, pretrained="off"), tmp_path / "model", image_size=64
    )
    assert main(["inspect", str(image), "--checkpoint", str(checkpoint)]) == 2
    assert "add --out" in capsys.readouterr().err
    assert main(["inspect", str(image), "--checkpoint", str(checkpoint), "--out", str(out)]) == 0
    with Image.open(out) as views:
        assert views.height > plain[1]
    assert main(["inspect", str(tmp_path / "nothing.jpg")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_crops_of_a_data_set(tmp_path, capsys):
    draw_sample(tmp_path / "sample", count=3, size=128, seed=0)
    assert main(["crop", str(tmp_path / "sample" / "images"), str(tmp_path / "crops")]) == 0
    said = capsys.readouterr().out.split()
    written = len(list((tmp_path / "crops").rglob("*.jpg")))
    assert written >= 4  # of six drawn faces the finder may miss one or two
    assert said[:2] == [str(written), "written"]


def test_crops_of_clips(tmp_path, capsys):
    draw_sample(tmp_path, count=2, size=160)
    for name in ("real", "fake"):
        picture = Image.open(tmp_path / "images" / name / "0000.jpg")
        (tmp_path / "clips" / name).mkdir(parents=True)
        (tmp_path / "clips" / name / "0.mp4").write_bytes(encode([picture] * 8, rate=8))
    words = ["crop", str(tmp_path / "clips"), str(tmp_path / "crops"), "--frames", "2", "--workers", "1"]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[0] == "        4  crops of 2 clips"
    assert len(list((tmp_path / "crops").rglob("*.jpg"))) == 4
    assert main(["crop", str(tmp_path / "images"), str(tmp_path / "more"), "--frames", "2"]) == 2
    assert "is no folder of videos, for which --frames and --workers are" in capsys.readouterr().err
    assert not (tmp_path / "more").exists()


def test_crops_need_a_margin_that_the_checkpoint_states(checkpoint, tmp_path, capsys):
    assert main(["crop", str(tmp_path), str(tmp_path / "crops"), "--checkpoint", str(checkpoint)]) == 2
    assert capsys.readouterr().err == (
        f"error: {checkpoint} states no margin around the face; leave out --checkpoint\n"
    )
    assert not (tmp_path / "crops").exists()


def test_serve_says_what_to_install_where_gradio_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["serve", "--checkpoint", "nosuch"]) == 2
    said = capsys.readouterr().err
    assert said == 'error: the page needs gradio, which is not installed; run pip install "hf-deepfake[space]"\n'
