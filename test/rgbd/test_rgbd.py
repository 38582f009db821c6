# SPDX-License-Identifier: Apache-2.0
"""Metres from depth images of bodies whose joints are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scenes import Faults, at, crossing, line, observe, posed
from scenes.depth import DepthFaults, render
from scenes.people import Person

from pose_ros.anatomy.limbs import LimbLengths, limbs
from pose_ros.core.camera import Camera
from pose_ros.core.depth import Depth
from pose_ros.core.poses import Poses, Source
from pose_ros.multiview.rig import PosedCamera
from pose_ros.rgbd.complete import complete
from pose_ros.rgbd.measure import DepthMeasurer, measured
from pose_ros.rgbd.options import DepthOptions
from pose_ros.skeletons import catalogue

COCO = catalogue.get("coco17")
BODY = slice(5, 17)
SEEN = posed("colour", (0, 0, 1.2), (4, 0, 0.95), (640, 480))
FAULTS = DepthFaults(noise_m=0.0015, holes=0.05, step_m=0.1)


def standing(distance: float = 2.5, yaw: float = np.pi, **moves: Any) -> Person:
    """Return a person who stands before the camera and faces it."""
    side = np.array([np.cos(yaw), np.sin(yaw)])
    place = np.array([distance, 0.0])
    return Person(line(place, place + side), 1.75, 0.0, gait=0.0, **moves)


def poses_of(people: list[Person], camera: PosedCamera = SEEN, name: str = "coco17") -> tuple[Poses, np.ndarray]:
    """Return what a perfect network says, with ids, and the joints in the camera's frame."""
    truth = at(people, 0.0)
    joints = truth.points(name)[0]
    poses = Poses(catalogue.get(name), camera.project(joints), np.full(joints.shape[:2], 0.9), ids=truth.ids)
    return poses, joints @ camera.rotation.T + camera.translation


def depth_of(people: list[Person], camera: PosedCamera = SEEN, wall_m: float = 3.1, **arguments: Any) -> Depth:
    return render(at(people, 0.0), 0, camera, wall_m=wall_m, **{"faults": FAULTS, **arguments}).depth


def errors(poses: Poses, joints: np.ndarray) -> np.ndarray:
    """Return (N, K) metres."""
    assert poses.points is not None
    return np.linalg.norm(poses.points - joints, axis=2)


@pytest.mark.parametrize(("distance", "worst"), [(2.3, 0.06), (3.0, 0.06), (4.0, 0.06), (6.0, 0.08)])
def test_joints_before_a_wall_are_measured(distance: float, worst: float) -> None:
    people = [standing(distance)]
    poses, joints = poses_of(people)
    result = measured(poses, SEEN.camera, depth_of(people, wall_m=distance + 0.5))
    assert (result.sources[:, BODY] == Source.MEASURED).all()
    assert errors(result, joints)[:, BODY].max() < worst
    # In the optical frame, points are where the keypoints are.
    pixels = SEEN.camera.project(result.points)
    np.testing.assert_allclose(pixels[:, BODY], poses.keypoints[:, BODY], atol=0.01)
    assert result.points.dtype == result.covariances.dtype == np.float32


@pytest.mark.parametrize("millimetres", [True, False])
def test_units(millimetres: bool) -> None:
    people = [standing()]
    poses, joints = poses_of(people)
    result = measured(poses, SEEN.camera, depth_of(people, faults=DepthFaults(millimetres=millimetres)))
    assert errors(result, joints)[:, BODY].max() < 0.05


@pytest.mark.parametrize("model", ["", "plumb_bob", "rational_polynomial", "equidistant"])
@pytest.mark.parametrize("size", [(640, 480), (320, 240), (848, 480)])
def test_registered_depth_of_any_resolution_and_lens(model: str, size: tuple[int, int]) -> None:
    """Registered depth has the pixels of the colour image, whatever the lens; its camera is the colour camera's."""
    colour = posed("colour", (0, 0, 1.2), (4, 0, 0.95), (640, 480), model)
    people = [standing()]
    poses, joints = poses_of(people, colour)
    small = Depth(np.zeros(size[::-1], np.uint16), colour.camera).grid
    there = PosedCamera("depth", small, colour.rotation, colour.translation)
    image = depth_of(people, there)
    for camera in (colour.camera, small):
        result = measured(poses, colour.camera, Depth(image.image, camera, image.scale))
        assert (result.sources[:, BODY] == Source.MEASURED).mean() > 0.9
        assert np.nanmax(errors(result, joints)[:, BODY]) < 0.06


