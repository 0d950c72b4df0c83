"""Models: timm backbones with two logits, their pretrained weights, and the checkpoint folder."""
