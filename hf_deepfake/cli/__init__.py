"""The command line `hf-deepfake`: thin commands that turn words into a configuration and call the package."""
