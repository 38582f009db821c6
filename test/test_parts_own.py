# SPDX-License-Identifier: Apache-2.0
"""Hands and faces out of a whole-body model's own keypoints: the same words as of models of their own."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.core.frame import Frame
from pose_ros.core.join import join
from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.stages import Stages
from pose_ros.errors import ConfigError
from pose_ros.models import cards
from pose_ros.parts import OwnPart, PartOptions
from pose_ros.pipeline import Pipeline
from pose_ros.skeletons import catalogue
from pose_ros.tracking.track import Tracker
from pose_ros.wiring import build

WHOLE = catalogue.get("wholebody133")
PARTS = {block: catalogue.get(name) for block, (name, _) in WHOLE.blocks.items()}
FRAME = Frame(np.zeros((100, 100, 3), np.uint8), 33_000_000)


def people(count: int, **columns: object) -> Poses:
    rng = np.random.default_rng(count)
    return Poses(WHOLE, rng.uniform(0, 99, (count, 133, 2)), rng.uniform(0.4, 1, (count, 133)), **columns)  # type: ignore


class Source:
    """Says what the test wants."""

    name, device, skeleton = "fake", "none", WHOLE

    def __init__(self, poses: Poses) -> None:
        self.poses = poses

    def __call__(self, frame: Frame, stages: Stages, whole: Poses | None = None) -> Poses:
        return self.poses

    def reset(self) -> None:
        """Nothing is remembered."""


def test_hands_and_faces_of_everybody():
    seen = people(2)
    parts = {name: Pipeline(OwnPart(name, PARTS), Tracker()) for name in ("hands", "faces")}
    result = Pipeline(Source(seen), Tracker(), parts=parts)(FRAME)
    hands, faces = (result.parts[name].poses for name in ("hands", "faces"))
    assert hands.skeleton.name == "hand21"
    assert faces.skeleton.name == "face68"
    assert hands.parents.tolist() == np.repeat(result.poses.ids, 2).tolist()
    assert hands.sides.tolist() == [LEFT, RIGHT, LEFT, RIGHT]
    assert len(set(hands.ids.tolist())) == 4
    np.testing.assert_array_equal(hands.keypoints[3], seen.keypoints[1, list(WHOLE.blocks["right_hand"][1])])
    assert faces.parents.tolist() == result.poses.ids.tolist()
    # Together they are again what they were.
    again = join(result.poses, {"hands": hands, "faces": faces}, WHOLE)
    np.testing.assert_array_equal(again.keypoints, seen.keypoints)
    np.testing.assert_array_equal(again.scores, seen.scores)


def test_a_hand_that_is_not_seen_is_none():
    seen = people(1, ids=[5])
    scores = seen.scores.copy()
    scores[:, list(WHOLE.blocks["left_hand"][1])] = 0.2
    found = OwnPart("hands", PARTS)(FRAME, Stages(), seen.replace(scores=scores))
    assert found.sides.tolist() == [RIGHT]
    believing = OwnPart("hands", PARTS, PartOptions(min_body_score=0.1))
    assert len(believing(FRAME, Stages(), seen.replace(scores=scores))) == 2
    assert len(OwnPart("faces", PARTS)(FRAME, Stages(), people(0))) == 0


def test_metric_points_go_with_them():
    points = np.random.default_rng(1).normal(0, 1, (1, 133, 3))
    found = OwnPart("hands", PARTS)(FRAME, Stages(), people(1, ids=[5], points=points, local_points=points))
    left = points[0, list(WHOLE.blocks["left_hand"][1])]
    np.testing.assert_allclose(found.points[0], left, rtol=1e-6)
    np.testing.assert_allclose(found.local_points[0], left - left[0], atol=1e-6)


def test_who_has_none():
    with pytest.raises(ConfigError, match=r"hands\.own.*no such parts"):
        OwnPart("hands", {})
    with pytest.raises(ConfigError, match="subjects whose parts"):
        OwnPart("hands", PARTS)(FRAME, Stages())


def test_not_both_its_own_and_those_of_a_model():
    both = {"own": True, "model": "mediapipe-hand-landmark-full"}
    with pytest.raises(ConfigError, match=r"hands\.own.*no model beside it"):
        build({"model": "rtmw-l", "hands": both}, allow_fetch=False)


@pytest.mark.parametrize("prefix", ["rtmw-", "dwpose-", "rtmpose-m-wholebody", "rtmpose-l-wholebody"])
def test_whole_body_models_and_joined_ones_speak_alike(prefix):
    named = [name for name in cards.names() if name.startswith(prefix)]
    assert named
    for name in named:
        skeleton = catalogue.get(cards.get(name).skeleton)
        assert skeleton == WHOLE
        assert skeleton.blocks == WHOLE.blocks
        assert not cards.get(name).locator
