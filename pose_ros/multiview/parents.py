# SPDX-License-Identifier: Apache-2.0
"""Parents: whose the hands and faces are that cameras saw, in all cameras alike."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pose_ros.core.poses import Poses


def with_parents(
    parts: Mapping[str, tuple[int, Poses]], bodies: Mapping[str, tuple[int, Poses]], members: Mapping[str, np.ndarray],
    ids: np.ndarray,
) -> dict[str, tuple[int, Poses]]:  # fmt: skip
    """Let hands and faces say in all cameras alike whose they are.

    Args:
        parts: Camera -> when, and the parts, with ``parents`` that are ids of this camera's ``bodies``.
        bodies: Camera -> when, and the bodies, from which ...
        members: ... :attr:`pose_ros.multiview.fuse.Fuser.members` and ...
        ids: ... (P,) the ids of the fused bodies came, none 0.

    Returns:
        The parts with those ids as ``parents``, 0 where the body is none of the fused ones; without those of cameras
        that are left out.
    """
    told = {}
    for name, (stamp_ns, poses) in parts.items():
        # Who is not believed about bodies is not about hands; where nobody is, nobody is seen.
        if members and name not in members:
            continue
        rows = members.get(name, np.full(len(ids), -1))
        own = bodies[name][1].ids[rows[rows >= 0]] if name in bodies else np.zeros(0, np.int64)
        world = dict(zip(own.tolist(), np.asarray(ids)[rows >= 0].tolist(), strict=True)) | {0: 0}
        told[name] = (stamp_ns, poses.replace(parents=[world.get(parent, 0) for parent in poses.parents.tolist()]))
    return told
