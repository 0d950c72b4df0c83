"""What ties a checkpoint's decision to its weights: a digest of them that stands beside it in `config.json`."""

import hashlib
import json

import numpy as np


def weights_digest(data: bytes | memoryview) -> str:
    """SHA-256 of the tensors of a safetensors file: of names, shapes and values, in the order of the names.

    Neither the file's metadata nor the order that a writer chose count, and float16 counts as the float32 that readers
    compute in: the same weights saved again, by transformers for example, have the same digest.

    Args:
        data: the file's bytes (https://github.com/huggingface/safetensors, "Format").

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: it is no such file.
    """
    view = memoryview(data)
    start = 8 + int.from_bytes(view[:8], "little")
    header = json.loads(bytes(view[8:start]))
    header.pop("__metadata__", None)
    tensors = view[start:]
    digest = hashlib.sha256()
    for name, of in sorted(header.items()):
        low, high = of["data_offsets"]
        half = of["dtype"] == "F16"
        digest.update(json.dumps([name, "F32" if half else of["dtype"], of["shape"]]).encode())
        values = tensors[low:high]
        digest.update(np.frombuffer(values, "<f2").astype("<f4").data if half else values)
    return digest.hexdigest()
