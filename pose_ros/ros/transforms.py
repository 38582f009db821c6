# SPDX-License-Identifier: Apache-2.0
"""Transforms: TF frames ``<prefix><kind>_<id>/<keypoint>`` of keypoints, ``<prefix><name>_<id>`` of frames."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3

from pose_ros.core.poses import Poses, Source, TrackState
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError

if TYPE_CHECKING:
    from std_msgs.msg import Header


#: What stands for many keypoints, or many oriented frames, beside their names.
CHOICES = frozenset(("auto", "all", "none"))


def poses_to_transforms(
    poses: Poses, header: Header, prefix: str = "", kind: str = "body", *, min_score: float = 0.3,
    keypoints: tuple[str, ...] = ("auto",), frames: tuple[str, ...] = ("all",),
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
        keypoints: Which keypoints get frames: ``auto``, all but those of faces; ``all``; ``none``; and names. A name
            that the skeleton lacks may be that of another kind of subjects.
        frames: Which of the skeleton's frames: ``all`` or ``auto``; ``none``; and names.

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
        shown &= _wanted_keypoints(poses.skeleton, kind, keypoints)
        for (row, column), (x, y, z) in zip(np.argwhere(shown).tolist(), poses.points[shown].tolist(), strict=True):
            place = Transform(translation=Vector3(x=x, y=y, z=z))
            child = f"{stem}_{poses.ids[row]}{names[column]}"
            made.append(TransformStamped(header=header, child_frame_id=child, transform=place))
    if poses.frames is not None:
        stems = [frame_name(prefix + name) for name in poses.skeleton.frames]
        known = np.isfinite(poses.frames).all(axis=2) & tracked & _wanted_frames(poses.skeleton, frames)
        for (row, column), (x, y, z, *turn) in zip(np.argwhere(known).tolist(), poses.frames[known].tolist(),
                                                   strict=True):
            rotation = Quaternion(**dict(zip("xyzw", turn, strict=True)))
            place = Transform(translation=Vector3(x=x, y=y, z=z), rotation=rotation)
            child = f"{stems[column]}_{poses.ids[row]}"
            made.append(TransformStamped(header=header, child_frame_id=child, transform=place))
    return made


def _wanted_keypoints(skeleton: Skeleton, kind: str, which: tuple[str, ...]) -> np.ndarray:
    """Return whether each keypoint gets a frame, (K,) bool."""
    named = np.array([name in which for name in skeleton.keypoints])
    if "all" in which:
        return np.ones_like(named)
    # Hundreds of frames for every face would be most of what TF carries.
    if "auto" not in which or kind == "face" or skeleton.subject == "face":
        return named
    face: Collection[int] = skeleton.blocks["face"][1] if "face" in skeleton.blocks else ()
    return named | ~np.isin(np.arange(len(named)), list(face))


def _wanted_frames(skeleton: Skeleton, which: tuple[str, ...]) -> np.ndarray:
    """Return whether each frame of the skeleton is one of TF, (F,) bool."""
    return np.array([name in which or not {"all", "auto"}.isdisjoint(which) for name in skeleton.frames], bool)


def frame_name(text: str) -> str:
    """Return ``text`` as TF and its tools take it: other characters become ``_``, no slash in front."""
    return re.sub(r"[^A-Za-z0-9_./-]", "_", text).lstrip("/")
