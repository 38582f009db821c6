# SPDX-License-Identifier: Apache-2.0
"""What OpenMMLab's exporter makes of a network, and what we make of it, is the same after our decoders."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from replay import Case, run
from rtmo_weights import sensible
from weights import random_weights

from pose_ros.core.poses import Poses
from pose_ros.core.regions import Detections
from pose_ros.detectors.boxes import BoxOptions
from pose_ros.detectors.end2end import End2EndDetector, End2EndOptions
from pose_ros.detectors.rtmdet import RtmDetDetector
from pose_ros.estimators.rtmo import Rtmo, RtmoOptions
from pose_ros.models import cards
from pose_ros.models.card import ModelCard
from pose_ros.networks import catalogue
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

#: With which the files were made.
MIN_SCORE, MAX_IOU = 0.1, 0.3


def card(name: str, case: Case) -> ModelCard:
    """Return a card for another size of the input."""
    return dataclasses.replace(cards.get(name), input_wh=tuple(case["size_wh"].tolist()))


def file_session(case: Case) -> FakeSession:
    """A session that says what the file said."""
    width, height = case["size_wh"]
    names = case["names"].tolist()
    return FakeSession(Tensor("input", (-1, 3, height, width)), [Tensor(n, (-1, *case[n].shape[1:])) for n in names],
                       lambda batch: {name: case[name] for name in names})


def our_session(case: Case, **network: object) -> FakeSession:
    """A session of our network with the same weights."""
    width, height = case["size_wh"]
    made = catalogue.build(network)
    shapes = {key: tuple(value.shape) for key, value in made.state_dict().items()}
    prefix = "bbox_head." if network["architecture"] == "rtmdet" else "head."
    renamed = {key.replace("head.", prefix, 1) if key.startswith("head.") else key: key for key in shapes}
    values = sensible(random_weights({name: shapes[key] for name, key in renamed.items()}))
    made.load({renamed[name]: torch.from_numpy(value) for name, value in values.items()}, "test")
    return FakeSession(Tensor("image", (-1, 3, height, width)), [Tensor(n, (-1,)) for n in made.outputs],
                       lambda batch: run(made, batch))


def test_poses_are_the_same():
    rtmo = Case("mmdeploy", "rtmo-t")
    image = rtmo.crops(1)[0]
    options = RtmoOptions(score_threshold=MIN_SCORE, nms_iou=MAX_IOU)
    theirs, ours = (
        Rtmo(Model(card(name, rtmo), session), options).estimate(image)
        for name, session in (("rtmo-t", file_session(rtmo)),
                              ("rtmo-t-pth", our_session(rtmo, architecture="rtmo", size="t")))
    )  # fmt: skip
    assert isinstance(ours, Poses)
    assert len(ours) == len(theirs) > 10
    np.testing.assert_allclose(ours.keypoints, theirs.keypoints, atol=0.02)
    for column in ("scores", "subject_scores"):
        np.testing.assert_allclose(getattr(ours, column), getattr(theirs, column), atol=1e-4, err_msg=column)
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.02)


def test_boxes_are_the_same():
    """Theirs is what is left of ours; which of two equally good boxes is left, is not the same everywhere."""
    case = Case("mmdeploy", "rtmdet-n")
    image = case.crops(1)[0]
    theirs = End2EndDetector(Model(card("rtmdet-nano-person", case), file_session(case)),
                             End2EndOptions(score_threshold=MIN_SCORE)).detect(image)
    ours = RtmDetDetector(
        Model(card("rtmdet-nano-person-pth", case), our_session(case, architecture="rtmdet", size="n", classes=1)),
        BoxOptions(score_threshold=MIN_SCORE, nms_iou=1.0, max_detections=1000),
    ).detect(image)
    assert isinstance(ours, Detections)
    assert len(theirs) > 5
    away = np.abs(ours.boxes[None] - theirs.boxes[:, None]).max(axis=2)
    assert away.min(axis=1).max() < 0.02, "every box of theirs is one of ours"
    np.testing.assert_allclose(ours.scores[away.argmin(axis=1)], theirs.scores, atol=1e-4)
