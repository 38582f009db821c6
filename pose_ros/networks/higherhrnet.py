# SPDX-License-Identifier: Apache-2.0
"""HigherHRNet (Cheng et al., CVPR 2020), and the HRNet with associative embedding that it grew from."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, cat, nn

from pose_ros.networks.heatmap_head import MMPOSE_0
from pose_ros.networks.hrnet import ORIGINAL, HRNet
from pose_ros.networks.network import Layout, Network, renamed
from pose_ros.networks.resnet import BasicBlock

_BLOCKS = 4


class HigherHRNet(Network):
    """Heat maps of all keypoints at 1/4 and at 1/2, and at 1/4 one map of tags per keypoint (Newell et al., 2017).

    (N, 3, H, W) with multiples of 32 -> ``heatmaps_tags`` (N, 2 keypoints, H / 4, W / 4): first the heat maps, then the
    tags; ``heatmaps`` (N, keypoints, H / 2, W / 2), unless ``higher`` is off.
    """

    any_size = True
    layouts: ClassVar[tuple[Layout, ...]] = (
        MMPOSE_0,
        ORIGINAL,
        # An HRNet without the finer maps has one last layer.
        renamed((r"^(keypoint_head|head)\.final_layer\.", "head.final_layers.0.")),
        renamed((r"^(conv\d|bn\d|layer1|transition\d|stage\d)\.", r"backbone.\1."),
                (r"^final_layer\.", "head.final_layers.0.")),
    )  # fmt: skip

    def __init__(self, width: int = 32, keypoints: int = 17, higher: bool = True) -> None:
        """Make the network.

        Args:
            width: Channels of HRNet's finest resolution: 32 or 48.
            keypoints: Keypoints.
            higher: Whether it draws at 1/2 too.
        """
        super().__init__()
        self.backbone = HRNet(width)
        self.head = _Head(width, keypoints, higher)
        self.outputs = ("heatmaps_tags", "heatmaps") if higher else ("heatmaps_tags",)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the maps, coarse ones first."""
        maps: tuple[Tensor, ...] = self.head(self.backbone(image)[0])
        return maps


class _Head(nn.Module):
    def __init__(self, width: int, keypoints: int, higher: bool) -> None:
        super().__init__()
        self.final_layers = nn.ModuleList([nn.Conv2d(width, 2 * keypoints, 1)])
        self.deconv_layers = nn.ModuleList()
        if higher:
            self.final_layers.append(nn.Conv2d(width, keypoints, 1))
            enlarge = nn.Sequential(nn.ConvTranspose2d(width + 2 * keypoints, width, 4, 2, 1, bias=False),
                                    nn.BatchNorm2d(width), nn.ReLU())
            blocks = (nn.Sequential(BasicBlock(width, width)) for _ in range(_BLOCKS))
            self.deconv_layers.append(nn.Sequential(enlarge, *blocks))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        found = [self.final_layers[0](x)]
        for enlarge, final in zip(self.deconv_layers, self.final_layers[1:], strict=True):
            x = enlarge(cat([x, found[-1]], dim=1))
            found.append(final(x))
        return tuple(found)
