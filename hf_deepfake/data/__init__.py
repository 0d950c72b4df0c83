"""Many images: where they are, which are broken or the same, and how they are split."""
