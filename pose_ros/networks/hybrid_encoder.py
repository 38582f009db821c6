# SPDX-License-Identifier: Apache-2.0
"""The hybrid encoder of RT-DETR (Zhao et al., arXiv 2304.08069) as RTMO uses it.

Features of the coarsest level attend to one another; then all levels meet, downwards and up again. Names of parameters
are those of mmpose 1.x.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_ros.networks.cspnext import Conv

_CHANNELS = 256
_HEADS = 8
#: Of the positions' longest wave.
_TEMPERATURE = 10000.0


class SineEncoding(nn.Module):
    """Cosines and sines of positions, from wave length 2 pi to that times ``temperature``."""

    def __init__(self, channels: int, temperature: float) -> None:
        super().__init__()
        half = channels // 2
        self.register_buffer("dim_t", temperature ** (torch.arange(half, dtype=torch.float32) / half))

    def forward(self, positions: Tensor) -> Tensor:
        """Return (..., C) of positions (...)."""
        angles = positions[..., None] / self.dim_t
        return torch.cat([angles.cos(), angles.sin()], -1)


class _EncoderLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self_attn = nn.Module()
        self.self_attn.attn = nn.MultiheadAttention(_CHANNELS, _HEADS, batch_first=True)
        self.ffn = nn.Module()
        wide = nn.Sequential(nn.Linear(_CHANNELS, 4 * _CHANNELS), nn.GELU())
        self.ffn.layers = nn.Sequential(wide, nn.Linear(4 * _CHANNELS, _CHANNELS))
        self.norms = nn.ModuleList(nn.LayerNorm(_CHANNELS) for _ in range(2))

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        placed = x + positions
        x = self.norms[0](x + self.self_attn.attn(placed, placed, x, need_weights=False)[0])
        return self.norms[1](x + self.ffn.layers(x))


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_EncoderLayer()])

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        return self.layers[0](x, positions)


class _RepVgg(nn.Module):
    """A 3x3 and a 1x1 convolution side by side (Ding et al., 2021)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch_3x3 = Conv(channels, channels, 3, activation=nn.Identity)
        self.branch_1x1 = Conv(channels, channels, 1, activation=nn.Identity)

    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(self.branch_3x3(x) + self.branch_1x1(x))


class _CspRep(nn.Module):
    def __init__(self, hidden: int, blocks: int) -> None:
        super().__init__()
        self.conv1 = Conv(2 * _CHANNELS, hidden, 1)
        self.conv2 = Conv(2 * _CHANNELS, hidden, 1)
        self.bottlenecks = nn.Sequential(*(_RepVgg(hidden) for _ in range(blocks)))
        self.conv3 = Conv(hidden, _CHANNELS, 1) if hidden != _CHANNELS else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(self.bottlenecks(self.conv1(x)) + self.conv2(x))


class HybridEncoder(nn.Module):
    """Neck that returns all levels but the finest."""

    def __init__(self, channels: Sequence[int], widen: float, deepen: float, outputs: int) -> None:
        """Build it.

        Args:
            channels: Of the three levels, finest first.
            widen: Factor on the channels inside its blocks.
            deepen: Factor on the number of its blocks.
            outputs: Channels of what is returned.
        """
        super().__init__()
        hidden, blocks, steps = int(_CHANNELS * widen), round(3 * deepen), len(channels) - 1
        self.input_proj = nn.ModuleList(Conv(c, _CHANNELS, 1, activation=nn.Identity) for c in channels)
        self.encoder = nn.ModuleList([_Encoder()])
        self.sincos_pos_enc = SineEncoding(_CHANNELS // 2, _TEMPERATURE)
        self.lateral_convs = nn.ModuleList(Conv(_CHANNELS, _CHANNELS, 1) for _ in range(steps))
        self.fpn_blocks = nn.ModuleList(_CspRep(hidden, blocks) for _ in range(steps))
        self.downsample_convs = nn.ModuleList(Conv(_CHANNELS, _CHANNELS, 3, 2) for _ in range(steps))
        self.pan_blocks = nn.ModuleList(_CspRep(hidden, blocks) for _ in range(steps))
        self.projector = nn.Module()
        self.projector.convs = nn.ModuleList(Conv(_CHANNELS, outputs, 1, activation=nn.Identity) for _ in range(steps))

    def _attended(self, x: Tensor) -> Tensor:
        """Return features (N, C, H, W) after each has looked at all others."""
        height, width = x.shape[2:]
        y, x_ = torch.meshgrid(
            torch.arange(height, dtype=x.dtype, device=x.device),
            torch.arange(width, dtype=x.dtype, device=x.device), indexing="ij",
        )  # fmt: skip
        positions = self.sincos_pos_enc(torch.stack([y, x_], -1).reshape(1, -1, 2)).flatten(2)
        return self.encoder[0](x.flatten(2).transpose(1, 2), positions).transpose(1, 2).reshape(x.shape)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the features of strides 16 and 32, each (N, outputs, H, W)."""
        *finer, top = (project(x) for project, x in zip(self.input_proj, levels, strict=True))
        top = self._attended(top)
        inner = []
        for lateral, block, fine in zip(self.lateral_convs, self.fpn_blocks, reversed(finer), strict=True):
            top = lateral(top)
            inner.append(top)
            top = block(torch.cat([functional.interpolate(top, scale_factor=2.0, mode="nearest"), fine], 1))
        found = []
        for down, block, coarse in zip(self.downsample_convs, self.pan_blocks, reversed(inner), strict=True):
            top = block(torch.cat([down(top), coarse], 1))
            found.append(top)
        return tuple(conv(x) for conv, x in zip(self.projector.convs, found, strict=True))
