# SPDX-License-Identifier: Apache-2.0
"""ST-GCN (Yan et al., AAAI 2018) and ST-GCN++ (Duan et al., ACM MM 2022): convolutions over a skeleton and over time.

Names follow mmaction2 1.x. Which joints are near which is part of every checkpoint (``A``), so that
no skeleton is needed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from pose_ros.networks.network import Layout, Network, renamed

#: Groups of neighbours: the joint itself, those nearer to the centre of the skeleton, those farther away.
_GROUPS = 3
#: Channels of the first block; twice as many from each of the wider ones on.
_WIDTH = 64
#: Dilations of ST-GCN++'s convolutions over three moments; beside them are a maximum and the moment itself.
_DILATIONS = (1, 2, 3, 4)


class _Space(nn.Module):
    """(N, C, T, V) -> (N, C', T, V): what the neighbours of a joint say, with weights that were learnt."""

    def __init__(self, inside: int, outside: int, joints: int, plus: bool) -> None:
        super().__init__()
        near = torch.rand(_GROUPS, joints, joints) / joints
        self._plus = plus
        if plus:
            self.A = nn.Parameter(near)
            self.down: nn.Module = nn.Identity()
            if inside != outside:
                self.down = nn.Sequential(nn.Conv2d(inside, outside, 1), nn.BatchNorm2d(outside))
        else:
            self.register_buffer("A", near)
            self.PA = nn.Parameter(torch.ones_like(near))
        self.conv, self.bn = nn.Conv2d(inside, _GROUPS * outside, 1), nn.BatchNorm2d(outside)

    def forward(self, x: Tensor) -> Tensor:
        near = self.A if self._plus else self.A * self.PA
        said = torch.einsum("nkctv,kvw->nctw", self.conv(x).unflatten(1, (_GROUPS, -1)), near)
        seen: Tensor = self.bn(said)
        return (seen + self.down(x) if self._plus else seen).relu()


class _Time(nn.Module):
    """(N, C, T, V) -> (N, C', T / stride, V): one convolution over time."""

    def __init__(
        self, inside: int, outside: int, width: int, stride: int, dilation: int = 1, normal: bool = True
    ) -> None:
        super().__init__()
        pad = dilation * (width - 1) // 2
        self.conv = nn.Conv2d(inside, outside, (width, 1), (stride, 1), (pad, 0), (dilation, 1))
        self.bn = nn.BatchNorm2d(outside) if normal else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.bn(self.conv(x))
        return found


class _Times(nn.Module):
    """(N, C, T, V) -> (N, C, T / stride, V): several views of the past and future side by side."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        part = channels // (len(_DILATIONS) + 2)
        first = channels - part * (len(_DILATIONS) + 1)
        branches: list[nn.Module] = []
        for i, dilation in enumerate(_DILATIONS):
            width = part if i else first
            branches.append(_before(channels, width, _Time(width, width, 3, stride, dilation, normal=False)))
        branches.append(_before(channels, part, nn.MaxPool2d((3, 1), (stride, 1), (1, 0))))
        branches.append(nn.Conv2d(channels, part, 1, (stride, 1)))
        self.branches = nn.ModuleList(branches)
        self.transform = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 1))
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.bn(self.transform(torch.cat([branch(x) for branch in self.branches], dim=1)))
        return found


def _before(inside: int, outside: int, last: nn.Module) -> nn.Sequential:
    """Return a layer with fewer channels, and then another one."""
    return nn.Sequential(nn.Conv2d(inside, outside, 1), nn.BatchNorm2d(outside), nn.ReLU(), last)


class _Block(nn.Module):
    """(N, C, T, V) -> (N, C', T / stride, V): over the skeleton, then over time, beside a shortcut."""

    def __init__(self, inside: int, outside: int, joints: int, stride: int, plus: bool, first: bool) -> None:
        super().__init__()
        self.gcn = _Space(inside, outside, joints, plus)
        self.tcn = _Times(outside, stride) if plus else _Time(outside, outside, 9, stride)
        self.residual: nn.Module = nn.Identity()
        if not first and (inside != outside or stride > 1):
            self.residual = _Time(inside, outside, 1, stride)
        self._first = first

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.tcn(self.gcn(x))
        return (y if self._first else y + self.residual(x)).relu()


class StGcn(Network):
    """Joints over time (N, M, T, V, C) of up to M people -> one logit per class (N, classes)."""

    outputs = ("logits",)
    #: PySKL's.
    layouts: ClassVar[tuple[Layout, ...]] = (renamed((r"^cls_head\.fc_cls\.", "cls_head.fc.")),)

    def __init__(
        self, input_wh: tuple[int, int], plus: bool = False, numbers: int = 3, people: int = 2, classes: int = 60,
        blocks: int = 10, wider: Sequence[int] = (5, 8),
    ) -> None:  # fmt: skip
        """Make the network.

        Args:
            input_wh: V joints, T moments.
            plus: Whether it is ST-GCN++.
            numbers: C, of a joint.
            people: M, that are seen together.
            classes: Of actions.
            blocks: One over the skeleton and over time each.
            wider: Of these blocks, counted from 1, those with twice the channels and half the moments.
        """
        super().__init__()
        joints, moments = input_wh
        self._shape = (people, moments, joints, numbers)
        self.backbone = nn.Module()
        self.backbone.data_bn = nn.BatchNorm1d(numbers * joints)
        made, inside = [], numbers
        for i in range(1, blocks + 1):
            outside = _WIDTH * 2 ** sum(w <= i for w in wider)
            made.append(_Block(inside, outside, joints, 1 + (i in wider), plus, first=i == 1))
            inside = outside
        self.backbone.gcn = nn.Sequential(*made)
        self.cls_head = nn.ModuleDict({"fc": nn.Linear(inside, classes)})

    def input_shape(self, input_wh: tuple[int, int]) -> tuple[int, ...]:
        """See :class:`Network`: (M, T, V, C)."""
        return self._shape

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the logits."""
        people, _, joints, numbers = self._shape
        x = self.backbone.data_bn(image.flatten(0, 1).permute(0, 2, 3, 1).flatten(1, 2))
        x = self.backbone.gcn(x.unflatten(1, (joints, numbers)).permute(0, 2, 3, 1))
        return (self.cls_head["fc"](x.mean(dim=(2, 3)).unflatten(0, (-1, people)).mean(dim=1)),)
