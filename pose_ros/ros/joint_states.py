# SPDX-License-Identifier: Apache-2.0
"""Joint states: the angles of all bodies and the opening of all hands at one stamp."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from sensor_msgs.msg import JointState

from pose_ros.anatomy.describe import UNITS
from pose_ros.core.poses import Poses, TrackState
from pose_ros.core.skeleton import Skeleton
from pose_ros.ros.transforms import frame_name

if TYPE_CHECKING:
    from std_msgs.msg import Header


def poses_to_joint_states(kinds: Iterable[tuple[str, Poses]], header: Header, prefix: str = "") -> JointState:
    """Return what is known of the joints of all subjects, named ``<prefix><kind>_<id>/<measure>``.

    Positions are radians for angles and metres for openings, of :data:`pose_ros.anatomy.describe.UNITS`; velocities and
    efforts are empty. A joint that is not known is left out, as in the message of a robot whose other joints somebody
    else reports: its consumers keep what they had, and NaN would reach their transforms. So are subjects without a
    track id, and those that were not seen at this stamp.

    Args:
        kinds: Name of each kind of subjects, such as ``body`` or ``hand``, and the poses of it; ``measures`` are used.
        header: Of the image.
        prefix: Before every name, such as ``robot1/``.
    """
    names: list[str] = []
    positions: list[float] = []
    for kind, poses in kinds:
        columns, joints = _joints(poses.skeleton)
        if poses.measures is None or not len(columns):
            continue
        values = poses.measures[:, columns]
        seen = (poses.ids > 0) & np.isin(poses.states, (TrackState.NEW, TrackState.TRACKED))
        shown = np.isfinite(values) & seen[:, None]
        stem = frame_name(prefix + kind)
        names += [f"{stem}_{poses.ids[row]}/{joints[column]}" for row, column in np.argwhere(shown).tolist()]
        positions += values[shown].tolist()
    return JointState(header=header, name=names, position=array("d", positions))


@lru_cache(maxsize=32)
def _joints(skeleton: Skeleton) -> tuple[np.ndarray, list[str]]:
    """Return columns and names of the measures that are positions of joints."""
    columns = [i for i, name in enumerate(skeleton.measures) if name in UNITS]
    return np.array(columns, np.int64), [skeleton.measures[i] for i in columns]
