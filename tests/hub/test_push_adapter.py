"""An adapter alone: loaded over its base, merged into a checkpoint, and pushed; all decide as the run's own did."""

import json
import shutil
from types import SimpleNamespace

import pytest
import timm
import torch
from hub_client import ClientError
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from hf_deepfake.cli.main import main
from hf_deepfake.config import TrainConfig, build
from hf_deepfake.detect.detector import Detector
from hf_deepfake.errors import InputError
from hf_deepfake.hub.push import push_to_hub
from hf_deepfake.hub.push_adapter import merge_adapter
from hf_deepfake.models.checkpoint import load_checkpoint
from hf_deepfake.training.run import train

pytestmark = pytest.mark.slow  # what all of them need takes seconds

TINY = {"batch_size": 8, "workers": 0, "lr": 1e-2, "mixed_precision": "no", "explained": 0, "audit": "off"}
TINY |= {"epochs": 1, "steps_per_epoch": 3}
ADAPTER = {
    "README.md", "adapter_config.json", "adapter_model.safetensors", "config.json", "report.json", "seen_images.npz",
}  # fmt: skip


def run(faces, folder, adapter, model="test_vit", size=160, **changes):
    """A run that trains an adapter of a random base, which is kept in a file."""
    torch.manual_seed(7)
    save_file(timm.create_model(model, num_classes=5).state_dict(), folder / "base.safetensors")
    given = {"data": str(faces), "output_dir": str(folder / "run"), "pretrained": str(folder / "base.safetensors")}
    result = train(
        build(TrainConfig, TINY | given | {"model": model, "image_size": size, "adapter": adapter} | changes)
    )
    return SimpleNamespace(
        base=folder / "base.safetensors", adapter=folder / "run" / "adapter", checkpoint=result.checkpoint
    )


@pytest.fixture(scope="module")
def trained(faces, tmp_path_factory):
    return run(faces, tmp_path_factory.mktemp("adapted"), "layernorm")


@pytest.fixture(scope="module")
def images(faces):
    return sorted(faces.rglob("*.jpg"))[::20]


def scores(detector, images):
    return [(verdict.fake_probability, verdict.unsure) for verdict in detector(images)]


def check_equal(one, other):
    assert [score for score, _ in one] == pytest.approx([score for score, _ in other], abs=1e-5)
    assert [unsure for _, unsure in one] == [unsure for _, unsure in other]


@pytest.mark.parametrize(
    ("adapter", "changes"),
    [
        ("layernorm", {}),
        ("lora", {"save_fp16": True}),
        pytest.param("osf", {}, marks=pytest.mark.slow),
        ("batchnorm", {"model": "test_resnet", "size": 64}),
    ],
)
def test_adapter_and_checkpoint_give_the_same_verdicts(faces, images, tmp_path, adapter, changes):
    made = run(faces, tmp_path, adapter, ema=0.5, **changes)
    assert {path.name for path in made.adapter.iterdir()} == ADAPTER
    own = Detector.from_pretrained(made.checkpoint, device="cpu")
    loaded = load_checkpoint(made.adapter, base=made.base)
    for name in ("temperature", "operating_point", "abstention_band", "criterion", "confident_error", "face_margin",
                 "data_fingerprint", "trusted"):  # fmt: skip
        assert getattr(loaded, name) == getattr(own.checkpoint, name), name
    assert loaded.trusted
    expected = scores(own, images)
    tolerance = {"abs": 1e-4 if changes.get("save_fp16") else 1e-5}  # a rounded weight may fall to the other side
    assert [score for score, _ in scores(Detector(loaded, "cpu"), images)] == pytest.approx(
        [score for score, _ in expected], **tolerance
    )
    merged = merge_adapter(made.adapter, base=made.base)
    assert merged == made.adapter.with_name("adapter-merged")
    again = Detector.from_pretrained(merged, device="cpu")
    assert again.checkpoint.trusted
    assert [score for score, _ in scores(again, images)] == pytest.approx([score for score, _ in expected], **tolerance)
    kinds = [
        {one.dtype for one in load_file(folder / "model.safetensors").values()} for folder in (made.checkpoint, merged)
    ]
    assert kinds[0] == kinds[1]