@pytest.mark.parametrize("model", ["", "plumb_bob", "equidistant"])
def test_unregistered_depth(model: str) -> None:
    colour = posed("colour", (0, 0.06, 1.2), (4, 0, 0.95), (1280, 720), model)
    people = [standing(2.2), standing(3.3)]
    people[1] = Person(line((3.3, 1.0), (2, 1)), 1.8, 0.0, gait=0.0)
    poses, joints = poses_of(people, colour)
    result = measured(poses, colour.camera, depth_of(people, colour=colour, wall_m=4.2))
    assert (result.sources[:, BODY] == Source.MEASURED).mean() > 0.9
    assert np.nanmax(errors(result, joints)[:, BODY]) < 0.07


def test_foreground_is_chosen_where_a_keypoint_misses_its_limb() -> None:
    """Keypoints a little beside the arms: the median of a patch is the wall, the nearest surface is the arm."""
    people = [standing(3.0)]
    poses, joints = poses_of(people)
    arms = [COCO.index[f"{side}_{part}"] for side in ("left", "right") for part in ("elbow", "wrist")]
    beside = poses.keypoints.copy()
    middle = beside[:, [5, 6]].mean(axis=1)[:, None, 0]
    beside[:, arms, 0] += 7 * np.sign(beside[:, arms, 0] - middle)
    poses = poses.replace(keypoints=beside)
    depth = depth_of(people, wall_m=3.5)
    plain = DepthOptions(foreground=False, limb_check=False)
    off = errors(measured(poses, SEEN.camera, depth, plain), joints)[:, arms]
    assert (off > 0.3).any()
    result = measured(poses, SEEN.camera, depth)
    assert np.nanmax(errors(result, joints)[:, arms]) < 0.15
    assert np.isfinite(result.points[:, arms]).all()


def test_a_hidden_keypoint_is_not_measured_on_what_hides_it() -> None:
    """A network says by its score that it guesses: the depth there belongs to something else."""
    people = [standing()]
    poses, _ = poses_of(people)
    scores = poses.scores.copy()
    scores[0, [9, 10]] = 0.05
    result = measured(poses.replace(scores=scores), SEEN.camera, depth_of(people))
    assert (result.sources[0, [9, 10]] == Source.MISSING).all()
    scores[0, 9] = 0.9
    one = measured(poses.replace(scores=scores), SEEN.camera, depth_of(people))
    assert one.sources[0, 9:11].tolist() == [Source.MEASURED, Source.INFERRED]


def test_nothing_measured_is_nan_and_never_zero() -> None:
    people = [standing()]
    poses, _ = poses_of(people)
    for image in (np.zeros((480, 640), np.uint16), np.full((480, 640), np.nan, np.float32),
                  np.full((480, 640), np.inf, np.float32), np.full((480, 640), 0.01, np.float32)):  # fmt: skip
        result = measured(poses, SEEN.camera, Depth(image, SEEN.camera, 0.001 if image.dtype == np.uint16 else 1.0))
        assert np.isnan(result.points).all()
        assert np.isnan(result.covariances).all()
        assert (result.sources == Source.MISSING).all()


def test_range_limits() -> None:
    people = [standing(3.0)]
    poses, _ = poses_of(people)
    depth = depth_of(people)
    for options in (DepthOptions(max_range=2.0), DepthOptions(min_range=4.0)):
        assert np.isnan(measured(poses, SEEN.camera, depth, options).points).all()


def test_a_hole_over_a_joint_is_completed_by_a_known_length() -> None:
    people = [standing()]
    poses, joints = poses_of(people)
    depth = depth_of(people)
    image = depth.image.copy()
    x, y = np.rint(poses.keypoints[0, COCO.index["left_wrist"]]).astype(int)
    image[y - 25 : y + 25, x - 25 : x + 25] = 0
    depth = Depth(image, depth.camera, depth.scale)
    wrist = 0, COCO.index["left_wrist"]
    # Without any history, the other forearm says how long this one is.
    result = measured(poses, SEEN.camera, depth)
    assert result.sources[wrist] == Source.INFERRED
    error = result.points[wrist] - joints[wrist]
    assert np.linalg.norm(error) < 0.3
    assert error @ np.linalg.solve(result.covariances[wrist], error) < 16
    # With neither there is nothing to complete it by.
    both = poses.keypoints.copy()
    both[0, COCO.index["right_wrist"]] = np.nan
    poses = poses.replace(keypoints=both, sources=None)
    result = measured(poses, SEEN.camera, depth)
    assert result.sources[wrist] == Source.MISSING
    assert np.isnan(result.points[wrist]).all()


