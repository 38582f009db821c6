# SPDX-License-Identifier: Apache-2.0
"""Where the hands and the face of a body are, from the names of its keypoints.

Three rules, the first one that has its keypoints: those of a whole-body set stand around the part itself (as HaMeR,
Pavlakos et al., CVPR 2024, starts from ViTPose's); knuckles, eyes and mouth tell place, size and direction (MediaPipe
Holistic, Apache-2.0: ``hand_detections_from_pose_to_rects_calculator``, ``face_landmarks_from_pose_to_recrop_roi``); an
arm ends in a hand, and a nose, eyes, ears and neck in a face (OpenPose's ``handDetector`` and ``faceDetector``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.regions import keypoints_to_boxes
from pose_ros.decode.rois import aligned_regions, turned

_SIDES = ("left", "right")
#: More than three points of a part that are surer than this stand for the part (HaMeR).
_SURE, _FEWEST = 0.5, 4
#: How far from the wrist that the body says the wrist of the hand may be, in sides of the hand's region ...
_HAND_REACH = 0.3
#: ... and at least in lengths of the lower arm: a hand that points at the camera has a small region.
_ARM_REACH = 0.5
#: How far from the body's nose the middle of the face may be, in sides of the face's region.
_FACE_REACH = 0.25
#: The face of a body whose eyes, nose and mouth are known (BlazePose).
_BLAZEPOSE_FACE = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Starts:
    """M places where a part of a body has to be looked for."""

    #: (M,) int64, row of the body.
    rows: np.ndarray
    #: (M,) uint8, LEFT or RIGHT; 0 for faces.
    sides: np.ndarray
    #: (M, 5) float32, where the part is, with room around it; the fingers or the top of the head point up in it.
    regions: np.ndarray
    #: (M, 2) float32, the body's keypoint that the part hangs on: the wrist; the nose or the middle of the eyes.
    anchors: np.ndarray
    #: (M,) float32, pixels that the part may be away from there.
    reach: np.ndarray

    def __len__(self) -> int:
        """Return M."""
        return len(self.rows)


def hand_regions(bodies: Poses, min_score: float) -> Starts:
    """Return where the hands of bodies are, body by body, the left one first.

    Args:
        bodies: N poses of any skeleton with ``left_wrist`` and ``right_wrist``.
        min_score: A hand needs a wrist of at least this score.
    """
    wrist, elbow, shoulder, index, pinky = (
        _places(bodies, [f"{side}_{joint}" for side in _SIDES])
        for joint in ("wrist", "elbow", "shoulder", "index", "pinky")
    )
    sure = _scores(bodies, [f"{side}_wrist" for side in _SIDES]) >= min_score
    arm = np.fmax(_length(wrist - elbow), 0.9 * _length(elbow - shoulder))
    regions = np.full((len(bodies), 2, 5), np.nan, np.float32)
    for k, side in enumerate(_SIDES):
        hand = (2 * index[:, k] + pinky[:, k]) / 3
        middle = wrist[:, k] + 0.33 * (wrist[:, k] - elbow[:, k])
        angle = _upright(middle - wrist[:, k])
        regions[:, k] = _first(
            _block_regions(bodies, f"{side}_hand", np.nan_to_num(angle)),
            aligned_regions(np.stack([hand, 2 * hand - wrist[:, k]], axis=1), start=0, end=1, scale=2.7, shift_y=-0.1),
            _square(middle, 1.5 * arm[:, k], angle),
        )
    reach = np.fmax(_HAND_REACH * regions[..., 2], _ARM_REACH * arm)
    return _starts(sure, regions, wrist, reach, np.array([LEFT, RIGHT], np.uint8))


def face_regions(bodies: Poses, min_score: float) -> Starts:
    """Return where the faces of bodies are.

    Args:
        bodies: N poses of any skeleton that names a nose, eyes, ears or a neck.
        min_score: Keypoints below this score count for nothing.
    """
    names = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "neck")
    seen = _scores(bodies, names) >= min_score
    nose, left_eye, right_eye, left_ear, right_ear, neck = np.where(
        seen[..., None], _places(bodies, names), np.nan
    ).transpose(1, 0, 2)
    eyes = (left_eye + right_eye) / 2
    # From the right to the left of the subject is to the right of the image.
    angle = np.nan_to_num(_first_of(_direction(left_eye - right_eye), _direction(left_ear - right_ear)))
    features = _places(bodies, _BLAZEPOSE_FACE)
    features[~(seen[:, :3].any(axis=1) & np.isfinite(features).all(axis=(1, 2)))] = np.nan
    boxes = keypoints_to_boxes(features)
    known = (boxes[:, :2] + boxes[:, 2:]) / 2, 3 * (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    regions = _first(
        _block_regions(bodies, "face", angle),
        _square(*known, angle),
        _square(*_openpose_face(nose, left_eye, right_eye, left_ear, right_ear, neck), angle),
    )
    anchors = _first_of(nose, eyes, regions[:, :2])
    found = np.isfinite(regions).all(axis=1)
    return _starts(found[:, None], regions[:, None], anchors[:, None], _FACE_REACH * regions[:, None, 2],
                   np.zeros(1, np.uint8))


def _openpose_face(
    nose: np.ndarray, left_eye: np.ndarray, right_eye: np.ndarray, left_ear: np.ndarray, right_ear: np.ndarray,
    neck: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return middle (N, 2) and side (N,) of faces, the mean of what every pair of keypoints says."""
    throat = _length(neck - nose)
    # The eye and ear of the only side that is seen.
    hidden = np.isnan(left_eye) & np.isnan(left_ear), np.isnan(right_eye) & np.isnan(right_ear)
    eye = np.where(hidden[1], left_eye, np.where(hidden[0], right_eye, np.nan))
    ear = np.where(hidden[1], left_ear, np.where(hidden[0], right_ear, np.nan))
    profile = (eye + ear + nose) / 3, 0.85 * (_length(nose - eye) + _length(nose - ear) + throat)
    frontal = (neck + nose) / 2, 2 * throat
    frontal_only = np.isnan(profile[1])
    first = np.where(frontal_only[:, None], frontal[0], profile[0]), np.where(frontal_only, frontal[1], profile[1])
    second = ((left_eye + right_eye) / 2, 3 * _length(left_eye - right_eye))
    third = ((left_ear + right_ear) / 2, 2 * _length(left_ear - right_ear))
    centres, sides = (np.stack([rule[i] for rule in (first, second, third)]) for i in range(2))
    said = np.isfinite(sides)
    count = np.where(said.any(axis=0), said.sum(axis=0), np.nan)
    return np.nansum(centres, axis=0) / count[:, None], np.nansum(sides, axis=0) / count


