# SPDX-License-Identifier: Apache-2.0
"""RTMO (Lu et al., CVPR 2024): a detector whose cells also tell where the keypoints are, by classes of coordinates.

The classes (bins) of a subject lie in its own box. Names of parameters are those of mmpose 1.x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from pose_ros.networks.cspdarknet import CspDarknet, factors, set_epsilon
from pose_ros.networks.cspnext import Conv
from pose_ros.networks.hybrid_encoder import HybridEncoder, SineEncoding
from pose_ros.networks.network import Layout, Network
from pose_ros.networks.rtmpose import GatedAttention

#: Input pixels per cell of each level.
_STRIDES = (16, 32)
#: Of the features behind the classes and the poses, at size l.
_CHANNELS = 256
_POSE_CHANNELS = 36
_GROUPS = 8
#: Length of what describes one keypoint, and of what describes one bin.
_TOKEN = 128
#: Bins along x and y.
_BINS = (192, 256)
#: How much larger than the subject's box the bins' range is.
_PADDING = 1.25
#: Of the bins' longest wave.
_TEMPERATURE = 300.0
#: What only training needs: the proxy that assigns cells to people, and the width of the bins' targets.
_TRAINING = ("head.head_module.out_kpt_reg.", "head.dcc.sigma_fc.")


class _Cells(nn.Module):
    """Score, box, visibilities and a vector that describes the pose, of every cell."""

    def __init__(self, widen: float, keypoints: int, vector: int) -> None:
        super().__init__()
        inputs, wide = int(_CHANNELS * widen), int(_POSE_CHANNELS * widen) * _GROUPS

        def tower(outputs: int, groups: Sequence[int]) -> nn.Module:
            sizes = [inputs, *(outputs for _ in groups)]
            return nn.Sequential(*(Conv(sizes[i], outputs, 3, groups=g) for i, g in enumerate(groups)))

        def each(channels: int, outputs: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(channels, outputs, 1) for _ in _STRIDES)

        self.conv_cls = nn.ModuleList(tower(inputs, (1, 1)) for _ in _STRIDES)
        self.conv_pose = nn.ModuleList(tower(wide, (1, _GROUPS, _GROUPS, _GROUPS)) for _ in _STRIDES)
        self.out_cls = each(inputs, 1)
        self.out_bbox, self.out_kpt_vis, self.out_pose = each(wide, 4), each(wide, keypoints), each(wide, vector)
        set_epsilon(self)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return centres (1, A, 2) of the cells, logits (N, A), boxes (N, A, 4), visibilities and vectors."""
        found = []
        for i, (level, stride) in enumerate(zip(levels, _STRIDES, strict=True)):
            what, where = level.chunk(2, 1)
            score, where = self.out_cls[i](self.conv_cls[i](what)), self.conv_pose[i](where)
            parts = (score, self.out_bbox[i](where), self.out_kpt_vis[i](where), self.out_pose[i](where))
            score, box, seen, vector = (x.flatten(2).transpose(1, 2) for x in parts)
            height, width = level.shape[2:]
            y, x = (torch.arange(n, dtype=box.dtype, device=box.device) * stride + (stride - 1) / 2
                    for n in (height, width))  # fmt: skip
            centre = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(1, -1, 2)
            middle, half = box[..., :2] * stride + centre, box[..., 2:].exp() * (stride / 2)
            found.append((centre, score[..., 0], torch.cat([middle - half, middle + half], 2), seen, vector))
        return tuple(torch.cat(parts, 1) for parts in zip(*found, strict=True))


class _Coordinates(nn.Module):
    """The dynamic coordinate classifier: where in the range around its box each keypoint of a subject is."""

    x_bins: Tensor
    y_bins: Tensor

    def __init__(self, vector: int, keypoints: int) -> None:
        super().__init__()
        self._keypoints = keypoints
        self.pos_enc = nn.Parameter(torch.zeros(keypoints, _TOKEN))
        self.pose_to_kpts = nn.Sequential(
            nn.Linear(vector, _TOKEN * keypoints), nn.BatchNorm1d(_TOKEN * keypoints)
        )
        self.gau = GatedAttention(_TOKEN)
        self.spe = SineEncoding(_TOKEN, _TEMPERATURE)
        self.x_fc, self.y_fc = nn.Linear(_TOKEN, _TOKEN), nn.Linear(_TOKEN, _TOKEN)
        for name, bins in zip(("x_bins", "y_bins"), _BINS, strict=True):
            self.register_buffer(name, torch.linspace(-0.5, 0.5, bins))

    def forward(self, vectors: Tensor, boxes: Tensor, centres: Tensor) -> Tensor:
        """Return keypoints (S, K, 2) from vectors (S, V), boxes (S, 4) and the centres (S, 2) of their cells."""
        tokens = self.gau(self.pose_to_kpts(vectors).reshape(-1, self._keypoints, _TOKEN), self.pos_enc)
        size, middle = (boxes[:, 2:] - boxes[:, :2]) * _PADDING, (boxes[:, 2:] + boxes[:, :2]) / 2 - centres
        found = []
        for axis, (bins, layer) in enumerate(((self.x_bins, self.x_fc), (self.y_bins, self.y_fc))):
            places = bins * size[:, axis, None] + middle[:, axis, None]
            # The layer could be applied to the bins' encodings; there are ten times as many of them as keypoints. Its
            # bias is the same for all bins, so the softmax does not see it.
            logits = (tokens @ layer.weight) @ self.spe(places).transpose(1, 2)
            found.append((logits.softmax(2) * places[:, None]).sum(2) + centres[:, axis, None])
        return torch.stack(found, 2)


class _Head(nn.Module):
    def __init__(self, widen: float, keypoints: int) -> None:
        super().__init__()
        vector = int(2 * _CHANNELS * widen)
        self.head_module = _Cells(widen, keypoints, vector)
        self.dcc = _Coordinates(vector, keypoints)


def _without_training(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return {key: value for key, value in state.items() if not key.startswith(_TRAINING)}


class Rtmo(Network):
    """The best cells, best first: boxes (N, S, 4), scores (N, S), keypoints (N, S, K, 2), visibilities (N, S, K).

    All in input pixels, the centre of the first one at (0, 0). Doubles are not suppressed yet.
    """

    outputs = ("boxes", "scores", "keypoints", "visibilities")
    layouts: ClassVar[tuple[Layout, ...]] = (_without_training,)

    def __init__(self, size: str, keypoints: int = 17, candidates: int = 100) -> None:
        """Build it.

        Args:
            size: t, s, m or l.
            keypoints: K.
            candidates: S; each person is seen by several cells.

        Raises:
            ConfigError: There is no such size.
        """
        super().__init__()
        widen, deepen = factors(size)
        self.backbone = CspDarknet(size)
        self.neck = HybridEncoder(self.backbone.channels, widen, deepen, int(2 * _CHANNELS * widen))
        self.head = _Head(widen, keypoints)
        self._candidates = candidates

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return boxes, scores, keypoints and visibilities."""
        centres, logits, *columns = self.head.head_module(self.neck(self.backbone(image)))
        logits, best = logits.topk(min(self._candidates, logits.shape[1]), 1)
        boxes, seen, vectors = (
            x.gather(1, best[..., None].expand(-1, -1, x.shape[2])) for x in columns
        )
        centres = centres[0][best]
        flat = self.head.dcc(vectors.flatten(0, 1), boxes.flatten(0, 1), centres.flatten(0, 1))
        return boxes, logits.sigmoid(), flat.unflatten(0, best.shape), seen.sigmoid()
