# SPDX-License-Identifier: Apache-2.0
"""People from heat maps and tags: planted crowds come back, and reference decoders say the same."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pose_ros.decode import embedding
from pose_ros.decode.embedding import people

DATA = Path(__file__).parents[1] / "data/networks"
sys.path.append(str(DATA))
import planted  # noqa: E402

ORDER = [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16]
#: A peak is a whole pixel, moved by a quarter towards its larger neighbour: the error is a quarter at most ...
STEP_PX = 0.25
#: ... unless the next blob of the same keypoint, six pixels away, is larger there.
CLOSE_PX = 0.75


def match(found: np.ndarray, places: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return for each planted person who is found: the one whose worst seen keypoint is nearest."""
    away = np.abs(found[None] - places[:, None]).max(axis=3)
    return np.where(seen[:, None], away, 0).max(axis=2).argmin(axis=1)


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("count", [1, 12, 30])
def test_a_crowd_comes_back(count, dimensions):
    """People overlap, some reach to the border; the authors' half pixel is on top."""
    places, heat, tags, seen = planted.crowd(count, 17, planted.CROWD_WH, dimensions=dimensions)
    found, scores, subject_scores = people(heat, tags, order=ORDER)
    assert len(found) == count
    who = match(found, places + 0.5, seen)
    assert sorted(who) == list(range(count))
    error = np.abs(found[who] - 0.5 - places).max(axis=2)
    assert error.max() < CLOSE_PX
    assert np.quantile(error, 0.95) <= STEP_PX + 1e-3
    heights = np.array([[heat[k, int(y), int(x)] for k, (x, y) in enumerate(p)] for p in found])
    np.testing.assert_array_equal(scores, heights)
    np.testing.assert_allclose(subject_scores, scores.mean(axis=1), rtol=1e-6)
    assert found.dtype == scores.dtype == subject_scores.dtype == np.float32


@pytest.mark.parametrize("dimensions", [1, 2])
def test_people_of_whom_a_part_is_not_seen_stay_in_one_piece(dimensions):
    places, heat, tags, seen = planted.crowd(30, 17, planted.CROWD_WH, missing=0.2, dimensions=dimensions)
    found, scores, subject_scores = people(heat, tags, order=ORDER)
    assert len(found) == 30
    who = match(found, places + 0.5, seen)
    assert sorted(who) == list(range(30))
    error = np.abs(found[who] - 0.5 - places).max(axis=2)
    assert error[seen].max() < CLOSE_PX
    np.testing.assert_allclose(subject_scores[who], np.where(seen, scores[who], 0).mean(axis=1), rtol=1e-6)
    # What is left of a blob that is too low to be a peak is found by the tags, unless another one covers it.
    assert (error[~seen] < 1).mean() > 0.6


def test_the_nearest_tag_counts_where_the_rounding_of_the_authors_leaves_a_choice():
    places, heat, tags, seen = planted.crowd(12, 17, planted.CROWD_WH, apart=0.45)
    found, _, _ = people(heat, tags, order=ORDER)
    assert len(found) == 12
    assert np.abs(found[match(found, places + 0.5, seen)] - 0.5 - places).max() < CLOSE_PX


@pytest.mark.parametrize("count", [1, 12, 30])
def test_with_udp_the_top_of_a_blob_is_found(count):
    places, heat, tags, seen = planted.crowd(count, 17, planted.CROWD_WH)
    found, _, _ = people(heat, tags, order=ORDER, udp=True)
    error = np.abs(found[match(found, places, seen)] - places).max(axis=2)
    # Three pixels from the border, and of one that is cut off nothing better is known than its highest pixel.
    inside = ((places > 3) & (places < np.array(planted.CROWD_WH) - 4)).all(axis=2)
    assert np.quantile(error[inside], 0.9) < 0.02
    assert error.max() < 1.5


@pytest.fixture(scope="module")
def recorded():
    with np.load(DATA / "higherhrnet.npz") as file:
        return {key.removeprefix("grouping/"): file[key] for key in file if key.startswith("grouping/")}


def test_peaks_of_noise_are_those_of_the_authors(recorded):
    heat, tags = planted.noise()
    found = embedding.peaks(heat, tags, 0.1, 30)
    assert (np.bincount(found.keypoints) == 30).all()
    columns = np.column_stack([found.x, found.y, found.scores, found.tags])
    np.testing.assert_array_equal(columns.reshape(17, 30, 5).astype(np.float32), recorded["peaks"])


@pytest.mark.parametrize(("count", "dimensions"), planted.CROWDS)
@pytest.mark.parametrize("udp", [False, True])
def test_agrees_with_mmpose(recorded, count, dimensions, udp):
    _, heat, tags, _ = planted.crowd(count, 17, planted.CROWD_WH, dimensions=dimensions)
    name = f"{'udp' if udp else 'mmpose'}/{count}/{dimensions}"
    found, scores, subject_scores = people(heat, tags, order=ORDER, udp=udp)
    expected = recorded[name]
    assert len(found) == len(expected) == count
    who = match(found, expected[..., :2], np.ones(expected.shape[:2], bool))
    # mmpose moves nothing at the first two pixels and at the last one, and where neighbours are equal.
    inside = ((expected[..., :2] > 3) & (expected[..., :2] < np.array(planted.CROWD_WH) - 3)).all(axis=2)
    np.testing.assert_allclose(found[who][inside], expected[inside][:, :2], atol=0.02)
    np.testing.assert_allclose(scores[who], expected[..., 2], rtol=1e-6)
    np.testing.assert_allclose(subject_scores[who], recorded[f"{name}/scores"], rtol=1e-5)


