# SPDX-License-Identifier: Apache-2.0
"""SimCC (Li et al., ECCV 2022): a small map per keypoint, and from it one vector along x and one along y.

Names of parameters are those of mmpose 1.x.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pose_ros.networks.heatmap_head import HeatmapHead
from pose_ros.networks.network import Network
from pose_ros.networks.resnet import ResNet

#: Bins of the vectors for each pixel of the input.
_SPLIT = 2
#: Pixels of the input for each pixel of the maps.
_STRIDE = 4


class _Head(nn.Module):
    def __init__(self, channels: int, keypoints: int, input_wh: Sequence[int]) -> None:
        super().__init__()
        width, height = input_wh
        self.deconv_head = HeatmapHead(channels, keypoints)
        pixels = (width // _STRIDE) * (height // _STRIDE)
        self.mlp_head_x = nn.Linear(pixels, width * _SPLIT)
        self.mlp_head_y = nn.Linear(pixels, height * _SPLIT)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.deconv_head(features).flatten(2)
        return self.mlp_head_x(maps), self.mlp_head_y(maps)


class SimCC(Network):
    """SimCC on a ResNet."""

    outputs = ("simcc_x", "simcc_y")

    def __init__(self, keypoints: int, input_wh: Sequence[int], depth: int = 50) -> None:
        """Build it.

        Args:
            keypoints: K.
            input_wh: Multiples of 32.
            depth: Of the ResNet.

        Raises:
            ConfigError: There is no ResNet of that depth.
        """
        super().__init__()
        self.backbone = ResNet(depth)
        self.head = _Head(self.backbone.channels, keypoints, input_wh)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors (N, K, 2 W) and (N, K, 2 H) of logits whose maxima are the keypoints."""
        return self.head(self.backbone(image))
