# SPDX-License-Identifier: Apache-2.0
"""HRNet (Sun et al., CVPR 2019): four resolutions side by side, exchanged again and again. Names of mmpose 1.x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, cat, nn
from torch.nn import functional

from pose_ros.errors import ConfigError
from pose_ros.networks.heatmap_head import MMPOSE_0, HeatmapHead
from pose_ros.networks.network import Layout, Network, renamed
from pose_ros.networks.resnet import BasicBlock, Bottleneck

#: Exchanges in the stages with two, three and four resolutions.
_EXCHANGES = (1, 4, 3)
#: Blocks of each resolution before it is exchanged.
_BLOCKS = 4
#: How a coarse map is enlarged where it is added to a finer one.
UPSAMPLE = ("nearest", "bilinear")
#: leoxiaobin/deep-high-resolution-net.pytorch, and HRNet/HigherHRNet-Human-Pose-Estimation.
ORIGINAL: Layout = renamed(
    (r"^(conv\d|bn\d|layer1|transition\d|stage\d)\.", r"backbone.\1."),
    (r"^(final_layers?|deconv_layers)\.", r"head.\1."),
)
#: mmpose before 1.0 counts the convolutions before the last one as part of the last layer.
_MMPOSE_0_CONCAT: Layout = renamed(
    (r"^keypoint_head\.final_layer\.3\.", "head.final_layer."),
    (r"^keypoint_head\.final_layer\.", "head.conv_layers."),
)


class HRNet(nn.Module):
    """The convolutional part: (N, 3, H, W) -> maps of 1/4, 1/8, 1/16 and 1/32, or of the first of these alone.

    H and W are multiples of 32. A map of 1/2^(2+i) has ``width`` 2^i channels.
    """

    def __init__(self, width: int, all_sizes: bool = False, upsample: str = "nearest") -> None:
        """Make the layers.

        Args:
            width: Channels at 1/4: 18, 32 or 48.
            all_sizes: Whether all four resolutions come out.
            upsample: One of :data:`UPSAMPLE`.
        """
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 64, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(Bottleneck(64, 256), *(Bottleneck(256, 256) for _ in range(_BLOCKS - 1)))
        before = [256]
        for i, count in enumerate(_EXCHANGES):
            widths = [width << j for j in range(i + 2)]
            last = i == len(_EXCHANGES) - 1
            exchanges = [_Exchange(widths, upsample) for _ in range(count - 1)]
            exchanges.append(_Exchange(widths, upsample, 1 if last and not all_sizes else len(widths)))
            setattr(self, f"transition{i + 1}", _transition(before, widths))
            setattr(self, f"stage{i + 2}", nn.Sequential(*exchanges))
            before = widths
        #: Channels of all resolutions.
        self.widths = before

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps, finest first."""
        x = self.relu(self.bn1(self.conv1(image)))
        x = self.relu(self.bn2(self.conv2(x)))
        maps = [self.layer1(x)]
        for transition, stage in ((self.transition1, self.stage2), (self.transition2, self.stage3),
                                  (self.transition3, self.stage4)):
            # A new resolution is made from the coarsest one so far; the others go through what they have, if anything.
            maps = [layer(maps[min(i, len(maps) - 1)]) for i, layer in enumerate(transition)]
            maps = stage(maps)
        return maps


class _Exchange(nn.Module):
    """Blocks for each resolution, and then each is the sum of all."""

    def __init__(self, widths: Sequence[int], upsample: str, outputs: int | None = None) -> None:
        """Make the layers; only the first ``outputs`` resolutions come out."""
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(w, w) for _ in range(_BLOCKS))) for w in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fuse(widths, j, i, upsample) for j in range(len(widths)))
            for i in range(outputs or len(widths))
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the resolutions after the exchange."""
        done = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        found = []
        for layers in self.fuse_layers:
            first, *rest = (layer(x) for layer, x in zip(layers, done, strict=True))
            for x in rest:
                first = first + x
            found.append(functional.relu(first))
        return found


def _fuse(widths: Sequence[int], source: int, target: int, upsample: str) -> nn.Module:
    """Return what brings one resolution to the size and channels of another."""
    inside, outside = widths[source], widths[target]
    if source == target:
        return nn.Identity()
    if source > target:
        how = {"align_corners": False} if upsample == "bilinear" else {}
        return nn.Sequential(nn.Conv2d(inside, outside, 1, bias=False), nn.BatchNorm2d(outside),
                             nn.Upsample(scale_factor=2 ** (source - target), mode=upsample, **how))
    steps = target - source
    return nn.Sequential(*(_halving(inside, inside, True) for _ in range(steps - 1)), _halving(inside, outside, False))


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """Return what each resolution of a stage is made by; the last one is new."""
    layers: list[nn.Module] = []
    for i, width in enumerate(after):
        if i >= len(before):
            layers.append(nn.Sequential(_halving(before[-1], width, True)))
        elif before[i] == width:
            layers.append(nn.Identity())
        else:
            layers.append(nn.Sequential(nn.Conv2d(before[i], width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
                                        nn.ReLU()))
    return nn.ModuleList(layers)


def _halving(inside: int, outside: int, relu: bool) -> nn.Sequential:
    layers = [nn.Conv2d(inside, outside, 3, 2, 1, bias=False), nn.BatchNorm2d(outside)]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


class PoseHRNet(Network):
    """(N, 3, H, W) -> heat maps (N, maps, H / 4, W / 4)."""

    outputs = ("heatmaps",)
    layouts: ClassVar[tuple[Layout, ...]] = (MMPOSE_0, ORIGINAL, _MMPOSE_0_CONCAT)

    def __init__(self, width: int = 32, keypoints: int = 17, maps: int = 1, concat: bool = False) -> None:
        """Make the network.

        Args:
            width: Channels of the finest resolution: 18, 32 or 48.
            keypoints: Keypoints.
            maps: Maps for each keypoint: 1, or 3 with offsets (UDP's combined target).
            concat: Whether all four resolutions are used (HRNetV2, Wang et al., TPAMI 2020), or the finest alone.

        Raises:
            ConfigError: A size is not positive.
        """
        super().__init__()
        for name, value in (("width", width), ("keypoints", keypoints), ("maps", maps)):
            if value < 1:
                raise ConfigError(f"network.{name}", f"expected a positive number, got {value}")
        self.backbone = HRNet(width, all_sizes=concat, upsample="bilinear" if concat else "nearest")
        self.head = _ConcatHead(self.backbone.widths, keypoints * maps) if concat else HeatmapHead(
            width, keypoints * maps, widths=())

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the heat maps."""
        maps = self.backbone(image)
        return (self.head(maps) if isinstance(self.head, _ConcatHead) else self.head(maps[0]),)


class _ConcatHead(nn.Module):
    """All resolutions as one map, mixed, and one map per keypoint."""

    def __init__(self, widths: Sequence[int], keypoints: int) -> None:
        super().__init__()
        total = sum(widths)
        self.conv_layers = nn.Sequential(nn.Conv2d(total, total, 1), nn.BatchNorm2d(total), nn.ReLU())
        self.final_layer = nn.Conv2d(total, keypoints, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        size = maps[0].shape[2:]
        enlarged = [functional.interpolate(x, size, mode="bilinear", align_corners=False) for x in maps[1:]]
        heatmaps: Tensor = self.final_layer(self.conv_layers(cat([maps[0], *enlarged], dim=1)))
        return heatmaps
