# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose_ros.decode import movenet
from pose_ros.skeletons import catalogue

SKELETON = catalogue.get("coco17")
SHOULDERS, HIPS = ([SKELETON.index[f"{side}_{part}"] for side in ("left", "right")] for part in ("shoulder", "hip"))


def standing(centre: tuple[float, float] = (300, 200), size: float = 50) -> tuple[np.ndarray, np.ndarray]:
    """Return a person with the hips around a centre: shoulders 1 and nose 1.5 sizes above, ankles 2 below."""
    keypoints = np.tile(np.float32(centre), (17, 1))
    keypoints[HIPS[0], 0] += 0.2 * size
    keypoints[HIPS[1], 0] -= 0.2 * size
    for i, up in ((SHOULDERS[0], 1), (SHOULDERS[1], 1), (SKELETON.index["nose"], 1.5),
                  (SKELETON.index["left_ankle"], -2), (SKELETON.index["right_ankle"], -2)):
        keypoints[i, 1] -= up * size
    return keypoints[None], np.full((1, 17), 0.9, np.float32)


def follow(keypoints: np.ndarray, scores: np.ndarray, image_wh: tuple[int, int] = (640, 480)) -> np.ndarray:
    return movenet.next_regions(keypoints, scores, image_wh, SHOULDERS, HIPS)


def one_by_one(keypoints: np.ndarray, scores: np.ndarray, image_wh: tuple[int, int]) -> list[float]:
    """Follow one person by the published rule, written step by step."""
    width, height = image_wh
    whole = [width / 2, height / 2, max(image_wh), max(image_wh), 0]
    if not (max(scores[HIPS]) > 0.2 and max(scores[SHOULDERS]) > 0.2):
        return [np.nan] * 5
    x, y = (keypoints[HIPS[0]] + keypoints[HIPS[1]]) / 2
    lengths = [1.9 * d for i in (*SHOULDERS, *HIPS) for d in (abs(x - keypoints[i][0]), abs(y - keypoints[i][1]))]
    for point, score in zip(keypoints, scores, strict=True):
        if score > 0.2:
            lengths += [1.2 * abs(x - point[0]), 1.2 * abs(y - point[1])]
    half = min(max(lengths), max(x, width - x, y, height - y))
    return whole if half > max(image_wh) / 2 else [x, y, 2 * half, 2 * half, 0]


def test_rows_are_points_of_the_input():
    rows = np.float32([[[0, 0, 0.5], [1, 1, 0.25], [0.5, 0.25, 1], [np.nan, 0, 1]]])
    points, scores = movenet.decode(rows, (192, 256))
    np.testing.assert_allclose(points[0, :3], [[-0.5, -0.5], [191.5, 255.5], [47.5, 127.5]])
    assert np.isnan(points[0, 3]).all()
    assert scores.tolist() == [[0.5, 0.25, 1, 0]]


def test_the_square_reaches_beyond_the_farthest_keypoint():
    """Ankles are 100 pixels below the hips, shoulders 50 above: 1.2 * 100 is more than 1.9 * 50."""
    np.testing.assert_allclose(follow(*standing()), [[300, 200, 240, 240, 0]], rtol=1e-6)


def test_keypoints_that_were_not_found_do_not_count():
    keypoints, scores = standing()
    scores[:, [SKELETON.index["left_ankle"], SKELETON.index["right_ankle"]]] = 0.1
    np.testing.assert_allclose(follow(keypoints, scores), [[300, 200, 190, 190, 0]], rtol=1e-6)


def test_a_square_that_would_be_larger_than_the_image_is_the_one_around_the_image():
    np.testing.assert_allclose(follow(*standing(size=200)), [[320, 240, 640, 640, 0]])


@pytest.mark.parametrize("unseen", [SHOULDERS, HIPS])
def test_whose_torso_is_not_seen_is_not_followed(unseen):
    keypoints, scores = standing()
    scores[:, unseen[0]] = 0
    assert np.isfinite(follow(keypoints, scores)).all(), "one side is enough"
    scores[:, unseen] = 0.2
    assert np.isnan(follow(keypoints, scores)).all()


def test_nobody_and_keypoints_of_nan():
    assert follow(np.empty((0, 17, 2)), np.empty((0, 17))).shape == (0, 5)
    assert np.isnan(follow(np.full((2, 17, 2), np.nan), np.zeros((2, 17)))).all()


def test_agrees_with_the_published_rule_for_people_everywhere(rng):
    sizes, corners = rng.uniform(0.05, 1, (300, 1, 1)), rng.uniform(0, 300, (300, 1, 2))
    keypoints = rng.uniform(-50, 700, (300, 17, 2)) * sizes + corners
    scores = rng.uniform(0, 0.6, (300, 17))
    expected = [one_by_one(k, s, (640, 480)) for k, s in zip(keypoints, scores, strict=True)]
    found = follow(keypoints, scores)
    assert 20 < (found[:, 2] < 640).sum() < 280
    np.testing.assert_allclose(found, expected, rtol=1e-5)
