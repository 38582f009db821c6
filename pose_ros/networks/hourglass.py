# SPDX-License-Identifier: Apache-2.0
"""Stacked Hourglass (Newell, Yang and Deng, ECCV 2016), for the checkpoints of princeton-vl, bearpaw and anibali."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from pose_ros.networks.network import Layout, renamed
from pose_ros.networks.stacked import Stacked

#: Channels inside, and how often each hourglass halves its maps.
_WIDTH, _DEPTH = 256, 4


class Residual(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut, each after its normalisation (He et al., ECCV 2016)."""

    def __init__(self, inside: int, outside: int) -> None:
        """Make a block from ``inside`` to ``outside`` channels."""
        super().__init__()
        middle = outside // 2
        self.bn1, self.conv1 = nn.BatchNorm2d(inside), nn.Conv2d(inside, middle, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(middle), nn.Conv2d(middle, middle, 3, padding=1)
        self.bn3, self.conv3 = nn.BatchNorm2d(middle), nn.Conv2d(middle, outside, 1)
        self.skip = nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, outside, H, W)."""
        y = x
        for norm, conv in ((self.bn1, self.conv1), (self.bn2, self.conv2), (self.bn3, self.conv3)):
            y = conv(functional.relu(norm(y)))
        return y + self.skip(x)


class Hourglass(nn.Module):
    """Look at a map as it is, and at half its size, where there is another hourglass inside."""

    def __init__(self, depth: int) -> None:
        """Make an hourglass of ``depth`` sizes."""
        super().__init__()
        self.up = Residual(_WIDTH, _WIDTH)
        self.down = Residual(_WIDTH, _WIDTH)
        self.inner = Hourglass(depth - 1) if depth > 1 else Residual(_WIDTH, _WIDTH)
        self.back = Residual(_WIDTH, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        small = self.back(self.inner(self.down(functional.max_pool2d(x, 2))))
        return self.up(x) + functional.interpolate(small, scale_factor=2.0)


_PRINCETON = renamed(
    (r"^(?:model\.)?(?:module\.)?", ""),
    (r"^pre\.0\.conv\.", "stem.0."), (r"^pre\.0\.bn\.", "stem.1."),
    (r"^pre\.1\.", "stem.3."), (r"^pre\.3\.", "stem.5."), (r"^pre\.4\.", "stem.6."),
    (r"^hgs\.(\d+)\.0\.", r"hourglasses.\1."),
    (r"\bup1\.", "up."), (r"\blow1\.", "down."), (r"\blow2\.", "inner."), (r"\blow3\.", "back."),
    (r"^(features\.\d+\.1)\.conv\.", r"\1."), (r"^(features\.\d+)\.1\.bn\.", r"\1.2."),
    (r"^outs\.(\d+)\.conv\.", r"heads.\1."),
    (r"^merge_features\.(\d+)\.conv\.conv\.", r"merge_features.\1."),
    (r"^merge_preds\.(\d+)\.conv\.conv\.", r"merge_heatmaps.\1."),
    (r"\.(conv\d)\.conv\.", r".\1."), (r"\.skip_layer\.conv\.", ".skip."),
)  # fmt: skip


def _princeton(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """princeton-vl/pytorch_stacked_hourglass: every block has a shortcut convolution, only two of them use it."""
    used = ("stem.3.skip.", "stem.6.skip.")
    return {k: v for k, v in _PRINCETON(state).items() if ".skip." not in k or k.startswith(used)}


_BEARPAW = renamed(
    (r"^conv1\.", "stem.0."), (r"^bn1\.", "stem.1."),
    (r"^layer1\.0\.", "stem.3."), (r"^layer2\.0\.", "stem.5."), (r"^layer3\.0\.", "stem.6."),
    (r"\.downsample\.0\.", ".skip."),
    (r"^res\.(\d+)\.0\.", r"features.\1.0."), (r"^fc\.(\d+)\.0\.", r"features.\1.1."),
    (r"^fc\.(\d+)\.1\.", r"features.\1.2."), (r"^score\.(\d+)\.", r"heads.\1."),
    (r"^fc_\.(\d+)\.", r"merge_features.\1."), (r"^score_\.(\d+)\.", r"merge_heatmaps.\1."),
)  # fmt: skip
#: Stack, size (the smallest is 0), part and number in it of a block in an hourglass.
_BEARPAW_BLOCK = re.compile(r"^hg\.(\d+)\.hg\.(\d)\.(\d)\.0\.")


def _bearpaw(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """bearpaw/pytorch-pose and anibali/pytorch-stacked-hourglass: hourglasses are lists of lists of blocks."""

    def name(match: re.Match[str]) -> str:
        stack, size, part = match.groups()
        inside = "inner." * (_DEPTH - 1 - int(size))
        return f"hourglasses.{stack}.{inside}{('up', 'down', 'back', 'inner')[int(part)]}."

    return {_BEARPAW_BLOCK.sub(name, key): value for key, value in _BEARPAW(state).items()}


class StackedHourglass(Stacked):
    """(N, 3, H, W) -> heat maps (N, keypoints, H / 4, W / 4) of every stack: ``heatmaps_1`` and on."""

    layouts: ClassVar[tuple[Layout, ...]] = (_princeton, _bearpaw)

    def __init__(self, stacks: int = 8, keypoints: int = 16, stem: Sequence[int] = (128, 128)) -> None:
        """Make the network.

        Args:
            stacks: Hourglasses, one after the other.
            keypoints: Maps that each of them draws.
            stem: Channels after the first two blocks; bearpaw has 128 and 256.
        """
        first, second = stem
        entry = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), Residual(64, first), nn.MaxPool2d(2),
            Residual(first, second), Residual(second, _WIDTH),
        )  # fmt: skip
        super().__init__(stacks, keypoints, entry, lambda: Hourglass(_DEPTH), Residual, _WIDTH)
