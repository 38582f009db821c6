# SPDX-License-Identifier: Apache-2.0
"""A video through detector, estimator, tracker, lifter and filter, with a lifter of the user's own as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pose_ros import wiring
from pose_ros.core.frame import Frame
from pose_ros.core.poses import Source
from pose_ros.media.calibration import guess_camera
from pose_ros.media.sources import open_source


def test_a_lifter_of_ones_own_on_a_video(testdata: Path, models: None, my_lifter: None) -> None:
    """Such a network sees nothing; what is shown is that all of the way is there."""
    pipeline = wiring.build({"model": "blazepose-full", "lifting": {"model": "my-lifter"}}, allow_fetch=False)
    lifted = placed = 0
    with open_source(str(testdata / "video" / "sports2d_demo.mp4")) as source:
        for number, shot in zip(range(12), source, strict=False):
            size_wh = shot.image.shape[1], shot.image.shape[0]
            camera = guess_camera(size_wh, 1.0) if number >= 4 else None
            result = pipeline(Frame(shot.image, shot.stamp_ns, "camera", camera))
            poses = result.poses
            assert "lift" in result.stages.ms
            assert poses.local_points is not None
            hips = [poses.skeleton.joints.index(f"{side}_hip") for side in ("left", "right")]
            found = np.isfinite(poses.local_points[:, hips]).all()
            lifted += bool(len(poses) and found)
            assert (poses.sources[:, hips] == Source.INFERRED).all() == found
            if camera is None:
                assert poses.points is None
            elif len(poses) and np.isfinite(poses.points[:, hips]).all():
                placed += 1
                assert (np.abs(poses.points[:, hips, 2] - 5) < 4).all()
                assert np.isfinite(poses.covariances[:, hips]).all()
    assert lifted >= 11  # nobody is found in the first one
    assert placed == 8
