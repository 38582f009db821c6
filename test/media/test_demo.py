# SPDX-License-Identifier: Apache-2.0
"""The demo's calibration is true: its images are what a pinhole camera sees of a photograph on a wall."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

pytest.importorskip("skimage", reason="scikit-image, which holds the photograph, is not installed")

from pose_ros.core.frame import Frame
from pose_ros.core.poses import RIGHT
from pose_ros.errors import SourceError
from pose_ros.media import demo
from pose_ros.media.drawn_hand import drawn_hand
from pose_ros.media.sources import open_source
from pose_ros.wiring import build


def test_frames() -> None:
    with open_source("demo:1") as source:
        frames = list(source)
        assert (source.fps, source.length) == (30.0, 30)
    assert [f.stamp_ns for f in frames] == [round(i * 1e9 / 30) for i in range(30)]
    assert {f.size_wh for f in frames} == {(640, 480)}
    assert frames[0].frame_id == "camera_optical_frame"
    assert all((a.image != b.image).any() for a, b in pairwise(frames))


def test_a_loop_has_no_jump() -> None:
    with open_source("demo:2", loop=True) as source:
        images = [frame.image.astype(int) for frame, _ in zip(source, range(62), strict=False)]
    steps = [np.abs(b - a).mean() for a, b in pairwise(images)]
    np.testing.assert_array_equal(images[0], images[60])
    assert steps[59] < 2 * np.median(steps)


def test_pixels_are_where_the_calibration_says() -> None:
    source = demo.Demo("demo:1")
    photo = source._photo
    frames = list(source)
    # A small patch of the photograph, found again where its centre projects to.
    patch_xy, half = np.array([300, 250]), 20
    metres = demo._PHOTO_M / photo.shape[0]
    wall = np.array([*(patch_xy - (np.array(photo.shape[1::-1]) - 1) / 2) * metres, 0, 1])
    for index in (0, 7, 15, 22):
        seen = source.camera.project((source.wall_to_camera(index) @ wall)[:3])
        target = cv2.getRectSubPix(frames[index].image, (41, 41), tuple(seen))
        scale = source.camera.K[0, 0] * metres / (source.wall_to_camera(index) @ wall)[2]
        near = photo[patch_xy[1] - half : patch_xy[1] + half + 1, patch_xy[0] - half : patch_xy[0] + half + 1]
        size = round(41 * scale)
        near = cv2.resize(near, (size, size), interpolation=cv2.INTER_AREA)
        inner = target[10:31, 10:31]
        match = cv2.matchTemplate(near, inner, cv2.TM_CCOEFF_NORMED)
        _, best, _, (x, y) = cv2.minMaxLoc(match)
        assert best > 0.9
        assert np.hypot(x + 10 - (size - 1) / 2, y + 10 - (size - 1) / 2) < 2.0


def test_without_scikit_image_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match="pip install scikit-image"):
        open_source("demo")


def test_the_drawn_hand_is_one(models) -> None:
    """The networks that people use take it for the right hand that it is."""
    drawing = drawn_hand(200)
    assert (drawing.shape, drawing.dtype) == ((260, 200, 3), np.uint8)
    np.testing.assert_array_equal(drawing, drawn_hand(200))
    image = np.pad(drawing, ((60, 60), (100, 100), (0, 0)), mode="edge")
    hands = build({"model": "mediapipe-hand-landmark-full", "threads": 1})(Frame(image, 0)).poses
    assert hands.sides.tolist() == [RIGHT]
    assert hands.side_scores[0] > 0.9
    # Of all fingertips, the thumb's is the rightmost, and the middle finger's the highest.
    tips = hands.keypoints[0, [4, 8, 12, 16, 20]]
    assert (tips[:, 0].argmax(), tips[:, 1].argmin()) == (0, 2)
