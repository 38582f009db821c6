# SPDX-License-Identifier: Apache-2.0
"""RTMPose (Jiang et al., arXiv 2303.07399): CSPNeXt, and a head that tells for each keypoint its column and its row.

Names of parameters are those of mmpose 1.x.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from pose_ros.networks.cspnext import CspNext
from pose_ros.networks.network import Layout, Network, renamed

#: Length of what describes one keypoint.
_TOKEN = 256
#: Length of queries and keys.
_KEY = 128
#: Bins of the vectors for each pixel of the input.
SPLIT = 2
#: Pixels of the input for each pixel of the deepest features.
_STRIDE = 32
#: DeepLabCut 3.
_DEEPLABCUT: Layout = renamed((r"^heads\.bodypart\.", "head."), (r"^(backbone\..*)\.norm\.", r"\1.bn."))


class ScaleNorm(nn.Module):
    """Divide by the root mean square (Nguyen and Salazar, arXiv 1910.05895)."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1))
        self._scale = length**-0.5

    def forward(self, x: Tensor) -> Tensor:
        """Return values of the same shape."""
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True) * self._scale
        return x / size.clamp(min=1e-5) * self.g


class _Scale(nn.Module):
    def __init__(self, length: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(length))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class GatedAttention(nn.Module):
    """Attention between keypoints (Hua et al., gated attention unit, arXiv 2202.10447)."""

    def __init__(self, token: int = _TOKEN) -> None:
        """Build it for tokens of that length."""
        super().__init__()
        self._split = (2 * token, 2 * token, _KEY)
        self.ln = ScaleNorm(token)
        self.uv = nn.Linear(token, sum(self._split), bias=False)
        self.gamma = nn.Parameter(torch.ones(2, _KEY))
        self.beta = nn.Parameter(torch.zeros(2, _KEY))
        self.o = nn.Linear(2 * token, token, bias=False)
        self.res_scale = _Scale(token)

    def forward(self, tokens: Tensor, positions: Tensor | None = None) -> Tensor:
        """Return tokens of the same shape, (N, K, token); ``positions`` (K, 128) are added to queries and keys."""
        gates, values, base = nn.functional.silu(self.uv(self.ln(tokens))).split(self._split, 2)
        both = base[:, :, None] * self.gamma + self.beta
        queries, keys = (both if positions is None else both + positions[:, None]).unbind(2)
        attention = (queries @ keys.transpose(1, 2) / _KEY**0.5).relu().square()
        return self.res_scale(tokens) + self.o(gates * (attention @ values))


class RtmHead(nn.Module):
    """The part of the head that RTMPose and RTMW share: tokens of keypoints -> vectors."""

    def __init__(self, input_wh: Sequence[int]) -> None:
        super().__init__()
        width, height = input_wh
        self.gau = GatedAttention()
        self.cls_x = nn.Linear(_TOKEN, width * SPLIT, bias=False)
        self.cls_y = nn.Linear(_TOKEN, height * SPLIT, bias=False)

    def vectors(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return (N, K, 2 W) and (N, K, 2 H) from (N, K, 256)."""
        tokens = self.gau(tokens)
        return self.cls_x(tokens), self.cls_y(tokens)


def flatten_to(length: int, input_wh: Sequence[int], factor: int = 1) -> nn.Sequential:
    """Return layers that make one token of a map with ``factor`` times the deepest features' width and height."""
    pixels = (input_wh[0] // _STRIDE * factor) * (input_wh[1] // _STRIDE * factor)
    return nn.Sequential(ScaleNorm(pixels), nn.Linear(pixels, length, bias=False))


class _Head(RtmHead):
    def __init__(self, channels: int, keypoints: int, input_wh: Sequence[int]) -> None:
        super().__init__(input_wh)
        self.final_layer = nn.Conv2d(channels, keypoints, 7, padding=3)
        self.mlp = flatten_to(_TOKEN, input_wh)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.vectors(self.mlp(self.final_layer(features).flatten(2)))


class RtmPose(Network):
    """RTMPose of any size and for any keypoints."""

    outputs = ("simcc_x", "simcc_y")
    layouts: ClassVar[tuple[Layout, ...]] = (_DEEPLABCUT,)

    def __init__(self, size: str, keypoints: int, input_wh: Sequence[int]) -> None:
        """Build it.

        Args:
            size: t, s, m, l or x.
            keypoints: K.
            input_wh: Multiples of 32.

        Raises:
            ConfigError: There is no such size.
        """
        super().__init__()
        self.backbone = CspNext(size)
        self.head = _Head(self.backbone.channels[-1], keypoints, input_wh)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors (N, K, 2 W) and (N, K, 2 H) whose maxima are the keypoints."""
        return self.head(self.backbone(image)[-1])
