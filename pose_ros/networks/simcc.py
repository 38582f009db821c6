# SPDX-License-Identifier: Apache-2.0
"""SimCC (Li et al., ECCV 2022): a small map per keypoint, and from it one vector along x and one along y.

Names of parameters are those of mmpose 1.x.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch import Tensor, nn

from pose_ros.errors import ConfigError
from pose_ros.networks.heatmap_head import HeatmapHead
from pose_ros.networks.mobilenetv2 import MobileNetV2
from pose_ros.networks.network import Network
from pose_ros.networks.resnet import DEPTHS, ResNet

#: Bins of the vectors for each pixel of the input.
_SPLIT = 2
#: Pixels of the input for each pixel of the deepest features.
_STRIDE = 32
#: Name -> backbone.
_BACKBONES: Mapping[str, Callable[[], ResNet | MobileNetV2]] = {
    **{f"resnet{depth}": partial(ResNet, depth) for depth in DEPTHS}, "mobilenetv2": MobileNetV2,
}


class _Head(nn.Module):
    def __init__(self, channels: int, keypoints: int, input_wh: Sequence[int], enlarged: bool) -> None:
        super().__init__()
        width, height = input_wh
        pixels = (width // _STRIDE) * (height // _STRIDE)
        if enlarged:
            self.deconv_head = HeatmapHead(channels, keypoints)
            pixels *= 8 * 8
        else:
            self.final_layer = nn.Conv2d(channels, keypoints, 1)
        self._enlarged = enlarged
        self.mlp_head_x = nn.Linear(pixels, width * _SPLIT)
        self.mlp_head_y = nn.Linear(pixels, height * _SPLIT)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        maps = (self.deconv_head if self._enlarged else self.final_layer)(features).flatten(2)
        return self.mlp_head_x(maps), self.mlp_head_y(maps)


class SimCC(Network):
    """SimCC on a ResNet or another backbone."""

    outputs = ("simcc_x", "simcc_y")

    def __init__(
        self, keypoints: int, input_wh: Sequence[int], backbone: str = "resnet50", enlarged: bool = True
    ) -> None:
        """Build it.

        Args:
            keypoints: K.
            input_wh: Multiples of 32.
            backbone: ``resnet50`` and its kin, or ``mobilenetv2``.
            enlarged: Whether the maps are enlarged as in SimpleBaseline.

        Raises:
            ConfigError: There is no such backbone.
        """
        super().__init__()
        if backbone not in _BACKBONES:
            raise ConfigError("network.backbone", f"expected one of {', '.join(_BACKBONES)}; got {backbone!r}")
        self.backbone = _BACKBONES[backbone]()
        self.head = _Head(self.backbone.channels, keypoints, input_wh, enlarged)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors (N, K, 2 W) and (N, K, 2 H) of logits whose maxima are the keypoints."""
        return self.head(self.backbone(image))
