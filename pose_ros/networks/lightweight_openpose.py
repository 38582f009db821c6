# SPDX-License-Identifier: Apache-2.0
"""Lightweight OpenPose (Osokin, 2018): OpenPose's stages on a MobileNet, with Osokin's names.

From Daniil-Osokin/lightweight-human-pose-estimation.pytorch (Apache-2.0).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from pose_ros.networks.network import Network


def _conv(
    inside: int, outside: int, kernel: int = 3, *, stride: int = 1, dilation: int = 1, norm: bool = False,
    bias: bool = True, relu: bool = True,
) -> nn.Sequential:  # fmt: skip
    """Return a convolution, with normalisation and ReLU where asked for."""
    layers: list[nn.Module] = [
        nn.Conv2d(inside, outside, kernel, stride, dilation * (kernel // 2), dilation, bias=bias)
    ]
    if norm:
        layers.append(nn.BatchNorm2d(outside))
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _separable(inside: int, outside: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return MobileNet's block."""
    return nn.Sequential(
        nn.Conv2d(inside, inside, 3, stride, dilation, dilation, groups=inside, bias=False),
        nn.BatchNorm2d(inside),
        nn.ReLU(inplace=True),
        nn.Conv2d(inside, outside, 1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


def _separable_elu(channels: int) -> nn.Sequential:
    """Return the block without normalisation."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False),
        nn.ELU(inplace=True),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.ELU(inplace=True),
    )


def _output(inside: int, hidden: int, outside: int) -> nn.Sequential:
    return nn.Sequential(_conv(inside, hidden, 1), _conv(hidden, outside, 1, relu=False))


class _Neck(nn.Module):
    def __init__(self, inside: int, channels: int) -> None:
        super().__init__()
        self.align = _conv(inside, channels, 1)
        self.trunk = nn.Sequential(*(_separable_elu(channels) for _ in range(3)))
        self.conv = _conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.align(x)
        return self.conv(x + self.trunk(x))


class _Block(nn.Module):
    def __init__(self, inside: int, channels: int) -> None:
        super().__init__()
        self.initial = _conv(inside, channels, 1)
        self.trunk = nn.Sequential(
            _conv(channels, channels, norm=True), _conv(channels, channels, dilation=2, norm=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.initial(x)
        return x + self.trunk(x)


class _Stage(nn.Module):
    def __init__(self, trunk: nn.Sequential, channels: int, hidden: int, heatmaps: int, pafs: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.heatmaps = _output(channels, hidden, heatmaps)
        self.pafs = _output(channels, hidden, pafs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.trunk(x)
        return self.heatmaps(x), self.pafs(x)


class LightweightOpenPose(Network):
    """(N, 3, H, W) -> heat maps (N, keypoints + 1, H / 8, W / 8), the background's last; fields (N, 2 limbs, ...)."""

    outputs = ("heatmaps", "pafs")
    any_size: ClassVar[bool] = True

    def __init__(self, keypoints: int = 18, limbs: int = 19, refinements: int = 1, channels: int = 128) -> None:
        """Make the network.

        Args:
            keypoints: Without the background.
            limbs: Fields, of two channels each.
            refinements: Stages after the first.
            channels: Of the features that the stages share.
        """
        super().__init__()
        maps, pafs = keypoints + 1, 2 * limbs
        self.model = nn.Sequential(
            _conv(3, 32, stride=2, norm=True, bias=False),
            _separable(32, 64),
            _separable(64, 128, stride=2),
            _separable(128, 128),
            _separable(128, 256, stride=2),
            _separable(256, 256),
            _separable(256, 512),
            _separable(512, 512, dilation=2),
            *(_separable(512, 512) for _ in range(4)),
        )
        self.cpm = _Neck(512, channels)
        trunk = nn.Sequential(*(_conv(channels, channels) for _ in range(3)))
        self.initial_stage = _Stage(trunk, channels, 512, maps, pafs)
        together = channels + maps + pafs
        self.refinement_stages = nn.ModuleList(
            _Stage(nn.Sequential(_Block(together, channels), *(_Block(channels, channels) for _ in range(4))),
                   channels, channels, maps, pafs)
            for _ in range(refinements)
        )  # fmt: skip

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return heat maps and fields of the last stage."""
        features = self.cpm(self.model(image))
        heatmaps, pafs = self.initial_stage(features)
        for stage in self.refinement_stages:
            heatmaps, pafs = stage(torch.cat([features, heatmaps, pafs], 1))
        return heatmaps, pafs
