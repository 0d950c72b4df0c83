"""The page in the browser: what a model makes of an image, and where it looked."""

import os

from hf_deepfake.page.keep import own_folder

os.environ["GRADIO_TEMP_DIR"] = str(own_folder())  # gradio, which all modules here need, reads it when it is imported
