"""The scripts behind the flagship: its data without a look at the test images, and its ablation."""

import csv
import importlib.util
import json
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml
from PIL import Image

from hf_deepfake.config import TrainConfig, build
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.recipe import read_recipe

ROOT = Path(__file__).parents[1]


def script(name: str, folder: str = "scripts") -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)


def pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))


def files(folder: Path) -> dict[str, str]:
    """Group by file, each of which is there."""
    with (folder / "groups.csv").open() as lines:
        found = {line["file"]: line["group"] for line in csv.DictReader(lines)}
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.jpg")} == set(found)
    return found


@pytest.fixture
def sources(tmp_path) -> list[str]:
    """DFDC with two training, one validation and one test pair; a clone with those, two more pairs, one reserved."""
    faces, clone, composites = tmp_path / "faces", tmp_path / "clone", tmp_path / "composites"
    rows = ["videoname,label,original"]
    for place, group in enumerate(("t1", "t2", "v1", "e1", "more", "kept")):
        for label, name, original in (("Real", group, ""), ("Fake", f"{group}f", f"{group}.mp4")):
            save(clone / "faces_224" / f"{name}.jpg", 2 * place + (label == "Fake"))
            rows.append(f"{name}.mp4,{label.upper()},{original}")
            if group in {"t1", "t2", "v1", "e1"}:
                split = {"t": "Train", "v": "Validation", "e": "Test"}[group[0]]
                save(faces / "Dataset" / split / label / f"{name}.jpg", 2 * place + (label == "Fake"))
    rows.append("absent.mp4,REAL,")  # a video of which no crop was made
    (clone / "metadata.csv").write_text("\n".join(rows) + "\n")
    images = sorted((faces / "Dataset").rglob("*.jpg"))
    lines = [f"{path.relative_to(faces / 'Dataset')},{path.stem.removesuffix('f')}" for path in images]
    (faces / "Dataset" / "groups.csv").write_text("\n".join(["file,group", *lines]) + "\n")
    for place in range(20):
        save(composites / "real_and_fake_face" / f"training_{('real', 'fake')[place % 2]}" / f"{place}.jpg", 50 + place)
    lines = [f"{path.relative_to(composites)},mid" for path in composites.rglob("*.jpg")]
    (composites / "attributes.csv").write_text("\n".join(["file,manipulation", *lines]) + "\n")
    (tmp_path / "reserved.txt").write_text("kept\n")
    for folder in (faces, composites):
        pack(folder, folder.with_suffix(".zip"))
    words = ["--faces", faces.with_suffix(".zip"), "--composites", composites.with_suffix(".zip")]
    words += ["--crops", clone, "--reserved", tmp_path / "reserved.txt", "--out", tmp_path / "out"]
    return [str(word) for word in words]


def test_no_training_image_is_of_a_reserved_video(sources, tmp_path, monkeypatch):
    module = script("flagship_data")
    monkeypatch.setattr(module, "HELD", {"dfdc": 1, "ciplab": 3})
    monkeypatch.setattr(sys, "argv", ["flagship_data.py", *sources])
    assert module.main() == 0
    dfdc = files(tmp_path / "out" / "dfdc")
    assert dfdc == {
        "train/real/t1.jpg": "t1", "train/fake/t1f.jpg": "t1", "train/real/t2.jpg": "t2", "train/fake/t2f.jpg": "t2",
        "train/real/more.jpg": "more", "train/fake/moref.jpg": "more",
        "validation/real/v1.jpg": "v1", "validation/fake/v1f.jpg": "v1",
        "test/real/e1.jpg": "e1", "test/fake/e1f.jpg": "e1",
    }  # fmt: skip

    blind = files(tmp_path / "out" / "blind" / "dfdc")
    (held,) = {group for file, group in blind.items() if file.startswith("test/")}
    assert held in {"t1", "t2", "more"}
    assert {group for file, group in blind.items() if file.startswith("validation/")} == {"v1"}
    assert {group for file, group in blind.items() if file.startswith("train/")} == {"t1", "t2", "more"} - {held}

    ablation = files(tmp_path / "out" / "ablation" / "dfdc")
    assert {group for file, group in ablation.items() if file.startswith("test/")} == {"v1"}
    assert set(ablation.values()) == {"t1", "t2", "v1"}  # of the zip alone

    whole, few = files(tmp_path / "out" / "ciplab"), files(tmp_path / "out" / "ablation" / "ciplab")
    assert len(whole) == 20
    tested = {Path(file).name for file in whole if file.startswith("test/")}
    assert {Path(file).name for file in few} == {Path(file).name for file in whole} - tested
    validation = {Path(file).name for file in whole if file.startswith("validation/")}
    assert {Path(file).name for file in few if file.startswith("test/")} == validation
    assert (tmp_path / "out" / "ciplab" / "groups.csv").read_text().startswith("file,origin,manipulation,group\n")


def test_a_folder_that_exists_is_left_alone(sources, tmp_path, monkeypatch, capsys):
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(sys, "argv", ["flagship_data.py", *sources])
    assert script("flagship_data").main() == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'out'} exists; give --out a new folder\n"


