# SPDX-License-Identifier: Apache-2.0
"""DeepPose (Toshev and Szegedy, CVPR 2014) as mmpose has it: ResNet, then straight to coordinates; plain or by RLE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from pose_ros.networks.heatmap_head import MMPOSE_0
from pose_ros.networks.network import Layout, Network
from pose_ros.networks.resnet import ResNet


def _mmpose_0(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Leave out the normalising flow of RLE's loss, which only training needs; mmpose 1.x calls it ``loss_module``."""
    return {key: value for key, value in MMPOSE_0(state).items() if not key.startswith("head.loss.")}


class DeepPose(Network):
    """(N, 3, H, W) -> (N, keypoints, 2): x, y from 0 to 1 of the crop; with sigmas (N, keypoints, 4).

    Residual log-likelihood estimation (Li et al., ICCV 2021) lets the network say how far off it thinks to be: the
    sigmas of x and of y, from 0 to 1 of the crop.
    """

    outputs = ("keypoints",)
    layouts: ClassVar[tuple[Layout, ...]] = (_mmpose_0,)

    def __init__(self, depth: int = 50, keypoints: int = 17, sigma: bool = False) -> None:
        """Make the network.

        Args:
            depth: Of the ResNet: 18, 34, 50, 101 or 152.
            keypoints: How many there are.
            sigma: Whether it was trained by RLE.
        """
        super().__init__()
        self.backbone = ResNet(depth)
        self.head = nn.ModuleDict({"fc": nn.Linear(self.backbone.channels, keypoints * (4 if sigma else 2))})
        self._shape, self._sigma = (-1, keypoints, 4 if sigma else 2), sigma

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the keypoints."""
        found = self.head["fc"](self.backbone(image).mean((2, 3))).reshape(self._shape)
        if self._sigma:
            found = torch.cat([found[..., :2], found[..., 2:].sigmoid()], dim=2)
        return (found,)