def test_what_stands_before_a_joint_is_not_the_joint() -> None:
    """A bar before the forearm and wrist: nearer than any arm of this length can be."""
    people = [standing(3.0)]
    poses, joints = poses_of(people)
    truth = at(people, 0.0).points("coco17")[0, 0]
    x, y, z = truth[COCO.index["left_wrist"]]
    # Between camera and wrist, on the ray.
    bar = ((0.7 * x, 0.7 * y - 0.3, 1.2 + 0.7 * (z - 1.2)), (0.7 * x, 0.7 * y + 0.3, 1.2 + 0.7 * (z - 1.2)), 0.06)
    depth = depth_of(people, wall_m=4.0, things=(bar,))
    wrist = 0, COCO.index["left_wrist"]
    taken = measured(poses, SEEN.camera, depth, DepthOptions(limb_check=False, foreground=False))
    assert errors(taken, joints)[wrist] > 0.7
    result = measured(poses, SEEN.camera, depth)
    assert result.sources[wrist] in (Source.INFERRED, Source.MISSING)
    assert not errors(result, joints)[wrist] > 0.35
    others = np.delete(np.arange(5, 17), wrist[1] - 5)
    assert np.nanmax(errors(result, joints)[0, others]) < 0.3


def test_a_known_body_behind_another_one_is_not_measured_on_it() -> None:
    """On the surface of who stands before it, its limbs would be two thirds as long as they are."""
    behind, before = (Person(line((x, y), (x - 1, y)), 1.8, 0.0, gait=0.0) for x, y in ((3.2, 0.0), (2.0, 0.08)))
    poses, joints = poses_of([behind])
    measurer = DepthMeasurer()
    for i in range(8):
        measurer(poses, SEEN.camera, depth_of([behind], wall_m=4.5, seed=i), i * 33_000_000)
    depth = depth_of([behind, before], wall_m=4.5)
    assert (errors(measured(poses, SEEN.camera, depth), joints)[0, BODY] > 1).mean() > 0.5
    result = measurer(poses, SEEN.camera, depth, 300_000_000)
    taken = result.sources[0] == Source.MEASURED
    assert not (errors(result, joints)[0, taken] > 0.3).any()


def test_subjects_do_not_disturb_one_another() -> None:
    people = [Person(line((x, y), (x - 1, y)), 1.8, 0.0, gait=0.0) for x, y in ((3.2, 0.5), (2.6, -0.4))]
    poses, _ = poses_of(people)
    depth = depth_of(people, wall_m=4.5)
    together = measured(poses, SEEN.camera, depth)
    for row in range(2):
        alone = measured(poses.select(np.array([row])), SEEN.camera, depth)
        np.testing.assert_array_equal(alone.points[0], together.points[row])
        np.testing.assert_array_equal(alone.covariances[0], together.covariances[row])


def test_learnt_lengths_find_a_wrong_depth() -> None:
    """Once its limbs are known, an arm that is a third too long is seen to be wrong at once."""
    people = [standing(2.5)]
    poses, joints = poses_of(people)
    measurer = DepthMeasurer()
    for i in range(8):
        measurer(poses, SEEN.camera, depth_of(people, seed=i), i * 33_000_000)
    depth = depth_of(people)
    image = depth.image.copy()
    x, y = np.rint(poses.keypoints[0, COCO.index["right_wrist"]]).astype(int)
    image[y - 12 : y + 12, x - 12 : x + 12] += 250
    wrist = 0, COCO.index["right_wrist"]
    wrong = Depth(image, depth.camera, depth.scale)
    unaware = measured(poses, SEEN.camera, wrong)
    assert errors(unaware, joints)[wrist] > 0.2
    result = measurer(poses, SEEN.camera, wrong, 300_000_000)
    assert result.sources[wrist] == Source.INFERRED
    assert errors(result, joints)[wrist] < 0.2
    measurer.reset()
    assert errors(measurer(poses, SEEN.camera, wrong, 400_000_000), joints)[wrist] > 0.2


