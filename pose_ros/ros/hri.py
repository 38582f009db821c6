# SPDX-License-Identifier: Apache-2.0
"""hri_msgs: people as REP-155 (ROS4HRI) talks of them. Translations; what lasts over time is with the node.

Positions in images are normalised, 0 .. 1 over the image's edges. What is missing, or lies outside of the image, has
x = y = c = 0: NaN would reach consumers that turn positions into pixels at once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from geometry_msgs.msg import Point, PointStamped, Quaternion, Transform, TransformStamped, Vector3
from hri_msgs.msg import (
    FacialLandmarks,
    IdsList,
    IdsMatch,
    NormalizedPointOfInterest2D,
    NormalizedRegionOfInterest2D,
    Skeleton2D,
)
from sensor_msgs.msg import JointState

from pose_ros.anatomy import humanoid
from pose_ros.core import quaternion
from pose_ros.core.convert import converts
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError
from pose_ros.skeletons import catalogue

if TYPE_CHECKING:
    from std_msgs.msg import Header

#: Kind -> letters that its ids begin with, the usual one first.
_LETTERS = {"body": "bacdeghijklm", "face": "fnopqrstuvwxyz"}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TAIL = len(_DIGITS) ** 4
#: Columns of an optical frame (z ahead, x to the right, y down) in a face's axes (x ahead, y to the left, z up).
_OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def human_id(kind: str, track_id: int) -> str:
    """Return the id of a ``body`` or ``face``: five characters, a letter first, such as ``b0007`` for track 7.

    The same track has the same id, and no two tracks of one kind share one before 20 million of them were seen; no face
    is called as a body is. Letters are small, because some file systems and shells do not tell them from large ones.
    """
    letters = _LETTERS[kind]
    first, rest = divmod(track_id, _TAIL)
    tail = "".join(_DIGITS[rest // 36**i % 36] for i in (3, 2, 1, 0))
    return letters[first % len(letters)] + tail


def ids_list(header: Header, ids: Iterable[str]) -> IdsList:
    """Return who is tracked at this moment."""
    return IdsList(header=header, ids=list(ids))


def match(face: str, body: str, confidence: float) -> IdsMatch:
    """Return that a face belongs to a body."""
    return IdsMatch(id1=face, id1_type=IdsMatch.FACE, id2=body, id2_type=IdsMatch.BODY, confidence=confidence)


def roi(header: Header, box: np.ndarray, score: float, size_wh: tuple[int, int]) -> NormalizedRegionOfInterest2D:
    """Return the part of a box (4,), xyxy in pixels, that is in the image; all is 0 where there is none."""
    corners = (box.reshape(2, 2).astype(np.float64) + 0.5) / size_wh
    x1, y1, x2, y2 = np.clip(corners, 0, 1).ravel().tolist()
    if not (x1 < x2 and y1 < y2):  # NaN, too
        return NormalizedRegionOfInterest2D(header=header)
    return NormalizedRegionOfInterest2D(header=header, xmin=x1, ymin=y1, xmax=x2, ymax=y2, c=min(max(score, 0.0), 1.0))


def _points(pixels: np.ndarray, scores: np.ndarray, size_wh: tuple[int, int]) -> list[NormalizedPointOfInterest2D]:
    at = (pixels.astype(np.float64) + 0.5) / size_wh
    inside: np.ndarray = np.all((at >= 0) & (at <= 1), axis=1)
    columns = np.column_stack([at, np.clip(scores, 0, 1)])
    return [NormalizedPointOfInterest2D(x=x, y=y, c=c) for x, y, c in np.where(inside[:, None], columns, 0).tolist()]


def knows_skeleton2d(skeleton: Skeleton) -> bool:
    """Whether bodies with this skeleton have keypoints of Skeleton2D."""
    return skeleton.subject == "person" and converts(skeleton, catalogue.get("hri18"))


@lru_cache(maxsize=1)
def _order() -> np.ndarray:
    """Return the keypoint of hri18 for each place in Skeleton2D, by the names of its constants."""
    names = catalogue.get("hri18").keypoints
    return np.argsort([getattr(Skeleton2D, name.upper()) for name in names])


def skeletons2d(header: Header, poses: Poses, size_wh: tuple[int, int]) -> list[Skeleton2D]:
    """Return the 18 points of each body; a neck that is not seen itself is made of both shoulders, c their least.

    Args:
        header: Of the image.
        poses: N bodies, any skeleton that :func:`knows_skeleton2d`.
        size_wh: Size of the image, (width, height) in pixels.
    """
    poses = poses.to(catalogue.get("hri18"))
    pixels, scores = poses.keypoints[:, _order()], poses.scores[:, _order()]
    return [Skeleton2D(header=header, skeleton=_points(p, s, size_wh)) for p, s in zip(pixels, scores, strict=True)]


def _landmark_names() -> dict[str, str]:
    """Return constant of FacialLandmarks -> keypoint of the 70 points of OpenPose."""
    names = {"RIGHT_EAR": "jaw_0", "MENTON": "jaw_8", "LEFT_EAR": "jaw_16", "SELLION": "nose_bridge_0",
             "NOSE_1": "nose_bridge_1", "NOSE_2": "nose_bridge_2", "NOSE": "nose_bridge_3",
             "RIGHT_PUPIL": "right_pupil", "LEFT_PUPIL": "left_pupil"}  # fmt: skip
    for i in range(1, 8):
        names |= {f"RIGHT_PROFILE_{i}": f"jaw_{i}", f"LEFT_PROFILE_{i}": f"jaw_{16 - i}"}
    brow = ("OUTSIDE", "1", "2", "3", "INSIDE")
    eye = ("OUTSIDE", "TOP_1", "TOP_2", "INSIDE", "BOTTOM_2", "BOTTOM_1")
    for i, end in enumerate(brow):
        names |= {f"RIGHT_EYEBROW_{end}": f"right_brow_{i}", f"LEFT_EYEBROW_{end}": f"left_brow_{4 - i}",
                  f"NOSTRIL_{i + 1}": f"nose_{i}"}  # fmt: skip
    for i, end in enumerate(eye):
        # Both run over the upper lid first: the right one from outside, the left one from inside.
        names |= {f"RIGHT_EYE_{end}": f"right_eye_{i}", f"LEFT_EYE_{end}": f"left_eye_{(3 - i) % 6}"}
    for where, most in (("OUTER", 5), ("INNER", 3)):
        lips = ("RIGHT", *(f"TOP_{i + 1}" for i in range(most)), "LEFT", *(f"BOTTOM_{most - i}" for i in range(most)))
        names |= {f"MOUTH_{where}_{end}": f"{where.lower()}_lips_{i}" for i, end in enumerate(lips)}
    return names


@lru_cache(maxsize=1)
def _landmark_order() -> np.ndarray:
    """Return the keypoint of openpose_face70 for each place in FacialLandmarks."""
    index, names = catalogue.get("openpose_face70").index, _landmark_names()
    order = np.empty(len(names), np.int64)
    for constant, keypoint in names.items():
        order[getattr(FacialLandmarks, constant)] = index[keypoint]
    return order


def knows_landmarks(skeleton: Skeleton) -> bool:
    """Whether faces with this skeleton have points of FacialLandmarks."""
    return skeleton.subject == "face" and converts(skeleton, catalogue.get("openpose_face70"))


def landmarks(header: Header, poses: Poses, size_wh: tuple[int, int]) -> list[FacialLandmarks]:
    """Return the 70 points of each face, as far as its model has them; arguments as in :func:`skeletons2d`."""
    poses = poses.to(catalogue.get("openpose_face70"))
    pixels, scores = poses.keypoints[:, _landmark_order()], poses.scores[:, _landmark_order()]
    return [FacialLandmarks(header=header, landmarks=_points(p, s, size_wh), width=size_wh[0], height=size_wh[1])
            for p, s in zip(pixels, scores, strict=True)]  # fmt: skip


def joint_state(header: Header, id: str, angles: np.ndarray) -> JointState:
    """Return the angles (22,) of :data:`pose_ros.anatomy.humanoid.MOVING` that are known; the others are left out."""
    known = np.isfinite(angles)
    names = [f"{name}_{id}" for name, is_known in zip(humanoid.MOVING, known, strict=True) if is_known]
    return JointState(header=header, name=names, position=array("d", angles[known]))


def position(header: Header, place: np.ndarray) -> PointStamped:
    """Return a place (3,), metres in the frame of the header."""
    return PointStamped(header=header, point=Point(**_xyz(place)))


def frame(header: Header, name: str, place: np.ndarray, turn: np.ndarray) -> TransformStamped:
    """Return a child of the frame of the header.

    Args:
        header: Of the image.
        name: Of the child.
        place: (3,) metres.
        turn: (4,) unit quaternion x, y, z, w.

    Raises:
        ConfigError: TF would refuse the frame of the header.
    """
    if not header.frame_id or header.frame_id.startswith("/"):
        raise ConfigError("header.frame_id", f"expected the camera's optical frame, got '{header.frame_id}'; "
                                             "set frame_id of the camera driver")
    return _transform(header, name, place, turn)


def _transform(header: Header, name: str, place: np.ndarray, turn: np.ndarray) -> TransformStamped:
    rotation = Quaternion(**dict(zip("xyzw", turn.tolist(), strict=True)))
    transform = Transform(translation=Vector3(**_xyz(place)), rotation=rotation)
    return TransformStamped(header=header, child_frame_id=name, transform=transform)


def _xyz(place: np.ndarray) -> dict[str, float]:
    return dict(zip("xyz", place.tolist(), strict=True))


def links(header: Header, id: str, angles: np.ndarray, lengths: np.ndarray, prefix: str = "") -> list[TransformStamped]:
    """Return the links of a body, each in its parent's, as robot_state_publisher would.

    Links behind a joint that is not known are left out, and TF keeps where they were.

    Args:
        header: Of the image; its stamp is used.
        id: Of the body.
        angles: (22,) radians.
        lengths: (13,) metres, all known.
        prefix: Before every frame.
    """
    turns, places, made = humanoid.quaternions(angles), humanoid.places(lengths), []
    for joint, turn, place in zip(humanoid.TREE.values(), turns, places, strict=True):
        if np.isfinite(turn).all():
            parent = type(header)(stamp=header.stamp, frame_id=f"{prefix}{joint.parent}_{id}")
            made.append(_transform(parent, f"{prefix}{joint.child}_{id}", place, turn))
    return made


def face_frames(header: Header, poses: Poses, row: int, id: str, prefix: str = "") -> list[TransformStamped]:
    """Return ``face_<id>`` and ``gaze_<id>`` as far as they are known; who is not seen to look elsewhere looks ahead.

    Args:
        header: Of the image.
        poses: Faces; ``frames`` are used.
        row: Which of them.
        id: Of the face.
        prefix: Before every frame.
    """
    known: dict[str, Any] = {}
    if poses.frames is not None:
        known = {name: poses.frames[row, i].astype(np.float64) for i, name in enumerate(poses.skeleton.frames)
                 if name in ("face", "gaze") and np.isfinite(poses.frames[row, i]).all()}  # fmt: skip
    if "face" in known and "gaze" not in known:
        ahead = quaternion.to_matrices(known["face"][3:]) @ _OPTICAL
        known["gaze"] = np.concatenate([known["face"][:3], quaternion.from_rotations(ahead[None])[0]])
    return [frame(header, f"{prefix}{name}_{id}", at[:3], at[3:]) for name, at in known.items()]
