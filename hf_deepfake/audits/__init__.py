"""What a data set would teach besides faces: leaks between splits, and shortcuts to the label."""
