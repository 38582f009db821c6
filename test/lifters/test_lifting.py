# SPDX-License-Identifier: Apache-2.0
"""Lifting of what a camera saw of walking people, by networks that know the answer."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scenes import EPOCH_NS, Faults, at, observe, posed, walker
from scenes.scoring import score

from pose_ros.core.camera import Camera
from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses, Source
from pose_ros.errors import ConfigError
from pose_ros.lifters.base import Lifter
from pose_ros.lifters.lifting import Lifting, LiftingOptions
from pose_ros.lifters.sequence import SequenceLifter, SequenceOptions
from pose_ros.models import cards
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor
from pose_ros.skeletons import catalogue

HEIGHT = 1.8
H36M = catalogue.get("h36m17")
LIMBS = [i for i, joint in enumerate(H36M.joints) if joint.startswith(("left", "right"))]
KNOWN = LiftingOptions(height=HEIGHT, height_sigma=0.02)


def camera(size_wh=(1280, 720), model="plumb_bob"):
    return posed("c", (4.0, 0, 1.3), size_wh=size_wh, model=model)


def seen_by(posed_camera, points):
    """Return world points in the camera's frame."""
    return points @ posed_camera.rotation.T + posed_camera.translation


@cache
def learned(name, size_wh=(1280, 720), ahead=0, flip=False):
    """Return the plugin of a card with a network that knows one walk by heart: it looks up the most similar window."""
    card, view = cards.get(name), camera(size_wh)
    moments = card.input_wh[1]
    times = np.arange(-moments, 300) * 0.02
    points = seen_by(view, at(walker(HEIGHT), times).points(H36M)[:, 0])
    flat = points @ view.camera.K.T
    units = (flat[..., :2] / flat[..., 2:] - np.array(size_wh) / 2) / (size_wh[0] / 2)
    rows = np.arange(moments, len(times))
    windows = np.stack([units[i - moments + 1 + moments // 2 - ahead: i + 1] for i in rows])
    windows = np.pad(windows, ((0, 0), (0, moments // 2 - ahead), (0, 0), (0, 0)), mode="edge")[:, :, LIMBS]
    local = (points - points[:, :1])[rows - ahead]

    def network(batch):
        found = []
        for sample in batch:
            mirrored = flip and len(found) >= len(batch) // 2
            x = sample.transpose(1, 2, 0)
            x = x[:, H36M.flip_index] * [-1, 1] if mirrored else x
            best = local[np.square(windows - x[:, LIMBS]).sum(axis=(1, 2, 3)).argmin()]
            found.append(best[H36M.flip_index] * [-1, 1, 1] if mirrored else best)
        return {"points": np.array(found, np.float32).reshape(-1, 17, 3)}

    session = FakeSession(Tensor("image", (-1, 2, moments, 17)), [Tensor("points", (-1, 17, 3))], network)
    return SequenceLifter(Model(card, session), SequenceOptions(ahead=ahead, flip_test=flip))


def lift_all(lifting, recording, posed_camera, ids=1):
    """Return (shot, lifted poses) of everything that a camera saw."""
    image = np.zeros((*posed_camera.camera.size_wh[::-1], 3), np.uint8)
    out = []
    for shot in recording.of("c"):
        poses = shot.poses.replace(ids=np.full(len(shot.poses), ids))
        out.append((shot, lifting(poses, Frame(image, shot.stamp_ns, "c", posed_camera.camera))))
    return out


def local_error(recording, posed_camera, shot, poses, late_ns=0):
    """Return distances (K,) in metres of the lifted joints of the body, around the middle of them."""
    points = recording.truth(shot.stamp_ns - late_ns).points(poses.skeleton)[0, 0]
    truth = seen_by(posed_camera, points)
    found = poses.local_points[0]
    known = np.isfinite(found).all(axis=1)
    assert known.any()
    found, truth = found[known], truth[known]
    return np.linalg.norm((found - found.mean(0)) - (truth - truth.mean(0)), axis=1)


@pytest.mark.parametrize(("rate", "faults"), [
    (50.0, Faults(0.3, occlusion=False)),
    (30.0, Faults(1.0, occlusion=False, drops=0.1, jitter_s=0.004)),
    (12.0, Faults(1.0, occlusion=True)),
], ids=["as trained", "camera with drops", "slow with occlusion"])  # fmt: skip
@pytest.mark.parametrize("skeleton", ["coco17", "halpe26"])
def test_body_comes_out_as_it_is(rate, faults, skeleton):
    view = camera()
    recording = observe(walker(HEIGHT), view, skeleton, seconds=4, rate_hz=rate, faults=faults)
    results = lift_all(Lifting(learned("videopose3d-27"), KNOWN), recording, view)
    errors = [local_error(recording, view, *result).mean() for result in results[5:] if len(result[1])]
    assert len(errors) > 0.8 * len(results[5:])
    # Shoulders of H36M and of other sets differ by a few millimetres in the scene; the rest is time.
    assert np.median(errors) < 0.03
    assert np.quantile(errors, 0.95) < 0.06


def test_stands_where_it_is_and_knows_how_sure_that_is():
    view = camera()
    recording = observe(walker(HEIGHT), view, "coco17", seconds=4, faults=Faults(1.0, occlusion=False, drops=0.1))
    results = lift_all(Lifting(learned("videopose3d-27"), KNOWN), recording, view)
    found = score([(shot.stamp_ns, poses) for shot, poses in results[5:]], recording.people, view)
    assert np.median(found.errors_m) < 0.1
    assert found.switches == 0
    assert found.inside > 0.9
    assert (found.sources == Source.INFERRED).all()


def test_a_height_that_is_wrong_is_covered_by_its_sigma():
    view = camera()
    recording = observe(walker(HEIGHT), view, "coco17", seconds=2, faults=Faults(1.0, occlusion=False))
    results = lift_all(Lifting(learned("videopose3d-27")), recording, view)
    found = score([(shot.stamp_ns, poses) for shot, poses in results[5:]], recording.people, view)
    # 1.65 m in place of 1.8: a twelfth of four to five metres.
    assert 0.2 < np.median(found.errors_m) < 0.5
    assert found.inside > 0.9


def test_mirror_image_says_the_same():
    view = camera()
    recording = observe(walker(HEIGHT), view, "coco17", seconds=1, faults=Faults(0.5, occlusion=False))
    lifting = Lifting(learned("videopose3d-27", flip=True), KNOWN)
    errors = [local_error(recording, view, *result).mean() for result in lift_all(lifting, recording, view)[5:]]
    assert np.median(errors) < 0.03


def test_what_looks_ahead_is_late_by_as_much():
    view = camera()
    recording = observe(walker(HEIGHT), view, "coco17", seconds=2, faults=Faults(0.5, occlusion=False))
    lifting = Lifting(learned("videopose3d-27", ahead=13), KNOWN)
    results = lift_all(lifting, recording, view)[20:]
    late = [local_error(recording, view, *result, late_ns=13 * 20_000_000).mean() for result in results]
    now = [local_error(recording, view, *result).mean() for result in results]
    assert np.median(late) < 0.02
    assert np.median(now) > 3 * np.median(late)


class Answering(Lifter):
    """Says what it is told to, and keeps what it is asked."""

    def __init__(self, takes=H36M, skeleton=H36M, window=1, scale=0.0):
        self.takes, self.skeleton, self.window, self.ahead = takes, skeleton, window, 0
        self.step_s = 0.02 if window > 1 else 0.0
        self.scale, self.asked, self.answer = scale, [], None

    def metres_per_pixel(self, size_wh):
        return self.scale

    def lift(self, keypoints, scores, size_wh):
        assert np.isfinite(keypoints).all()
        assert np.isfinite(scores).all()
        self.asked.append((keypoints, scores))
        return np.broadcast_to(self.answer, (len(keypoints), len(self.skeleton), 3)).astype(np.float32)


@pytest.fixture
def scene():
    """A camera, the true joints of one moment in its frame, and poses of them."""
    view = camera(model="")
    points = seen_by(view, at(walker(HEIGHT), [0.7]).points("coco17")[0])
    keypoints = view.camera.project(points)
    return view, seen_by(view, at(walker(HEIGHT), [0.7]).points(H36M)[0]), Poses(
        catalogue.get("coco17"), keypoints, np.ones(keypoints.shape[:2]), ids=[1])


def frame(view, stamp_ns=0):
    return Frame(np.zeros((*view.camera.size_wh[::-1], 3), np.uint8), stamp_ns, "c", view.camera)


def test_what_is_seen_as_in_an_image_becomes_a_shape(scene):
    """MotionBERT says pixels around the root, and depth in the same scale: what is nearer is too large."""
    view, points, poses = scene
    pixels = view.camera.project(points)
    root = points[:, :1]
    scale = view.camera.K[0, 0] / root[..., 2:]
    lifter = Answering(scale=0.01)
    lifter.answer = np.concatenate([pixels - pixels[:, :1], (points - root)[..., 2:] * scale], axis=2) * 0.01
    found = Lifting(lifter, KNOWN)(poses, frame(view))
    shape = found.local_points[:, 5:]
    expected = (points - root)[:, [11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3]]
    np.testing.assert_allclose(shape / np.linalg.norm(shape), expected / np.linalg.norm(expected), atol=1e-3)
    without = Lifting(lifter, KNOWN)(poses, Frame(frame(view).image))
    assert without.points is None
    flat = without.local_points[:, 5:]
    assert np.abs(flat / np.linalg.norm(flat) - expected / np.linalg.norm(expected)).max() > 0.01


def test_keypoints_that_are_missing_are_filled_for_the_network_and_not_said(scene):
    view, points, poses = scene
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[:, [15, 16]], scores[:, [15, 16]] = np.nan, 0
    lifter = Answering()
    lifter.answer = points - points[:, :1]
    found = Lifting(lifter, KNOWN)(poses.replace(keypoints=keypoints, scores=scores, sources=None), frame(view))
    asked, sure = lifter.asked[0]
    np.testing.assert_allclose(asked[0, 0, 3], keypoints[0, 14], err_msg="the right knee stands for the right foot")
    assert sure[0, 0, 3] == 0
    assert np.isnan(found.local_points[0, [0, 1, 2, 3, 4, 15, 16]]).all()
    assert np.isfinite(found.local_points[0, 5:15]).all()
    assert found.sources[0, 15] == Source.MISSING
    assert (found.sources[0, 5:15] == Source.INFERRED).all()
    assert (found.sources[0, :5] == Source.MEASURED).all()


def test_of_whom_little_is_known_nothing_is_said(scene):
    view, points, poses = scene
    two = Poses(poses.skeleton, np.concatenate([poses.keypoints] * 2), np.ones((2, 17)), ids=[1, 2])
    two.keypoints[1, 9:] = np.nan
    lifter = Answering()
    lifter.answer = points - points[:, :1]
    found = Lifting(lifter, KNOWN)(two, frame(view))
    assert len(lifter.asked[0][0]) == 1
    assert np.isfinite(found.points[0, 5:]).all()
    assert np.isnan(found.points[1]).all()
    nobody = Lifting(lifter, KNOWN)(two.select(np.array([1])), frame(view))
    assert np.isnan(nobody.points).all()
    assert len(lifter.asked) == 1
    assert Lifting(lifter)(two.select(np.zeros(0, int)), frame(view)).local_points.shape == (0, 17, 3)


def test_lens_is_taken_away(scene):
    view, points, _ = scene
    bent = Camera(view.camera.K, view.camera.size_wh, np.array([-0.3, 0.1, 0, 0, 0]), "plumb_bob")
    coco = seen_by(view, at(walker(HEIGHT), [0.7]).points("coco17")[0])
    lifter = Answering()
    lifter.answer = points - points[:, :1]
    poses = Poses(catalogue.get("coco17"), bent.project(coco), np.ones((1, 17)), ids=[1])
    Lifting(lifter)(poses, Frame(frame(view).image, 0, "", bent))
    # Shoulders, elbows and wrists; hips, knees and ankles.
    order, ours = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], [11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3]
    np.testing.assert_allclose(lifter.asked[0][0][0, 0, ours], view.camera.project(coco)[0, order], atol=0.01)
    assert np.abs(bent.project(coco) - view.camera.project(coco)).max() > 1


def test_heads_are_made_of_eyes_and_noses_of_necks(scene):
    """As mmpose does for sets without them."""
    view, points, poses = scene
    lifter = Answering()
    lifter.answer = points - points[:, :1]
    Lifting(lifter)(poses, frame(view))
    asked = lifter.asked[0][0][0, 0]
    np.testing.assert_allclose(asked[10], poses.keypoints[0, 1:3].mean(axis=0), atol=1e-3)
    mpii = Poses(catalogue.get("mpii16"), np.random.default_rng(0).uniform(0, 500, (1, 16, 2)), np.ones((1, 16)))
    Lifting(lifter)(mpii, frame(view))
    asked = lifter.asked[1][0][0, 0]
    np.testing.assert_allclose(asked[9], (3 * asked[8] + asked[10]) / 4, atol=1e-3)


def test_bodies_that_lack_what_a_lifter_takes_are_refused():
    poses = Poses.empty(catalogue.get("mpii16"))
    with pytest.raises(ConfigError, match="all keypoints of 'coco17' can be made, got 'mpii16', which lacks nose"):
        Lifting(Answering(takes=catalogue.get("coco17")))(poses, Frame(np.zeros((4, 4, 3), np.uint8)))
    with pytest.raises(ConfigError, match="no keypoint in common"):
        Lifting(Answering()).check(catalogue.get("ap10k17"))


def test_state_ends_with_a_reset_and_when_time_runs_backwards(scene):
    view, points, poses = scene
    lifter = Answering(window=3)
    lifter.answer = points - points[:, :1]
    lifting = Lifting(lifter, KNOWN)
    moved = poses.replace(keypoints=poses.keypoints + 50)
    for stamp, begin in ((1000, False), (1020, True), (500, False)):
        if begin:
            lifting.reset()
        lifting(poses, frame(view, EPOCH_NS + stamp * 10**6))
        lifting(moved, frame(view, EPOCH_NS + (stamp + 40) * 10**6))
        asked = lifter.asked[-1][0][0, :, 1, 0] - poses.keypoints[0, 12, 0]
        np.testing.assert_allclose(asked, [0, 25, 50], atol=0.01)