def test_the_command_makes_a_checkpoint_that_timm_reads(trained, images, tmp_path, capsys):
    out = tmp_path / "merged"
    assert main(["merge", str(trained.adapter), "--base", str(trained.base), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"checkpoint  {out}\n"
    assert {path.name for path in out.iterdir()} == {
        "README.md", "config.json", "model.safetensors", "report.json", "seen_images.npz",
    }  # fmt: skip
    check_equal(
        scores(Detector.from_pretrained(out, device="cpu"), images),
        scores(Detector.from_pretrained(trained.checkpoint, device="cpu"), images),
    )
    own, new = (timm.create_model(f"local-dir:{place}", pretrained=True).eval() for place in (trained.checkpoint, out))
    given = torch.rand(2, 3, 160, 160)
    torch.testing.assert_close(new(given), own(given), atol=1e-5, rtol=1e-4)
    assert len(push_to_hub(out, "me/merged", license="mit", dry_run=True).files) == 5
    assert main(["merge", str(trained.adapter), "--base", str(trained.base), "--out", str(out)]) == 2
    assert f"{out} exists" in capsys.readouterr().err


def test_a_saved_adapter_stays_one(trained, images, tmp_path):
    detector = Detector.from_pretrained(trained.adapter, base=trained.base, device="cpu")
    saved = detector.save_pretrained(tmp_path / "saved")
    assert {path.name for path in saved.iterdir()} == ADAPTER
    check_equal(
        scores(Detector.from_pretrained(saved, base=trained.base, device="cpu"), images), scores(detector, images)
    )


def test_a_decision_holds_for_its_adapter_and_its_base_alone(trained, tmp_path, caplog):
    torch.manual_seed(8)
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "other.safetensors")
    changed = shutil.copytree(trained.adapter, tmp_path / "changed")
    weights = load_file(changed / "adapter_model.safetensors")
    save_file({name: tensor * 1.5 for name, tensor in weights.items()}, changed / "adapter_model.safetensors")
    bare = shutil.copytree(trained.adapter, tmp_path / "bare")
    (bare / "config.json").unlink()
    for folder, base in (
        (trained.adapter, tmp_path / "other.safetensors"),
        (changed, trained.base),
        (bare, trained.base),
    ):
        loaded = load_checkpoint(folder, base=base)
        decision = (loaded.trusted, loaded.temperature, loaded.operating_point, loaded.abstention_band)
        assert decision == (False, 1.0, 0.5, None)
        assert loaded.config["pretrained_cfg"]["input_size"][-1] == 160
    assert caplog.text.count("states no decision for this adapter on this base") == 3
    assert caplog.text.count("run hf-deepfake merge, and of its result recalibrate to have one") == 3
    assert not (merge_adapter(bare, base=trained.base) / "report.json").exists()


def test_what_is_no_adapter_or_has_no_base(trained, tmp_path):
    with pytest.raises(InputError, match=r"^the base of .*, test_vit, cannot be loaded \(.*\); give a file or folder"):
        load_checkpoint(trained.adapter)  # offline
    with pytest.raises(InputError, match=r"cannot be loaded \(no weights at"):
        load_checkpoint(trained.adapter, base=tmp_path / "nothing")
    with pytest.raises(InputError, match="is a whole checkpoint and has no use for a base"):
        load_checkpoint(trained.checkpoint, base=trained.base)
    with pytest.raises(InputError, match="holds no adapter"):
        merge_adapter(trained.checkpoint, base=trained.base)
    torch.manual_seed(8)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "resnet.safetensors")
    with pytest.raises(InputError, match=r"cannot be loaded .*does not fit test_vit"):
        load_checkpoint(trained.adapter, base=tmp_path / "resnet.safetensors")
    for name, content in {"adapter_config.json": b"{", "config.json": b"[]", "adapter_model.safetensors": b"x"}.items():
        broken = shutil.copytree(trained.adapter, tmp_path / f"broken-{name}")
        (broken / name).write_bytes(content)
        with pytest.raises(InputError, match=r"^[^\n]*(cannot be read|is damaged)[^\n]*; [^\n]*$"):
            load_checkpoint(broken, base=trained.base)
    broken = shutil.copytree(trained.adapter, tmp_path / "half")
    (broken / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no adapter_model\.safetensors"):
        load_checkpoint(broken, base=trained.base)


PUSH = """
from hf_deepfake.hub.push import push_to_hub
result = push_to_hub(folder, repo, license="cc-by-4.0").files
"""


def test_an_adapter_is_pushed_alone_and_loaded_by_name(hub, client, trained, images, tmp_path):
    pushed = client(PUSH, folder=str(trained.adapter), repo="me/adapter")
    assert set(pushed) == ADAPTER
    card = ModelCard(hub.repos["model", "me/adapter"].files()["README.md"].decode())
    assert (card.data.library_name, card.data.license) == ("peft", "cc-by-4.0")
    assert 'Detector.from_pretrained("me/adapter")' in card.text
    assert "pipeline(" not in card.text
    code = """
from hf_deepfake import Detector
from hf_deepfake.hub.push_adapter import merge_adapter
result = Detector.from_pretrained("me/adapter", base=base, device="cpu")(image).fake_probability
merge_adapter("me/adapter", base=base, out=out)
"""
    out = tmp_path / "merged"
    found = client(code, base=str(trained.base), image=str(images[0]), out=str(out))
    own, merged = (Detector.from_pretrained(place, device="cpu")(images[0]) for place in (trained.checkpoint, out))
    assert [found, merged.fake_probability] == pytest.approx([own.fake_probability] * 2, abs=1e-5)


def test_the_base_comes_from_the_hub_by_its_name(hub, client, trained, images):
    base = {"model.safetensors": trained.base.read_bytes()}
    hub.add("model", timm.get_pretrained_cfg("test_vit").hf_hub_id, base)
    code = """
from hf_deepfake import Detector
detector = Detector.from_pretrained(folder, device="cpu")
result = [detector.checkpoint.trusted, detector(image).fake_probability]
"""
    trusted, score = client(code, folder=str(trained.adapter), image=str(images[0]))
    expected = Detector.from_pretrained(trained.checkpoint, device="cpu")(images[0]).fake_probability
    assert (trusted, score) == (True, pytest.approx(expected, abs=1e-5))


def test_a_card_by_hand_gets_the_licence_and_no_path_is_published(hub, client, trained, tmp_path):
    own = shutil.copytree(trained.adapter, tmp_path / "own")
    for name in ("report.json", "config.json", "seen_images.npz"):
        (own / name).unlink()
    (own / "README.md").write_text("---\nlibrary_name: peft\n---\n\n# Mine\n")
    client(PUSH, folder=str(own), repo="me/own")
    card = ModelCard(hub.repos["model", "me/own"].files()["README.md"].decode())
    assert (card.data.license, card.text.strip()) == ("cc-by-4.0", "# Mine")
    (own / "README.md").unlink()
    with pytest.raises(ClientError, match=r"^InputError: .* has neither report\.json nor README\.md"):
        client(PUSH, folder=str(own), repo="me/own")
    settings = json.loads((own / "adapter_config.json").read_text())
    (own / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": str(trained.base)}))
    with pytest.raises(InputError, match="names its base by a path"):
        push_to_hub(own, "me/own", license="mit", dry_run=True)
