# SPDX-License-Identifier: Apache-2.0
"""ViTPose (Xu et al., NeurIPS 2022) and ViTPose++ (TPAMI 2024): a plain vision transformer and a small head.

Written here, although transformers has it: importing that takes seconds and 150 MB more than importing PyTorch does.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_ros.errors import ConfigError, ModelCorruptError, UnknownNameError
from pose_ros.networks.heatmap_head import HeatmapHead
from pose_ros.networks.network import Layout, Network, renamed

_PATCH = 16
_EPS = 1e-6
#: Width, blocks, heads, width inside of the blocks. Of ``giant`` nothing was ever released, neither weights nor
#: dimensions (ViTAE-Transformer/ViTPose, issues 11 and 33): these are of ViT-g (Zhai et al., CVPR 2022), which has the
#: billion parameters that the paper names, where the authors' own has convolutions besides.
_SIZES = {
    "small": (384, 12, 12, 1536),
    "base": (768, 12, 12, 3072),
    "large": (1024, 24, 16, 4096),
    "huge": (1280, 32, 16, 5120),
    "giant": (1408, 40, 16, 6144),
}
_HEADS = ("classic", "simple")
#: Heads of the other experts in the files of the authors; that of expert 0 is ``keypoint_head``.
_OTHER_HEAD = re.compile(r"\bassociate_keypoint_heads\.(\d+)\.")


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        qkv = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*qkv.unbind(0))
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(n, tokens, width))
        return out


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, inside: int) -> None:
        super().__init__()
        self.ln1, self.attn = nn.LayerNorm(width, _EPS), _Attention(width, heads)
        self.ln2 = nn.LayerNorm(width, _EPS)
        widen = nn.Sequential(nn.Linear(width, inside), nn.GELU())
        self.ffn = nn.Sequential(OrderedDict(layers=nn.Sequential(widen, nn.Linear(inside, width))))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        return x + self.ffn(self.ln2(x))


class Backbone(nn.Module):
    """(N, 3, H, W) -> (N, width, H / 16, W / 16). Names of mmpretrain's VisionTransformer."""

    def __init__(self, size: str, grid_hw: tuple[int, int]) -> None:
        """Make one of the sizes of ViTPose for a grid of patches of 16 x 16 pixels.

        Raises:
            UnknownNameError: There is no such size.
        """
        super().__init__()
        if size not in _SIZES:
            raise UnknownNameError("size of ViTPose", size, _SIZES)
        self.width, depth, heads, inside = _SIZES[size]
        projection = nn.Conv2d(3, self.width, _PATCH, _PATCH, padding=2)
        self.patch_embed = nn.Sequential(OrderedDict(projection=projection))
        self.pos_embed = nn.Parameter(torch.zeros(1, grid_hw[0] * grid_hw[1], self.width))
        self.layers = nn.Sequential(*(_Block(self.width, heads, inside) for _ in range(depth)))
        self.ln1 = nn.LayerNorm(self.width, _EPS)

    def forward(self, image: Tensor) -> Tensor:
        """Return the last layer's features."""
        patches = self.patch_embed(image)
        tokens = self.ln1(self.layers(patches.flatten(2).transpose(1, 2) + self.pos_embed))
        maps: Tensor = tokens.transpose(1, 2).reshape(patches.shape)
        return maps