def test_covariance_is_along_the_ray_and_grows_with_distance() -> None:
    spread = []
    for distance in (1.5, 3.0, 6.0):
        poses, _ = poses_of([standing(distance)])
        image = np.full((480, 640), distance, np.float32)
        exact = DepthOptions(joint_offset=0, pixel_noise=0.05, keypoint_noise=0)
        result = measured(poses, SEEN.camera, Depth(image, SEEN.camera), exact)
        shoulder = result.covariances[0, 5]
        vectors = np.linalg.eigh(shoulder)[1]
        ray = result.points[0, 5] / np.linalg.norm(result.points[0, 5])
        assert abs(vectors[:, -1] @ ray) > 0.99
        spread.append(np.sqrt(shoulder[2, 2]))
    np.testing.assert_allclose(spread, 0.003 + 0.0015 * np.array([1.5, 3, 6]) ** 2, rtol=1e-3)


def test_covariance_of_a_pixel() -> None:
    poses, _ = poses_of([standing(3.0)])
    flat = Depth(np.full((480, 640), 3, np.float32), SEEN.camera)
    none = {"joint_offset": 0, "noise_base": 0, "noise_square": 0, "limb_check": False}
    options = DepthOptions(**none, pixel_noise=3, keypoint_noise=0)
    sure = measured(poses.replace(scores=np.ones((1, 17))), SEEN.camera, flat, options)
    # Three pixels across the ray at three metres, and along it what a round body would be off by.
    across, (x, y, _) = 9 / SEEN.camera.K[[0, 1], [0, 1]], SEEN.camera.rays(poses.keypoints[0, 7])
    expected = np.diag([*across**2, 0]) + (0.5 * across[0]) ** 2 * np.outer([x, y, 1], [x, y, 1])
    np.testing.assert_allclose(sure.covariances[0, 7], expected, rtol=1e-3, atol=1e-8)
    half = measured(poses.replace(scores=np.full((1, 17), 0.5)), SEEN.camera, flat, options)
    np.testing.assert_allclose(half.covariances, 2 * sure.covariances, rtol=1e-3)
    # Who is twice as large in the image is seen half as sharply, in pixels.
    relative = DepthOptions(**none, pixel_noise=0, keypoint_noise=0.01)
    near, _ = poses_of([standing(1.5)])
    one, two = (measured(p, SEEN.camera, flat, relative).covariances[0, 5, 0, 0] for p in (poses, near))
    extent = [np.sqrt(np.ptp(p.keypoints[0], axis=0).prod()) for p in (poses, near)]
    np.testing.assert_allclose(two / one, (extent[1] / extent[0]) ** 2, rtol=0.05)


def test_normalised_error_is_what_it_should_be() -> None:
    """Mean of e' C^-1 e of three-dimensional errors is 3 where the covariance is right (Bar-Shalom 2001, 5.4)."""
    people = [Person(line((3, -1.0), (3, 1)), 1.75, 1.0)]
    network = Faults(sigma_px=0.5, sigma_size=0.012, spread=0.5)
    recording = observe(people, SEEN, "coco17", seconds=2, rate_hz=10, faults=network, seed=3)
    measurer, found = DepthMeasurer(), []
    for shot in recording.shots:
        depth = render(recording.truth(shot.stamp_ns), 0, SEEN, wall_m=3.6, faults=FAULTS, seed=shot.tick).depth
        result = measurer(shot.poses.replace(ids=shot.true_ids), SEEN.camera, depth, shot.stamp_ns)
        error = (result.points - (shot.points @ SEEN.rotation.T + SEEN.translation))[:, BODY]
        good = result.sources[:, BODY] == Source.MEASURED
        c = result.covariances[:, BODY][good].astype(np.float64)
        found.append(np.einsum("ki,ki->k", error[good], np.linalg.solve(c, error[good][..., None])[..., 0]))
    squares = np.concatenate(found)
    assert len(squares) > 100
    assert 0.5 < np.median(squares) < 3.5
    assert 0.9 < (squares < 7.81).mean() < 0.995


def test_joints_are_behind_the_skin() -> None:
    poses, _ = poses_of([standing(3.0)])
    flat = Depth(np.full((480, 640), 3, np.float32), SEEN.camera)
    skin = measured(poses, SEEN.camera, flat, DepthOptions(joint_offset=0, limb_check=False)).points
    joint = measured(poses, SEEN.camera, flat, DepthOptions(limb_check=False)).points
    np.testing.assert_allclose(skin[..., 2], 3.0, atol=1e-6)
    # Along the ray, by as much as the table says; the nose is on the skin.
    np.testing.assert_allclose(np.linalg.norm(joint - skin, axis=2)[0, [0, 9, 11]], [0, 0.025, 0.09], atol=1e-6)


