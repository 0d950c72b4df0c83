"""Models as others make them."""

import torch
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor


def save_vit(folder, labels, **options):
    """A random ViT as others save it."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16,
        id2label=dict(enumerate(labels)), label2id={label: index for index, label in enumerate(labels)}, **options,
    )  # fmt: skip
    model = ViTForImageClassification(config)
    model.classifier.weight.data *= 30
    model.save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def brightness(images):
    """A detector by hand: how bright the first pixel is."""
    assert all(image.mode == "RGB" for image in images)
    return [image.getpixel((0, 0))[0] / 255 for image in images]