def test_the_authors_tear_people_to_pieces_of_whom_a_part_is_not_seen(recorded):
    """Which is why pairs that are too far apart do not compete here; see embedding._owners."""
    assert recorded["torn"] > 30


def test_nobody():
    for value in (0, 0.1, -1, np.nan, np.inf, -np.inf):
        heat, tags = np.full((17, 20, 30), value, np.float32), np.zeros((1, 17, 20, 30), np.float32)
        found, scores, subject_scores = people(heat, tags)
        assert found.shape == (0, 17, 2)
        assert scores.shape == (0, 17)
        assert subject_scores.shape == (0,)


def test_of_equal_neighbours_the_first_is_the_peak():
    heat = np.zeros((1, 9, 12), np.float32)
    heat[0, 3:5, 6:8] = 0.5
    found = embedding.peaks(heat, np.zeros((1, 1, 9, 12), np.float32), 0.1, 30)
    assert (found.x.tolist(), found.y.tolist()) == ([6], [3])


def test_peaks_at_the_border_and_closer_than_three_pixels():
    heat = np.zeros((2, 9, 12), np.float32)
    heat[0, 0, 0] = heat[0, 8, 11] = 0.5
    heat[1, 4, 4], heat[1, 4, 6], heat[1, 4, 9] = 0.9, 0.8, 0.7
    found = embedding.peaks(heat, np.zeros((1, 2, 9, 12), np.float32), 0.1, 30)
    assert list(zip(found.keypoints, found.x, found.y, strict=True)) == [(0, 0, 0), (0, 11, 8), (1, 4, 4), (1, 9, 4)]


def test_only_the_best_peaks_and_those_that_are_high_enough():
    _, heat, tags, _ = planted.crowd(12, 17, planted.CROWD_WH)
    found = embedding.peaks(heat, tags, 0.6, 5)
    assert (np.bincount(found.keypoints) <= 5).all()
    assert found.scores.min() > 0.6
    for k in range(17):
        best = np.sort(embedding.peaks(heat, tags, 0.6, 30).scores[embedding.peaks(heat, tags, 0.6, 30).keypoints == k])
        np.testing.assert_array_equal(found.scores[found.keypoints == k], best[::-1][:5])


@pytest.mark.parametrize(("order", "members"), [([0, 1, 2], [[0, 1, -1], [-1, -1, 2]]),
                                                ([1, 2, 0], [[-1, 1, 2], [0, -1, -1]])])
def test_the_order_decides_who_is_whose_when_tags_drift(order, members):
    places = np.arange(3)
    found = embedding.Peaks(places, places, places, np.ones(3), np.array([[0.0], [0.8], [1.6]]))
    assert embedding.grouped(found, order, 1.0, 30).tolist() == members


def test_a_peak_more_than_the_first_people_is_somebody_new():
    keypoints = np.array([0, 0, 0, 1, 1, 1])
    tags = np.array([[0.0], [5.0], [9.0], [9.0], [5.0], [0.0]])
    found = embedding.Peaks(keypoints, keypoints, keypoints, np.ones(6), tags)
    assert embedding.grouped(found, [0, 1], 1.0, 30).tolist() == [[0, 5], [1, 4], [2, 3]]
    assert embedding.grouped(found, [0, 1], 1.0, 2).tolist() == [[0, 5], [1, 4], [2, -1], [-1, 3]]


def test_rivals_are_given_so_that_most_belong_to_somebody():
    """The first peak is near to both people, the second to one; the better peak wins where there is one person."""
    found = embedding.Peaks(np.array([0, 0, 1, 1]), np.zeros(4, int), np.zeros(4, int), np.array([1, 1, 0.5, 0.9]),
                            np.array([[0.0], [0.9], [0.3], [-0.4]]))
    assert embedding.grouped(found, [0, 1], 1.0, 30).tolist() == [[0, 3], [1, 2]]
    one = embedding.Peaks(found.keypoints[1:], found.x[1:], found.y[1:], found.scores[1:], np.zeros((3, 1)))
    assert embedding.grouped(one, [0, 1], 1.0, 30).tolist() == [[0, 2], [-1, 1]]


def test_a_missing_keypoint_goes_where_the_tag_is_right():
    """One person of two keypoints. What is higher has another's tag, which costs as much as it differs, rounded."""
    heat, tags = np.zeros((2, 32, 32), np.float32), np.full((1, 2, 32, 32), 9, np.float32)
    heat[0, 20, 20], tags[0, 0, 20, 20] = 0.8, 1.0
    heat[1, 5, 5], tags[0, 1, 5, 5] = 0.09, 1.4
    heat[1, 5, 25], tags[0, 1, 5, 25] = 0.095, 1.6
    found, scores, _ = people(heat, tags)
    np.testing.assert_allclose(found[0, 1], [5.25, 5.25])
    np.testing.assert_allclose(scores[0], [0.8, 0.09])
    heat[1, 5, 5] = 0
    tags[0, 1] = 1.0
    heat[1] = -0.1
    assert np.isnan(people(heat, tags)[0][0, 1]).all(), "where the map has nothing there is no keypoint"


def test_leaves_its_input_alone():
    _, heat, tags, _ = planted.crowd(3, 17, (64, 48), missing=0.3)
    before = heat.copy(), tags.copy()
    people(heat, tags, order=ORDER)
    people(heat, tags, order=ORDER, udp=True)
    np.testing.assert_array_equal(heat, before[0])
    np.testing.assert_array_equal(tags, before[1])
