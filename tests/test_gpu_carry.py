"""scripts/gpu_carry.py: what goes into pieces comes out again."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

SCRIPT = Path(__file__).parents[1] / "scripts" / "gpu_carry.py"


@pytest.fixture
def carry(monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("gpu_carry", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["gpu_carry.py", *map(str, words)])
        assert module.main() == 0
        return capsys.readouterr().out

    return run


def test_data_and_weights_come_out_of_the_pieces(tmp_path, carry):
    data = tmp_path / "set"
    for name in ("real/b", "fake/a", "real/unlisted"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(name.encode() * 5000)
    (data / "groups.csv").write_text("file,group\nreal/b,1\nfake/a,1\nfake/absent,2\n")
    rows = torch.arange(-127, 128).float().repeat(200, 1)  # a channel's largest is 127, so that int8 holds all
    weights = {"matrix": rows * torch.rand(200, 1), "bias": torch.rand(3), "count": torch.tensor(7)}
    save_file(weights, tmp_path / "model.safetensors")
    carry("pack", "--data", data, "--weights", f"model={tmp_path / 'model.safetensors'}", "--mib", 0.03, "--out",
          tmp_path / "pieces")  # fmt: skip
    pieces = sorted((tmp_path / "pieces").iterdir())
    assert len(pieces) > 3
    (tmp_path / "some").mkdir()
    pieces[0].rename(tmp_path / "some" / pieces[0].name)  # they arrive one at a time
    assert "not all chunks are there yet" in carry("take", tmp_path / "some", "--out", tmp_path / "out")
    carry("take", tmp_path / "pieces", "--out", tmp_path / "out")
    for file in [*data.glob("*/*"), data / "groups.csv"]:
        assert (tmp_path / "out" / "set" / file.relative_to(data)).read_bytes() == file.read_bytes()
    back = load_file(tmp_path / "out" / "model.safetensors")
    assert set(back) == set(weights)
    for name, tensor in weights.items():
        assert torch.allclose(back[name], tensor, rtol=1e-6), name


def test_a_file_is_cut_into_chunks_that_make_it_again(tmp_path, carry):
    file = tmp_path / "model.safetensors"
    file.write_bytes(bytes(range(256)) * 1000)
    carry("cut", file, "--mib", 0.1, "--out", tmp_path / "chunks")
    chunks = sorted((tmp_path / "chunks").iterdir())
    assert [chunk.stat().st_size for chunk in chunks] == [104857, 104857, 46286]
    assert b"".join(chunk.read_bytes() for chunk in chunks) == file.read_bytes()
