import numpy as np
import PIL.Image
from datasets import Dataset, Image

from hf_deepfake.audits.roles import near_duplicates


def images(files):
    return Dataset.from_dict({"image": [str(file) for file in files]}).cast_column("image", Image())


def test_a_resaved_image_is_found_and_others_are_not(faces, tmp_path):
    files = sorted((faces / "real").iterdir())
    copy = tmp_path / "copy.jpg"
    with PIL.Image.open(files[0]) as opened:
        opened.convert("RGB").resize((90, 90)).save(copy, quality=70)
    found = near_duplicates(images([copy, files[3]]), images(files[:2]))
    np.testing.assert_array_equal(found, [True, False])
