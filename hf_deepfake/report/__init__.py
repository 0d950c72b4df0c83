"""The typed report, its figures, its pages, and comparisons of several."""
