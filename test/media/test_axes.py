# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose_ros.core.camera import Camera
from pose_ros.media.axes import AXES, draw_axes

CAMERA = Camera(np.array([[100, 0, 50], [0, 100, 40], [0, 0, 1.0]]), (100, 80))
IMAGE = np.full((80, 100, 3), 128, np.uint8)
#: A metre in front of the camera, axes as the camera's.
FRAME = np.array([0, 0, 1, 0, 0, 0, 1.0])


def drawn(*frames: np.ndarray, axes: str = "xyz") -> np.ndarray:
    return draw_axes(IMAGE, np.array(frames).reshape(-1, 7), CAMERA, 0.2, axes=axes)


def test_axes_point_where_they_do_in_space():
    picture = drawn(FRAME)
    np.testing.assert_allclose(picture[40, 65], AXES[0], atol=60)
    np.testing.assert_allclose(picture[55, 50], AXES[1], atol=60)
    assert (IMAGE == 128).all()


def test_only_what_is_asked_for():
    picture = drawn(FRAME, axes="y")
    np.testing.assert_allclose(picture[55, 50], AXES[1], atol=60)
    np.testing.assert_array_equal(picture[40, 65], [128] * 3)


@pytest.mark.parametrize("frame", [
    np.full(7, np.nan), FRAME * [1, 1, -1, 1, 1, 1, 1], [1e9, 0, 1, 0, 0, 0, 1], [0, 0, 0.0, 0, 0, 0, 1],
], ids=["unknown", "behind", "far aside", "inside"])
def test_what_cannot_be_seen_is_left_out(frame):
    np.testing.assert_array_equal(drawn(np.asarray(frame, float), axes="xy"), IMAGE)
    np.testing.assert_array_equal(drawn(), IMAGE)


def test_draws_into_an_image_that_was_drawn_into_before():
    canvas = IMAGE.copy()
    assert draw_axes(canvas, FRAME[None], CAMERA, 0.2, out=canvas) is canvas
    np.testing.assert_array_equal(canvas, drawn(FRAME))
