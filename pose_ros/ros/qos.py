# SPDX-License-Identifier: Apache-2.0
"""Qualities of service, named by what they are for (REP-2003)."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(reliability: ReliabilityPolicy, durability: DurabilityPolicy, depth: int) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability
    )


#: Subscribers of images: the newest one, and never waiting for a lost one.
SENSOR = _profile(ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE, 1)
#: Publishers of images and camera models: also heard by subscribers that insist on reliability, such as rviz2.
SENSOR_OUT = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE, 1)
#: Results, in both directions.
RESULT = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE, 5)
#: Transforms, of which many come at once from many nodes, and those that hold for ever (as tf2's listener asks).
TF = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE, 100)
TF_STATIC = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL, 100)
#: What never changes: also given to those who come late.
LATCHED = _profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL, 1)


def sensor(reliability: str = "best_effort", depth: int = 1, *, latched: bool = False) -> QoSProfile:
    """Return SENSOR with another ``reliability`` (``best_effort`` or ``reliable``) or ``depth``, or latched."""
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return _profile(ReliabilityPolicy[reliability.upper()], durability, depth)
