# SPDX-License-Identifier: Apache-2.0
"""Small media files, made where a test runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numbered import ramp

from pose_ros.core.poses import Poses
from pose_ros.media.video import VideoWriter, write_image
from pose_ros.skeletons import catalogue


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A video of ten numbered frames at 10 Hz."""
    with VideoWriter(tmp_path / "clip.mp4", 10.0) as video:
        for index in range(10):
            video.write(ramp(index))
    return tmp_path / "clip.mp4"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three numbered images whose names sort naturally, and something else."""
    for index, name in enumerate(("frame2.png", "frame10.png", "frame100.PNG")):
        write_image(tmp_path / "images" / name, ramp(index))
    (tmp_path / "images" / "notes.txt").write_text("not an image")
    return tmp_path / "images"


@pytest.fixture
def people(rng: np.random.Generator) -> Callable[..., Poses]:
    """Make N people of coco17 inside an image of 640x480."""

    def make(n: int = 1, **columns: object) -> Poses:
        keypoints = rng.uniform((60, 60), (580, 420), (n, 17, 2)).astype(np.float32)
        given: dict = {"keypoints": keypoints, "scores": np.full((n, 17), 0.9), **columns}
        boxes = np.concatenate([given["keypoints"].min(axis=1), given["keypoints"].max(axis=1)], axis=1)
        return Poses(catalogue.get("coco17"), boxes=boxes, ids=np.arange(1, n + 1), **given)

    return make
