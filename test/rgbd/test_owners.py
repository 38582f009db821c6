# SPDX-License-Identifier: Apache-2.0
"""Several subjects in one part of the image: nobody is measured on somebody else."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import Faults, Person, at, crossing, observe, posed, stand
from scenes.depth import DepthFaults, render

from pose_ros.core.poses import Poses, Source
from pose_ros.rgbd.measure import DepthMeasurer, measured
from pose_ros.rgbd.options import DepthOptions
from pose_ros.rgbd.parts import flesh
from pose_ros.skeletons import catalogue

COCO = catalogue.get("coco17")
BODY = slice(5, 17)
SEEN = posed("colour", (0, 0, 1.2), (4, 0, 0.95), (640, 480), focal=0.6)
FAULTS = DepthFaults(noise_m=0.0015, holes=0.05, step_m=0.1)
#: A network that is as sure of what it guesses as of what it sees.
SURE = Faults(0.5, 0.012, 0.3, guess=True, sure=True)


def facing(x: float, y: float, yaw: float = np.pi, **moves: float) -> Person:
    """Return somebody who stands at a place, with some joint angles in degrees."""
    angles = {name: np.radians(value) for name, value in moves.items()}
    return Person(stand((x, y), yaw), 1.75, 0.0, gait=0.0, moves=lambda t: angles)


def seen(people: list[Person], noise_px: float = 0.0) -> tuple[Poses, np.ndarray, np.ndarray]:
    """Return what a network is sure of, the joints in the camera's frame, and which of them somebody else hides."""
    truth = at(people, 0.0)
    joints = truth.points("coco17")[0]
    image = render(truth, 0, SEEN, wall_m=5.0, faults=FAULTS)
    pixels = SEEN.project(joints) + noise_px * np.random.default_rng(0).standard_normal((*joints.shape[:2], 2))
    poses = measured(Poses(COCO, pixels, np.full(joints.shape[:2], 0.9), ids=truth.ids), SEEN.camera, image.depth)
    x, y = np.rint(pixels).astype(int).transpose(2, 0, 1)
    others = image.owners[y, x]
    return poses, joints @ SEEN.rotation.T + SEEN.translation, (others >= 0) & (others != (truth.ids - 1)[:, None])


@pytest.mark.parametrize("gap", [0.4, 0.7, 1.5])
@pytest.mark.parametrize("aside", [0.1, 0.25, -0.3])
def test_who_is_hidden_in_part_is_measured_where_he_is_seen(gap: float, aside: float) -> None:
    """In one image, without any history."""
    result, joints, hidden = seen([facing(2.0, 0.0), facing(2.0 + gap, aside)], noise_px=1.0)
    off = np.linalg.norm(result.points - joints, axis=2)
    taken = result.sources == Source.MEASURED
    assert hidden[1, BODY].sum() >= 3
    # A patch may reach what is seen of him beside; then it is right.
    assert not (taken & hidden & (off > 0.1))[:, BODY].any()
    # What is seen is measured as ever: nothing is lost of who is in front.
    clear = ~hidden[:, BODY]
    assert taken[0, BODY].all()
    assert off[:, BODY][clear & taken[:, BODY]].max() < 0.15
    assert taken[:, BODY][clear].mean() > 0.8


def test_who_is_hidden_altogether_is_nowhere() -> None:
    """All that is known of him is that he looks smaller than who stands there."""
    result, joints, hidden = seen([facing(2.0, 0.0), facing(3.0, 0.02)])
    assert hidden[1, BODY].mean() > 0.6
    assert not (result.sources[1, BODY] == Source.MEASURED)[hidden[1, BODY]].any()
    assert np.isnan(result.covariances[1][np.isnan(result.points[1])]).all()
    assert np.linalg.norm(result.points - joints, axis=2)[0, BODY].max() < 0.06


def test_the_order_of_subjects_does_not_matter() -> None:
    one, _, _ = seen([facing(2.0, 0.0), facing(3.0, 0.2)])
    two, _, _ = seen([facing(3.0, 0.2), facing(2.0, 0.0)])
    np.testing.assert_array_equal(one.points, two.points[::-1])


def test_who_is_found_twice_is_measured_twice() -> None:
    people = [facing(2.0, 0.0)]
    poses, joints, _ = seen(people)
    twice = Poses(COCO, np.concatenate([poses.keypoints, poses.keypoints + 1.5]), np.full((2, 17), 0.9))
    image = render(at(people, 0.0), 0, SEEN, wall_m=5.0, faults=FAULTS)
    result = measured(twice, SEEN.camera, image.depth)
    assert (result.sources[:, BODY] == Source.MEASURED).all()
    assert np.linalg.norm(result.points - joints, axis=2)[:, BODY].max() < 0.1


