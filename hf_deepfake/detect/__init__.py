"""Verdicts on images from an exported checkpoint."""
