# SPDX-License-Identifier: Apache-2.0
"""CSPDarknet (Bochkovskiy et al., 2020; Ge et al., YOLOX, arXiv 2107.08430): backbone of YOLOX and RTMO.

Names of parameters are those of mmdet 3.x and mmpose 1.x.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from pose_ros.errors import ConfigError
from pose_ros.networks.cspnext import Conv, CspLayer, SpatialPyramid, conv3_of

#: Letter of a size -> factor on the channels, factor on the number of blocks.
SIZES = {
    "n": (0.25, 0.33), "t": (0.375, 0.33), "s": (0.5, 0.33), "m": (0.75, 0.67), "l": (1.0, 1.0), "x": (1.25, 1.33)
}
#: Added to the variances of this family's normalisation.
EPSILON = 1e-3
#: Channels and blocks of the four stages at size l.
_STAGES = ((128, 3), (256, 9), (512, 9), (1024, 3))


def factors(size: str) -> tuple[float, float]:
    """Return the factors of a size.

    Raises:
        ConfigError: There is no such size.
    """
    if size not in SIZES:
        raise ConfigError("network.size", f"expected one of {', '.join(SIZES)}; got {size!r}")
    return SIZES[size]


def set_epsilon(module: nn.Module) -> None:
    """Let all normalisation in a module add :data:`EPSILON`."""
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            part.eps = EPSILON


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, identity: bool, depthwise: bool) -> None:
        super().__init__()
        self.conv1 = Conv(channels, channels, 1)
        self.conv2 = conv3_of(depthwise)(channels, channels, 3)
        self._identity = identity

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        return x + y if self._identity else y


#: The family's CSP layer.
DarknetLayer = partial(CspLayer, block=_Bottleneck)


class _Focus(nn.Module):
    """Every other pixel of every other row becomes a channel of its own, four times."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = Conv(12, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        even, odd = x[..., ::2, :], x[..., 1::2, :]
        return self.conv(torch.cat([even[..., ::2], odd[..., ::2], even[..., 1::2], odd[..., 1::2]], 1))


class CspDarknet(nn.Module):
    """The backbone; it returns the features at strides 8, 16 and 32."""

    def __init__(self, size: str, depthwise: bool = False) -> None:
        """Build it.

        Args:
            size: One of :data:`SIZES`.
            depthwise: Whether 3x3 convolutions are separable.

        Raises:
            ConfigError: There is no such size.
        """
        super().__init__()
        widen, deepen = factors(size)
        inputs = int(64 * widen)
        self.stem = _Focus(inputs)
        for number, (width, depth) in enumerate(_STAGES, 1):
            outputs, last = int(width * widen), number == len(_STAGES)
            parts: list[nn.Module] = [conv3_of(depthwise)(inputs, outputs, 3, 2)]
            if last:
                parts.append(SpatialPyramid(outputs))
            blocks = max(round(depth * deepen), 1)
            parts.append(
                DarknetLayer(outputs, outputs, blocks, identity=not last, attention=False, depthwise=depthwise)
            )
            self.add_module(f"stage{number}", nn.Sequential(*parts))
            inputs = outputs
        #: Channels of what is returned.
        self.channels = tuple(int(width * widen) for width, _ in _STAGES[1:])
        set_epsilon(self)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the features, each (N, C, H, W), finest first."""
        fine = self.stage2(self.stage1(self.stem(image)))
        middle = self.stage3(fine)
        return fine, middle, self.stage4(middle)
