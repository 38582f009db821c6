# SPDX-License-Identifier: Apache-2.0
"""MotionBERT's DSTformer (Zhu et al., ICCV 2023): attention between joints and between moments, in two orders at once.

Names follow mmpose 1.x.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_ros.errors import ConfigError
from pose_ros.networks.network import Layout, Network, renamed

#: Of layer normalisation.
_EPSILON = 1e-6


class _Attention(nn.Module):
    """(B, L, C) -> the same shape."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self._heads = heads

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self._heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        found: Tensor = self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return found


class _Block(nn.Module):
    """(N, T, K, C) -> the same shape: attention between joints (s) and between moments (t), one after the other."""

    def __init__(self, width: int, heads: int, ratio: int, order: str) -> None:
        super().__init__()
        for axis in "st":
            self.add_module(f"norm1_{axis}", nn.LayerNorm(width, _EPSILON))
            self.add_module(f"attn_{axis}", _Attention(width, heads))
            self.add_module(f"norm2_{axis}", nn.LayerNorm(width, _EPSILON))
            hidden = nn.Linear(width, ratio * width)
            self.add_module(f"mlp_{axis}", nn.Sequential(hidden, nn.GELU(), nn.Linear(ratio * width, width)))
        self._order = order

    def forward(self, x: Tensor) -> Tensor:
        for axis in self._order:
            part = {name: self.get_submodule(f"{name}_{axis}") for name in ("norm1", "attn", "norm2", "mlp")}
            rows = part["norm1"](x if axis == "s" else x.transpose(1, 2))
            seen = part["attn"](rows.flatten(0, 1)).unflatten(0, rows.shape[:2])
            x = x + (seen if axis == "s" else seen.transpose(1, 2))
            x = x + part["mlp"](part["norm2"](x))
        return x


class MotionBert(Network):
    """Keypoints over time with scores (N, 3, T, K) -> points of every moment (N, T, K, 3)."""

    outputs = ("points",)
    channels: ClassVar[int] = 3
    #: The authors'.
    layouts: ClassVar[tuple[Layout, ...]] = (
        renamed(
            (r"^head\.", "head.fc."), (r"^pre_logits\.", "head.pre_logits."), (r"^pos_embed", "spat_embed"),
            (r"^ts_attn\.", "attn_regress."), (r"(mlp_[st])\.fc1\.", r"\1.0."), (r"(mlp_[st])\.fc2\.", r"\1.2."),
            (r"^(?!head\.)", "backbone."),
        ),
    )  # fmt: skip

    def __init__(
        self, width: int = 512, ratio: int = 2, depth: int = 5, heads: int = 8, keypoints: int = 17,
        moments: int = 243,
    ) -> None:  # fmt: skip
        """Make the network.

        Args:
            width: Channels of a joint.
            ratio: How much wider the layers between are.
            depth: Pairs of blocks.
            heads: Of the attention.
            keypoints: That it is given and finds.
            moments: Most that it can see; it may be given fewer.

        Raises:
            ConfigError: The width is no multiple of the heads.
        """
        super().__init__()
        if width % heads:
            raise ConfigError("network.width", f"expected a multiple of {heads} heads, got {width}")
        self.backbone = nn.Module()
        self.backbone.joints_embed = nn.Linear(self.channels, width)
        self.backbone.temp_embed = nn.Parameter(torch.zeros(1, moments, 1, width))
        self.backbone.spat_embed = nn.Parameter(torch.zeros(1, keypoints, width))
        for order in ("st", "ts"):
            blocks = nn.ModuleList(_Block(width, heads, ratio, order) for _ in range(depth))
            self.backbone.add_module(f"blocks_{order}", blocks)
        self.backbone.attn_regress = nn.ModuleList(nn.Linear(2 * width, 2) for _ in range(depth))
        self.backbone.norm = nn.LayerNorm(width, _EPSILON)
        inside = nn.ModuleDict({"fc": nn.Linear(width, 512)})
        self.head = nn.ModuleDict({"pre_logits": inside, "fc": nn.Linear(512, 3)})

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the points."""
        body, head = self.backbone, self.head
        x = body.joints_embed(image.permute(0, 2, 3, 1)) + body.spat_embed + body.temp_embed[:, : image.shape[2]]
        for one, other, choose in zip(body.blocks_st, body.blocks_ts, body.attn_regress, strict=True):
            both = one(x), other(x)
            part = choose(torch.cat(both, dim=-1)).softmax(dim=-1)
            x = both[0] * part[..., :1] + both[1] * part[..., 1:]
        return (head["fc"](head["pre_logits"]["fc"](body.norm(x)).tanh()),)
