# SPDX-License-Identifier: Apache-2.0
"""Hands where it gets hard, with MediaPipe's networks: none, tiny ones, half ones, gloves, pictures, crowds."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_ros.core.frame import Frame
from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.errors import ModelMissingError
from pose_ros.pipeline import Pipeline
from pose_ros.wiring import build

DATA = Path(__file__).parent / "data" / "hands"
MOST = 5


@pytest.fixture(scope="module")
def parts(testdata: Path) -> tuple[np.ndarray, np.ndarray]:
    """A left and a right hand, each 136 x 192 pixels with what is around it; the hands are some 70 high."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DATA))
        clips = __import__("clips")
    sys.modules.pop("clips")
    return clips.part(testdata, clips.LEFT_HAND), clips.part(testdata, clips.RIGHT_HAND)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    try:
        return build(
            {"model": "mediapipe-hand-landmark-full", "top_down": {"max_subjects": MOST}}, allow_fetch=False
        )
    except ModelMissingError as error:
        pytest.skip(str(error))


def show(pipeline: Pipeline, image: np.ndarray, frames: int = 3) -> Poses:
    """Show an image some times; hands come and go in none of them."""
    pipeline.reset()
    counts = []
    for number in range(frames):
        poses = pipeline(Frame(image, (number + 1) * 200_000_000)).poses
        counts.append(len(poses))
    assert len(set(counts)) == 1
    assert counts[0] <= MOST
    return poses


def on_grey(*pictures: tuple[np.ndarray, int, int], size: tuple[int, int] = (640, 480)) -> np.ndarray:
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    for picture, x, y in pictures:
        target = image[y : y + picture.shape[0], max(x, 0) : x + picture.shape[1]]
        target[:] = picture[: target.shape[0], max(-x, 0) : max(-x, 0) + target.shape[1]]
    return image


def test_nobody_is_nobody(pipeline, testdata):
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    for image in (np.zeros((480, 640, 3), np.uint8), noise, np.zeros((1, 1, 3), np.uint8)):
        assert len(show(pipeline, image)) == 0
    for path in sorted((testdata / "animal/ap10k").glob("*.jpg")):
        assert len(show(pipeline, cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))) == 0


@pytest.mark.parametrize(("height", "count"), [(72, 1), (24, 0), (12, 0)])
def test_a_hand_of_less_than_a_tenth_of_the_image_is_not_seen(pipeline, parts, height, count):
    scale = height / 72
    small = cv2.resize(parts[0], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert len(show(pipeline, on_grey((small, 300, 200)))) == count


def test_a_hand_of_twelve_pixels_is_read_where_it_is_known_to_be(pipeline, parts):
    """As where a body says so: but for the folded thumb, within a fifth of the hand's size of the large picture's."""
    large = show(pipeline, on_grey((parts[0], 300, 200)))
    size = np.ptp(large.keypoints[0], axis=0).max()
    small = cv2.resize(parts[0], None, fx=1 / 6, fy=1 / 6, interpolation=cv2.INTER_AREA)
    region = large.regions * [1 / 6, 1 / 6, 1 / 6, 1 / 6, 1]
    poses = pipeline.source.estimator.estimate(on_grey((small, 50, 33)), region)
    away = np.linalg.norm(6 * poses.keypoints[0] - large.keypoints[0] + [0, 2], axis=1)
    assert size / 6 == pytest.approx(12, abs=1)
    assert np.sort(away)[18] < 0.2 * size
    assert poses.subject_scores[0] > 0.5
    assert poses.sides[0] == LEFT


def test_a_hand_that_leaves_the_image_is_followed_until_more_than_half_is_outside(pipeline, parts):
    pipeline.reset()
    counts = {}
    for number, left in enumerate(range(10, -110, -2)):
        poses = pipeline(Frame(on_grey((parts[0], left, 60), size=(480, 320)), (number + 1) * 33_333_333)).poses
        # In the picture of it the hand reaches from column 40 to 99.
        counts[max(0, -(left + 40) / 59)] = len(poses)
        assert all(side == LEFT for side in poses.sides)
    assert all(count == 1 for outside, count in counts.items() if outside < 0.5)
    assert all(count <= 1 for count in counts.values())
    assert all(count == 0 for outside, count in counts.items() if outside > 0.9)


def test_half_a_hand_is_not_found_anew(pipeline, parts):
    assert len(show(pipeline, on_grey((parts[0], -70, 60), size=(480, 320)))) == 0


def test_thirty_hands_cost_no_more_than_asked_for(pipeline, parts):
    rows = [np.hstack([parts[(row + column) % 2] for column in range(6)]) for row in range(5)]
    image = np.vstack(rows)
    before = pipeline.source.detections
    poses = show(pipeline, image, frames=4)
    assert len(poses) <= MOST
    assert pipeline.source.detections - before <= 4
    # Where each one is known, each one is read.
    region = show(pipeline, on_grey((parts[0], 300, 200))).regions
    places = np.float32([[136 * column - 300, 192 * row - 200, 0, 0, 0] for row in range(5) for column in range(6)
                         if (row + column) % 2 == 0])
    found = pipeline.source.estimator.estimate(image, region + places)
    assert (found.subject_scores > 0.9).all()
    assert (found.sides == LEFT).all()


def test_a_picture_of_a_hand_is_a_hand(pipeline, testdata):
    """Nothing in a single image tells them apart; metres are those of a real hand at that angle of view."""
    picture = cv2.cvtColor(
        cv2.imread(str(next((testdata / "hand/gesture_images/four").glob("0c960166*.jpg")))), cv2.COLOR_BGR2RGB
    )
    photo = cv2.resize(picture, (360, 480), interpolation=cv2.INTER_AREA)
    corners = np.float32([[0, 0], [359, 0], [359, 479], [0, 479]])
    hung = corners + np.float32([[160, 0], [130, 30], [116, -10], [140, -40]])
    image = cv2.warpPerspective(photo, cv2.getPerspectiveTransform(corners, hung), (640, 480))
    poses = show(pipeline, image)
    assert poses.sides.tolist() == [RIGHT]
    assert np.ptp(poses.local_points[0], axis=0).max() < 0.25


def test_a_glove_is_read_where_it_is_known_to_be(pipeline, parts):
    """The detector knows bare palms, and misses most gloves; the network for landmarks is less choosy."""
    image = on_grey((parts[0], 300, 200))
    bare = show(pipeline, image)
    points = bare.keypoints[0].round().astype(np.int32)
    mask = np.zeros(image.shape[:2], np.uint8)
    for a, b in bare.skeleton.edges:
        cv2.line(mask, points[a].tolist(), points[b].tolist(), 255, 10)
    cv2.fillConvexPoly(mask, cv2.convexHull(points[[0, 1, 5, 9, 13, 17]]), 255)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] / 255
    for colour in ((70, 70, 70), (240, 240, 240)):
        gloved = np.where(mask[..., None] > 0, np.clip(grey * 1.4 * colour, 0, 255), image).astype(np.uint8)
        poses = pipeline.source.estimator.estimate(gloved, bare.regions)
        away = np.linalg.norm(poses.keypoints[0] - bare.keypoints[0], axis=1) / np.ptp(points, axis=0).max()
        assert poses.subject_scores[0] > 0.5, colour
        assert np.median(away) < 0.1, colour
        assert len(show(pipeline, gloved)) <= 1
