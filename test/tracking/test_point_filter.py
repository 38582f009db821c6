# SPDX-License-Identifier: Apache-2.0
"""Points in metres over time: gaps, outliers, ids, frames, other times."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import at, crossing

from pose_ros.core.poses import Poses, Source, TrackState
from pose_ros.core.skeleton import Skeleton
from pose_ros.tracking.point_filter import FilterOptions, PointFilter

SKELETON = Skeleton("three", ("a", "b", "c"))
STEP = 33_000_000
SIGMA = 0.01


def seen(points: np.ndarray, ids: list[int] | None = None, covariance: float | None = SIGMA**2, **columns) -> Poses:
    points = np.asarray(points, np.float64)
    n, k = points.shape[:2]
    if covariance is not None:
        columns["covariances"] = np.broadcast_to(covariance * np.eye(3), (n, k, 3, 3))
    finite = np.isfinite(points).all(axis=2)
    columns.setdefault("sources", np.where(finite, Source.MEASURED, Source.MISSING))
    return Poses(
        columns.pop("skeleton", SKELETON), np.full((n, k, 2), np.nan), finite, ids=np.array(ids or range(1, n + 1)),
        points=points, **columns,
    )  # fmt: skip


def line(step: int, n: int = 1) -> np.ndarray:
    """Return keypoints that move at 1 m/s along x, and stand 3 m away."""
    places = np.array([[0, 0, 3], [0, 1, 3], [1, 0, 4]]) + np.array([1.0, 0, 0]) * step * STEP * 1e-9
    return places + 10 * np.arange(n)[:, None, None]


def settled(points: PointFilter, steps: int = 20, n: int = 1) -> Poses:
    for step in range(steps):
        poses = points(seen(line(step, n)), step * STEP)
    return poses


@pytest.mark.parametrize(("kind", "lag_s"), [("kalman", 0.003), ("one_euro", 0.015)])
def test_noise_becomes_less_at_constant_speed(rng, kind, lag_s):
    points, errors = PointFilter(FilterOptions(kind=kind)), []
    for step in range(90):
        noise = SIGMA * rng.standard_normal((1, 3, 3))
        found = points(seen(line(step) + noise), step * STEP)
        errors.append([found.points[0] - line(step)[0], noise[0]])
    mine, raw = np.array(errors[30:]).transpose(1, 0, 2, 3)
    assert mine.std() < 0.9 * raw.std()
    assert np.abs(mine.mean(axis=(0, 1))).max() < lag_s, "at 1 m/s"


def test_none_is_what_came():
    poses = seen(line(0))
    assert PointFilter(FilterOptions(kind="none"))(poses, 0) is poses


def test_a_gap_is_predicted_for_a_while_and_the_covariance_says_so():
    points = PointFilter(FilterOptions(max_gap=0.3))
    before = settled(points)
    found = []
    for step in range(20, 32):
        gap = line(step)
        gap[0, 1] = np.nan
        found.append(points(seen(gap), step * STEP))
    for poses, step in zip(found[:8], range(20, 28), strict=True):
        assert poses.sources[0].tolist() == [Source.MEASURED, Source.HELD, Source.MEASURED]
        np.testing.assert_allclose(poses.points[0, 1], line(step)[0, 1], atol=0.01)
    variances = [p.covariances[0, 1, 0, 0] for p in (before, *found[:8])]
    assert (np.diff(variances) > 0).all()
    # 0.3 s after it was seen last (step 19) is step 28.09.
    assert np.isfinite(found[8].points).all()
    assert np.isnan(found[9].points[0, 1]).all()
    assert np.isnan(found[9].covariances[0, 1]).all()
    assert found[9].sources[0, 1] == Source.MISSING
    back = points(seen(line(32)), 32 * STEP)
    assert back.sources[0, 1] == Source.MEASURED


def test_no_points_at_all_is_a_gap_as_well():
    points = PointFilter()
    settled(points)
    blind = seen(line(20)).replace(points=None, covariances=None, sources=np.zeros((1, 3)))
    found = points(blind, 20 * STEP)
    np.testing.assert_allclose(found.points, line(20), atol=0.005)
    assert (found.sources == Source.HELD).all()
    assert PointFilter()(blind, 0).points is None


def test_what_others_predicted_is_no_measurement():
    points = PointFilter()
    settled(points)
    wrong = seen(line(20) + 0.015, sources=np.full((1, 3), Source.HELD), states=np.array([TrackState.PREDICTED]))
    found = points(wrong, 20 * STEP)
    np.testing.assert_allclose(found.points, line(20), atol=0.002)
    assert (found.sources == Source.HELD).all()


def test_lost_subjects_are_not_predicted():
    points = PointFilter()
    settled(points)
    lost = seen(np.full((1, 3, 3), np.nan), states=np.array([TrackState.LOST]))
    found = points(lost, 20 * STEP)
    assert np.isnan(found.points).all()
    assert (found.sources == Source.MISSING).all()


def test_an_outlier_is_held_back_and_believed_when_it_stays():
    points = PointFilter(FilterOptions(max_outlier=0.1))
    settled(points)
    away = []
    for step in range(20, 28):
        jump = line(step)
        jump[0, 2] += [0, 0, 1]  # such as the wall behind a hand
        found = points(seen(jump), step * STEP)
        away.append(abs(float(found.points[0, 2, 2]) - 4))
        assert found.sources[0].tolist()[:2] == [Source.MEASURED] * 2
        np.testing.assert_allclose(found.points[0, :2], line(step)[0, :2], atol=0.005)
        assert found.sources[0, 2] == (Source.HELD if step < 24 else Source.MEASURED)
    # It is less and less sure that it was wrong; 0.1 s after the first one it is where it is said to be.
    assert max(away[:3]) < 0.1
    assert min(away[4:]) > 0.98


def test_ids_tell_who_is_who_and_come_back():
    points = PointFilter(FilterOptions(lasting=0))
    settled(points, n=2)
    swapped = points(seen(line(20, 2)[::-1], [2, 1]), 20 * STEP)
    np.testing.assert_allclose(swapped.points, line(20, 2)[::-1], atol=0.005)
    points(seen(line(21, 2)[:1]), 21 * STEP)
    spread = points(seen(line(22, 2)), 22 * STEP).covariances[:, 0, 0, 0]
    assert spread[1] < SIGMA**2, "who was away for one image is remembered"
    new = points(seen(line(23, 3)), 23 * STEP)
    np.testing.assert_allclose(new.covariances[2, 0], SIGMA**2 * np.eye(3), rtol=0.01)
    # Nobody is remembered for ever.
    points(seen(np.empty((0, 3, 3))), 23 * STEP + 2_000_000_000)
    assert len(points._memory.ids) == 0


def test_subjects_without_an_id_pass_unchanged():
    points = PointFilter()
    for step in range(3):
        poses = seen(line(step, 2) + 0.01 * step, [0, 0])
        np.testing.assert_array_equal(points(poses, step * STEP).points, poses.points)
    points(seen(line(3)), 3 * STEP)
    assert points._memory.ids.tolist() == [1], "nobody is remembered without a name"


def test_points_without_a_covariance_have_the_noise_of_the_options():
    points = PointFilter(FilterOptions(noise=0.05))
    found = points(seen(line(0), covariance=None), 0)
    np.testing.assert_allclose(found.covariances[0, 0], 0.05**2 * np.eye(3), rtol=1e-5)
    given = np.broadcast_to(SIGMA**2 * np.eye(3), (1, 3, 3, 3)).copy()
    given[0, 1] = np.nan
    found = PointFilter(FilterOptions(noise=0.05))(seen(line(0), covariance=None, covariances=given), 0)
    np.testing.assert_allclose(found.covariances[0, :, 0, 0] ** 0.5, [SIGMA, 0.05, SIGMA], rtol=1e-3)


def test_covariances_of_zeros_do_no_harm():
    points = PointFilter()
    for step in (0, 0, 1, 1, 2, 3):
        found = points(seen(line(step), covariance=0.0), step * STEP)
        assert np.isfinite(found.points).all()
        assert np.isfinite(found.covariances).all()


def test_a_jump_back_in_time_starts_over():
    points = PointFilter()
    settled(points)
    found = points(seen(line(0) + 5), 0)
    np.testing.assert_allclose(found.points, line(0) + 5, atol=1e-5)
    assert (found.sources == Source.MEASURED).all()


def test_another_skeleton_or_kind_starts_over():
    points = PointFilter()
    settled(points)
    other = Skeleton("one", ("a",))
    assert points(seen(line(20)[:, :1], skeleton=other), 20 * STEP).points.shape == (1, 1, 3)
    points.options = FilterOptions(kind="one_euro")
    np.testing.assert_allclose(points(seen(line(21)), 21 * STEP).points, line(21), atol=1e-6)


@pytest.mark.parametrize("kind", ["kalman", "one_euro"])
def test_a_camera_that_moves_filters_in_a_frame_that_does_not(rng, kind):
    """Same answers as a camera that stands, seen from the camera; a filter in the camera's own frame would lag."""
    still, moving, own = (PointFilter(FilterOptions(kind=kind)) for _ in range(3))
    off = []
    for step in range(60):
        angle, shift = 0.8 * np.sin(0.2 * step), np.array([0.3 * np.cos(0.3 * step), 0, 0.1])
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        room = line(step) + SIGMA * rng.standard_normal((1, 3, 3))
        spread = np.broadcast_to(np.diag([1e-4, 2e-4, 9e-4]), (1, 3, 3, 3))
        expected = still(seen(room, covariance=None, covariances=spread), step * STEP)
        poses = seen((room - shift) @ turn, covariance=None, covariances=turn.T @ spread @ turn)
        found = moving(poses, step * STEP, turn, shift)
        np.testing.assert_allclose(found.points @ turn.T + shift, expected.points, atol=1e-5)
        np.testing.assert_allclose(turn @ found.covariances @ turn.T, expected.covariances, atol=1e-7)
        lagging = own(poses, step * STEP)
        off.append([np.abs(p.points @ turn.T + shift - line(step)).mean() for p in (found, lagging)])
    mine, wrong = np.mean(off[20:], axis=0)
    assert mine < 0.9 * wrong