def test_every_change_is_one_of_the_recipe():
    module = script("ablate", "benchmarks")
    base = read_recipe("resnet50-robust").options | module.STAND_IN | {"data": ["x"], "output_dir": "y"}
    known = build(TrainConfig, base)
    for name, change in module.CHANGES.items():
        assert len(change) == 1
        ((option, value),) = change.items()
        assert getattr(build(TrainConfig, base | change), option) == value != getattr(known, option), name


@pytest.mark.slow
def test_changes_are_held_against_the_recipe(faces, tmp_path, monkeypatch):
    module = script("ablate", "benchmarks")
    tiny = {"model": "test_resnet", "image_size": 64, "epochs": 1, "steps_per_epoch": 2, "batch_size": 8, "workers": 0}
    monkeypatch.setattr(module, "STAND_IN", module.STAND_IN | tiny)
    monkeypatch.setattr(module, "CHANGES", {"another seed": {"seed": 1}, "no degradations": {"degrade": 0}})
    words = ["--recipe", "resnet50-robust", "--data", str(faces), "--pretrained", "off"]
    words += ["--output_dir", str(tmp_path / "runs")]
    build_teacher(faces, tmp_path / "teacher")
    words += ["--teacher", str(tmp_path / "teacher" / "checkpoint")]
    monkeypatch.setattr(sys, "argv", ["ablate.py", *words])
    assert module.main() == 0
    lines = (tmp_path / "runs" / "table.md").read_text().splitlines()
    names = [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]]
    assert names == [
        "the recipe", "another seed", "no degradations", "a teacher for half of each target",
        "mirrored images evaluated too", "weights of two seeds averaged",
    ]  # fmt: skip
    assert lines[2].endswith(" |  |  |")
    found = json.loads((tmp_path / "runs" / "ablation.json").read_text())
    second = found["results"]["another seed"]["metrics"]["auc"]["value"]
    first = found["results"]["the recipe"]["metrics"]["auc"]["value"]
    assert f" | {second - first:.3f} [" in lines[3]
    weights = tmp_path / "runs" / "1" / "checkpoint" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    assert module.main() == 0
    assert weights.stat().st_mtime_ns == written


@pytest.mark.slow
def test_foreign_images_decide_on_changes_of_ones_own(faces, tmp_path, monkeypatch):
    module = script("ablate", "benchmarks")
    for seed, name in enumerate(("street", "studio"), 5):
        draw_sample(tmp_path / name, count=20, size=64, seed=seed)
    tiny = {"model": "test_resnet", "image_size": 64, "epochs": 1, "steps_per_epoch": 2, "batch_size": 8, "workers": 0}
    tiny |= {"mixed_precision": "no"}  # as the finished checkpoint is scored
    (tmp_path / "changes.yaml").write_text(yaml.safe_dump({"the recipe": tiny, "no degradations": {"degrade": 0}}))
    words = ["--recipe", "resnet50-robust", "--data", str(faces), "--pretrained", "off"]
    words += ["--changes", str(tmp_path / "changes.yaml"), "--output_dir", str(tmp_path / "runs")]
    foreign = []
    for name in ("street", "studio"):
        (tmp_path / name / "images").rename(tmp_path / f"{name}-faces")
        foreign.append(str(tmp_path / f"{name}-faces"))
    monkeypatch.setattr(sys, "argv", ["ablate.py", *words, "--calibration_data", *foreign])
    assert module.main() == 0
    lines = (tmp_path / "runs" / "table.md").read_text().splitlines()
    assert lines[0] == (
        "| change | mean foreign AUC | on street-faces | on studio-faces | difference | p, corrected | AUC in-source |"
    )
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| the recipe", "| no degradations"]
    first, second = json.loads((tmp_path / "runs" / "ablation.json").read_text())["runs"]
    record = json.loads((tmp_path / "runs" / "1" / "run.json").read_text())
    assert record["options"]["monitor"] == "foreign_auc"
    assert record["options"]["image_size"] == 64
    assert second["foreign_auc"][""] == pytest.approx(record["epochs"][0]["foreign_auc"], abs=1e-3)
    gain = second["foreign_auc"][""] - first["foreign_auc"][""]
    assert second["difference"]["value"] == pytest.approx(gain)
    assert second["p_holm"] == second["p"]  # of one change


def test_changes_that_are_none_are_refused(tmp_path, monkeypatch, capsys):
    module = script("ablate", "benchmarks")
    (tmp_path / "changes.yaml").write_text("- degrade\n")
    words = [
        "--recipe",
        "resnet50-robust",
        "--data",
        "x",
        "--pretrained",
        "off",
        "--output_dir",
        str(tmp_path / "runs"),
    ]
    for file, sentence in (("changes.yaml", "is no mapping"), ("nowhere.yaml", "cannot be read as YAML")):
        monkeypatch.setattr(sys, "argv", ["ablate.py", *words, "--changes", str(tmp_path / file)])
        assert module.main() == 2
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def build_teacher(faces: Path, folder: Path) -> None:
    from hf_deepfake import train

    options = {"data": str(faces), "output_dir": str(folder), "model": "test_resnet", "pretrained": "off"}
    options |= {"image_size": 64, "epochs": 1, "steps_per_epoch": 2, "batch_size": 8, "workers": 0, "explained": 0}
    train(build(TrainConfig, options | {"audit": "off", "mixed_precision": "no"}))  # one precision in a process
