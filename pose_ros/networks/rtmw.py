# SPDX-License-Identifier: Apache-2.0
"""RTMW (Jiang et al., arXiv 2407.08634): RTMPose with a neck and a second, finer map, for hands and faces.

Names of parameters are those of mmpose 1.x.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_ros.networks.cspnext import Conv, CspNext, CspNextPafpn
from pose_ros.networks.network import Network
from pose_ros.networks.rtmpose import RtmHead, flatten_to

#: Length of the token that one map gives.
_TOKEN = 128


class _Head(RtmHead):
    def __init__(self, channels: int, keypoints: int, input_wh: Sequence[int]) -> None:
        super().__init__(input_wh)
        quarter = channels // 4
        self.conv_dec = Conv(quarter, quarter, 7, activation=nn.ReLU)
        self.final_layer = Conv(channels, keypoints, 7, activation=nn.ReLU)
        self.final_layer2 = Conv(channels // 2 + quarter, keypoints, 7, activation=nn.ReLU)
        self.mlp = flatten_to(_TOKEN, input_wh)
        self.mlp2 = flatten_to(_TOKEN, input_wh, factor=2)

    def forward(self, fine: Tensor, deep: Tensor) -> tuple[Tensor, Tensor]:
        token = self.mlp(self.final_layer(deep).flatten(2))
        fine = torch.cat([self.conv_dec(functional.pixel_shuffle(deep, 2)), fine], 1)
        return self.vectors(torch.cat([token, self.mlp2(self.final_layer2(fine).flatten(2))], 2))


class Rtmw(Network):
    """RTMW of any size."""

    outputs = ("simcc_x", "simcc_y")

    def __init__(self, size: str, keypoints: int, input_wh: Sequence[int]) -> None:
        """Build it.

        Args:
            size: m, l or x.
            keypoints: K.
            input_wh: Multiples of 32.

        Raises:
            ConfigError: There is no such size.
        """
        super().__init__()
        self.backbone = CspNext(size, stages=(2, 3, 4))
        self.neck = CspNextPafpn(self.backbone.channels, blocks=2)
        self.head = _Head(self.backbone.channels[-1], keypoints, input_wh)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors (N, K, 2 W) and (N, K, 2 H) whose maxima are the keypoints."""
        _, fine, deep = self.neck(self.backbone(image))
        return self.head(fine, deep)
