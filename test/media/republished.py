# SPDX-License-Identifier: Apache-2.0
"""A bag read as the player reads it."""

from __future__ import annotations

from pose_ros.ros.bag_reader import BagReader


def republished(path: str) -> int:
    """Return how many messages it would publish."""
    reader = BagReader(path)
    try:
        return len(list(reader.messages()))
    finally:
        reader.close()
