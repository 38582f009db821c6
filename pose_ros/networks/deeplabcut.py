# SPDX-License-Identifier: Apache-2.0
"""DeepLabCut 3 (Mathis et al., Nature Neuroscience 2018; Ye et al., Nature Communications 2024): heat maps and offsets.

What its PyTorch engine trains for one animal, or for one animal in each crop, and publishes as SuperAnimal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from pose_ros.errors import ConfigError
from pose_ros.networks.hrnet import HRNet
from pose_ros.networks.network import Layout, Network
from pose_ros.networks.resnet import GROUP_NORM, ResNet

#: Names that DeepLabCut takes from timm.
_RESNETS = {"resnet50_gn": (50, GROUP_NORM), "resnet50": (50, nn.BatchNorm2d), "resnet101": (101, nn.BatchNorm2d)}
_HRNETS = {"hrnet_w18": 18, "hrnet_w32": 32, "hrnet_w48": 48}
HEADS = ("deconv", "conv")
#: Of a HRNet, what makes maps that nobody asks for.
_UNUSED = re.compile(r"backbone\.stage4\.2\.fuse_layers\.[1-3]\.")
_HEAD = re.compile(r"heads\.bodypart\.(heatmap|locref)_head\.(deconv_layers\.0|final_conv)\.(weight|bias)")
_OUTPUTS = {"heatmap": "heatmaps", "locref": "offsets"}


def _published(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the weights of a snapshot under our names."""
    found = {}
    for key, value in state.items():
        match = _HEAD.fullmatch(key)
        if match:
            key = f"head.{_OUTPUTS[match[1]]}.{match[3]}"
            # Some have a 1x1 convolution that is called a transposed one, with the inputs first.
            if match[2] != "final_conv" and value.shape[2:] == (1, 1):
                value = value.transpose(0, 1)
        key = key.replace("backbone.model.", "backbone.", 1)
        if not _UNUSED.match(key):
            found[key] = value
    return found


class DeepLabCut(Network):
    """(N, 3, H, W) -> heat maps (N, K, h, w), and of some the offsets from cells to keypoints (N, 2 K, h, w).

    A cell of the maps is ``stride`` pixels wide: 4 of a HRNet, that of the ResNet (16) otherwise; half of that with the
    head ``deconv``, whose maps have one more row and column.
    """

    any_size: ClassVar[bool] = True
    layouts: ClassVar[tuple[Layout, ...]] = (_published,)

    def __init__(
        self, backbone: str, keypoints: int, head: str = "deconv", offsets: bool = True, stride: int = 16
    ) -> None:
        """Make the network.

        Args:
            backbone: ``model_name`` in DeepLabCut's pytorch_config.yaml: hrnet_w18, hrnet_w32, hrnet_w48, resnet50_gn,
                resnet50 or resnet101.
            keypoints: Body parts.
            head: ``deconv`` where the configuration has ``kernel_size: [3]`` and ``strides: [2]``, otherwise ``conv``.
            offsets: Whether it has a ``locref_config``.
            stride: ``output_stride`` of a ResNet.

        Raises:
            ConfigError: A word is not known, or a number makes no network.
        """
        super().__init__()
        if head not in HEADS:
            raise ConfigError("network.head", f"expected one of {', '.join(HEADS)}, got {head!r}")
        if keypoints < 1:
            raise ConfigError("network.keypoints", f"expected a positive number, got {keypoints}")
        self.outputs = ("heatmaps", "offsets") if offsets else ("heatmaps",)
        self.backbone: nn.Module
        if backbone in _HRNETS:
            self.backbone, inside = HRNet(_HRNETS[backbone]), _HRNETS[backbone]
        elif backbone in _RESNETS:
            depth, norm = _RESNETS[backbone]
            resnet = ResNet(depth, stride, norm)
            self.backbone, inside = resnet, resnet.channels
        else:
            known = ", ".join((*_HRNETS, *_RESNETS))
            raise ConfigError("network.backbone", f"expected one of {known}, got {backbone!r}")
        self.head = nn.ModuleDict({
            name: nn.ConvTranspose2d(inside, n, 3, 2) if head == "deconv" else nn.Conv2d(inside, n, 1)
            for name, n in zip(self.outputs, (keypoints, 2 * keypoints), strict=False)
        })

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return what ``outputs`` says."""
        features = self.backbone(image)
        features = features[0] if isinstance(features, list) else features
        return tuple(layer(features) for layer in self.head.values())
