# SPDX-License-Identifier: Apache-2.0
"""See people: swappable pose estimators behind one interface, with or without ROS 2.

Importing this package is light: names below are loaded when they are first used.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

# The generated messages (pose_ros.msg, pose_ros.srv) are installed; a source checkout that comes first on sys.path
# has none, so both folders form one package.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pose_ros.core.camera import Camera
    from pose_ros.core.frame import Frame
    from pose_ros.core.poses import Poses
    from pose_ros.core.skeleton import Skeleton
    from pose_ros.errors import PoseRosError
    from pose_ros.ros.view import view
    from pose_ros.wiring import build

_HOMES = {
    "build": "pose_ros.wiring",
    "Camera": "pose_ros.core.camera",
    "Frame": "pose_ros.core.frame",
    "Poses": "pose_ros.core.poses",
    "Skeleton": "pose_ros.core.skeleton",
    "PoseRosError": "pose_ros.errors",
    "view": "pose_ros.ros.view",
}
__all__ = ["Camera", "Frame", "PoseRosError", "Poses", "Skeleton", "__version__", "build", "view"]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pose_ros' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
