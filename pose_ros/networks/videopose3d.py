# SPDX-License-Identifier: Apache-2.0
"""VideoPose3D (Pavllo et al., CVPR 2019): temporal convolutions. With a width of one it is Martinez et al., ICCV 2017.

Names follow mmpose 1.x, whose TCN is both. Convolutions have strides in place of dilations: for one moment out of a
whole window both are the same, and nothing is computed that is then thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from pose_ros.networks.heatmap_head import MMPOSE_0
from pose_ros.networks.network import Layout, Network, renamed


class _Layer(nn.Module):
    """Convolution over time, normalisation and ReLU; as wide as its stride."""

    def __init__(self, inside: int, outside: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inside, outside, width, width, bias=False)
        self.bn = nn.BatchNorm1d(outside)

    def forward(self, x: Tensor) -> Tensor:
        normal: Tensor = self.bn(self.conv(x))
        return normal.relu()


class _Block(nn.Module):
    """(N, C, T) -> (N, C, T / width): two layers beside the moments in the middle."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(_Layer(channels, channels, width))
        self.conv2 = nn.Sequential(_Layer(channels, channels, 1))
        self._width = width

    def forward(self, x: Tensor) -> Tensor:
        middle = x[:, :, self._width // 2 :: self._width]
        found: Tensor = self.conv2(self.conv1(x))
        return middle + found


_FACEBOOK_NAMES = renamed(
    (r"^expand_conv\.", "backbone.expand_conv.conv."), (r"^expand_bn\.", "backbone.expand_conv.bn."),
    (r"^shrink\.", "head.conv."),
)  # fmt: skip


def _facebook(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """facebookresearch/VideoPose3D: two layers of a block, one after the other."""
    found = {}
    for key, value in _FACEBOOK_NAMES(state).items():
        kind, _, rest = key.partition(".")
        if kind in ("layers_conv", "layers_bn"):
            number, _, name = rest.partition(".")
            block, second = divmod(int(number), 2)
            key = f"backbone.tcn_blocks.{block}.conv{second + 1}.0.{kind.removeprefix('layers_')}.{name}"
        found[key] = value
    return found


def _without_trajectory(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Leave out the network for the root's position, which mmpose's semi-supervised ones have for their training."""
    return {key: value for key, value in MMPOSE_0(state).items() if not key.startswith("traj_")}


class VideoPose3D(Network):
    """Keypoints over time (N, 2, T, K) -> (N, joints, 3) of the moment in the middle, T = width ** (blocks + 1)."""

    outputs = ("points",)
    channels: ClassVar[int] = 2
    layouts: ClassVar[tuple[Layout, ...]] = (_without_trajectory, _facebook)

    def __init__(self, blocks: int = 4, width: int = 3, keypoints: int = 17, joints: int = 17) -> None:
        """Make the network.

        Args:
            blocks: Of two layers each, after the first layer.
            width: Moments that a layer sees.
            keypoints: That it is given.
            joints: That it finds.
        """
        super().__init__()
        channels, self._joints = 1024, joints
        self.backbone = nn.ModuleDict({
            "expand_conv": _Layer(self.channels * keypoints, channels, width),
            "tcn_blocks": nn.Sequential(*(_Block(channels, width) for _ in range(blocks))),
        })
        self.head = nn.ModuleDict({"conv": nn.Conv1d(channels, joints * 3, 1)})

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the points."""
        rows = image.permute(0, 3, 1, 2).flatten(1, 2)
        found = self.head["conv"](self.backbone["tcn_blocks"](self.backbone["expand_conv"](rows)))
        return (found[:, :, 0].unflatten(1, (self._joints, 3)),)
