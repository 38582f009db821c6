# SPDX-License-Identifier: Apache-2.0
"""HaMeR (Pavlakos et al., CVPR 2024): a vision transformer, and a decoder that reads pose and shape of a hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_ros.errors import ConfigError
from pose_ros.networks.network import Layout, Network
from pose_ros.networks.vitpose import Backbone, authors

_PATCH = 16
#: Of the decoder: width, heads, and width of each head.
_WIDTH, _HEADS, _HEAD_WIDTH = 1024, 8, 64
#: Joints of MANO, the wrist first; numbers that describe a rotation; shape parameters; scale and place in the crop.
_JOINTS, _ROTATION, _SHAPE, _CAMERA = 16, 6, 10, 3


class _Residual(nn.Module):
    """What the decoder's layers share: the normalisation before them."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(_WIDTH), layer


def _out() -> nn.Sequential:
    return nn.Sequential(nn.Linear(_HEADS * _HEAD_WIDTH, _WIDTH))


class _SelfAttention(nn.Module):
    """The attention of the only token to itself: its own value."""

    def __init__(self) -> None:
        super().__init__()
        self.to_qkv, self.to_out = nn.Linear(_WIDTH, 3 * _HEADS * _HEAD_WIDTH, bias=False), _out()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.to_out(self.to_qkv(x).chunk(3, dim=-1)[2])
        return out


class _CrossAttention(nn.Module):
    def __init__(self, context: int) -> None:
        super().__init__()
        self.to_kv = nn.Linear(context, 2 * _HEADS * _HEAD_WIDTH, bias=False)
        self.to_q, self.to_out = nn.Linear(_WIDTH, _HEADS * _HEAD_WIDTH, bias=False), _out()

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        projected = (self.to_q(x), *self.to_kv(context).chunk(2, dim=-1))
        heads = (t.reshape(t.shape[0], -1, _HEADS, _HEAD_WIDTH).transpose(1, 2) for t in projected)
        mixed = functional.scaled_dot_product_attention(*heads)
        out: Tensor = self.to_out(mixed.transpose(1, 2).reshape(x.shape[0], -1, _HEADS * _HEAD_WIDTH))
        return out


class _Feed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        # The identity stands where training has a dropout, for the names.
        self.net = nn.Sequential(nn.Linear(_WIDTH, _WIDTH), nn.GELU(), nn.Identity(), nn.Linear(_WIDTH, _WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


class _Layers(nn.Module):
    def __init__(self, depth: int, context: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(_Residual(part) for part in (_SelfAttention(), _CrossAttention(context), _Feed()))
            for _ in range(depth)
        )

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        for own, cross, feed in self.layers:
            x = x + own.fn(own.norm(x))
            x = x + cross.fn(cross.norm(x), context)
            x = x + feed.fn(feed.norm(x))
        return x


class _Decoder(nn.Module):
    """One token, the same for every image, that looks at all patches: (N, patches, context) -> (N, width)."""

    def __init__(self, depth: int, context: int) -> None:
        super().__init__()
        self.to_token_embedding = nn.Linear(1, _WIDTH)
        self.pos_embedding = nn.Parameter(torch.zeros(1, 1, _WIDTH))
        self.transformer = _Layers(depth, context)

    def forward(self, context: Tensor) -> Tensor:
        # What is embedded is always zero: only the bias is left of it.
        token = (self.to_token_embedding.bias + self.pos_embedding).expand(context.shape[0], -1, -1)
        out: Tensor = self.transformer(token, context)[:, 0]
        return out


class _ManoHead(nn.Module):
    """Features -> rotations, shape and camera, as what they differ by from those of the mean hand."""

    def __init__(self, depth: int, context: int) -> None:
        super().__init__()
        self.transformer = _Decoder(depth, context)
        for name, mean, size in (("pose", "hand_pose", _JOINTS * _ROTATION), ("shape", "betas", _SHAPE),
                                 ("cam", "cam", _CAMERA)):  # fmt: skip
            self.add_module(f"dec{name}", nn.Linear(_WIDTH, size))
            self.register_buffer(f"init_{mean}", torch.zeros(1, size))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        token = self.transformer(features.flatten(2).transpose(1, 2))
        pose = self.decpose(token) + self.init_hand_pose
        rotations = _rotations(pose.reshape(-1, _JOINTS, 2, 3))
        return rotations, self.decshape(token) + self.init_betas, self.deccam(token) + self.init_cam


def _rotations(axes: Tensor) -> Tensor:
    """Return the rotation matrices that two axes each span (Zhou et al., CVPR 2019), (..., 2, 3) -> (..., 3, 3)."""
    x = functional.normalize(axes[..., 0, :], dim=-1)
    y = axes[..., 1, :]
    y = functional.normalize(y - (x * y).sum(dim=-1, keepdim=True) * x, dim=-1)
    after, before = [1, 2, 0], [2, 0, 1]
    z = x[..., after] * y[..., before] - x[..., before] * y[..., after]
    return torch.stack([x, y, z], dim=-1)


def _own(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Leave out what training needs, and the hand model that the authors' program keeps in every checkpoint."""
    return {key: value for key, value in state.items() if key.startswith(("backbone.", "mano_head."))}


class Hamer(Network):
    """(N, 3, H, W) -> rotations (N, 16, 3, 3) of MANO's joints, its shape (N, 10), and a camera (N, 3).

    The rotation of the wrist is against the camera, those of the others against the joint before them. The camera is
    scale, x and y of :func:`pose_ros.decode.mano.project`.
    """

    outputs = ("rotations", "betas", "camera")
    layouts: ClassVar[tuple[Layout, ...]] = (authors,)

    def __init__(
        self, size: str = "huge", decoder_layers: int = 6, input_wh: Sequence[int] = (192, 256)
    ) -> None:
        """Make the network.

        Args:
            size: Of the backbone, see :class:`pose_ros.networks.vitpose.ViTPose`; the authors' is ``huge``.
            decoder_layers: Of the decoder.
            input_wh: Width and height of the input, multiples of 16.

        Raises:
            UnknownNameError: There is no such size.
            ConfigError: The input has no whole number of patches.
        """
        super().__init__()
        width, height = input_wh
        if width % _PATCH or height % _PATCH:
            raise ConfigError("input_wh", f"expected multiples of {_PATCH}, got {width} x {height}")
        self.backbone = Backbone(size, (height // _PATCH, width // _PATCH))
        self.mano_head = _ManoHead(decoder_layers, self.backbone.width)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return rotations, shape and camera."""
        rotations, betas, camera = self.mano_head(self.backbone(image))
        return rotations, betas, camera

    def load(self, state: Mapping[str, Tensor], model: str) -> None:
        """Take over the weights of a checkpoint; see :class:`Network`."""
        super().load(_own(state), model)