class _SimpleHead(nn.Module):
    """Enlarge four times, then one convolution."""

    def __init__(self, inside: int, keypoints: int) -> None:
        super().__init__()
        self.final_layer = nn.Conv2d(inside, keypoints, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.final_layer(functional.interpolate(x.relu(), scale_factor=4.0, mode="bilinear"))
        return maps


#: ViTAE-Transformer/ViTPose, and files that were split or trained with it.
_AUTHORS = renamed(
    (r"^keypoint_head\.", "head."), (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"\.blocks\.", ".layers."), (r"\.norm(\d)\.", r".ln\1."), (r"\.last_norm\.", ".ln1."),
    (r"\.mlp\.fc1\.", ".ffn.layers.0.0."), (r"\.mlp\.fc2\.", ".ffn.layers.1."),
)  # fmt: skip
#: usyd-community/vitpose-... for transformers, after its queries, keys and values are joined.
_TRANSFORMERS = renamed(
    (r"\.embeddings\.patch_embeddings\.", ".patch_embed."), (r"\.embeddings\.position_embeddings$", ".pos_embed"),
    (r"\.encoder\.layer\.", ".layers."), (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.layernorm_before\.", ".ln1."), (r"\.layernorm_after\.", ".ln2."), (r"\.layernorm\.", ".ln1."),
    (r"\.mlp\.fc1\.", ".ffn.layers.0.0."), (r"\.mlp\.fc2\.", ".ffn.layers.1."),
    (r"^head\.deconv1\.", "head.deconv_layers.0."), (r"^head\.batchnorm1\.", "head.deconv_layers.1."),
    (r"^head\.deconv2\.", "head.deconv_layers.3."), (r"^head\.batchnorm2\.", "head.deconv_layers.4."),
    (r"^head\.conv\.", "head.final_layer."),
)  # fmt: skip
_POSITIONS = "backbone.pos_embed"


def _with_class_token(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Drop the place of the class token, as mmpretrain does with a file that has one more than there are patches."""
    return {**state, _POSITIONS: state[_POSITIONS][:, 1:]}


def authors(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Layout of the authors' files, also of those who took their backbone over."""
    found = dict(_AUTHORS(state))
    # Left over from pretraining in some files; the network has none.
    found.pop("backbone.cls_token", None)
    return {**found, _POSITIONS: _spread(found[_POSITIONS])}


def _transformers(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    joined = {}
    for key, value in state.items():
        head, found, tail = key.partition(".attention.attention.")
        if not found:
            joined[key] = value
        elif tail.startswith("query."):
            parts = (state[f"{head}{found}{part}.{tail.partition('.')[2]}"] for part in ("query", "key", "value"))
            joined[f"{head}.attn.qkv.{tail.partition('.')[2]}"] = torch.cat([*parts])
    named = _TRANSFORMERS(joined)
    return {**named, _POSITIONS: _spread(named[_POSITIONS])}


def _spread(positions: Tensor) -> Tensor:
    """Add the class token's place to those of all patches, as both implementations do in every run."""
    return positions[:, 1:] + positions[:, :1]


class ViTPose(Network):
    """(N, 3, H, W) -> heat maps (N, keypoints, H / 4, W / 4)."""

    outputs = ("heatmaps",)
    layouts: ClassVar[tuple[Layout, ...]] = (_with_class_token, authors, _transformers)

    def __init__(
        self, size: str, keypoints: int = 17, head: str = "classic", expert: int = 0,
        input_wh: Sequence[int] = (192, 256),
    ) -> None:  # fmt: skip
        """Make the network.

        Args:
            size: ``small``, ``base``, ``large``, ``huge``, or ``giant``, for which there are no weights.
            keypoints: Maps that it draws.
            head: ``classic`` (two transposed convolutions) or ``simple`` (none).
            expert: Whose weights to take from a file of ViTPose++: 0 COCO, 1 AIC, 2 MPII, 3 AP-10K, 4 APT-36K,
                5 COCO-WholeBody. It becomes a plain ViTPose; the other experts are left in the file. Files for
                transformers have the head of expert 0 only.
            input_wh: Width and height of the input, multiples of 16.

        Raises:
            UnknownNameError: There is no such size or head.
            ConfigError: The input has no whole number of patches.
        """
        super().__init__()
        if head not in _HEADS:
            raise UnknownNameError("head of ViTPose", head, _HEADS)
        width, height = input_wh
        if width % _PATCH or height % _PATCH:
            raise ConfigError("input_wh", f"expected multiples of {_PATCH}, got {width} x {height}")
        self.expert = expert
        self.backbone = Backbone(size, (height // _PATCH, width // _PATCH))
        self.head = (
            HeatmapHead(self.backbone.width, keypoints, (256, 256))
            if head == "classic" else _SimpleHead(self.backbone.width, keypoints)
        )  # fmt: skip

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the heat maps."""
        return (self.head(self.backbone(image)),)

    def load(self, state: Mapping[str, Tensor], model: str) -> None:
        """Take over the weights of a checkpoint, of one expert where it has several; see :class:`Network`."""
        super().load(_of_expert(state, self.expert, model), model)


def _of_expert(state: Mapping[str, Tensor], expert: int, model: str) -> Mapping[str, Tensor]:
    """Return the plain network that a file of ViTPose++ is for one expert.

    Of every block's last layer a part of the outputs is common and a part the expert's own: joined, they are a layer.
    """
    heads = {key: match for key in state if (match := _OTHER_HEAD.search(key))}
    experts = {key for key in state if ".mlp.experts." in key}
    if expert and not heads and not experts:
        raise ModelCorruptError(
            model, f"expected a checkpoint of ViTPose++ with expert {expert}, got one without experts. Leave 'expert' "
                   "out of the card's network, or fetch another file"
        )
    found = {}
    for key, value in state.items():
        own = key.replace(".mlp.fc2.", f".mlp.experts.{expert}.")
        if key in heads:
            if int(heads[key][1]) == expert - 1:
                found[_OTHER_HEAD.sub("keypoint_head.", key)] = value
        elif key not in experts and not (expert and heads and re.search(r"\bkeypoint_head\.", key)):
            found[key] = torch.cat([value, state[own]]) if own in experts else value
    return found
