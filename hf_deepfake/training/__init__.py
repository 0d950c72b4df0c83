"""Training: order of images, stages, the loop, resuming, and what comes out at the end."""
