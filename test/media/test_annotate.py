# SPDX-License-Identifier: Apache-2.0
"""Parts and the axes of frames are drawn with their whole, and say whose they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pose_ros.core.camera import Camera
from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.media.annotate import annotate
from pose_ros.media.draw import draw, title
from pose_ros.skeletons import catalogue

IMAGE = np.full((240, 320, 3), 90, np.uint8)
CAMERA = Camera(np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]]), (320, 240))
BODY, HAND = catalogue.get("coco17"), catalogue.get("hand21")


def some(skeleton: Skeleton, x: float, **columns: object) -> Poses:
    k = len(skeleton)
    xy = np.stack([x + np.arange(k), 40 + 4.0 * np.arange(k)], axis=1)[None]
    box = [[x, 40, x + k, 40 + 4 * k]]
    return Poses(skeleton, xy, np.full((1, k), 0.9), boxes=box, **columns)


@pytest.mark.parametrize(("columns", "kind", "expected"), [
    ({}, "", ""),
    ({"ids": [3]}, "", "#3"),
    ({"ids": [3], "labels": ["dog"]}, "", "#3 dog"),
    ({"ids": [3], "labels": ["person"]}, "", "#3"),
    ({"ids": [7], "parents": [3], "sides": [LEFT], "labels": ["hand"]}, "hand", "left hand #3"),
    ({"ids": [7], "parents": [3]}, "face", "face #3"),
    ({"ids": [7], "sides": [RIGHT]}, "hand", "#7 right"),
])
def test_title(columns, kind, expected):
    assert title(some(HAND, 10, **columns), 0, kind) == expected


def test_parts_are_drawn_over_their_whole():
    body, hand = some(BODY, 20, ids=[1]), some(HAND, 200, ids=[2], parents=[1], sides=[LEFT])
    drawn = annotate(IMAGE, body, {"hands": hand})
    np.testing.assert_array_equal(drawn, draw(draw(IMAGE, body), hand, kind="hand"))
    assert (IMAGE == 90).all()
    canvas = np.zeros_like(IMAGE)
    assert annotate(IMAGE, body, {"hands": hand}, out=canvas) is canvas
    np.testing.assert_array_equal(canvas, drawn)


def test_a_part_has_the_colour_of_its_whole():
    body, hand = some(BODY, 20, ids=[1]), some(HAND, 200, ids=[2], parents=[1])
    alone = some(HAND, 200, ids=[2])
    corner = (40, 204)
    colors = {tuple(annotate(IMAGE, body, {"hands": part})[corner]) for part in (hand, alone)}
    assert len(colors) == 2
    assert tuple(annotate(IMAGE, hand.replace(ids=[1], parents=[0]), {})[corner]) in colors


def test_axes_are_drawn_where_the_camera_is_known():
    skeleton = dataclasses.replace(BODY, frames=("face", "gaze"))
    frames = np.array([[[0, 0, 1, 0, 0, 0, 1], [0.3, 0, 1, 0, 0.6, 0, 0.8]]])
    poses = some(skeleton, 20, frames=frames)
    plain, drawn = annotate(IMAGE, poses, {}), annotate(IMAGE, poses, {}, camera=CAMERA)
    np.testing.assert_array_equal(plain, draw(IMAGE, poses))
    changed = (drawn != plain).any(axis=2)
    assert changed[118:123, 162:180].any(), "x of the face"
    assert changed[130:140, 158:163].any(), "y of the face"
    # Of the gaze only z: it points to the right of the image, and nothing points down.
    assert changed[118:123, 255:270].any()
    assert not changed[130:, 240:].any()
