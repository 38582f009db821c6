# SPDX-License-Identifier: Apache-2.0
"""Where files of the user live, by the XDG base directory rules."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path:
    """Return the folder for what can be made again: ``POSE_ROS_CACHE``, or ``pose_ros`` below ``XDG_CACHE_HOME``."""
    own = os.environ.get("POSE_ROS_CACHE", "")
    return Path(own).expanduser() if own else _base("XDG_CACHE_HOME", ".cache") / "pose_ros"


def config() -> Path:
    """Return the folder of the user's own cards: ``pose_ros`` below ``XDG_CONFIG_HOME``."""
    return _base("XDG_CONFIG_HOME", ".config") / "pose_ros"


def _base(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    # The XDG rules say that a relative path is to be ignored.
    return Path(value) if os.path.isabs(value) else Path.home() / default
