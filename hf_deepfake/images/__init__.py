"""One image: opening, faces, crops, and what happens to images on their way."""
