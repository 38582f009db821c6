# SPDX-License-Identifier: Apache-2.0
"""Drawing: what is seen is drawn where it is, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pose_ros.core.colors import LEFT, RIGHT
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ShapeError
from pose_ros.media.draw import draw
from pose_ros.skeletons import catalogue

GREY = np.full((480, 640, 3), 128, np.uint8)


def test_joints_and_limbs_are_drawn_and_the_input_is_not_touched(people: Callable[..., Poses]) -> None:
    poses, image = people(2), GREY.copy()
    out = draw(image, poses)
    np.testing.assert_array_equal(image, GREY)
    for x, y in poses.keypoints.reshape(-1, 2).round().astype(int):
        assert (out[y, x] != 128).any()
    a, b = (poses.keypoint(name)[0] for name in ("left_shoulder", "left_elbow"))
    x, y = ((a + b) / 2).round().astype(int)
    assert (out[y - 2 : y + 3, x - 2 : x + 3] != 128).any()


def test_left_and_right_differ_in_colour(people: Callable[..., Poses]) -> None:
    poses = people(1)
    out = draw(GREY, poses, labels=False)
    for name, color in (("left_wrist", LEFT), ("right_ankle", RIGHT)):
        x, y = poses.keypoint(name)[0].round().astype(int)
        np.testing.assert_allclose(out[y, x], color, atol=2)


@pytest.mark.parametrize("bad", ["score", "nan", "inf"])
def test_what_was_not_found_is_not_drawn(people: Callable[..., Poses], bad: str) -> None:
    poses = people(1)
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    if bad == "score":
        scores[:] = 0.29
    else:
        keypoints[:] = float(bad)
    out = draw(GREY, poses.replace(keypoints=keypoints, scores=scores), labels=False)
    np.testing.assert_array_equal(out, GREY)


def test_drawing_into_old_memory_is_the_same(people: Callable[..., Poses]) -> None:
    first, second = people(3), people(1)
    out = draw(GREY, first)
    assert draw(GREY, second, out=out) is out
    np.testing.assert_array_equal(out, draw(GREY, second))


def test_nobody(people: Callable[..., Poses]) -> None:
    np.testing.assert_array_equal(draw(GREY, people(0)), GREY)


def test_far_outside_the_image(people: Callable[..., Poses]) -> None:
    poses = people(1)
    far = poses.keypoints.copy()
    far[0, ::2] = [1e30, -1e30]
    boxes = np.array([[-1e20, -1e20, 1e20, 1e20]])
    assert draw(GREY, poses.replace(keypoints=far, boxes=boxes)).shape == GREY.shape


@pytest.mark.parametrize("size_wh", [(1, 1), (16, 9), (3840, 2160)])
def test_any_size(people: Callable[..., Poses], size_wh: tuple[int, int]) -> None:
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    scale = np.array(size_wh) / (640, 480)
    poses = people(2)
    out = draw(image, poses.replace(keypoints=poses.keypoints * scale, boxes=poses.boxes * np.tile(scale, 2)))
    assert out.shape == image.shape
    assert out.any()


def test_lines_grow_with_the_image(people: Callable[..., Poses]) -> None:
    poses = people(1)
    share = []
    for scale in (1, 4):
        image = np.zeros((480 * scale, 640 * scale, 3), np.uint8)
        out = draw(image, poses.replace(keypoints=poses.keypoints * scale), labels=False)
        share.append(out.any(axis=2).mean())
    assert share[1] > 0.4 * share[0], "it would be a quarter if lines stayed as thin"


@pytest.mark.parametrize(("name", "most"), [("hand21", 0.4), ("face68", 0.63)])
def test_small_hands_and_faces_do_not_run_into_one(name: str, most: float) -> None:
    skeleton = catalogue.get(name)
    # Rings of points, 40 pixels wide, as far apart as fingers and contours are.
    angle = np.arange(len(skeleton)) * 2.4
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.sqrt(np.linspace(0, 1, len(skeleton)))[:, None]
    keypoints = 200 + 20 * around[None]
    poses = Poses(replace(skeleton, edges=()), keypoints, np.ones((1, len(skeleton))))
    drawn = (draw(GREY, poses, labels=False) != GREY).any(axis=2)[180:221, 180:221].mean()
    assert 0.05 < drawn < most


@pytest.mark.parametrize("k", [1, 5, 68, 468])
def test_skeletons_of_any_size(rng: np.random.Generator, k: int) -> None:
    skeleton = Skeleton(f"any{k}", tuple(f"p{i}" for i in range(k)), tuple((i, i + 1) for i in range(k - 1)))
    poses = Poses(skeleton, rng.uniform(50, 400, (1, k, 2)), np.ones((1, k)))
    assert (draw(GREY, poses) != GREY).any()


def test_views_and_read_only_images(people: Callable[..., Poses]) -> None:
    image = GREY[::2, ::2]
    image.flags.writeable = False
    assert draw(image, people(1)).shape == image.shape


def test_something_else_than_an_image(people: Callable[..., Poses]) -> None:
    with pytest.raises(ShapeError):
        draw(np.zeros((4, 4)), people(1))
