# SPDX-License-Identifier: Apache-2.0
"""SimpleBaseline (Xiao et al., ECCV 2018): ResNet and three transposed convolutions."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from pose_ros.networks.heatmap_head import MMPOSE_0, HeatmapHead
from pose_ros.networks.network import Layout, Network, renamed
from pose_ros.networks.resnet import ResNet

#: microsoft/human-pose-estimation.pytorch, and the ResNets of leoxiaobin/deep-high-resolution-net.pytorch.
_MICROSOFT = renamed((r"^(conv1|bn1|layer\d)\.", r"backbone.\1."), (r"^(deconv_layers|final_layer)\.", r"head.\1."))


class SimpleBaseline(Network):
    """(N, 3, H, W) -> heat maps (N, keypoints, H / 4, W / 4); and visibility (N, keypoints), where it was trained."""

    outputs: tuple[str, ...] = ("heatmaps",)
    layouts: ClassVar[tuple[Layout, ...]] = (MMPOSE_0, _MICROSOFT)

    def __init__(self, depth: int = 50, keypoints: int = 17, visibility: bool = False) -> None:
        """Make the network.

        Args:
            depth: Of the ResNet: 18, 34, 50, 101 or 152.
            keypoints: Maps that it draws.
            visibility: Whether it also says how likely each keypoint can be seen (mmpose's ``VisPredictHead``).
        """
        super().__init__()
        self.backbone = ResNet(depth)
        inside = self.backbone.channels
        self.head: nn.Module = HeatmapHead(inside, keypoints)
        if visibility:
            self.outputs = ("heatmaps", "visibility")
            self.head = _TwoHeads(self.head, inside, keypoints)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return what ``outputs`` says."""
        found = self.head(self.backbone(image))
        return found if isinstance(found, tuple) else (found,)


class _TwoHeads(nn.Module):
    def __init__(self, pose_head: nn.Module, inside: int, keypoints: int) -> None:
        super().__init__()
        self.pose_head = pose_head
        self.vis_head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, keypoints), nn.Sigmoid())

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.pose_head(x), self.vis_head(x)
