# SPDX-License-Identifier: Apache-2.0
"""PoseConv3D (Duan et al., CVPR 2022): a thin SlowOnly ResNet-50 (Feichtenhofer et al., ICCV 2019) over heat maps.

Names follow mmaction2 1.x.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pose_ros.networks.network import Network

#: Channels of the first layer.
_WIDTH = 32
#: By stage: whether blocks look over three moments, and the stride over time. All halve height and width.
_OVER_TIME, _STRIDES = (False, True, True), (1, 1, 2)


class _Layer(nn.Module):
    """A convolution with normalisation."""

    def __init__(
        self, inside: int, outside: int, size: tuple[int, int, int], stride: tuple[int, int, int] = (1, 1, 1)
    ) -> None:
        super().__init__()
        pad = (size[0] // 2, size[1] // 2, size[2] // 2)
        self.conv = nn.Conv3d(inside, outside, size, stride, pad, bias=False)
        self.bn = nn.BatchNorm3d(outside)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.bn(self.conv(x))
        return found


class _Bottleneck(nn.Module):
    """(N, C, T, H, W) -> (N, 4 * middle, ...): over time, over the image, and back to many channels."""

    def __init__(self, inside: int, middle: int, over_time: bool, stride: tuple[int, int, int]) -> None:
        super().__init__()
        outside = 4 * middle
        self.conv1 = _Layer(inside, middle, (3 if over_time else 1, 1, 1))
        self.conv2 = _Layer(middle, middle, (1, 3, 3), stride)
        self.conv3 = _Layer(middle, outside, (1, 1, 1))
        self.downsample: nn.Module = nn.Identity()
        if inside != outside or max(stride) > 1:
            self.downsample = _Layer(inside, outside, (1, 1, 1), stride)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv3(self.conv2(self.conv1(x).relu()).relu())
        return (y + self.downsample(x)).relu()


class PoseC3d(Network):
    """Heat maps of keypoints over time (N, K, T, H, W) -> one logit per class (N, classes)."""

    outputs = ("logits",)

    def __init__(
        self, maps: int = 17, moments: int = 48, classes: int = 60, blocks: Sequence[int] = (4, 6, 3)
    ) -> None:
        """Make the network.

        Args:
            maps: K.
            moments: T.
            classes: Of actions.
            blocks: In each stage.
        """
        super().__init__()
        self._maps, self._moments = maps, moments
        self.backbone = nn.Module()
        self.backbone.conv1 = _Layer(maps, _WIDTH, (1, 7, 7))
        self.backbone.maxpool = nn.MaxPool3d((1, 3, 3), 1, (0, 1, 1))
        inside = _WIDTH
        for i, (many, over_time, stride) in enumerate(zip(blocks, _OVER_TIME, _STRIDES, strict=True)):
            middle = _WIDTH * 2**i
            made = [_Bottleneck(inside, middle, over_time, (stride, 2, 2))]
            inside = 4 * middle
            made += [_Bottleneck(inside, middle, over_time, (1, 1, 1)) for _ in range(many - 1)]
            self.backbone.add_module(f"layer{i + 1}", nn.Sequential(*made))
        self.cls_head = nn.ModuleDict({"fc_cls": nn.Linear(inside, classes)})

    def input_shape(self, input_wh: tuple[int, int]) -> tuple[int, ...]:
        """See :class:`Network`: (K, T, H, W)."""
        return self._maps, self._moments, *input_wh[::-1]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the logits."""
        x = self.backbone.maxpool(self.backbone.conv1(image).relu())
        for name in ("layer1", "layer2", "layer3"):
            x = self.backbone.get_submodule(name)(x)
        return (self.cls_head["fc_cls"](x.mean(dim=(2, 3, 4))),)