def test_keypoints_of_other_sources() -> None:
    """What was held from earlier images is not looked for; what was made of others stays inferred."""
    people = [standing()]
    poses, _ = poses_of(people)
    sources = poses.sources.copy()
    sources[0, 5:9] = [Source.HELD, Source.INFERRED, Source.MISSING, Source.MEASURED]
    result = measured(poses.replace(sources=sources), SEEN.camera, depth_of(people))
    assert result.sources[0, 5:9].tolist() == [Source.HELD, Source.INFERRED, Source.MISSING, Source.MEASURED]
    assert np.isfinite(result.points[0, 5:9, 0]).tolist() == [False, True, False, True]


@pytest.mark.parametrize("options", [DepthOptions(), DepthOptions(foreground=False), DepthOptions(limb_check=False),
                                     DepthOptions(foreground=False, limb_check=False)])  # fmt: skip
@pytest.mark.parametrize("aside", [0.0, 0.05])
def test_nobody_and_nothing(options: DepthOptions, aside: float) -> None:
    depth = Depth(np.full((480, 640), 2, np.float32), SEEN.camera, translation=np.array([aside, 0, 0]))
    nobody = measured(Poses.empty(COCO), SEEN.camera, depth, options)
    assert nobody.points.shape == (0, 17, 3)
    assert nobody.covariances.shape == (0, 17, 3, 3)
    nothing = Poses(COCO, np.full((2, 17, 2), np.nan), np.zeros((2, 17)))
    result = measured(nothing, SEEN.camera, depth, options)
    assert np.isnan(result.points).all()
    outside = Poses(COCO, np.full((1, 17, 2), 5000.0), np.ones((1, 17)))
    assert np.isnan(measured(outside, SEEN.camera, depth, options).points).all()


@pytest.mark.parametrize("name", ["coco17", "wholebody133", "halpe26", "h36m17", "mediapipe33", "hand21", "face68",
                                  "ap10k17", "hand_circle2"])  # fmt: skip
def test_every_kind_of_skeleton(name: str, rng: np.random.Generator) -> None:
    skeleton = catalogue.get(name)
    keypoints = rng.uniform(250, 300, (2, len(skeleton), 2))
    keypoints[:, :, 0] += [[-200], [200]]
    poses = Poses(skeleton, keypoints, np.ones((2, len(skeleton))), ids=np.array([1, 2]))
    depth = Depth(np.full((480, 640), 1500, np.uint16), SEEN.camera, 0.001)
    before = depth.image.copy(), poses.keypoints.copy()
    result = DepthMeasurer()(poses, SEEN.camera, depth, 1)
    assert (result.sources == Source.MEASURED).mean() > 0.9
    np.testing.assert_array_equal(depth.image, before[0])
    np.testing.assert_array_equal(poses.keypoints, before[1])


def test_a_whole_hand_before_a_wall_belongs_to_its_arm() -> None:
    """Fingers have no flesh in the scene, so all of them are seen on the wall; they are consistent, and still wrong."""
    people = [standing(2.0)]
    poses, joints = poses_of(people, name="wholebody133")
    result = measured(poses, SEEN.camera, depth_of(people, wall_m=3.0))
    hands = [i for i, joint in enumerate(poses.skeleton.joints) if "hand/" in joint]
    taken = result.sources[0, hands] == Source.MEASURED
    assert not (errors(result, joints)[0, hands][taken] > 0.4).any()


def test_completion_meets_the_sphere() -> None:
    """A forearm of 0.25 m: the ray of the wrist enters the sphere around the elbow in front of it and leaves behind."""
    rays = np.array([[[0.0, 0, 1], [0.1, 0, 1]]])
    z, variance = np.array([[2.0, np.nan]]), np.array([[1e-4, np.nan]])
    ends, length = np.array([[0, 1]]), np.array([[0.25]])
    for shown, body, sign in ((np.nan, 1.8, -1), (np.nan, 2.3, 1), (1.9, 2.3, -1), (2.0, 1.8, 1), (2.15, 1.8, 1),
                              (1.3, 1.8, -1)):  # fmt: skip
        filled, spread = complete(z, variance, rays, np.array([[0, shown]]), np.array([body]), ends, length)
        point = rays[0, 1] * filled[0, 1]
        np.testing.assert_allclose(np.linalg.norm(point - [0, 0, 2]), 0.25, rtol=1e-9)
        assert np.sign(filled[0, 1] - 2.0 / 1.01) == sign
        assert spread[0, 1] > variance[0, 0]
    far = np.array([[[0.0, 0, 1], [0.5, 0, 1]]])
    filled, _ = complete(z, variance, far, np.full((1, 2), np.nan), np.array([2.0]), ends, length)
    assert np.isnan(filled[0, 1])


