# SPDX-License-Identifier: Apache-2.0
"""Movement: angles of joints and places of limbs over time, in metres where these are known and else in the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from pose_ros.anatomy.angles import ANGLES, CENTRAL, SIDED, angles
from pose_ros.anatomy.body_frames import BODY, segments
from pose_ros.anatomy.limbs import PARTS
from pose_ros.recognisers.base import Clip
from pose_ros.recognisers.shape import Shape, ramp, unit

#: Joints whose bend the image shows when it looks at them from the side: near end, joint, far end.
_IN_IMAGE = {
    "knee_flexion": ("hip", "knee", "ankle"),
    "hip_flexion": ("shoulder", "hip", "knee"),
    "elbow_flexion": ("shoulder", "elbow", "wrist"),
    "shoulder_elevation": ("hip", "shoulder", "elbow"),
}
_LEGS = {("hip", "knee"): PARTS["hip", "knee"], ("knee", "ankle"): PARTS["knee", "ankle"],
         ("shoulder", "hip"): PARTS["shoulder", "hip"]}  # fmt: skip
_LEG = PARTS["hip", "knee"] + PARTS["knee", "ankle"]
#: Width of the shoulders in the image, in parts of the trunk, of people seen from the side and from the front.
_SIDEWAYS, _FRONTAL = 0.35, 0.65


class Movement:
    """N bodies at T moments: numbers (N, T, 2) by name, left and right; those without a side stand twice.

    Angles are those of :mod:`pose_ros.anatomy.angles`, and in the image what it shows of four of them; lengths are
    parts of the leg's. What is unknown is NaN.
    """

    def __init__(self, clip: Clip, min_score: float) -> None:
        """Look at a clip of :data:`pose_ros.anatomy.body_frames.BODY`."""
        self.shape = shape = Shape.of(clip, min_score)
        limbs = np.concatenate([np.linalg.norm(self.pair(a) - self.pair(b), axis=3) for a, b in _LEGS], axis=2)
        #: (N, 1) length of a leg, metres; pixels where only the image is known.
        self.leg = _LEG * shape.size(limbs, np.repeat(list(_LEGS.values()), 2))[:, None]

    def pair(self, joint: str) -> np.ndarray:
        """Return where a joint is, (N, T, 2, 3), left and right."""
        return self.shape.points[:, :, [BODY.index[f"left_{joint}"], BODY.index[f"right_{joint}"]]]

    def middle(self, joint: str) -> np.ndarray:
        """Return the middle of left and right, (N, T, 3), or the one that is known."""
        left, right = np.moveaxis(self.pair(joint), 2, 0)
        return np.where(np.isnan(left), right, np.where(np.isnan(right), left, (left + right) / 2))

    def above(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return how far points (N, T, ..., 3) are above others."""
        up = self.shape.up.reshape(len(a), *(1,) * (a.ndim - 2), 3)
        return np.asarray(((a - b) * up).sum(axis=-1))

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the numbers of a name of :data:`NAMES`."""
        if name in _MEASURES:
            found = _MEASURES[name](self)
            return found if found.ndim == 3 else np.repeat(found[..., None], 2, axis=2)
        columns = [ANGLES.index(name if name in CENTRAL else f"{side}_{name}") for side in ("left", "right")]
        found = self._angles[..., columns]
        if name in _IN_IMAGE:
            near, joint, far = (self.pair(part) for part in _IN_IMAGE[name])
            bend = np.pi - _between(near - joint, far - joint)
            if name == "shoulder_elevation":
                bend = np.pi - bend
            found = np.where(self.shape.flat[:, None, None], bend, found)
        return found

    @cached_property
    def _angles(self) -> np.ndarray:
        """(N, T, A) by ANGLES; NaN where only the image is known."""
        points = self.shape.points
        n, t = points.shape[:2]
        found = np.full((n, t, len(ANGLES)), np.nan)
        solid = ~self.shape.flat
        if solid.any():
            flat = points[solid].reshape(-1, len(BODY), 3)
            found[solid] = angles(segments(flat)).reshape(-1, t, len(ANGLES))
        return found

    @cached_property
    def across(self) -> np.ndarray:
        """(N, T, 3) unit vector to the left of the body, level; in the image to its right."""
        up = np.broadcast_to(self.shape.up, (*self.shape.points.shape[:2], 3))
        hips, shoulders = (np.subtract(*np.moveaxis(self.pair(name), 2, 0)) for name in ("hip", "shoulder"))
        # Shoulders turn against the hips, and both together say better where the body faces.
        line = np.where(np.isnan(hips), shoulders, np.where(np.isnan(shoulders), hips, hips + shoulders))
        line = line - (line * up).sum(axis=2, keepdims=True) * up
        return np.where(self.shape.flat[:, None, None], np.cross(up, [0.0, 0.0, 1.0]), unit(line))

    @cached_property
    def ahead(self) -> np.ndarray:
        """(N, T, 3) unit vector to where the body faces, level; undefined in the image."""
        return np.cross(self.across, np.broadcast_to(self.shape.up, self.across.shape))

    @cached_property
    def frontal(self) -> np.ndarray:
        """(N, T) how much the camera sees of what is aside of the body, and not of what is before it; 1 in metres."""
        width = np.linalg.norm(np.subtract(*np.moveaxis(self.pair("shoulder"), 2, 0)), axis=2)
        width /= self.leg * PARTS["shoulder", "hip"] / _LEG
        return np.where(self.shape.flat[:, None], ramp(width, _SIDEWAYS, _FRONTAL), 1.0)

    def apart(self, joint: str, sideways: bool) -> np.ndarray:
        """Return how far left and right are apart, (N, T), to the sides or else to front and back."""
        line = np.subtract(*np.moveaxis(self.pair(joint), 2, 0))
        flat = self.shape.flat[:, None]
        aside, before = ((line * axis).sum(axis=2) for axis in (self.across, self.ahead))
        share = self.frontal if sideways else 1 - self.frontal
        return np.abs(np.where(flat, aside * share, aside if sideways else before)) / self.leg


def _lean(body: Movement) -> np.ndarray:
    trunk = body.middle("shoulder") - body.middle("hip")
    return _between(trunk, np.broadcast_to(body.shape.up, trunk.shape))


def _hands_up(body: Movement) -> np.ndarray:
    arm = (PARTS["shoulder", "elbow"] + PARTS["elbow", "wrist"]) / _LEG * body.leg
    return body.above(body.pair("wrist"), body.pair("shoulder")) / arm[..., None]


def _knees(body: Movement) -> np.ndarray:
    knees, ankles = body.apart("knee", sideways=True), body.apart("ankle", sideways=True)
    # Feet that touch make any ratio.
    return knees / np.where(ankles > 0.1, ankles, np.nan)


def _behind(body: Movement) -> np.ndarray:
    """Return how far the middle of the trunk is away from above the feet."""
    away = (body.middle("shoulder") + body.middle("hip")) / 2 - body.middle("ankle")
    away = away - (away * body.shape.up).sum(axis=2, keepdims=True) * body.shape.up
    return np.linalg.norm(away, axis=2) / body.leg


_MEASURES: Mapping[str, Callable[[Movement], np.ndarray]] = {
    "trunk_lean": _lean,
    "trunk_rise": lambda body: np.pi / 2 - _lean(body),
    "hands_up": _hands_up,
    "legs_up": lambda body: body.above(body.middle("hip"), body.middle("ankle")) / body.leg,
    "feet_apart": lambda body: body.apart("ankle", sideways=True),
    "feet_split": lambda body: body.apart("ankle", sideways=False),
    "knees_apart": _knees,
    "off_balance": _behind,
}
#: Those that are angles, and all names.
ANGULAR = (*CENTRAL, *SIDED, "trunk_lean", "trunk_rise")
NAMES = (*CENTRAL, *SIDED, *_MEASURES)


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the angle between vectors (..., 3)."""
    return np.asarray(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(axis=-1)))


def smooth(values: np.ndarray, weights: tuple[float, ...] = (1, 2, 3, 2, 1)) -> np.ndarray:
    """Return the weighted mean over neighbours in time of (N, T, ...); what is unknown stays so, and has no weight."""
    known = np.isfinite(values)
    half, t = len(weights) // 2, values.shape[1]
    pad = [(0, 0), (half, half), *[(0, 0)] * (values.ndim - 2)]
    filled, counted = np.pad(np.where(known, values, 0), pad), np.pad(known.astype(float), pad)
    # At a border the mean is as long on both sides, or it would run ahead of what rises.
    room = np.minimum(np.arange(t), np.arange(t)[::-1]).reshape(1, t, *(1,) * (values.ndim - 2))
    total, weight = np.zeros(values.shape), np.zeros(values.shape)
    for i, share in enumerate(weights):
        within = share * (room >= abs(i - half))
        total += within * filled[:, i : i + t]
        weight += within * counted[:, i : i + t]
    return np.where(known, total / np.maximum(weight, 1e-9), np.nan)
