"""What a checkpoint says of the images that it has seen."""

import numpy as np
import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.models.seen import SEEN_FILE, Seen


def hashes(*numbers):
    """Hashes whose first 64 bits are these numbers."""
    return np.array([f"{number:016x}{'ab' * 8}".encode() for number in numbers], "S32")


def test_images_are_known_by_their_hashes():
    seen = Seen.of(hashes(5, 3, 5), hashes(2**64 - 1))
    assert seen.trained.tolist() == [3, 5]
    assert seen.among(hashes(1, 5, 2**64 - 1)).tolist() == [False, True, True]
    assert seen.among(hashes(1, 5, 2**64 - 1), trained_only=True).tolist() == [False, True, False]
    assert seen.among(hashes()).tolist() == []


def test_an_image_that_does_not_open_any_more_is_no_known_one():
    assert Seen.of(hashes(5), hashes()).among(np.array([b""], "S32")).tolist() == [False]


def test_a_combination_has_seen_what_its_parts_have_seen():
    both = Seen.together([Seen.of(hashes(1, 2), hashes(3)), Seen.of(hashes(2, 4), hashes())])
    assert (both.trained.tolist(), both.decided.tolist()) == ([1, 2, 4], [3])


def test_it_lies_in_the_checkpoint(tmp_path):
    model = build_model("test_resnet", image_size=32, pretrained="off")
    seen = Seen.of(hashes(7, 2**63), hashes(9))
    folder = export_checkpoint(model, tmp_path / "c", image_size=32, seen=seen)
    found = load_checkpoint(folder).seen
    assert found is not None
    assert (found.trained.tolist(), found.decided.tolist()) == ([7, 2**63], [9])
    assert load_checkpoint(export_checkpoint(model, tmp_path / "d", image_size=32)).seen is None
    (folder / SEEN_FILE).write_bytes(b"PK damaged")
    with pytest.raises(InputError, match=r"seen_images\.npz is damaged .*; export or fetch"):
        load_checkpoint(folder)
