# SPDX-License-Identifier: Apache-2.0
"""Transforms: TF frames ``<prefix><kind>_<id>/<keypoint>`` of keypoints, ``<prefix><name>_<id>`` of frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3

from pose_ros.core.poses import Poses, Source, TrackState
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError

if TYPE_CHECKING:
    from std_msgs.msg import Header


#: Which keypoints get frames, if they are not named one by one.
CHOICES = ("auto", "all", "none")


def poses_to_transforms(
    poses: Poses, header: Header, prefix: str = "", kind: str = "body", *, min_score: float = 0.3,
    keypoints: str = "auto",
) -> list[TransformStamped]:
    """Return a frame for each keypoint whose place is known and each frame of a subject, at the stamp of the image.

    All of them are children of the frame of the header. Those of keypoints have its axes; those that the skeleton
    names, such as ``body_<id>``, ``face_<id>`` and ``gaze_<id>`` (REP-155), have their own. Only what was seen at this
    stamp is published, because whoever asks TF cannot tell a guess from a sight: subjects that are predicted or lost,
    and keypoints that are held from an earlier image, keep the place that TF had of them last. Subjects without a track
    id get no frame, because its name would jump between people.

    Args:
        poses: ``points`` and ``frames`` are used; without them there is nothing.
        header: Of the image.
        prefix: Before every frame, such as ``robot1/``.
        kind: Such as ``body`` or ``hand``.
        min_score: Keypoints below it get no frame.
        keypoints: Which keypoints get frames: ``auto``, all but those of faces; ``all``; ``none``; or names with commas
            between them. A name that the skeleton lacks may be that of another kind of subjects.

    Raises:
        ConfigError: A frame would have a name that TF refuses.
    """
    if poses.points is None and poses.frames is None:
        return []
    if not header.frame_id or header.frame_id.startswith("/"):
        raise ConfigError("header.frame_id", f"expected the camera's optical frame, got '{header.frame_id}'; "
                                             "set frame_id of the camera driver")
    # Without a tracker, an id is good for one image.
    tracked, made = ((poses.ids > 0) & np.isin(poses.states, (TrackState.NEW, TrackState.TRACKED)))[:, None], []
    if poses.points is not None:
        names = [f"/{frame_name(name)}" for name in poses.skeleton.keypoints]
        stem = frame_name(prefix + kind)
        shown = np.isfinite(poses.points).all(axis=2) & (poses.scores >= min_score) & tracked
        shown &= poses.sources != Source.HELD
        shown &= _wanted(poses.skeleton, kind, keypoints)
        for (row, column), (x, y, z) in zip(np.argwhere(shown).tolist(), poses.points[shown].tolist(), strict=True):
            place = Transform(translation=Vector3(x=x, y=y, z=z))
            child = f"{stem}_{poses.ids[row]}{names[column]}"
            made.append(TransformStamped(header=header, child_frame_id=child, transform=place))
    if poses.frames is not None:
        stems = [frame_name(prefix + name) for name in poses.skeleton.frames]
        known = np.isfinite(poses.frames).all(axis=2) & tracked
        for (row, column), (x, y, z, *turn) in zip(np.argwhere(known).tolist(), poses.frames[known].tolist(),
                                                   strict=True):
            rotation = Quaternion(**dict(zip("xyzw", turn, strict=True)))
            place = Transform(translation=Vector3(x=x, y=y, z=z), rotation=rotation)
            child = f"{stems[column]}_{poses.ids[row]}"
            made.append(TransformStamped(header=header, child_frame_id=child, transform=place))
    return made


def _wanted(skeleton: Skeleton, kind: str, which: str) -> np.ndarray:
    """Return whether each keypoint gets a frame, (K,) bool."""
    if which not in CHOICES:
        names = chosen(which)
        return np.array([name in names for name in skeleton.keypoints])
    wanted: np.ndarray = np.full(len(skeleton), which != "none")
    if which == "auto":
        # Hundreds of frames for every face would be most of what TF carries.
        wanted &= kind != "face" and skeleton.subject != "face"
        wanted[[i for i in skeleton.blocks["face"][1] if i >= 0] if "face" in skeleton.blocks else []] = False
    return wanted


def chosen(which: str) -> frozenset[str]:
    """Return the keypoints that a list with commas names."""
    return frozenset(filter(None, map(str.strip, which.split(","))))


def frame_name(text: str) -> str:
    """Return ``text`` as TF and its tools take it: other characters become ``_``, no slash in front."""
    return re.sub(r"[^A-Za-z0-9_./-]", "_", text).lstrip("/")
