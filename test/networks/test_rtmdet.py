# SPDX-License-Identifier: Apache-2.0
"""RTMDet says what mmdet says with the same random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from replay import Case, Exported, run

from pose_ros.decode import rtmdet
from pose_ros.errors import ConfigError, ModelCorruptError
from pose_ros.networks import catalogue
from pose_ros.networks.network import Network

RELATIVE = 1e-4
BOXES_PX = 0.02
#: BGR.
MEAN, STD = np.float32([103.53, 116.28, 123.675]), np.float32([57.375, 57.12, 58.395])
CLASSES = {"n": 1, "t": 80, "m": 1}


def batch(case: Case, n: int) -> np.ndarray:
    return np.ascontiguousarray(((case.crops(n)[..., ::-1] - MEAN) / STD).transpose(0, 3, 1, 2))


@pytest.fixture(scope="module", params=CLASSES)
def size(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def case(size: str) -> Case:
    return Case("rtmdet", f"rtmdet-{size}")


@pytest.fixture(scope="module")
def network(case: Case, size: str) -> Network:
    made = catalogue.build({"architecture": "rtmdet", "size": size, "classes": CLASSES[size]})
    made.load(case.state(), "test")
    return made


@pytest.fixture(scope="module", params=["torch", "onnx"])
def runner(request: pytest.FixtureRequest, case: Case, network: Network, tmp_path_factory):
    if request.param == "torch":
        return lambda images: run(network, images)
    return Exported(network, tuple(case["size_wh"]), tmp_path_factory.mktemp("rtmdet"))


@pytest.mark.parametrize("n", [1, 4])
def test_outputs_and_boxes_are_those_of_the_reference(case, size, runner, n):
    outputs = runner(batch(case, n))
    assert list(outputs) == ["distances", "logits"]
    for name, output in outputs.items():
        assert case.error(n, name, output) < RELATIVE, name
    rows = case[f"{n}/rows"]
    for i in range(n):
        # Random weights may say that a box ends before it begins; such are left out.
        sound = rows[(case[f"{n}/boxes"][i, :, 2:] > case[f"{n}/boxes"][i, :, :2]).all(axis=1)]
        picked = np.isin(rows, sound)
        assert picked.sum() > 5
        boxes, scores, classes = rtmdet.decode(
            outputs["distances"][i], outputs["logits"][i], tuple(case["size_wh"]),
            classes=np.arange(CLASSES[size]), min_score=0.0,
        )
        distances = outputs["distances"][i]
        kept = np.flatnonzero(((distances[:, :2] + distances[:, 2:]) >= 0).all(axis=1))
        at = np.searchsorted(kept, sound)
        np.testing.assert_allclose(boxes[at] + 0.5, case[f"{n}/boxes"][i][picked], atol=BOXES_PX)
        np.testing.assert_allclose(scores[at], case[f"{n}/scores"][i][picked], atol=1e-4)
        np.testing.assert_array_equal(classes[at], case[f"{n}/classes"][i][picked])


@pytest.mark.filterwarnings("ignore:.*meta parameter")
@pytest.mark.parametrize("larger", "slx")
def test_takes_the_weights_of_the_larger_ones(larger):
    with torch.device("meta"):
        catalogue.build({"architecture": "rtmdet", "size": larger}).load(
            Case("rtmdet", f"rtmdet-{larger}").empty(), larger
        )


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="expected one of n, t, s, m, l, x; got 'q'"):
        catalogue.build({"architecture": "rtmdet", "size": "q"})
    with torch.device("meta"):
        small = catalogue.build({"architecture": "rtmdet", "size": "s"})
    with pytest.raises(ModelCorruptError, match="expected a checkpoint of RtmDet"):
        small.load(Case("rtmdet", "rtmdet-l").empty(), "test")