def test_lengths_are_learnt_and_forgotten() -> None:
    ends = limbs(COCO).ends.tolist()
    forearm = ends.index([7, 9])
    poses, joints = poses_of([standing()])
    poses = poses.replace(points=joints)
    true = np.linalg.norm(joints[0, 7] - joints[0, 9])
    known = LimbLengths()
    for i in range(5):
        assert np.isnan(known.known(poses)).all()
        known.update(poses, i)
    np.testing.assert_allclose(known.known(poses)[0, forearm], true, rtol=1e-5)
    longer = joints.copy()
    longer[0, 9] += 0.2
    known.update(poses.replace(points=longer), 5)
    np.testing.assert_allclose(known.known(poses)[0, forearm], true, rtol=1e-5)
    inferred = poses.sources.copy()
    inferred[0, 9] = Source.INFERRED
    known.update(poses.replace(points=joints * 1.1, sources=inferred), 6)
    np.testing.assert_allclose(known.known(poses)[0, forearm], true, rtol=1e-5)
    assert np.isnan(known.known(poses.replace(ids=np.array([9])))).all()
    assert np.isnan(known.known(poses.replace(ids=np.array([0])))).all()
    # Another one is seen for longer than it is kept in mind.
    other = poses.replace(ids=np.array([9]))
    for second in range(5, 12):
        known.update(other, second * 1_000_000_000)
    assert np.isnan(known.known(poses)).all()
    assert np.isfinite(known.known(other)[0, forearm])
    # Time runs backwards: everything starts over.
    known.update(poses, 0)
    assert np.isnan(known.known(other)).all()


def test_a_length_that_was_learnt_wrong_is_unlearnt() -> None:
    poses, joints = poses_of([standing()])
    known, wrong = LimbLengths(), joints.copy()
    wrong[0, 9] = joints[0, 7] + 0.05
    for i in range(6):
        known.update(poses.replace(points=wrong), i)
    for i in range(6, 30):
        known.update(poses.replace(points=joints), i)
    forearm = limbs(COCO).ends.tolist().index([7, 9])
    np.testing.assert_allclose(known.known(poses)[0, forearm], np.linalg.norm(joints[0, 7] - joints[0, 9]), rtol=0.1)


def test_crossing_people_keep_their_depths() -> None:
    recording = observe(crossing(3), posed("c", (-4, 0, 1.4), (0, 0, 1), (640, 480)), "coco17", seconds=3, rate_hz=5,
                        faults=Faults(sigma_px=1), seed=2)  # fmt: skip
    measurer, found = DepthMeasurer(), []
    camera = recording.rig.cameras[0]
    for shot in recording.shots:
        depth = render(recording.truth(shot.stamp_ns), 0, camera, wall_m=7, faults=FAULTS, seed=shot.tick).depth
        result = measurer(shot.poses.replace(ids=shot.true_ids), camera.camera, depth, shot.stamp_ns)
        error = errors(result, shot.points @ camera.rotation.T + camera.translation)[:, BODY]
        found.append(error[result.sources[:, BODY] == Source.MEASURED])
    error = np.concatenate(found)
    assert len(error) > 200
    assert np.median(error) < 0.04
    assert (error > 0.25).mean() < 0.02


def test_camera_of_other_axes() -> None:
    """fx and fy differ: pixels are not confused."""
    camera = Camera(np.array([[600.0, 0, 300], [0, 400, 200], [0, 0, 1]]), (640, 480))
    flat = Depth(np.full((480, 640), 2, np.float32), camera)
    poses = Poses(COCO, np.full((1, 17, 2), [360.0, 280]), np.ones((1, 17)))
    result = measured(poses, camera, flat, DepthOptions(joint_offset=0))
    np.testing.assert_allclose(result.points[0, 0], [0.2, 0.4, 2.0], rtol=1e-6)
