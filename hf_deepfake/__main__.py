"""`python -m hf_deepfake`, the same as `hf-deepfake`."""

import sys

from hf_deepfake.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
