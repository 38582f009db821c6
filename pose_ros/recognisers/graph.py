# SPDX-License-Identifier: Apache-2.0
"""ST-GCN and ST-GCN++: actions by convolutions over a skeleton and over time (Yan et al. 2018, Duan et al. 2022).

Joints become inputs as in mmaction2 1.2.0 (Apache-2.0; PreNormalize2D, PreNormalize3D, GenSkeFeat,
UniformSampleFrames, FormatGCNInput).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.errors import CardError
from pose_ros.plugin import Model, read_params
from pose_ros.recognisers.base import Clip
from pose_ros.recognisers.classifying import Classifying, ClassifyingOptions, uniform

#: Skeleton -> for each joint the one at which its bone begins (JointToBone of mmaction2; ``handmp`` of PySKL).
_BONES = {
    "coco17": (0, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 0, 0, 11, 12, 13, 14),
    "ntu25": (1, 20, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 20, 22, 7, 24, 11),
    "hand21": (0, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19),
}
#: Of ``ntu25``: what is put upright, what is put level, and what is put at the origin.
_SPINE, _SHOULDERS, _CENTRE = (0, 1), (8, 4), 1


@dataclass(frozen=True)
class GraphParams:
    """What a card says in ``params``."""

    stream: str = option(
        "joint", "What it sees: places of joints, bones, or how either moves.",
        choices=("joint", "bone", "joint-motion", "bone-motion"),
    )  # fmt: skip
    coordinates: str = option(
        "image", "Of the joints: 'image': -1 .. 1 over the image; 'unit': 0 .. 1 over the image; 'body': metres, "
        "upright, and facing as in the first moment.", choices=("image", "unit", "body"),
    )  # fmt: skip
    window: float = option(3.3, "Length of the clips of its training.", unit="s", low=0.0)
    step: float = option(1 / 30, "Time between two moments of its training.", unit="s", low=0.001)
    max_rate: float = option(5.0, "How often to look at most.", unit="Hz", low=0.1)
    weight: float = option(1.0, "How much it counts among several networks.", low=0.0)


class Graph(Classifying):
    """Actions by networks whose input is (N, M, T, V, C): M people, T moments, V joints, C numbers.

    C is 3 (x, y, score, or x, y, z), or 2 (x, y). A card's ``params``: :class:`GraphParams`.
    """

    def __init__(self, model: Model, options: ClassifyingOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or a network has another input or output.
        """
        params = read_params(GraphParams, model.card)
        super().__init__(model, options, params.window, params.step, params.max_rate)
        self._params = [read_params(GraphParams, each.card) for each in self._models]
        self._coordinates = params.coordinates
        if self.takes.name not in _BONES:
            raise CardError(self.card.name, f"skeleton: expected one of {', '.join(_BONES)}; got '{self.takes.name}'")
        self._shape = self.session.inputs[0].shape[1:]
        joints, moments = self.card.input_wh
        fits = (len(self._shape) == 4 and self._shape[1:3] == (moments, joints) and self._shape[3] in (2, 3)
                and joints == len(self.takes) and self._shape[3] >= 2 + (self._coordinates == "body"))  # fmt: skip
        for each in self._models:
            if each.session.inputs[0].shape[1:] != self._shape or not fits:
                raise CardError(each.card.name, f"expected an input (N, people, {moments}, {len(self.takes)}, 2 or 3) "
                                                f"as its card says (input_wh, skeleton), got "
                                                f"{each.session.inputs[0].shape}")

    def _weight(self, index: int) -> float:
        return self._params[index].weight

    def _where(self, clip: Clip) -> np.ndarray:
        return clip.shapes if self._coordinates == "body" else clip.keypoints

    def _inputs(self, clip: Clip, people: Sequence[int], stretch: slice) -> Sequence[np.ndarray] | None:
        most, length = self._shape[:2]
        joints = self._joints(clip, people[:most], stretch)
        if joints is None:
            return None
        moments = uniform(joints.shape[1], length, self.options.clips)
        found = []
        for params in self._params:
            data = np.zeros((most, *joints.shape[1:]), np.float32)
            data[: len(joints)] = self._stream(joints, params.stream)
            found.append(data[:, moments].swapaxes(0, 1))
        return found

    def _joints(self, clip: Clip, people: Sequence[int], stretch: slice) -> np.ndarray | None:
        """Return the numbers of joints (M, T, V, C); what was not seen is as in the training: 0, with score 0."""
        chosen = np.asarray(self._where(clip)[people, stretch], np.float32)
        if self._coordinates == "body":
            return _upright(chosen[:, np.isfinite(chosen[0, ..., 0]).any(axis=1)])
        if min(clip.size_wh) <= 0:
            return None
        half = np.array(clip.size_wh, np.float32) / 2
        known = np.nan_to_num(chosen)
        xy = (known - half) / half if self._coordinates == "image" else known / (2 * half)
        if self._shape[3] == 2:
            return xy
        return np.concatenate([xy, np.nan_to_num(clip.scores[people, stretch, :, None])], axis=3).astype(np.float32)

    def _stream(self, joints: np.ndarray, stream: str) -> np.ndarray:
        """Return what a network sees of joints (M, T, V, C), in their shape."""
        scored = self._coordinates != "body" and joints.shape[3] == 3
        found = joints
        if stream.startswith("bone"):
            start = joints[:, :, list(_BONES[self.takes.name])]
            found = joints - start
            if scored:
                found[..., 2] = (joints[..., 2] + start[..., 2]) / 2
        if stream.endswith("motion"):
            moved = np.zeros_like(found)
            moved[:, :-1] = np.diff(found, axis=1)
            if scored and self.takes.name == "coco17":
                moved[:, :-1, :, 2] = (found[:, :-1, :, 2] + found[:, 1:, :, 2]) / 2
            found = moved
        return found


def _upright(points: np.ndarray) -> np.ndarray | None:
    """Return points (M, T, V, 3) around the spine of the first subject's first moment, which is upright and level.

    None where that moment does not show spine and shoulders. What was not seen is 0.
    """
    first = points[0, :1, [*_SPINE, *_SHOULDERS]][:, 0] if points.shape[1] else np.full((4, 3), np.nan)
    if not np.isfinite(first).all():
        return None
    bottom, top, right, left = first
    up = _turn(top - bottom, np.array([0.0, 0.0, 1.0]))
    both = _turn(up @ (right - left), np.array([1.0, 0.0, 0.0])) @ up
    return np.nan_to_num((points - points[0, 0, _CENTRE]) @ both.T).astype(np.float32)


def _turn(direction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) by the smallest angle that turns a direction into a unit vector (Rodrigues)."""
    unit = direction / max(float(np.linalg.norm(direction)), 1e-9)
    x, y, z = np.cross(unit, target)
    cosine = float(unit @ target)
    if cosine < -1 + 1e-9:
        return np.eye(3)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + skew + skew @ skew / (1 + cosine))
