# SPDX-License-Identifier: Apache-2.0
"""Annotate: whole subjects and their parts in one picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.kinds import PARTS
from pose_ros.core.poses import Poses
from pose_ros.media.axes import draw_axes
from pose_ros.media.draw import draw

#: Frames that are drawn, which of their axes, and how long, metres. A body has one for each segment, too, which would
#: cover it; those that are only directions have one axis.
_AXES = {"body": ("xyz", 0.2), "face": ("xyz", 0.08), "gaze": ("z", 0.2), "hand": ("xyz", 0.06), "pinch": ("xyz", 0.04)}


def annotate(
    image: np.ndarray, poses: Poses, parts: Mapping[str, Poses], min_score: float = 0.3, *,
    camera: Camera | None = None, out: np.ndarray | None = None,
) -> np.ndarray:
    """Return a copy of an image with subjects, their parts and the axes of their frames drawn into it.

    Args:
        image: RGB uint8 (H, W, 3). Not modified.
        poses: Whole subjects, in pixels of ``image``.
        parts: ``hands``, ``faces``: parts of them; a part has the colour of its whole, and says whose it is.
        min_score: Keypoints below this are left out.
        camera: That took the image; without one there are no axes.
        out: Where to draw; see :func:`pose_ros.media.draw.draw`.
    """
    out = draw(image, poses, min_score, out=out)
    for name, part in parts.items():
        draw(out, part, min_score, kind=PARTS.get(name, name), out=out)
    for subjects in (poses, *parts.values()):
        if camera is None or subjects.frames is None:
            continue
        for column, name in enumerate(subjects.skeleton.frames):
            if name in _AXES:
                axes, length_m = _AXES[name]
                draw_axes(out, subjects.frames[:, column], camera, length_m, axes=axes, out=out)
    return out
