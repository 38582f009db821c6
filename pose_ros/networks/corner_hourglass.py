# SPDX-License-Identifier: Apache-2.0
"""The hourglass that mmpose has, which is that of CornerNet (Law and Deng, ECCV 2018): strides in place of pooling.

One stack is its "Hourglass-52", two are "Hourglass-104". Names of mmpose.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from pose_ros.networks.heatmap_head import MMPOSE_0
from pose_ros.networks.network import Layout, Network
from pose_ros.networks.resnet import BasicBlock

#: Channels and blocks at each size, largest first.
_WIDTHS, _BLOCKS = (256, 256, 384, 384, 384, 512), (2, 2, 2, 2, 2, 4)


def _conv(inside: int, outside: int, kernel: int, stride: int = 1, *, relu: bool = True) -> nn.Sequential:
    """Return convolution, normalisation and activation, with the names that mmcv gives them."""
    parts: list[tuple[str, nn.Module]] = [
        ("conv", nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)),
        ("bn", nn.BatchNorm2d(outside)),
    ]
    return nn.Sequential(OrderedDict(parts + ([("activate", nn.ReLU())] if relu else [])))


def _blocks(inside: int, outside: int, count: int, stride: int = 1) -> nn.Sequential:
    """Return blocks of which the first changes size and channels."""
    return nn.Sequential(BasicBlock(inside, outside, stride), *(BasicBlock(outside, outside) for _ in range(count - 1)))


class _Hourglass(nn.Module):
    def __init__(self, widths: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        (width, small, *_), (count, inner, *_) = widths, blocks
        self.up1 = _blocks(width, width, count)
        self.low1 = _blocks(width, small, count, stride=2)
        self.low2: nn.Module = _blocks(small, small, inner) if len(widths) == 2 else _Hourglass(widths[1:], blocks[1:])
        # Here the last block changes the channels.
        self.low3 = nn.Sequential(*(BasicBlock(small, small) for _ in range(count - 1)), BasicBlock(small, width))

    def forward(self, x: Tensor) -> Tensor:
        small = self.low3(self.low2(self.low1(x)))
        return self.up1(x) + functional.interpolate(small, scale_factor=2.0)


class _Backbone(nn.Module):
    def __init__(self, stacks: int) -> None:
        super().__init__()
        width = _WIDTHS[0]
        self.stem = nn.Sequential(_conv(3, 128, 7, 2), _blocks(128, width, 1, stride=2))
        self.hourglass_modules = nn.ModuleList(_Hourglass(_WIDTHS, _BLOCKS) for _ in range(stacks))
        # With one stack none is used, and yet mmpose's checkpoints have one.
        self.inters = _blocks(width, width, max(stacks - 1, 1))
        self.conv1x1s = nn.ModuleList(_conv(width, width, 1, relu=False) for _ in range(stacks - 1))
        self.out_convs = nn.ModuleList(_conv(width, width, 3) for _ in range(stacks))
        self.remap_convs = nn.ModuleList(_conv(width, width, 1, relu=False) for _ in range(stacks - 1))

    def forward(self, image: Tensor) -> list[Tensor]:
        x, found = self.stem(image), []
        for i, (hourglass, out) in enumerate(zip(self.hourglass_modules, self.out_convs, strict=True)):
            found.append(out(hourglass(x)))
            if i < len(self.conv1x1s):
                x = self.inters[i](functional.relu(self.conv1x1s[i](x) + self.remap_convs[i](found[-1])))
        return found


class CornerHourglass(Network):
    """(N, 3, H, W) -> heat maps (N, keypoints, H / 4, W / 4) of every stack: ``heatmaps_1`` and on."""

    layouts: ClassVar[tuple[Layout, ...]] = (MMPOSE_0,)

    def __init__(self, stacks: int = 1, keypoints: int = 17) -> None:
        """Make the network.

        Args:
            stacks: Hourglasses, one after the other.
            keypoints: Maps that each of them draws.
        """
        super().__init__()
        self.outputs = tuple(f"heatmaps_{i + 1}" for i in range(stacks))
        self.backbone = _Backbone(stacks)
        heads = nn.ModuleList(nn.Conv2d(_WIDTHS[0], keypoints, 1) for _ in range(stacks))
        self.head = nn.ModuleDict({"multi_final_layers": heads})

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the heat maps of every stack."""
        heads = self.head["multi_final_layers"]
        return tuple(head(x) for head, x in zip(heads, self.backbone(image), strict=True))
