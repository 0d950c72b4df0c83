"""Where a model looked: maps of a verdict, their drawing, and how far they can be trusted."""
