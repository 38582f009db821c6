# SPDX-License-Identifier: Apache-2.0
"""Integral regression (Sun et al., ECCV 2018): the mean place in each heat map; SimpleBaseline draws these. As mmpose.

DSNT (Nibali et al., 2018) is the same network, trained with another loss.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pose_ros.networks.heatmap_head import HeatmapHead
from pose_ros.networks.network import Network
from pose_ros.networks.resnet import ResNet


class IntegralRegression(Network):
    """(N, 3, H, W) -> x, y from 0 to 1 of the crop (N, keypoints, 2), and heat maps (N, keypoints, H / 4, W / 4)."""

    outputs = ("keypoints", "heatmaps")

    def __init__(
        self, input_wh: tuple[int, int], depth: int = 50, keypoints: int = 17, beta: float = 1.0, debias: bool = False
    ) -> None:
        """Make the network.

        Args:
            input_wh: Size of the crops.
            depth: Of the ResNet: 18, 34, 50, 101 or 152.
            keypoints: How many there are.
            beta: Sharpness: heat maps are the softmax of ``beta`` times what is drawn.
            debias: Whether what a softmax adds everywhere is taken away again (Gu et al., ICCV 2021).
        """
        super().__init__()
        self.backbone = ResNet(depth)
        self.head = _Head(self.backbone.channels, keypoints, (input_wh[0] // 4, input_wh[1] // 4), beta, debias)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return keypoints and heat maps."""
        found: tuple[Tensor, ...] = self.head(self.backbone(image))
        return found


class _Head(nn.Module):
    def __init__(self, inside: int, keypoints: int, size_wh: tuple[int, int], beta: float, debias: bool) -> None:
        super().__init__()
        self.simplebaseline_head = HeatmapHead(inside, keypoints)
        # Checkpoints have them.
        width, height = size_wh
        self.register_buffer("linspace_x", (torch.arange(width) / width).reshape(1, 1, 1, width))
        self.register_buffer("linspace_y", (torch.arange(height) / height).reshape(1, 1, height, 1))
        self._beta, self._debias = beta, debias

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        drawn = self.simplebaseline_head(x)
        maps = (drawn * self._beta).flatten(2).softmax(2).reshape(drawn.shape)
        points = torch.stack([(maps * places).sum((2, 3)) for places in (self.linspace_x, self.linspace_y)], dim=2)
        if self._debias:
            spread = (-drawn.flatten(2).logsumexp(2, keepdim=True)).exp()
            points = (points - spread / 2) / (1 - spread)
        return points, maps