@pytest.mark.parametrize("kind", ["kalman", "one_euro"])
def test_points_are_predicted_to_now(kind):
    points = PointFilter(FilterOptions(kind=kind))
    poses = settled(points, 40)
    later = points.predicted(poses, 39 * STEP + 100_000_000)
    expected = line(39) + np.array([0.1, 0, 0])
    np.testing.assert_allclose(later.points, expected, atol=0.015)
    assert (later.covariances[0, :, 0, 0] > poses.covariances[0, :, 0, 0]).all()
    np.testing.assert_array_equal(later.keypoints, poses.keypoints)
    for stamp in (39 * STEP, 38 * STEP):
        np.testing.assert_array_equal(points.predicted(poses, stamp).points, poses.points)
    # What is asked of it does not change what it knows.
    np.testing.assert_allclose(points(seen(line(40)), 40 * STEP).points, line(40), atol=0.015)


def test_nothing_is_predicted_of_nothing():
    poses = seen(line(0)).replace(points=None, covariances=None)
    for kind in ("none", "one_euro", "kalman"):
        points = PointFilter(FilterOptions(kind=kind))
        assert points.predicted(poses, STEP).points is None
        points(poses, 0)
        assert points.predicted(poses, STEP).points is None


def test_a_prediction_is_seen_from_the_camera():
    points = PointFilter()
    turn, shift = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([1.0, 2, 3])
    for step in range(30):
        poses = points(seen((line(step) - shift) @ turn), step * STEP, turn, shift)
    later = points.predicted(poses, 29 * STEP + 100_000_000, turn, shift)
    np.testing.assert_allclose(later.points @ turn.T + shift, line(29) + np.array([0.1, 0, 0]), atol=0.01)


