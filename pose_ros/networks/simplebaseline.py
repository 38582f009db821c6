# SPDX-License-Identifier: Apache-2.0
"""SimpleBaseline (Xiao et al., ECCV 2018): ResNet and three transposed convolutions."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from pose_ros.networks.heatmap_head import MMPOSE_0, HeatmapHead
from pose_ros.networks.network import Layout, Network, renamed
from pose_ros.networks.resnet import ResNet

#: microsoft/human-pose-estimation.pytorch, and the ResNets of leoxiaobin/deep-high-resolution-net.pytorch.
_MICROSOFT = renamed((r"^(conv1|bn1|layer\d)\.", r"backbone.\1."), (r"^(deconv_layers|final_layer)\.", r"head.\1."))


class SimpleBaseline(Network):
    """(N, 3, H, W) -> heat maps (N, keypoints, H / 4, W / 4)."""

    outputs = ("heatmaps",)
    layouts: ClassVar[tuple[Layout, ...]] = (MMPOSE_0, _MICROSOFT)

    def __init__(self, depth: int = 50, keypoints: int = 17) -> None:
        """Make the network.

        Args:
            depth: Of the ResNet: 18, 34, 50, 101 or 152.
            keypoints: Maps that it draws.
        """
        super().__init__()
        self.backbone = ResNet(depth)
        self.head = HeatmapHead(self.backbone.channels, keypoints)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the heat maps."""
        return (self.head(self.backbone(image)),)
