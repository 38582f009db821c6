# SPDX-License-Identifier: Apache-2.0
"""CSPNeXt (Lyu et al., RTMDet, arXiv 2212.07784): backbone of RTMPose, RTMW and RTMDet, and the neck of the latter two.

Names of parameters are those of mmpose 1.x and mmdet 3.x.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_ros.errors import ConfigError

#: Letter of a size -> factor on the channels, factor on the number of blocks.
SIZES = {
    "n": (0.25, 0.33), "t": (0.375, 0.167), "s": (0.5, 0.33), "m": (0.75, 0.67), "l": (1.0, 1.0), "x": (1.25, 1.33)
}
#: Channels and blocks of the four stages at size l.
_STAGES = ((128, 3), (256, 6), (512, 6), (1024, 3))


class Conv(nn.Sequential):
    """Convolution that keeps the size at stride 1, batch normalisation, activation (SiLU unless said otherwise)."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1,
        activation: type[nn.Module] = nn.SiLU,
    ) -> None:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        super().__init__(OrderedDict(conv=convolution, bn=nn.BatchNorm2d(outputs), activate=activation()))


class SeparableConv(nn.Sequential):
    """One convolution for each channel, then one across the channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(OrderedDict(
            depthwise_conv=Conv(inputs, inputs, kernel, stride, groups=inputs),
            pointwise_conv=Conv(inputs, outputs, 1),
        ))


def conv3_of(depthwise: bool) -> Callable[..., nn.Module]:
    """Return what 3x3 convolutions are made of: inputs, outputs, kernel, stride -> module."""
    return SeparableConv if depthwise else Conv


class _Block(nn.Module):
    def __init__(self, channels: int, identity: bool, depthwise: bool) -> None:
        super().__init__()
        self.conv1 = conv3_of(depthwise)(channels, channels, 3)
        self.conv2 = SeparableConv(channels, channels, 5)
        self._identity = identity

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        return x + y if self._identity else y


class _ChannelAttention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * functional.hardsigmoid(self.fc(functional.adaptive_avg_pool2d(x, 1)))


class CspLayer(nn.Module):
    """Half of the channels through blocks, half past them (Wang et al., CSPNet, 2020)."""

    def __init__(
        self, inputs: int, outputs: int, blocks: int, *, identity: bool, attention: bool, depthwise: bool = False,
        block: Callable[[int, bool, bool], nn.Module] = _Block,
    ) -> None:
        """Build it; ``block`` makes a block from its channels, ``identity`` and ``depthwise``."""
        super().__init__()
        half = outputs // 2
        self.main_conv = Conv(inputs, half, 1)
        self.short_conv = Conv(inputs, half, 1)
        self.final_conv = Conv(2 * half, outputs, 1)
        self.blocks = nn.Sequential(*(block(half, identity, depthwise) for _ in range(blocks)))
        self.attention = _ChannelAttention(2 * half) if attention else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, outputs, H, W)."""
        both = torch.cat([self.blocks(self.main_conv(x)), self.short_conv(x)], 1)
        return self.final_conv(self.attention(both))


class SpatialPyramid(nn.Module):
    """Maxima of growing neighbourhoods beside the features (He et al., SPP, 2014)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv(channels, channels // 2, 1)
        self.conv2 = Conv(channels // 2 * 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        x = self.conv1(x)
        pooled = [functional.max_pool2d(x, kernel, 1, kernel // 2) for kernel in (5, 9, 13)]
        return self.conv2(torch.cat([x, *pooled], 1))


class CspNext(nn.Module):
    """The backbone."""

    def __init__(self, size: str, stages: Sequence[int] = (4,), depthwise: bool = False) -> None:
        """Build it.

        Args:
            size: One of ``SIZES``.
            stages: Which of the stages 1 .. 4 to return; their strides are 4, 8, 16, 32.
            depthwise: Whether 3x3 convolutions are separable.

        Raises:
            ConfigError: There is no such size.
        """
        super().__init__()
        if size not in SIZES:
            raise ConfigError("network.size", f"expected one of {', '.join(SIZES)}; got {size!r}")
        widen, deepen = SIZES[size]
        self._stages = tuple(stages)
        #: Channels of what is returned.
        self.channels = tuple(int(_STAGES[stage - 1][0] * widen) for stage in stages)
        inputs = int(64 * widen)
        half = int(64 * widen // 2)
        self.stem = nn.Sequential(Conv(3, half, 3, 2), Conv(half, half, 3), Conv(half, inputs, 3))
        for number, (width, depth) in enumerate(_STAGES, 1):
            outputs, last = int(width * widen), number == len(_STAGES)
            parts: list[nn.Module] = [conv3_of(depthwise)(inputs, outputs, 3, 2)]
            if last:
                parts.append(SpatialPyramid(outputs))
            blocks = max(round(depth * deepen), 1)
            parts.append(CspLayer(outputs, outputs, blocks, identity=not last, attention=True, depthwise=depthwise))
            self.add_module(f"stage{number}", nn.Sequential(*parts))
            inputs = outputs

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the features of the stages asked for, each (N, C, H, W)."""
        x, found = self.stem(image), []
        for number in range(1, max(self._stages) + 1):
            x = getattr(self, f"stage{number}")(x)
            if number in self._stages:
                found.append(x)
        return tuple(found)


class CspNextPafpn(nn.Module):
    """The neck: features of all levels meet, downwards and up again (Liu et al., PANet, 2018)."""

    def __init__(
        self, channels: Sequence[int], blocks: int, outputs: int | None = None, depthwise: bool = False,
        layer: Callable[..., nn.Module] = CspLayer,
    ) -> None:
        """Build it.

        Args:
            channels: Of each level, finest first.
            blocks: Of each CSP layer.
            outputs: Channels of what is returned; those of the levels when left out.
            depthwise: Whether 3x3 convolutions are separable.
            layer: What its CSP layers are.
        """
        super().__init__()
        conv3, steps = conv3_of(depthwise), list(pairwise(channels))
        self.reduce_layers = nn.ModuleList(Conv(coarse, fine, 1) for fine, coarse in reversed(steps))
        self.top_down_blocks = nn.ModuleList(
            layer(2 * fine, fine, blocks, identity=False, attention=False, depthwise=depthwise)
            for fine, _ in reversed(steps)
        )
        self.downsamples = nn.ModuleList(conv3(fine, fine, 3, 2) for fine, _ in steps)
        self.bottom_up_blocks = nn.ModuleList(
            layer(2 * fine, coarse, blocks, identity=False, attention=False, depthwise=depthwise)
            for fine, coarse in steps
        )
        if outputs is not None:
            self.out_convs = nn.ModuleList(conv3(c, outputs, 3) for c in channels)
        self._has_out_convs = outputs is not None

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return features of the same levels, each (N, C, H, W), finest first."""
        *finer, top = levels
        inner = []
        for reduce, block, fine in zip(self.reduce_layers, self.top_down_blocks, reversed(finer), strict=True):
            top = reduce(top)
            inner.append(top)
            top = block(torch.cat([functional.interpolate(top, scale_factor=2.0, mode="nearest"), fine], 1))
        found = [top]
        for down, block, coarse in zip(self.downsamples, self.bottom_up_blocks, reversed(inner), strict=True):
            found.append(block(torch.cat([down(found[-1]), coarse], 1)))
        if self._has_out_convs:
            found = [conv(x) for conv, x in zip(self.out_convs, found, strict=True)]
        return tuple(found)
