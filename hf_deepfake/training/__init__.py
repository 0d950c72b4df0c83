"""Training: order of pictures, stages, the loop, resuming, and what comes out at the end."""
