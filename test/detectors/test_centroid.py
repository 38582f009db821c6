# SPDX-License-Identifier: Apache-2.0
"""Centroids as SLEAP draws them, and as sleap-nn finds them in the file itself."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pose_ros.detectors.centroid import CentroidDetector, CentroidOptions
from pose_ros.errors import CardError
from pose_ros.models.card import Licence, ModelCard, ModelFile, Preprocess
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

#: Middles in an input of 128 x 96, and their values.
MIDDLES, VALUES = np.float32([[30.4, 41.2], [89, 60.5], [100.8, 20.1]]), np.float32([0.6, 0.9, 0.15])


def detector(outputs, **options):
    """Return a detector whose network says this, (without the batch), of images of 96 rows."""
    card = ModelCard("test", "detector", "centroid", "A test.", ModelFile(path="x.onnx"), Licence("MIT"), (128, 96),
                     Preprocess("gray"), params={"box": 20, "stride": 4})
    names = [f"out{i}" for i in range(len(outputs))]
    shapes = [(-1, 1, -1, -1) if o.ndim == 3 else (-1, *o.shape) for o in outputs]
    session = FakeSession(Tensor("image", (-1, 1, -1, -1)), [Tensor(n, s) for n, s in zip(names, shapes, strict=True)],
                          lambda batch: {n: o[None] for n, o in zip(names, outputs, strict=True)})
    return CentroidDetector(Model(card, session), CentroidOptions(**options))


@pytest.fixture
def heatmap():
    y, x = np.mgrid[:24, :32] * 4
    away = (x - MIDDLES[:, 0, None, None]) ** 2 + (y - MIDDLES[:, 1, None, None]) ** 2
    return (VALUES[:, None, None] * np.exp(-away / 72)).max(axis=0)[None].astype(np.float32)


def test_boxes_stand_around_the_peaks_best_first(heatmap):
    found = detector([heatmap]).detect(np.zeros((96, 128, 3), np.uint8))
    assert_allclose((found.boxes[:, :2] + found.boxes[:, 2:]) / 2, MIDDLES[[1, 0]], atol=0.7)
    assert_allclose(found.boxes[:, 2:] - found.boxes[:, :2], 20, atol=1e-4)
    assert_allclose(found.scores, VALUES[[1, 0]], atol=0.05)
    assert len(detector([heatmap], score_threshold=0.1).detect(np.zeros((96, 128, 3), np.uint8))) == 3


def test_boxes_are_as_much_larger_as_the_image(heatmap):
    small, large = (detector([heatmap]).detect(np.zeros((96 * n, 128 * n, 3), np.uint8)).boxes for n in (1, 3))
    assert_allclose(large, 3 * (small + 0.5) - 0.5, atol=1e-3)


def test_a_file_may_find_the_peaks_itself():
    middles = np.concatenate([MIDDLES, np.zeros((2, 2), np.float32)])
    found = detector([middles, np.float32([*VALUES, 0, 0.9]), np.array([1, 1, 1, 0, 0], bool)]).detect(
        np.zeros((96, 128, 3), np.uint8)
    )
    assert_allclose(found.boxes[:, :2] + 10, MIDDLES[[1, 0]], atol=1e-4)


def test_two_peaks_of_one_subject_are_one_box():
    near = np.float32([[30, 41], [31, 41.5], [60, 41]])
    how = [near, np.float32([0.8, 0.9, 0.5]), np.ones(3, bool)]
    assert_allclose(detector(how).detect(np.zeros((96, 128, 3), np.uint8)).scores, [0.9, 0.5])
    assert len(detector(how, nms_iou=1.0).detect(np.zeros((96, 128, 3), np.uint8))) == 3


def test_other_networks_are_refused(heatmap):
    with pytest.raises(CardError, match=r"outputs: expected one map, or middles, values and which count; got out0"):
        detector([heatmap, heatmap])
