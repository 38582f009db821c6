# SPDX-License-Identifier: Apache-2.0
"""What holds for the poses of every estimator."""

from __future__ import annotations

import dataclasses

import numpy as np

from pose_ros.core.poses import Poses, Source


def same(a: Poses, b: Poses) -> None:
    """Check that all columns are the same, up to the noise of floats."""
    for f in dataclasses.fields(Poses):
        if f.name == "skeleton":
            assert a.skeleton == b.skeleton
        elif getattr(a, f.name) is None or getattr(b, f.name) is None:
            assert getattr(a, f.name) is getattr(b, f.name), f.name
        elif f.name == "labels":
            assert a.labels.tolist() == b.labels.tolist()
        else:
            np.testing.assert_allclose(getattr(a, f.name), getattr(b, f.name), atol=1e-3, err_msg=f.name)


def check(poses: Poses, n: int) -> None:
    """Check what holds for all poses."""
    assert len(poses) == n
    assert poses.keypoints.dtype == poses.scores.dtype == np.float32
    seen = np.isfinite(poses.keypoints).all(axis=2)
    assert (np.isnan(poses.keypoints).all(axis=2) | seen).all(), "a keypoint is there, or it is NaN, both x and y"
    assert (poses.scores[~seen] == 0).all()
    assert ((poses.scores >= 0) & (poses.scores <= 1)).all()
    assert ((poses.subject_scores >= 0) & (poses.subject_scores <= 1)).all()
    assert ((poses.sources == Source.MISSING) == ~seen).all()