def _block_regions(bodies: Poses, block: str, angle: np.ndarray) -> np.ndarray:
    """Return square regions (N, 5) around the points of a part that are in the body's own skeleton, NaN without.

    Args:
        bodies: N poses.
        block: ``left_hand``, ``right_hand`` or ``face``.
        angle: (N,), of the regions.
    """
    if block not in bodies.skeleton.blocks:
        return np.full((len(bodies), 5), np.nan, np.float32)
    index = np.array(bodies.skeleton.blocks[block][1])
    index = index[index >= 0]
    points = bodies.keypoints[:, index]
    points = np.where((bodies.scores[:, index] > _SURE)[..., None], points, np.nan)
    points[np.isfinite(points).all(axis=2).sum(axis=1) < _FEWEST] = np.nan
    box = keypoints_to_boxes(turned(points, -angle))
    centre = turned((box[:, None, :2] + box[:, None, 2:]) / 2, angle)[:, 0]
    return _square(centre, 2 * (box[:, 2:] - box[:, :2]).max(axis=1, initial=0), angle)


def _starts(sure: np.ndarray, regions: np.ndarray, anchors: np.ndarray, reach: np.ndarray, sides: np.ndarray) -> Starts:
    """Return what is defined of S parts of each body; all (N, S, ...) but ``sides`` (S,)."""
    there = sure & np.isfinite(regions).all(axis=2) & (regions[..., 2] > 0) & np.isfinite(anchors).all(axis=2)
    rows, side = np.nonzero(there)
    regions, anchors, reach = (np.asarray(x[there], np.float32) for x in (regions, anchors, reach))
    return Starts(rows, sides[side], regions, anchors, reach)


def _places(bodies: Poses, names: Sequence[str]) -> np.ndarray:
    """Return keypoints by name (N, len(names), 2), NaN for those that the skeleton lacks."""
    found = np.full((len(bodies), len(names), 2), np.nan, np.float32)
    index = bodies.skeleton.index
    known = [i for i, name in enumerate(names) if name in index]
    found[:, known] = bodies.keypoints[:, [index[names[i]] for i in known]]
    return found


def _scores(bodies: Poses, names: Sequence[str]) -> np.ndarray:
    index = bodies.skeleton.index
    missing = np.zeros(len(bodies), np.float32)
    return np.stack([bodies.scores[:, index[name]] if name in index else missing for name in names], axis=1)


def _length(arrow: np.ndarray) -> np.ndarray:
    return np.hypot(arrow[..., 0], arrow[..., 1])


def _direction(arrow: np.ndarray) -> np.ndarray:
    return np.arctan2(arrow[..., 1], arrow[..., 0])


def _upright(up: np.ndarray) -> np.ndarray:
    """Return the angle (N,) of regions in which a direction (N, 2) points up."""
    return np.arctan2(up[..., 0], -up[..., 1])


def _square(centre: np.ndarray, side: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.stack([centre[:, 0], centre[:, 1], side, side, angle], axis=1).astype(np.float32)


def _first(*regions: np.ndarray) -> np.ndarray:
    """Return of regions (N, 5) the first that is defined, row by row."""
    whole = [np.where(np.isfinite(r).all(axis=1, keepdims=True), r, np.nan) for r in regions]
    return _first_of(*whole)


def _first_of(*values: np.ndarray) -> np.ndarray:
    """Return the first that is not NaN, element by element."""
    found = values[0]
    for other in values[1:]:
        found = np.where(np.isnan(found), other, found)
    return found
