# SPDX-License-Identifier: Apache-2.0
"""C3D, the file of motion capture: points in millimetres, z up, -1 as residual of what was not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pose_ros.errors import ConfigError
from pose_ros.exports.take import Take


def write_c3d(take: Take, path: Path) -> None:
    """Write all subjects of a take with z up into one file; labels are ``subject_1:left_knee``.

    Raises:
        ConfigError: The take has no metres, or ezc3d is not installed.
    """
    try:
        import ezc3d
    except ModuleNotFoundError as error:
        raise ConfigError("format", "c3d needs ezc3d: pip install 'pose_ros[capture]'; or take trc") from error
    even = take.metric().even()
    several = len(even.subjects) > 1
    labels = [f"{s.name}:{name}" if several else name for s in even.subjects for name in even.skeleton.keypoints]
    points = np.concatenate([subject.points for subject in even.subjects], axis=1)
    count = points.shape[1]
    data = np.ones((4, count, len(points)))
    data[:3] = 1e3 * points.transpose(2, 1, 0)
    made = ezc3d.c3d()
    parameters = made["parameters"]["POINT"]
    parameters["RATE"]["value"], parameters["UNITS"]["value"] = [even.rate], ["mm"]
    parameters["LABELS"]["value"], parameters["DESCRIPTIONS"]["value"] = labels, [""] * count
    made.add_parameter("POINT", "X_SCREEN", "+X")
    made.add_parameter("POINT", "Y_SCREEN", "+Z")
    made["data"]["points"] = data
    missing = np.isnan(data[:3]).any(axis=0)
    made["data"]["meta_points"]["residuals"] = np.where(missing, -1.0, 0.0)[None]
    made.write(str(path))
