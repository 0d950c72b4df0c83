"""Have an image evaluated by a running Space, with `gradio_client` and nothing else installed.

    python examples/call_the_space.py OWNER/SPACE face.jpg
    python examples/call_the_space.py http://127.0.0.1:7860 face.jpg     (what `make serve` starts)

Printed are the verdict as JSON and where the image lies that shows what speaks for it.
"""

import argparse
import json

from gradio_client import Client, handle_file


def main() -> None:
    """Print the verdict and the path of its image."""
    parser = argparse.ArgumentParser(description="Have an image evaluated by a running Space.")
    parser.add_argument("space", help="OWNER/SPACE on the Hub, or the address of a server")
    parser.add_argument("image")
    given = parser.parse_args()
    client = Client(given.space, verbose=False)
    verdict, overlay = client.predict(handle_file(given.image), api_name="/predict")
    print(json.dumps(verdict, indent=2))
    print(overlay)


if __name__ == "__main__":
    main()