def test_predictions_of_people_who_walk_are_honest(rng):
    """Three people with outliers and gaps: the error of what is held and of what is said of 0.1 s later."""
    people, rate = crossing(3), 30
    times = np.arange(6 * rate) / rate
    truth, ahead = at(people, times).points("coco17"), at(people, times + 0.1).points("coco17")
    points, errors, held, errors_later = PointFilter(FilterOptions(lasting=0)), [], [], []
    for step, place in enumerate(truth):
        now = place + 0.02 * rng.standard_normal(place.shape)
        now[rng.random(now.shape[:2]) < 0.02] += 0.5
        now[rng.random(now.shape[:2]) < 0.1] = np.nan
        stamp = round(step / rate * 1e9)
        found = points(seen(now, covariance=0.02**2, skeleton=_coco()), stamp)
        for result, wanted, into in (
            (found, place, errors), (points.predicted(found, stamp + 100_000_000), ahead[step], errors_later)
        ):  # fmt: skip
            off = result.points.astype(np.float64) - wanted
            into.append(np.einsum("nki,nkij,nkj->nk", off, np.linalg.inv(result.covariances.astype(float)), off) / 3)
        held.append(found.sources == Source.HELD)
    skip = slice(rate // 2, None)
    every, kept = np.array(errors)[skip], np.array(held)[skip]
    assert 0.8 < np.nanmean(every) < 1.3
    assert 0.05 < kept.mean() < 0.2
    assert np.nanmean(every[kept]) < 2
    assert 0.5 < np.nanmean(errors_later[rate // 2 :]) < 1.5


@pytest.mark.parametrize("rate_hz", [10, 30, 60])
def test_errors_that_last_are_in_the_covariance(rng, rate_hz):
    """Errors that fade in 0.13 s, of keypoints that move with random accelerations; the same if they are inferred."""
    kinds = {
        "known": (FilterOptions(), Source.MEASURED), "not known": (FilterOptions(lasting=0), Source.MEASURED),
        "inferred": (FilterOptions(), Source.INFERRED),
    }  # fmt: skip
    squares, places = {}, {}
    sigma, n, steps = 0.02, 60, 4 * rate_hz
    pushes = rng.normal(0, 2 / np.sqrt(rate_hz), (steps, n, 3, 3))
    truth = np.cumsum(np.cumsum(pushes, axis=0), axis=0) / rate_hz
    keep, errors = np.exp(-1 / (0.13 * rate_hz)), [rng.standard_normal((n, 3, 3))]
    for _ in range(1, steps):
        errors.append(keep * errors[-1] + np.sqrt(1 - keep**2) * rng.standard_normal((n, 3, 3)))
    for name, (options, source) in kinds.items():
        points, found = PointFilter(options), []
        for step, (place, error) in enumerate(zip(truth, errors, strict=True)):
            now = seen(place + sigma * error, covariance=sigma**2, sources=np.full((n, 3), source))
            poses = points(now, round(step / rate_hz * 1e9))
            off = poses.points.astype(np.float64) - place
            found.append(np.einsum("nki,nkij,nkj->nk", off, np.linalg.inv(poses.covariances.astype(float)), off))
        squares[name], places[name] = np.array(found[rate_hz:]), poses.points
    assert squares["known"].mean() / 3 == pytest.approx(1, abs=0.1)
    assert (squares["known"] < 7.8147).mean() == pytest.approx(0.95, abs=0.015)
    assert squares["not known"].mean() > squares["known"].mean() + (0.2 if rate_hz == 10 else 1)
    np.testing.assert_array_equal(places["known"], places["not known"])
    # What is inferred is taken as news only in part: too careful where the filter follows faster than the errors fade.
    assert 0.3 < squares["inferred"].mean() / 3 < 1.2


def _coco() -> Skeleton:
    from pose_ros.skeletons import catalogue

    return catalogue.get("coco17")
