# SPDX-License-Identifier: Apache-2.0
"""Transforms: keypoints in metres as TF frames ``<prefix><kind>_<id>/<keypoint>``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import Transform, TransformStamped, Vector3
from tf2_msgs.msg import TFMessage

from pose_ros.core.poses import Poses
from pose_ros.errors import ConfigError

if TYPE_CHECKING:
    from std_msgs.msg import Header


def poses_to_transforms(
    poses: Poses, header: Header, prefix: str = "", kind: str = "body", *, min_score: float = 0.3
) -> TFMessage:
    """Return one message with a frame for each keypoint whose place is known, at the stamp of the image.

    Frames have no orientation of their own: their axes are those of the optical frame, their parent. Subjects without
    a track id get none, because their names would jump between people.

    Args:
        poses: ``points`` are used; without them the message is empty.
        header: Of the image.
        prefix: Before every frame, such as ``robot1/``.
        kind: Such as ``body`` or ``hand``.
        min_score: Keypoints below it get no frame.

    Raises:
        ConfigError: A frame would have a name that TF refuses.
    """
    if poses.points is None:
        return TFMessage()
    if not header.frame_id or header.frame_id.startswith("/"):
        raise ConfigError("header.frame_id", f"expected the camera's optical frame, got '{header.frame_id}'; "
                                             "set frame_id of the camera driver")
    names = [f"/{frame_name(name)}" for name in poses.skeleton.keypoints]
    stem = frame_name(prefix + kind)
    shown = np.isfinite(poses.points).all(axis=2) & (poses.scores >= min_score) & (poses.ids > 0)[:, None]
    return TFMessage(transforms=[
        TransformStamped(
            header=header,
            child_frame_id=f"{stem}_{poses.ids[row]}{names[column]}",
            transform=Transform(translation=Vector3(x=x, y=y, z=z)),
        )
        for (row, column), (x, y, z) in zip(np.argwhere(shown).tolist(), poses.points[shown].tolist(), strict=True)
    ])


def frame_name(text: str) -> str:
    """Return ``text`` as TF and its tools take it: other characters become ``_``, no slash in front."""
    return re.sub(r"[^A-Za-z0-9_./-]", "_", text).lstrip("/")
