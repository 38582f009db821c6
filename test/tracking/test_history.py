# SPDX-License-Identifier: Apache-2.0
"""The past of subjects at even steps: where it is known, it is what it was."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.tracking.history import History

K, MS = 3, 10**6


def see(history, time_ms, ids=(1,), missing=()):
    """Add an image in which every coordinate of subject i is its time in ms, plus 1000 i."""
    ids = np.array(ids, np.int64)
    keypoints = np.full((len(ids), K, 2), float(time_ms)) + 1000 * ids[:, None, None]
    keypoints[:, list(missing)] = np.nan
    scores = np.where(np.isnan(keypoints[..., 0]), 0, 0.5)
    return history(ids, keypoints, scores, round(time_ms * MS))


def test_times_between_images_are_interpolated():
    history = History(4, 0.02)
    for time in (0, 33, 66, 90):
        keypoints, scores = see(history, time)
    np.testing.assert_allclose(keypoints[0, :, 0, 0], [1030, 1050, 1070, 1090], atol=1e-3)
    np.testing.assert_allclose(scores, 0.5)
    assert keypoints.shape == (1, 4, K, 2)
    assert scores.shape == (1, 4, K)


@pytest.mark.parametrize("rate", [7.0, 30.0, 100.0])
def test_any_rate_of_images_gives_even_steps(rate):
    history = History(27, 0.02)
    for i in range(200):
        keypoints, _ = see(history, i * 1000 / rate)
    now = 199_000 / rate + 1000
    np.testing.assert_allclose(keypoints[0, :, 1, 0], now - 20 * np.arange(27)[::-1], atol=2e-2)


def test_before_the_first_sight_it_stays_as_it_was_there():
    history = History(5, 0.02)
    see(history, 0)
    keypoints, _ = see(history, 40)
    np.testing.assert_allclose(keypoints[0, :, 0, 0], [1000, 1000, 1000, 1020, 1040])


def test_one_moment_is_the_image_itself():
    history = History(1, 0.0)
    for time in (0, 10, 20):
        keypoints, _ = see(history, time)
        np.testing.assert_allclose(keypoints[0, 0, 0], 1000 + time)


def test_short_gaps_of_a_keypoint_are_filled_and_long_ones_unknown():
    history = History(6, 0.02, max_gap_s=0.1)
    for time in (0, 20, 40):
        see(history, time)
    keypoints, scores = see(history, 60, missing=[1])
    np.testing.assert_allclose(keypoints[0, :, 1, 0], [1000, 1000, 1000, 1020, 1040, 1040])
    assert (scores[0, -1] == 0.5).all()
    keypoints, _ = see(history, 80)
    np.testing.assert_allclose(keypoints[0, :, 1, 0], [1000, 1000, 1020, 1040, 1060, 1080], err_msg="filled afterwards")
    for time in range(100, 200, 20):
        keypoints, _ = see(history, time, missing=[1])
    assert np.isfinite(keypoints).all()
    keypoints, scores = see(history, 200, missing=[1])
    assert np.isnan(keypoints[0, :, 1]).all()
    assert not scores[0, :, 1].any()
    assert np.isfinite(keypoints[0, :, 0]).all()


def test_who_was_away_for_long_starts_anew():
    history = History(4, 0.02, max_gap_s=0.1)
    see(history, 0)
    see(history, 50, ids=(2,))
    keypoints, _ = see(history, 90, ids=(1, 2))
    np.testing.assert_allclose(keypoints[0, 0, 0, 0], 1030, err_msg="away for 90 ms")
    see(history, 150, ids=(2,))
    keypoints, _ = see(history, 200, ids=(2, 1))
    np.testing.assert_allclose(keypoints[1, :, 0, 0], 1200, err_msg="away for 110 ms")
    np.testing.assert_allclose(keypoints[0, :, 0, 0], [2140, 2160, 2180, 2200])


def test_who_has_no_id_has_no_past():
    history = History(3, 0.02)
    see(history, 0, ids=(0, 0, 4))
    keypoints, _ = see(history, 40, ids=(0, 4, 0))
    np.testing.assert_allclose(keypoints[..., 0, 0], [[40, 40, 40], [4000, 4020, 4040], [40, 40, 40]])


def test_time_that_runs_backwards_starts_over_and_the_same_time_replaces():
    history = History(3, 0.02)
    for time in (0, 20, 40):
        see(history, time)
    keypoints, _ = see(history, 30)
    np.testing.assert_allclose(keypoints[0, :, 0, 0], 1030)
    history(np.array([1]), np.full((1, K, 2), 7.0), np.ones((1, K)), 50 * MS)
    keypoints, scores = history(np.array([1]), np.full((1, K, 2), 9.0), np.ones((1, K)), 50 * MS)
    np.testing.assert_allclose(keypoints[0, -1], 9)
    assert scores[0, -1, 0] == 1


def test_nobody_and_another_skeleton_do_no_harm():
    history = History(3, 0.02)
    assert see(history, 0, ids=())[0].shape == (0, 3, K, 2)
    see(history, 20)
    assert see(history, 40, ids=())[1].shape == (0, 3, K)
    keypoints, _ = history(np.array([1]), np.ones((1, 5, 2)), np.ones((1, 5)), 60 * MS)
    assert keypoints.shape == (1, 3, 5, 2)


def test_input_is_not_kept_nor_changed():
    history = History(2, 0.02)
    keypoints, scores = np.ones((1, K, 2)), np.ones((1, K))
    keypoints.flags.writeable = scores.flags.writeable = False
    history(np.array([1]), keypoints, scores, 0)
    other = np.full((1, K, 2), 5.0)
    history(np.array([1]), other, np.ones((1, K)), 20 * MS)
    other[:] = 0
    found, _ = see(history, 40, ids=(1,))
    np.testing.assert_allclose(found[0, 0, 0], 5)


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("pose_ros.tracking.past._MOST", 40)
    history = History(10, 0.02, max_gap_s=0.1)
    sizes = []
    for i in range(2000):
        keypoints, _ = see(history, i, ids=(i // 100 + 1, 1000))
        sizes.append(history._past._data.size)
    assert max(sizes[500:]) <= 2 * max(sizes[:500])
    assert len(history._past._data) <= 80
    assert history._past._data.shape[1] < 10
    # 40 images of a millisecond are all that is kept; before that it stays as it was.
    assert keypoints[1, -1, 0, 0] - keypoints[1, 0, 0, 0] >= 39
