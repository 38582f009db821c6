# SPDX-License-Identifier: Apache-2.0
"""YOLOX (Ge et al., arXiv 2107.08430): detector without anchors, whose head decides what and where apart.

Names of parameters are those of mmdet 3.x, with ``head`` for ``bbox_head``; the original ones are a layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from pose_ros.networks.cspdarknet import CspDarknet, DarknetLayer, factors, set_epsilon
from pose_ros.networks.cspnext import Conv, CspNextPafpn, conv3_of
from pose_ros.networks.network import Layout, Network, renamed


class _Neck(CspNextPafpn):
    def __init__(self, channels: Sequence[int], blocks: int, outputs: int, depthwise: bool) -> None:
        super().__init__(channels, blocks, None, depthwise, DarknetLayer)
        self.out_convs = nn.ModuleList(Conv(c, outputs, 1) for c in channels)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(conv(x) for conv, x in zip(self.out_convs, super().forward(levels), strict=True))


class _Head(nn.Module):
    def __init__(self, channels: int, classes: int, levels: int, depthwise: bool) -> None:
        super().__init__()
        conv3 = conv3_of(depthwise)

        def tower() -> nn.Module:
            return nn.Sequential(conv3(channels, channels, 3), conv3(channels, channels, 3))

        def each(outputs: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(channels, outputs, 1) for _ in range(levels))

        self.multi_level_cls_convs = nn.ModuleList(tower() for _ in range(levels))
        self.multi_level_reg_convs = nn.ModuleList(tower() for _ in range(levels))
        self.multi_level_conv_cls, self.multi_level_conv_reg = each(classes), each(4)
        self.multi_level_conv_obj = each(1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        found = []
        for i, level in enumerate(levels):
            what, where = self.multi_level_cls_convs[i](level), self.multi_level_reg_convs[i](level)
            box = self.multi_level_conv_reg[i](where)
            objectness = self.multi_level_conv_obj[i](where).sigmoid()
            classes = self.multi_level_conv_cls[i](what).sigmoid()
            found.append(torch.cat([box, objectness, classes], 1).flatten(2))
        return torch.cat(found, 2).transpose(1, 2)


class Yolox(Network):
    """Output (N, A, 5 + C) as the authors' ONNX files have it, see :mod:`pose_ros.decode.yolox`."""

    layouts: ClassVar[tuple[Layout, ...]] = (
        renamed((r"^bbox_head\.", "head.")),
        renamed(
            (r"^backbone\.backbone\.", "backbone."),
            (r"\bdark2\.", "stage1."), (r"\bdark3\.", "stage2."), (r"\bdark4\.", "stage3."), (r"\bdark5\.", "stage4."),
            (r"^backbone\.lateral_conv0\.", "neck.reduce_layers.0."),
            (r"^backbone\.reduce_conv1\.", "neck.reduce_layers.1."),
            (r"^backbone\.C3_p4\.", "neck.top_down_blocks.0."),
            (r"^backbone\.C3_p3\.", "neck.top_down_blocks.1."),
            (r"^backbone\.bu_conv2\.", "neck.downsamples.0."),
            (r"^backbone\.bu_conv1\.", "neck.downsamples.1."),
            (r"^backbone\.C3_n3\.", "neck.bottom_up_blocks.0."),
            (r"^backbone\.C3_n4\.", "neck.bottom_up_blocks.1."),
            # CSP layers: all of the neck's, and the last part of each stage; the pyramid of stage 4 keeps its numbers.
            (r"(blocks\.\d\.|stage[123]\.1\.|stage4\.2\.)conv1\.", r"\1main_conv."),
            (r"(blocks\.\d\.|stage[123]\.1\.|stage4\.2\.)conv2\.", r"\1short_conv."),
            (r"(blocks\.\d\.|stage[123]\.1\.|stage4\.2\.)conv3\.", r"\1final_conv."),
            (r"\.m\.(\d+)\.", r".blocks.\1."),
            (r"\.dconv\.", ".depthwise_conv."), (r"\.pconv\.", ".pointwise_conv."),
            (r"^head\.stems\.", "neck.out_convs."),
            (r"^head\.(cls|reg)_convs\.", r"head.multi_level_\1_convs."),
            (r"^head\.(cls|reg|obj)_preds\.", r"head.multi_level_conv_\1."),
        ),
    )

    def __init__(self, size: str, classes: int = 80) -> None:
        """Build it.

        Args:
            size: n, t, s, m, l or x; the 3x3 convolutions of n are separable.
            classes: Number of classes.

        Raises:
            ConfigError: There is no such size.
        """
        super().__init__()
        widen, deepen = factors(size)
        depthwise, channels = size == "n", int(256 * widen)
        self.backbone = CspDarknet(size, depthwise)
        self.neck = _Neck(self.backbone.channels, round(3 * deepen), channels, depthwise)
        self.head = _Head(channels, classes, 3, depthwise)
        set_epsilon(self)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Return the boxes and scores of all cells, (N, A, 5 + C)."""
        return (self.head(self.neck(self.backbone(image))),)
