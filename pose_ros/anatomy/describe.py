# SPDX-License-Identifier: Apache-2.0
"""What subjects say beyond their keypoints: ``measures`` and ``frames`` of bodies, hands and faces.

What there is to say follows from the joints that a skeleton has, so no skeleton needs to list it; faces list theirs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pose_ros.anatomy import body_frames, face, hand_frames
from pose_ros.anatomy.angles import ANGLES, CENTRAL, SIDED, angles
from pose_ros.anatomy.body_frames import AXIAL, NEEDS, SEGMENTS
from pose_ros.core import quaternion
from pose_ros.core.camera import Camera
from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.skeleton import Skeleton

#: Measures that are positions of joints, and their units.
UNITS = dict.fromkeys(ANGLES, "rad") | dict.fromkeys(
    ("grasp_opening", "left_grasp_opening", "right_grasp_opening"), "m")
#: Frames of segments that bodies have on either side.
_LIMBS = ("thigh", "shank", "foot", "upper_arm", "forearm", "hand")
_SIDES = ("right", "left")


class _Has(NamedTuple):
    """What a skeleton says, and in which columns."""

    face: bool
    #: Of angles: columns of the measures, and of :data:`ANGLES`.
    angles: np.ndarray
    #: Of segments: columns of the frames, side in :data:`_SIDES` and index in :data:`SEGMENTS`.
    segments: np.ndarray
    #: Owner of each hand -> columns of its palm and pinch, and of its opening; -1 where there is none.
    hands: dict[str, tuple[int, int, int]]

    @property
    def any(self) -> bool:
        """Whether there is more than a face."""
        return bool(len(self.angles) or len(self.segments) or self.hands)


def names(skeleton: Skeleton) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the measures and frames that the joints of a skeleton give, besides those that it lists."""
    joints = body_frames.knows(skeleton)
    measures = [name for name, needs in CENTRAL.items() if joints.issuperset(needs)]
    frames = [name for name in AXIAL if joints.issuperset(NEEDS[name])]
    for side in ("left", "right"):
        measures += [f"{side}_{name}" for name, needs in SIDED.items() if _all(joints, needs, side)]
        frames += [f"{side}_{name}" for name in _LIMBS if _all(joints, NEEDS[name], side)]
        if hand_frames.known(skeleton, f"{side}_hand"):
            measures.append(f"{side}_grasp_opening")
            frames.append(f"{side}_pinch")
    if hand_frames.known(skeleton, "hand"):
        measures.append("grasp_opening")
        frames += ["hand", "pinch"]
    return tuple(measures), tuple(frames)


def _all(joints: frozenset[str], needs: tuple[str, ...], side: str) -> bool:
    return joints.issuperset(need.format(side) for need in needs)


@lru_cache(maxsize=64)
def _has(skeleton: Skeleton) -> _Has:
    measure, frame = ({name: i for i, name in enumerate(names)} for names in (skeleton.measures, skeleton.frames))
    told = [(measure[name], i) for i, name in enumerate(ANGLES) if name in measure]
    turned = [(frame[name], 0, SEGMENTS.index(name)) for name in AXIAL if name in frame]
    turned += [
        (frame[f"{side}_{name}"], row, SEGMENTS.index(name))
        for row, side in enumerate(_SIDES) for name in _LIMBS if f"{side}_{name}" in frame
    ]  # fmt: skip
    hands = {
        owner: (frame.get("hand", -1), frame.get(f"{side}pinch", -1), measure.get(f"{side}grasp_opening", -1))
        for owner, side in (("hand", ""), ("left_hand", "left_"), ("right_hand", "right_"))
        if hand_frames.known(skeleton, owner)
    }
    body = body_frames.knows(skeleton)
    return _Has(
        bool({"face", "gaze"} & frame.keys() or face.OPENINGS.keys() & measure.keys()),
        np.array(told if body else [], np.int64).reshape(-1, 2),
        np.array(turned if body else [], np.int64).reshape(-1, 3),
        hands,
    )


def tells(poses: Poses) -> bool:
    """Whether there is anything to describe: bodies and hands without metres say nothing."""
    has = _has(poses.skeleton)
    metric = poses.points is not None or poses.local_points is not None
    return has.face or (metric and has.any)


def described(poses: Poses, camera: Camera | None) -> Poses:
    """Return poses with ``measures`` and ``frames``, as far as their skeleton has such and the poses tell them.

    Angles and openings need metres, in the camera's frame or around the root. Frames of bodies and hands need metres in
    the camera's frame. For faces see :func:`pose_ros.anatomy.face.described`; a face that was described before it was
    joined to its body stays so. Columns stay None where nothing is told.

    Args:
        poses: N subjects.
        camera: Of the image; None where it is not calibrated.
    """
    has = _has(poses.skeleton)
    if has.face and poses.measures is None and poses.frames is None:
        poses = face.described(poses, camera)
    points = poses.points if poses.points is not None else poses.local_points
    if points is None or not has.any:
        return poses
    sure = np.where((poses.scores >= body_frames.MIN_SCORE)[..., None], points, np.nan).astype(np.float64)
    n, f = len(poses), len(poses.skeleton.frames)
    measures = np.full((n, len(poses.skeleton.measures)), np.nan) if poses.measures is None else poses.measures.copy()
    origins, rotations = np.full((n, f, 3), np.nan), np.full((n, f, 3, 3), np.nan)
    if len(has.angles) or len(has.segments):
        body = body_frames.segments(body_frames.joints(sure, poses.skeleton))
        measures[:, has.angles[:, 0]] = angles(body)[:, has.angles[:, 1]]
        frame, side, segment = has.segments.T
        origins[:, frame], rotations[:, frame] = body_frames.as_seen(body, side, segment)
    for owner, (palm, pinch, opening) in has.hands.items():
        hand = hand_frames.joints(sure, poses.skeleton, owner)
        if palm >= 0:
            right = np.select([poses.sides == LEFT, poses.sides == RIGHT], [-1.0, 1.0], np.nan)
            origins[:, palm], rotations[:, palm] = hand_frames.palms(hand, right)
        origins[:, pinch], rotations[:, pinch], measures[:, opening] = hand_frames.pinches(hand)
    if poses.points is None:
        return poses.replace(measures=measures)
    frames = np.concatenate([origins, quaternion.from_rotations(rotations)], axis=2)
    if poses.frames is not None:
        frames = np.where(np.isnan(frames), poses.frames, frames)
    # A frame that is known by half is not known.
    frames[np.isnan(frames).any(axis=2)] = np.nan
    return poses.replace(measures=measures, frames=frames)
