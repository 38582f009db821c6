# SPDX-License-Identifier: Apache-2.0
"""Ids of people who cross and hide one another, as a camera with every fault sees them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from scenes import Faults, Person, circling, crossing, observe, posed

from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.skeletons import catalogue
from pose_ros.tracking.track import Tracker, TrackerOptions

SEEN = {"sigma_px": 3, "spread": 0.4, "outliers": 0.02}
COCO = catalogue.get("coco17")


def changes(tracker: Tracker, frames: Iterable[tuple[int, Sequence[int], Poses]]) -> int:
    """Return how often a person's id is another one than before."""
    last: dict[int, int] = {}
    count = 0
    for stamp_ns, people, poses in frames:
        ids = tracker.update(poses, stamp_ns)[0].ids.tolist()
        assert len(set(ids)) == len(ids)
        for person, number in zip(people, ids, strict=True):
            count += last.get(person, number) != number
            last[person] = number
    return count


@pytest.mark.parametrize(
    ("people", "rate_hz", "faults", "most"),
    [
        (crossing(2), 30, Faults(**SEEN, misses=0.03), 0),
        (crossing(4), 30, Faults(**SEEN, misses=0.03), 0),
        (crossing(4), 30, Faults(**SEEN, misses=0.03, guess=True), 0),
        (crossing(4), 10, Faults(**SEEN, misses=0.1, drops=0.1), 0),
        (crossing(4), 5, Faults(**SEEN, misses=0.05), 2),
        (circling(5, 2.0), 10, Faults(**SEEN, misses=0.1, drops=0.1), 1),
    ],
    ids=["two", "four", "four, hidden keypoints guessed", "four at 10 Hz, images lost", "four at 5 Hz", "a circle"],
)
def test_people_who_hide_one_another_keep_their_ids(people: list[Person], rate_hz, faults, most):
    count = 0
    for seed in range(2):
        angle = 0.3 + 1.7 * seed
        camera = posed("camera", (4.5 * np.cos(angle), 4.5 * np.sin(angle), 1.5), target=(0, 0, 0.9))
        shots = observe(people, camera, seconds=6, rate_hz=rate_hz, faults=faults, seed=seed).of("camera")
        # Nobody may be hidden for longer than the tracker waits.
        frames = [(shot.stamp_ns, shot.true_ids.tolist(), shot.poses) for shot in shots]
        count += changes(Tracker(TrackerOptions(max_lost=2.0)), frames)
    assert count <= most


def dance(testdata) -> np.ndarray:
    """Return 450 frames of one dancer, (450, 17, 2) pixels and their scores."""
    h5py = pytest.importorskip("h5py", reason="h5py reads the labels of the dancer")
    with h5py.File(testdata / "video" / "sleap_dance.labels.slp") as file:
        instances, points = file["instances"][:], file["pred_points"][:]
    rows = instances[instances["instance_type"] == 1]
    rows = rows[np.argsort(rows["frame_id"], kind="stable")]
    at = rows["point_id_start"].astype(np.int64)[:, None] + np.arange(17)
    return np.stack([points[name][at] for name in ("x", "y", "score")], axis=-1)


@pytest.mark.parametrize("every", [1, 3, 6])
def test_two_real_dancers_who_pass_one_another_keep_their_ids(testdata, every):
    """One dancer of a video twice, ten seconds apart, who change sides four times; the nearer one hides the other."""
    one = dance(testdata)
    two = np.roll(one, 300, axis=0)
    way = 180 * np.cos(np.arange(len(one)) / len(one) * 4 * np.pi)
    frames = []
    for i in range(0, len(one), every):
        near, far = one[i].copy(), two[i].copy()
        near[:, 0] += way[i]
        far[:, :2] = far[:, :2] * 0.8 + [60 - way[i], 60]
        (x0, y0), (x1, y1) = np.nanmin(near[:, :2], axis=0), np.nanmax(near[:, :2], axis=0)
        middle = (x0 + x1) / 2, (x1 - x0) / 4
        hidden = (abs(far[:, 0] - middle[0]) < middle[1]) & (far[:, 1] > y0) & (far[:, 1] < y1)
        far[hidden] = np.nan, np.nan, 0
        both = np.stack([near, far])
        shown = [0, 1] if np.isfinite(far[:, 0]).sum() >= 4 else [0]
        shown = shown[:: 1 - 2 * (i % 2)]
        poses = Poses(COCO, both[shown, :, :2], np.nan_to_num(both[shown, :, 2]))
        frames.append((round(i / 30 * 1e9), shown, poses))
    assert any(len(people) == 1 for _, people, _ in frames), "one hides the other"
    assert changes(Tracker(TrackerOptions(max_lost=2.0)), frames) == 0


@pytest.mark.parametrize("every", [1, 6])
def test_three_real_people_in_a_room_keep_their_ids(testdata, rng, every):
    """Of CMU Panoptic, in metres alone, in another order every time; a fifth of the keypoints is missing."""
    folder = testdata / "multiview" / "panoptic_160906_band1" / "hdPose3d_stage1_coco19"
    skeleton, frames = Skeleton("coco19", tuple(map(str, range(19)))), []
    for i, path in enumerate(sorted(folder.glob("*.json"))[::every]):
        bodies = json.loads(path.read_text())["bodies"]
        joints = np.array([body["joints19"] for body in bodies]).reshape(-1, 19, 4)
        missing = (joints[..., 3] < 0) | (rng.random(joints.shape[:2]) < 0.2)
        points = np.where(missing[..., None], np.nan, joints[..., :3] / 100)
        order = rng.permutation(len(bodies))
        poses = Poses(skeleton, np.full((len(bodies), 19, 2), np.nan), ~missing, points=points).select(order)
        frames.append((round(i * every / 29.97 * 1e9), [bodies[row]["id"] for row in order], poses))
    assert {len(people) for _, people, _ in frames} == {3}
    assert changes(Tracker(), frames) == 0
