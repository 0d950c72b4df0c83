"""Draw every family of degradations at every severity on a drawn face: `degradations.py SHEET.jpg`."""

import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

from hf_deepfake.data.sample import draw_sample
from hf_deepfake.errors import InputError
from hf_deepfake.explain.overlay import GROUND, INK, caption_font
from hf_deepfake.files import replacing
from hf_deepfake.images.degrade import FAMILIES, SEVERITIES, degrade
from hf_deepfake.images.open import open_image

TILE, GAP, TITLE, COLUMNS = 76, 2, 19, 3
"""Side of an image, space around it, height of a family's name, px, and families in a row."""


def draw_sheet(image: Image.Image) -> Image.Image:
    """Draw an image in all conditions, a row of five severities under each family's name."""
    names = list(FAMILIES)
    width, height = len(SEVERITIES) * (TILE + GAP) + 12, TITLE + TILE + 10
    sheet = Image.new("RGB", (COLUMNS * width + 12, -(-len(names) // COLUMNS) * height + 12), GROUND)
    draw, font = ImageDraw.Draw(sheet), caption_font(12)
    for place, name in enumerate(names):
        left, top = 12 + place % COLUMNS * width, 12 + place // COLUMNS * height
        family = FAMILIES[name]
        draw.text((left, top), f"{name.replace('_', ' ')}: {', '.join(map(str, family.strengths))}", INK, font)
        for severity in SEVERITIES:
            worse = degrade(image, name, severity, severity)
            worse = worse.resize((TILE, TILE), Image.Resampling.LANCZOS, reducing_gap=3)
            sheet.paste(worse, (left + (severity - 1) * (TILE + GAP), top + TITLE))
    return sheet


def main(target: str) -> int:
    """Draw the sheet; see the module's description."""
    with tempfile.TemporaryDirectory() as folder:
        draw_sample(Path(folder), count=1, size=224, seed=1)
        image = open_image(Path(folder, "images", "real", "0000.jpg"))
    try:
        with replacing(Path(target)) as temporary:
            draw_sheet(image).save(temporary, "JPEG", quality=85)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
