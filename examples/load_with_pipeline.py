"""Evaluate images with a checkpoint through transformers alone; `hf_deepfake` need not be installed.

    python examples/load_with_pipeline.py runs/demo/checkpoint face.jpg another.png

The checkpoint is a folder or the Hub's OWNER/NAME. Images should be cropped to the face as the checkpoint's
training images were (its card says how); transformers looks for no faces.
"""

import argparse

from transformers import pipeline


def main() -> None:
    """Print the verdict on each image."""
    parser = argparse.ArgumentParser(description="Evaluate images with transformers alone.")
    parser.add_argument("checkpoint")
    parser.add_argument("images", nargs="+")
    given = parser.parse_args()
    classify = pipeline("image-classification", model=given.checkpoint)
    for image, (verdict, _) in zip(given.images, classify(given.images), strict=True):
        print(f"{image}: {verdict['label']}, score {verdict['score']:.3f}")


if __name__ == "__main__":
    main()
