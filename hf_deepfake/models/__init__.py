"""Nets: timm backbones with two logits, their start weights, and the checkpoint folder."""
