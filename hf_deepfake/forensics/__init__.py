"""What a file says of itself, and views that show traces."""
