# SPDX-License-Identifier: Apache-2.0
"""RTMDet (Lyu et al., arXiv 2212.07784): detector without anchors, whose head shares its convolutions among levels.

Names of parameters are those of mmdet 3.x, with ``head`` for ``bbox_head``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from pose_ros.networks.cspnext import SIZES, Conv, CspNext, CspNextPafpn, conv3_of
from pose_ros.networks.network import Layout, Network, renamed

#: Input pixels per cell of each level.
_STRIDES = (8, 16, 32)
#: Sizes whose head gives the logarithms of distances.
_LOGARITHMIC = ("m", "l", "x")


class _Head(nn.Module):
    def __init__(self, channels: int, classes: int, *, shared: bool, logarithmic: bool, depthwise: bool) -> None:
        super().__init__()
        conv3, levels = conv3_of(depthwise), range(len(_STRIDES))
        self.cls_convs, self.reg_convs = (
            nn.ModuleList(nn.ModuleList(conv3(channels, channels, 3) for _ in range(2)) for _ in levels)
            for _ in range(2)
        )
        if shared:
            for towers in (self.cls_convs, self.reg_convs):
                for tower in towers:
                    for part, first in zip(tower, towers[0], strict=True):
                        assert isinstance(part, Conv)
                        part.conv = first.conv
        self.rtm_cls = nn.ModuleList(nn.Conv2d(channels, classes, 1) for _ in levels)
        self.rtm_reg = nn.ModuleList(nn.Conv2d(channels, 4, 1) for _ in levels)
        self._logarithmic = logarithmic

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        logits, distances = [], []
        for i, (level, stride) in enumerate(zip(levels, _STRIDES, strict=True)):
            what = where = level
            for what_conv, where_conv in zip(self.cls_convs[i], self.reg_convs[i], strict=True):
                what, where = what_conv(what), where_conv(where)
            logits.append(self.rtm_cls[i](what).flatten(2))
            distance = self.rtm_reg[i](where).flatten(2)
            distances.append((distance.exp() if self._logarithmic else distance) * stride)
        return torch.cat(distances, 2).transpose(1, 2), torch.cat(logits, 2).transpose(1, 2)


class RtmDet(Network):
    """Distances (N, A, 4) from each cell to the sides of its box and class logits (N, A, C).

    See :mod:`pose_ros.decode.rtmdet`.
    """

    outputs = ("distances", "logits")
    layouts: ClassVar[tuple[Layout, ...]] = (renamed((r"^bbox_head\.", "head.")),)

    def __init__(self, size: str, classes: int = 80) -> None:
        """Build it.

        Args:
            size: n, t, s, m, l or x; n has separable 3x3 convolutions and a head for each level.
            classes: Number of classes.

        Raises:
            ConfigError: There is no such size.
        """
        super().__init__()
        depthwise = size == "n"
        self.backbone = CspNext(size, (2, 3, 4), depthwise)
        widen, deepen = SIZES[size]
        channels = int(256 * widen)
        self.neck = CspNextPafpn(self.backbone.channels, max(round(3 * deepen), 1), channels, depthwise)
        self.head = _Head(
            channels, classes, shared=size != "n", logarithmic=size in _LOGARITHMIC, depthwise=depthwise
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return distances in input pixels and logits of all cells."""
        distances, logits = self.head(self.neck(self.backbone(image)))
        return distances, logits
