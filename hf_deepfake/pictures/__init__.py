"""One picture: how it is opened."""
