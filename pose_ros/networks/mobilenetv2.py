# SPDX-License-Identifier: Apache-2.0
"""MobileNetV2 (Sandler et al., CVPR 2018); names of parameters are those of mmpose 1.x."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from pose_ros.networks.cspnext import Conv

#: Factor inside the blocks, channels, blocks and stride of each stage.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

_Conv = partial(Conv, activation=nn.ReLU6)


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, factor: int, stride: int) -> None:
        super().__init__()
        inside = inputs * factor
        expand = [_Conv(inputs, inside, 1)] if factor > 1 else []
        self.conv = nn.Sequential(
            *expand, _Conv(inside, inside, 3, stride, groups=inside), Conv(inside, outputs, 1, activation=nn.Identity)
        )
        self._shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self._shortcut else y


class MobileNetV2(nn.Module):
    """The convolutional part: (N, 3, H, W) -> (N, ``channels``, H / 32, W / 32)."""

    #: Of the output.
    channels = 1280

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _Conv(3, 32, 3, 2)
        inputs = 32
        for number, (factor, outputs, count, stride) in enumerate(_STAGES, 1):
            blocks = [_Block(inputs if i == 0 else outputs, outputs, factor, stride if i == 0 else 1)
                      for i in range(count)]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            inputs = outputs
        self.conv2 = _Conv(inputs, self.channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the last and coarsest map."""
        x = self.conv1(image)
        for number in range(1, len(_STAGES) + 1):
            x = getattr(self, f"layer{number}")(x)
        return self.conv2(x)
