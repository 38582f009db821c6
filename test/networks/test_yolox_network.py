# SPDX-License-Identifier: Apache-2.0
"""YOLOX says what mmdet and the repository of its authors say with the same random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from replay import Case, Exported, run

from pose_ros.decode import yolox
from pose_ros.errors import ConfigError, ModelCorruptError
from pose_ros.networks import catalogue

RELATIVE = 1e-4
BOXES_PX = 0.02


def batch(case: Case, n: int) -> np.ndarray:
    """Return BGR 0 .. 255."""
    return np.ascontiguousarray(case.crops(n)[..., ::-1].transpose(0, 3, 1, 2), np.float32)


#: The weights of the authors make the same network; once is enough to export it.
RUNS = [("mmdet-n", "torch"), ("mmdet-n", "onnx"), ("mmdet-t", "torch"), ("mmdet-t", "onnx"),
        ("authors-n", "torch"), ("authors-t", "torch")]


@pytest.fixture(scope="module", params=RUNS, ids="-".join)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """What the reference said, and a function that says what we say."""
    name, how = request.param
    case = Case("yolox", name)
    network = catalogue.build({"architecture": "yolox", "size": name[-1]})
    network.load(case.state(), name)
    if how == "torch":
        return case, lambda images: run(network, images)
    return case, Exported(network, tuple(case["size_wh"]), tmp_path_factory.mktemp("yolox"))


@pytest.mark.parametrize("n", [1, 4])
def test_outputs_and_boxes_are_those_of_the_reference(seen, n):
    case, runner = seen
    output = runner(batch(case, n))["output"]
    assert case.error(n, "output", output) < RELATIVE
    rows = case[f"{n}/rows"]
    for i in range(n):
        boxes, scores, classes = yolox.decode(
            output[i], tuple(case["size_wh"]), classes=np.arange(80), min_score=0.0
        )
        # Half a pixel: mmdet measures from the image's edge.
        np.testing.assert_allclose(boxes[rows] + 0.5, case[f"{n}/boxes"][i], atol=BOXES_PX)
        np.testing.assert_allclose(scores[rows], case[f"{n}/scores"][i], atol=1e-4)
        np.testing.assert_array_equal(classes[rows], case[f"{n}/classes"][i])


@pytest.mark.filterwarnings("ignore:.*meta parameter")
@pytest.mark.parametrize("source", ["mmdet", "authors"])
@pytest.mark.parametrize("size", "smlx")
def test_takes_the_weights_of_the_larger_ones(source, size):
    with torch.device("meta"):
        catalogue.build({"architecture": "yolox", "size": size}).load(Case("yolox", f"{source}-{size}").empty(), size)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="expected one of n, t, s, m, l, x; got 'q'"):
        catalogue.build({"architecture": "yolox", "size": "q"})
    with torch.device("meta"):
        tiny = catalogue.build({"architecture": "yolox", "size": "t"})
    with pytest.raises(ModelCorruptError, match="expected a checkpoint of Yolox"):
        tiny.load(Case("yolox", "authors-s").empty(), "test")
