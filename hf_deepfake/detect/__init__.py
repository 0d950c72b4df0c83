"""Verdicts on pictures from an exported checkpoint."""
