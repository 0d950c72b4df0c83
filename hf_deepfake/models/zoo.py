"""Small models of known systems, registered with timm under names of their own.

Importing this module registers them; whoever loads a checkpoint of theirs with transformers or timm imports it first.
Where a published description leaves a width open, the choice is said here.
"""

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, get_pretrained_cfg, register_model
from timm.models.resnet import Bottleneck, ResNet
from torch import Tensor, nn

__all__ = ["SmallCNN"]  # timm adds each model that is registered

HIDDEN = 512
"""Width of the hidden layer of `resnet50_dense512`."""


class SmallCNN(nn.Module):
    """3 x 3 convolutions with ReLU, a 2 x 2 max-pool after each, and a head with one hidden layer.

    Its input is (N, 3, S, S), float32, normalised; its output (N, num_classes) logits. Convolutions are padded, so that
    a grid has S / 2 ** len(channels) cells a side.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        hidden: int,
        *,
        flatten: bool,
        num_classes: int = 2,
        in_chans: int = 3,
        img_size: int = 128,
        drop_rate: float = 0.0,
        global_pool: str = "avg",
    ) -> None:
        """Build it with random weights.

        Args:
            channels: of each convolution.
            hidden: width of the head's hidden layer.
            flatten: feed all cells to the head, which ties the model to `img_size`; otherwise their mean.
            num_classes: logits.
            in_chans: channels of an image.
            img_size: side of the input, px; matters with `flatten` alone.
            drop_rate: dropout before the last layer.
            global_pool: as timm passes it; only "avg" is there.
        """
        super().__init__()
        if global_pool != "avg":
            raise ValueError(f"global_pool is {global_pool!r}; these models have avg")
        layers = []
        for before, after in zip((in_chans, *channels), channels, strict=False):
            layers.append(nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)))
        self.features = nn.Sequential(*layers)
        self.flatten = flatten
        self.num_classes = num_classes
        self.num_features = channels[-1]
        self.head_hidden_size = hidden
        cells = (img_size >> len(channels)) ** 2 if flatten else 1
        self.classifier = _head(channels[-1] * cells, hidden, num_classes, drop_rate, norm=False)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """How timm cuts the model into blocks: a convolution each."""
        return {"stem": r"^features\.0", "blocks": [(r"^features\.(\d+)", None)]}

    def get_classifier(self) -> nn.Module:
        """The head, hidden layer included."""
        return self.classifier

    def forward_features(self, pixels: Tensor) -> Tensor:
        """Feature maps (N, C, h, w)."""
        return self.features(pixels)

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits (N, num_classes) of feature maps; with `pre_logits` what enters the head."""
        pooled = features.flatten(1) if self.flatten else features.mean(dim=(2, 3))
        return pooled if pre_logits else self.classifier(pooled)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (N, num_classes)."""
        return self.forward_head(self.forward_features(pixels))


_BLOCK: Any = Bottleneck  # timm's annotation asks for an instance


class DenseResNet(ResNet):
    """A ResNet of bottlenecks with a head of dense 512, ReLU, batch norm, dropout and dense; see timm's `ResNet`."""

    def __init__(self, *, num_classes: int = 2, drop_rate: float = 0.0, **options: Any) -> None:
        """Build it with random weights; the dropout is the head's."""
        super().__init__(_BLOCK, num_classes=num_classes, **options)
        self.fc: nn.Module = _head(int(self.num_features), HIDDEN, num_classes, drop_rate, norm=True)


def _head(features: int, hidden: int, classes: int, drop_rate: float, *, norm: bool) -> nn.Sequential:
    """Dense, ReLU, batch norm where wanted, dropout, dense."""
    middle = [nn.BatchNorm1d(hidden)] if norm else []
    return nn.Sequential(
        nn.Linear(features, hidden), nn.ReLU(), *middle, nn.Dropout(drop_rate), nn.Linear(hidden, classes)
    )


def _cfg(side: int, *, fixed: bool, first: str, classifier: str) -> dict[str, Any]:
    """Timm's description of a model without weights; images in [-1, 1]."""
    return {
        "input_size": (3, side, side),
        "fixed_input_size": fixed,
        "interpolation": "bicubic",
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "num_classes": 2,
        "first_conv": first,
        "classifier": classifier,
    }


_RESNET50: Any = get_pretrained_cfg("resnet50.a1_in1k")

default_cfgs = generate_default_cfgs(
    {
        "simple_cnn.untrained": _cfg(128, fixed=True, first="features.0.0", classifier="classifier"),
        "cnn5.untrained": _cfg(256, fixed=True, first="features.0.0", classifier="classifier"),
        "compact_cnn.untrained": _cfg(220, fixed=False, first="features.0.0", classifier="classifier"),
        # The weights of ImageNet are resnet50's own; its classifier is left behind.
        "resnet50_dense512.a1_in1k": _RESNET50.to_dict(),
    }
)


@register_model
def simple_cnn(pretrained: bool = False, **options: Any) -> SmallCNN:
    """Two convolutions (32 and 64 channels), flatten, dense 128: 8,408,386 parameters at 128 px."""
    return _build("simple_cnn", pretrained, options, channels=(32, 64), hidden=128, flatten=True)


@register_model
def cnn5(pretrained: bool = False, **options: Any) -> SmallCNN:
    """Five convolutions (32 to 256 channels), flatten, dense 256: 4,731,074 parameters at 256 px."""
    return _build("cnn5", pretrained, options, channels=(32, 64, 128, 128, 256), hidden=256, flatten=True)


@register_model
def compact_cnn(pretrained: bool = False, **options: Any) -> SmallCNN:
    """Four convolutions (32, 64, 128, 256 channels), mean over the cells, dense 128: 421,570 parameters."""
    return _build("compact_cnn", pretrained, options, channels=(32, 64, 128, 256), hidden=128, flatten=False)


@register_model
def resnet50_dense512(pretrained: bool = False, **options: Any) -> DenseResNet:
    """ResNet50 with a head of dense 512, ReLU, batch norm, dropout and dense: 24,559,170 parameters."""
    return build_model_with_cfg(DenseResNet, "resnet50_dense512", pretrained, layers=(3, 4, 6, 3), **options)


def _build(name: str, pretrained: bool, options: dict[str, Any], **shape: Any) -> SmallCNN:
    """A `SmallCNN` as timm builds its own models."""
    return build_model_with_cfg(SmallCNN, name, pretrained, **shape, **options)
