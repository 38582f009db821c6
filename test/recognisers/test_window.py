# SPDX-License-Identifier: Apache-2.0
"""Windows: even steps of time, and nothing that was not seen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scenes.choreography import FRONT, Do, clip, perform, seen

from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.recognisers.window import Window
from pose_ros.skeletons import catalogue

K = 3
KIND = Skeleton("three", ("a", "b", "c"))
MS = 1_000_000


def see(window, time_ms, ids=(1,), skeleton=KIND, missing=(), **columns):
    """Put an image in which x of everything is the id times 1000 and the time."""
    x = np.array(ids)[:, None] * 1000.0 + time_ms + np.zeros(len(skeleton))
    keypoints = np.stack([x, x], axis=2)
    points = np.stack([x, x, x], axis=2)
    scores = np.full(x.shape, 0.5)
    for column in (keypoints, points):
        column[:, list(missing)] = np.nan
    scores[:, list(missing)] = 0
    window.put(Poses(skeleton, keypoints, scores, ids=np.array(ids, int), points=points, **columns), time_ms * MS,
               (640, 480))


def test_steps_are_even_and_between_images_is_interpolated():
    window = Window(KIND, 0.4)
    for time in (0, 30, 70, 110, 150):
        see(window, time)
    clip = window.clip(5, 0.02)
    np.testing.assert_array_equal(clip.stamps_ns, np.array([70, 90, 110, 130, 150]) * MS)
    np.testing.assert_allclose(clip.keypoints[0, :, 0, 0], [1070, 1090, 1110, 1130, 1150], rtol=1e-6)
    np.testing.assert_allclose(clip.points[0, :, 2, 2], [1070, 1090, 1110, 1130, 1150], rtol=1e-6)
    np.testing.assert_allclose(clip.scores, 0.5)
    np.testing.assert_allclose(clip.times, [-0.08, -0.06, -0.04, -0.02, 0])
    assert clip.size_wh == (640, 480)


def test_nothing_is_made_up_before_the_first_and_after_the_last_sight():
    window = Window(KIND, 1.0)
    see(window, 0, ids=(2,))
    for time in (20, 40):
        see(window, time, ids=(2, 1))
    see(window, 60, ids=(2, 1), missing=(1,))
    clip = window.clip(5, 0.02)
    np.testing.assert_array_equal(np.isfinite(clip.points[1, :, 0, 0]), [False, False, True, True, True])
    np.testing.assert_array_equal(np.isfinite(clip.keypoints[0, :, 1, 0]), [False, True, True, True, False])
    np.testing.assert_array_equal(clip.scores[0, :, 1] > 0, [False, True, True, True, False])


def test_short_gaps_are_closed_and_long_ones_stay():
    for gap, closed in ((100, True), (120, False)):
        window = Window(KIND, 1.0, max_gap_s=0.1)
        see(window, 0)
        see(window, 20, missing=(0, 1, 2))
        see(window, gap)
        clip = window.clip(3, gap / 2000)
        np.testing.assert_array_equal(np.isfinite(clip.keypoints[0, :, 0, 0]), [True, closed, True])


def test_who_has_no_id_is_in_no_clip_and_who_has_ended_is_forgotten():
    window = Window(KIND, 1.0)
    see(window, 0, ids=(0, 3, 0, 4))
    see(window, 20, ids=(0, 4, 3))
    np.testing.assert_array_equal(window.clip(2, 0.02).ids, [4, 3])
    np.testing.assert_allclose(window.clip(2, 0.02).keypoints[:, 0, 0, 0], [4000, 3000])
    see(window, 40, ids=(4,))
    window.forget(np.array([3]))
    see(window, 60, ids=(4, 3))
    assert np.isnan(window.clip(4, 0.02).keypoints[1, :3]).all()


def test_time_that_runs_backwards_starts_over_and_the_same_time_replaces():
    window = Window(KIND, 1.0)
    for time in (0, 20, 40, 30):
        see(window, time)
    np.testing.assert_array_equal(np.isfinite(window.clip(2, 0.01).keypoints[0, :, 0, 0]), [False, True])
    see(window, 50)
    see(window, 50, ids=(2, 1))
    np.testing.assert_allclose(window.clip(3, 0.01).keypoints[1, :, 0, 0], [1030, 1040, 1050])
    window.reset()
    see(window, 60)
    assert np.isnan(window.clip(2, 0.01).keypoints[0, 0]).all()


def test_nobody_gives_an_empty_clip():
    window = Window(KIND, 1.0)
    see(window, 0, ids=())
    clip = window.clip(4, 0.02)
    assert len(clip) == 0
    assert clip.points.shape == (0, 4, K, 3)
    assert clip.shapes.shape == (0, 4, K, 3)


def test_measures_are_those_of_the_source_in_whatever_skeleton():
    source = dataclasses.replace(catalogue.get("coco17"), measures=("left_knee_flexion",),
                                 units={"left_knee_flexion": "rad"})
    window = Window(catalogue.get("h36m17"), 1.0)
    for time in (0, 20):
        see(window, time, skeleton=source, measures=np.array([[time / 10]]))
    clip = window.clip(3, 0.01)
    assert clip.skeleton.measures == source.measures
    assert clip.skeleton.units == source.units
    np.testing.assert_allclose(clip.measures[0, :, 0], [0, 1, 2], atol=1e-6)
    assert clip.keypoints.shape[2] == 17
    # Without measures again.
    see(window, 40, skeleton=dataclasses.replace(source, measures=(), units={}))
    assert window.clip(3, 0.01).measures.shape == (1, 3, 0)


def test_a_camera_that_turns_and_drives_on_a_large_map_sees_people_where_they_were():
    """The past stands in the frame of the newest image, to a millimetre, wherever the map has its origin."""
    play = perform(Do("stand", 1.0))
    far = np.array([4.1e5, 5.2e6, 30.0])
    window = Window(catalogue.get("coco17"), 1.0)
    still = play.person.at(np.array([0.0]))[0]
    for i, (stamp, poses) in enumerate(seen([play], sigma_m=0, rate_hz=20)):
        angle = 0.02 * i
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        rotation, translation = FRONT.rotation @ turn, FRONT.translation + FRONT.rotation @ [0.01 * i, 0, 0]
        world = (poses.points - FRONT.translation) @ FRONT.rotation
        own = world @ rotation.T + translation
        window.put(poses.replace(points=own), stamp, (1280, 720), (rotation.T, -rotation.T @ translation + far))
    clip = window.clip(11, 0.05)
    assert np.abs(clip.points - clip.points[:, -1:]).max() < 2e-3
    np.testing.assert_allclose(clip.points[0, -1], own[0], atol=2e-3)
    assert np.ptp(still[..., 2]) > 1.5
    np.testing.assert_allclose(clip.up, rotation[:, 2])
    assert clip.up_known
    # Without that knowledge the camera is level.
    window.put(poses, stamp + MS, (1280, 720))
    assert not window.clip(2, 0.05).up_known
    np.testing.assert_array_equal(window.clip(2, 0.05).up, [0, -1, 0])


def test_clips_of_plays_are_those_of_their_end():
    play = perform(Do("stand", 2.0), Do("raise", 2.0, side="left"))
    one = clip([play], 4.0, steps=11, step_s=0.1)
    index = one.skeleton.index
    wrist, nose = one.heights[0, :, index["left_wrist"]], one.heights[0, :, index["nose"]]
    assert (wrist - nose > 0.2).all()
    before = clip([play], 1.5, steps=11, step_s=0.1)
    assert (before.heights[0, :, index["left_wrist"]] < before.heights[0, :, index["left_hip"]]).all()
    flat = clip([play], 4.0, steps=11, step_s=0.1, space="local_points")
    assert np.isnan(flat.points).all()
    np.testing.assert_allclose(flat.shapes[0] - flat.shapes[0, :, :1], one.shapes[0] - one.shapes[0, :, :1], atol=0.1)


@pytest.mark.parametrize("what", ["sit", "lie", "squat", "bend"])
def test_plays_know_when_postures_change(what):
    play = perform(Do("stand", 1.0), Do(what, 2.0), Do("stand", 1.0))
    assert [d.name for d in play.truth if not d.event] == ["standing", *play.at(play.truth[1].onset_s + 0.1),
                                                           "standing"]
    hips = play.person.at(np.array([0.5, play.truth[1].end_s - 0.8]))[0][:, 0, 2]
    assert hips[0] > 0.85
    assert hips[1] < 0.55 or what == "bend"
