# SPDX-License-Identifier: Apache-2.0
"""What stacks of hourglasses share (Newell, Yang and Deng, ECCV 2016): each one corrects what those before it drew."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from pose_ros.networks.network import Network


class Stacked(Network):
    """(N, 3, H, W) -> heat maps (N, keypoints, H / 4, W / 4) of every stack: ``heatmaps_1`` and on."""

    def __init__(
        self, stacks: int, keypoints: int, stem: nn.Module, hourglass: Callable[[], nn.Module],
        block: Callable[[int, int], nn.Module], width: int,
    ) -> None:
        """Make the network.

        Args:
            stacks: Hourglasses, one after the other.
            keypoints: Maps that each of them draws.
            stem: What comes before them, (N, 3, H, W) -> (N, width, H / 4, W / 4).
            hourglass: Makes one of them.
            block: Makes what follows each, of so many channels in and out.
            width: Channels between them.
        """
        super().__init__()
        self.outputs = tuple(f"heatmaps_{i + 1}" for i in range(stacks))
        self.stem = stem
        self.hourglasses = nn.ModuleList(hourglass() for _ in range(stacks))
        self.features = nn.ModuleList(
            nn.Sequential(block(width, width), nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU())
            for _ in range(stacks)
        )
        self.heads = nn.ModuleList(nn.Conv2d(width, keypoints, 1) for _ in range(stacks))
        self.merge_features = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(stacks - 1))
        self.merge_heatmaps = nn.ModuleList(nn.Conv2d(keypoints, width, 1) for _ in range(stacks - 1))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the heat maps of every stack."""
        x, found = self.stem(image), []
        for i, (hourglass, features, head) in enumerate(zip(self.hourglasses, self.features, self.heads, strict=True)):
            seen = features(hourglass(x))
            found.append(head(seen))
            if i < len(self.merge_features):
                x = x + self.merge_features[i](seen) + self.merge_heatmaps[i](found[-1])
        return tuple(found)
