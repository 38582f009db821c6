# SPDX-License-Identifier: Apache-2.0
"""The head of SimpleBaseline (Xiao et al., ECCV 2018): enlarge, then one map per keypoint. Names of mmpose 1.x."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pose_ros.networks.network import Layout, renamed

#: mmpose before 1.0 calls a top-down head ``keypoint_head``.
MMPOSE_0: Layout = renamed((r"^keypoint_head\.", "head."))


class HeatmapHead(nn.Module):
    """Transposed convolutions that double the size each, and a 1x1 convolution: HRNet has only this, ViTPose two more.

    (N, inside, H, W) -> (N, keypoints, H * 2^d, W * 2^d) with d transposed convolutions.
    """

    def __init__(self, inside: int, keypoints: int, widths: Sequence[int] = (256, 256, 256)) -> None:
        """Make a head.

        Args:
            inside: Channels of its input.
            keypoints: Maps that it draws.
            widths: Channels after each transposed convolution.
        """
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.ConvTranspose2d(inside, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            inside = width
        self.deconv_layers = nn.Sequential(*layers)
        self.final_layer = nn.Conv2d(inside, keypoints, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the heat maps."""
        maps: Tensor = self.final_layer(self.deconv_layers(x))
        return maps
