# SPDX-License-Identifier: Apache-2.0
"""Face alignment network, and the one that finds the depth of its points (Bulat and Tzimiropoulos, ICCV 2017).

For the checkpoints of 1adrianb/face-alignment (BSD-3-Clause): four hourglasses of hierarchical blocks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_ros.networks.network import Layout, Network, renamed
from pose_ros.networks.resnet import ResNet
from pose_ros.networks.stacked import Stacked

#: Channels inside, and how often each hourglass halves its maps.
_WIDTH, _DEPTH = 256, 4


class Block(nn.Module):
    """Three 3x3 convolutions, each after its normalisation, that all go to the output, beside a shortcut."""

    def __init__(self, inside: int, outside: int) -> None:
        """Make a block from ``inside`` to ``outside`` channels."""
        super().__init__()
        half, quarter = outside // 2, outside // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(inside), nn.Conv2d(inside, half, 3, padding=1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(half), nn.Conv2d(half, quarter, 3, padding=1, bias=False)
        self.bn3, self.conv3 = nn.BatchNorm2d(quarter), nn.Conv2d(quarter, quarter, 3, padding=1, bias=False)
        self.downsample: nn.Module = nn.Identity()
        if inside != outside:
            shortcut = nn.Conv2d(inside, outside, 1, bias=False)
            self.downsample = nn.Sequential(nn.BatchNorm2d(inside), nn.ReLU(), shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, outside, H, W)."""
        first = self.conv1(functional.relu(self.bn1(x)))
        second = self.conv2(functional.relu(self.bn2(first)))
        third = self.conv3(functional.relu(self.bn3(second)))
        return torch.cat([first, second, third], dim=1) + self.downsample(x)


class Hourglass(nn.Module):
    """Look at a map as it is, and at half its size, where there is another hourglass inside."""

    def __init__(self, depth: int) -> None:
        """Make an hourglass of ``depth`` sizes."""
        super().__init__()
        self.up = Block(_WIDTH, _WIDTH)
        self.down = Block(_WIDTH, _WIDTH)
        self.inner = Hourglass(depth - 1) if depth > 1 else Block(_WIDTH, _WIDTH)
        self.back = Block(_WIDTH, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        small = self.back(self.inner(self.down(functional.avg_pool2d(x, 2))))
        return self.up(x) + functional.interpolate(small, scale_factor=2.0)


_NAMES = renamed(
    (r"^conv1\.", "stem.0."), (r"^bn1\.", "stem.1."), (r"^conv2\.", "stem.3."), (r"^conv3\.", "stem.5."),
    (r"^conv4\.", "stem.6."),
    (r"^top_m_(\d)\.", r"features.\1.0."), (r"^conv_last(\d)\.", r"features.\1.1."),
    (r"^bn_end(\d)\.", r"features.\1.2."), (r"^l(\d)\.", r"heads.\1."),
    (r"^bl(\d)\.", r"merge_features.\1."), (r"^al(\d)\.", r"merge_heatmaps.\1."),
)  # fmt: skip
#: Stack, part and size (the smallest is 1) of a block in an hourglass.
_BLOCK = re.compile(r"^m(\d)\.b(1|2|2_plus|3)_(\d)\.")
_PARTS = {"1": "up", "2": "down", "3": "back", "2_plus": "inner"}


def _authors(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """1adrianb/face-alignment: blocks are numbered by part and size."""

    def name(match: re.Match[str]) -> str:
        stack, part, size = match.groups()
        return f"hourglasses.{stack}.{'inner.' * (_DEPTH - int(size))}{_PARTS[part]}."

    return {_BLOCK.sub(name, key): value for key, value in _NAMES(state).items()}


class FaceAlignment(Stacked):
    """(N, 3, H, W) -> heat maps (N, keypoints, H / 4, W / 4) of every stack: ``heatmaps_1`` and on."""

    layouts: ClassVar[tuple[Layout, ...]] = (_authors,)

    def __init__(self, stacks: int = 4, keypoints: int = 68) -> None:
        """Make the network.

        Args:
            stacks: Hourglasses, one after the other.
            keypoints: Maps that each of them draws.
        """
        entry = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), Block(64, 128), nn.AvgPool2d(2),
            Block(128, 128), Block(128, _WIDTH),
        )  # fmt: skip
        super().__init__(stacks, keypoints, entry, lambda: Hourglass(_DEPTH), Block, _WIDTH)


class FaceDepth(Network):
    """An image of 256 x 256 and a map for each of its points, (N, 71, 256, 256) -> the depth of each (N, 68)."""

    outputs = ("depth",)
    channels: ClassVar[int] = 3 + 68

    def __init__(self) -> None:
        """Make the network."""
        super().__init__()
        body = ResNet(152)
        body.conv1 = nn.Conv2d(self.channels, 64, 7, 2, 3, bias=False)
        self.body = body
        self.fc = nn.Linear(body.channels, 68)

    layouts: ClassVar[tuple[Layout, ...]] = (renamed((r"^(?!fc\.)", "body.")),)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return pixels of the input, towards the camera."""
        # Seven of its eight rows and columns, as the authors have it.
        return (self.fc(functional.avg_pool2d(self.body(image), 7).flatten(1)),)
