# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
from scenes import Faults, crossing, observe, rig

from pose_ros.multiview import offsets, people
from pose_ros.skeletons import catalogue

COCO = catalogue.get("coco17")
#: How much later than the first each camera sees what its stamps say.
LATE = (0.0, 0.43, -0.21)


def recorded(late: tuple[float, ...], seconds: float = 4.0, **faults: float) -> tuple:
    """Return cameras, stamps and tracks of two people whose paths cross; stamps do not say what is late."""
    true = rig(3)
    options = Faults(**({"sigma_px": 2.0, "outliers": 0.02, "occlusion": False} | faults), offsets_s=late)
    recording = observe(crossing(2), true, "coco17", seconds=seconds, rate_hz=20.0, faults=options, seed=1)
    ticks = recording.ticks()
    tracks = [np.full((2, len(ticks), 17, 3), np.nan) for _ in true]
    for t, shots in enumerate(ticks):
        for v, shot in enumerate(shots):
            for row, who in enumerate([] if shot is None else shot.true_ids):
                if who > 0:
                    tracks[v][who - 1, t] = np.column_stack([shot.poses.keypoints[row], shot.poses.scores[row]])
    stamps = [np.arange(len(ticks)) / 20.0] * 3
    return {c.name: c.camera for c in true}, stamps, tracks


def test_half_a_second_is_found_to_a_frame():
    cameras, stamps, tracks = recorded(LATE)
    joints = [people._joints(track, COCO) for track in tracks]
    np.testing.assert_allclose(offsets.compare(cameras, stamps, joints, 0.5), LATE, atol=0.03)
    # What is not looked for is not found.
    assert np.abs(offsets.compare(cameras, stamps, joints, 0.1)).max() <= 0.1


def test_parts_of_a_frame_are_found_with_the_cameras():
    cameras, stamps, tracks = recorded((0.0, 0.031, -0.012))
    found = people.find_rig(cameras, tracks, COCO, 1.7, stamps, 0.1)
    for ours, sigma, late in zip(found.offsets_s, found.offset_deviations_s, (0.0, 0.031, -0.012), strict=True):
        assert abs(ours - late) < 0.006
        assert (sigma > 0) == (late != 0)
    plain = people.find_rig(cameras, tracks, COCO, 1.7, stamps)
    assert not plain.offsets_s.any()
    spread = [np.nanmedian(np.linalg.norm(one.adjusted.residuals, axis=-1)) for one in (found, plain)]
    assert spread[0] < 0.8 * spread[1]


def test_clocks_that_agree_are_left_alone():
    cameras, stamps, tracks = recorded((0.0, 0.0, 0.0))
    found = people.find_rig(cameras, tracks, COCO, 1.7, stamps, 0.1)
    assert np.abs(found.offsets_s).max() < 0.003
    exact = people.find_rig(cameras, tracks, COCO, 1.7)
    if not found.offsets_s.any():
        np.testing.assert_allclose(found.adjusted.translations, exact.adjusted.translations, atol=1e-6)


def test_tracks_at_other_times():
    stamps = np.array([0.0, 0.1, 0.2, 1.0, 1.1])
    tracks = np.stack([10 * stamps, stamps - 1], axis=1)[None, :, None]
    tracks[0, 1] = np.nan
    at = np.array([-0.1, 0.0, 0.05, 0.2, 0.6, 1.04, 1.1, 1.2])
    np.testing.assert_allclose(
        offsets.resampled(stamps, tracks, at)[0, :, 0, 0], [np.nan, 0, np.nan, 2, np.nan, 10.4, 11, np.nan], atol=1e-9
    )
    assert np.isnan(offsets.resampled(stamps[:1], tracks[:, :1], at)).all()


def test_speeds_take_what_is_known():
    places = np.array([0.0, 1.0, np.nan, 3.0, 5.0])[None, None, :, None, None] * np.ones(2)
    fast = offsets.speeds(places, np.arange(5) / 2)
    np.testing.assert_allclose(fast[0, 0, :, 0, 0], [2, 2, 0, 4, 4])
