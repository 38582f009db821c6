# SPDX-License-Identifier: Apache-2.0
"""RTMO says what mmpose says with the same random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from replay import Case, Exported, run
from rtmo_weights import sensible

from pose_ros.decode import rtmo
from pose_ros.errors import ConfigError, ModelCorruptError
from pose_ros.networks import catalogue

RELATIVE = 1e-4
KEYPOINTS_PX = 0.02
CANDIDATES = 16


@pytest.fixture(scope="module", params=[("t", "torch"), ("t", "onnx"), ("l", "torch")], ids="-".join)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """What the reference said, and a function that says what we say."""
    size, how = request.param
    case = Case("rtmo", size)
    network = catalogue.build({"architecture": "rtmo", "size": size, "candidates": CANDIDATES})
    network.load(case.state(sensible), size)
    if how == "torch":
        return case, lambda images: run(network, images)
    return case, Exported(network, tuple(case["size_wh"]), tmp_path_factory.mktemp("rtmo"))


@pytest.mark.parametrize("n", [1, 4])
def test_cells_and_poses_are_those_of_the_reference(seen, n):
    case, runner = seen
    outputs = runner(np.ascontiguousarray(case.crops(n)[..., ::-1].transpose(0, 3, 1, 2), np.float32))
    assert list(outputs) == ["boxes", "scores", "keypoints", "visibilities"]
    for name, output in outputs.items():
        assert case.difference(n, name, output) < RELATIVE, name
    for i in range(n):
        poses = rtmo.decode(*(output[i] for output in outputs.values()), min_score=0.1, max_iou=0.3)
        expected = {name: case[f"{n}/{i}/{name}"] for name in ("bboxes", "scores", "keypoints", "keypoint_scores")}
        assert 1 < len(expected["scores"]) < CANDIDATES, "some are doubles, and some are not"
        np.testing.assert_allclose(poses.keypoints, expected["keypoints"], atol=KEYPOINTS_PX)
        np.testing.assert_allclose(poses.scores, expected["scores"], atol=1e-4)
        np.testing.assert_allclose(poses.visibilities, expected["keypoint_scores"], atol=1e-4)
        # mmpose cuts boxes off at the input's border.
        inside = np.clip(poses.boxes, 0, np.tile(case["size_wh"], 2))
        np.testing.assert_allclose(inside, expected["bboxes"], atol=KEYPOINTS_PX)


@pytest.mark.filterwarnings("ignore:.*meta parameter")
@pytest.mark.parametrize(("name", "arguments"), [
    ("s", {"size": "s"}), ("m", {"size": "m"}), ("s-crowdpose", {"size": "s", "keypoints": 14}),
])
def test_takes_the_weights_of_the_others(name, arguments):
    with torch.device("meta"):
        catalogue.build({"architecture": "rtmo", **arguments}).load(Case("rtmo", name).empty(), name)


def test_more_candidates_than_cells_are_all_cells():
    network = catalogue.build({"architecture": "rtmo", "size": "t"})
    outputs = run(network, np.zeros((1, 3, 64, 96), np.float32))
    assert [x.shape for x in outputs.values()] == [(1, 30, 4), (1, 30), (1, 30, 17, 2), (1, 30, 17)]
    assert (np.diff(outputs["scores"]) <= 0).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="expected one of n, t, s, m, l, x; got 'q'"):
        catalogue.build({"architecture": "rtmo", "size": "q"})
    with torch.device("meta"), pytest.raises(ModelCorruptError, match="expected a checkpoint of Rtmo"):
        catalogue.build({"architecture": "rtmo", "size": "s"}).load(Case("rtmo", "m").empty(), "m.pth")