def test_a_hand_behind_a_chest_is_not_on_the_chest() -> None:
    """Somebody stretches his arm out behind another one's back."""
    behind = facing(2.7, -0.45, np.pi / 2, right_shoulder_flexion=60.0, left_shoulder_flexion=60.0)
    result, _, hidden = seen([facing(2.3, 0.0), behind])
    wrists = [COCO.index["left_wrist"], COCO.index["right_wrist"]]
    assert hidden[1, wrists].all()
    assert (result.sources[1, wrists] != Source.MEASURED).all()
    assert (result.sources[0, BODY] == Source.MEASURED).all()


def test_a_hand_before_a_chest_is_measured_and_the_chest_is_not_on_the_hand() -> None:
    before = facing(2.0, -0.45, np.pi / 2, right_shoulder_flexion=60.0, left_shoulder_flexion=60.0)
    result, joints, hidden = seen([before, facing(2.3, 0.0)])
    off = np.linalg.norm(result.points - joints, axis=2)
    taken = result.sources == Source.MEASURED
    assert not hidden[0, BODY].any()
    near = COCO.index["left_wrist"]
    assert taken[0, near]
    assert off[0, near] < 0.06
    assert not (off[1, BODY][taken[1, BODY]] > 0.12).any()


def test_hands_that_meet() -> None:
    """Two people shake hands: two keypoints are at one pixel and on one surface, and both are right."""
    result, joints, _ = seen([facing(2.33, -0.5, np.pi / 2, right_shoulder_flexion=45.0, right_elbow_flexion=35.0),
                              facing(2.73, 0.5, -np.pi / 2, right_shoulder_flexion=45.0, right_elbow_flexion=35.0)])
    wrist = COCO.index["right_wrist"]
    assert np.linalg.norm(joints[0, wrist] - joints[1, wrist]) < 0.1
    assert (result.sources[:, wrist] == Source.MEASURED).any()
    assert np.linalg.norm(result.points - joints, axis=2)[:, wrist].max() < 0.1


@pytest.mark.parametrize("ids", [True, False])
def test_people_who_cross_before_a_network_that_is_sure(ids: bool) -> None:
    camera = posed("c", (3.2, 0, 1.3), (0, 0, 0.95), (640, 480), focal=0.6)
    recording = observe(crossing(3, 3, speed_mps=0.8), camera, "coco17", seconds=3, rate_hz=5, faults=SURE, seed=2)
    measurer, wrong, asked, squares = DepthMeasurer(), 0, 0, []
    for shot in recording.shots:
        image = render(recording.truth(shot.stamp_ns), 0, camera, wall_m=6, faults=FAULTS, seed=shot.tick)
        poses = shot.poses.replace(ids=shot.true_ids) if ids else shot.poses
        result = measurer(poses, camera.camera, image.depth, shot.stamp_ns)
        x, y = np.rint(poses.keypoints).astype(int).clip(0, (639, 479)).transpose(2, 0, 1)
        owners = image.owners[y, x]
        hidden = (shot.hidden & (owners >= 0) & (owners != (shot.true_ids - 1)[:, None]))[:, BODY]
        error = (result.points - (shot.points @ camera.rotation.T + camera.translation))[:, BODY].astype(np.float64)
        asked += hidden.sum()
        wrong += (hidden & (result.sources[:, BODY] == Source.MEASURED) & (error[..., 2] < -0.15)).sum()
        made = hidden & (result.sources[:, BODY] == Source.INFERRED)
        spread = result.covariances[:, BODY][made].astype(np.float64)
        squares.extend(np.einsum("ki,ki->k", error[made], np.linalg.solve(spread, error[made][..., None])[..., 0]))
    assert asked > 30
    assert wrong <= 0.03 * asked
    # What is computed says how wrong it may be.
    assert len(squares) >= 3
    assert np.median(squares) < 7.81


def test_without_a_choice_of_surfaces_there_are_no_owners() -> None:
    people = [facing(2.0, 0.0), facing(3.0, 0.2)]
    poses, _, hidden = seen(people)
    depth = render(at(people, 0.0), 0, SEEN, wall_m=5.0, faults=FAULTS).depth
    plain = measured(poses, SEEN.camera, depth, DepthOptions(foreground=False, limb_check=False))
    assert (plain.sources[hidden] == Source.MEASURED).any()


@pytest.mark.parametrize("name", catalogue.names())
def test_every_skeleton_has_its_flesh(name: str) -> None:
    skeleton = catalogue.get(name)
    ends, radii, longest = flesh(skeleton)
    assert ends.shape == (len(radii), 2)
    assert len(longest) == len(radii)
    assert ((radii > 0.03) & (radii < 0.25)).all()
