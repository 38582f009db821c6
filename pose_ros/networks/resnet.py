# SPDX-License-Identifier: Apache-2.0
"""ResNet (He et al., CVPR 2016), with torchvision's names, which mmpose and Microsoft's SimpleBaseline share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor, nn

from pose_ros.errors import ConfigError

#: Channels -> normalisation.
Norm = Callable[[int], nn.Module]
#: Group normalisation (Wu and He, ECCV 2018) with 32 groups.
GROUP_NORM: Norm = partial(nn.GroupNorm, 32)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(
        self, inside: int, outside: int, stride: int = 1, dilation: int = 1, norm: Norm = nn.BatchNorm2d
    ) -> None:
        """Make a block from ``inside`` to ``outside`` channels; it has a convolution in its shortcut where needed."""
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, dilation, dilation, bias=False)
        self.bn1 = norm(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, dilation, dilation, bias=False)
        self.bn2 = norm(outside)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inside, outside, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, outside, H / stride, W / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; the 3x3 has a quarter of the channels, and the stride."""

    def __init__(
        self, inside: int, outside: int, stride: int = 1, dilation: int = 1, norm: Norm = nn.BatchNorm2d
    ) -> None:
        """Make a block from ``inside`` to ``outside`` channels; it has a convolution in its shortcut where needed."""
        super().__init__()
        middle = outside // 4
        self.conv1 = nn.Conv2d(inside, middle, 1, bias=False)
        self.bn1 = norm(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, dilation, dilation, bias=False)
        self.bn2 = norm(middle)
        self.conv3 = nn.Conv2d(middle, outside, 1, bias=False)
        self.bn3 = norm(outside)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inside, outside, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, outside, H / stride, W / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _shortcut(inside: int, outside: int, stride: int, norm: Norm) -> nn.Module:
    if inside == outside and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), norm(outside))


#: Depth -> block and how many of them each of the four stages has.
DEPTHS: Mapping[int, tuple[type[BasicBlock | Bottleneck], tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """The convolutional part: (N, 3, H, W) -> (N, ``channels``, H / ``stride``, W / ``stride``)."""

    def __init__(self, depth: int = 50, stride: int = 32, norm: Norm = nn.BatchNorm2d) -> None:
        """Make one of :data:`DEPTHS`.

        Args:
            depth: A key of :data:`DEPTHS`.
            stride: 32; or 16 or 8, where dilation takes the place of the last halvings (timm's ``output_stride``).
            norm: What normalises.

        Raises:
            ConfigError: There is no ResNet of that depth or stride.
        """
        super().__init__()
        for name, value, known in (("depth", depth, tuple(DEPTHS)), ("stride", stride, (8, 16, 32))):
            if value not in known:
                raise ConfigError(f"network.{name}", f"expected one of {', '.join(map(str, known))}, got {value!r}")
        block, counts = DEPTHS[depth]
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = norm(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inside, outside = 64, 64 if block is BasicBlock else 256
        reached, dilation = 4, 1
        for i, count in enumerate(counts):
            halve = i > 0 and reached < stride
            before, dilation = dilation, dilation if halve or i == 0 else 2 * dilation
            reached *= 2 if halve else 1
            first = block(inside, outside, 2 if halve else 1, before, norm)
            rest = (block(outside, outside, 1, dilation, norm) for _ in range(count - 1))
            setattr(self, f"layer{i + 1}", nn.Sequential(first, *rest))
            inside, outside = outside, outside * 2
        #: Channels of the output.
        self.channels = inside

    def forward(self, x: Tensor) -> Tensor:
        """Return the last and coarsest map."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return x
