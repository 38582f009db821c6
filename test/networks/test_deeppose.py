# SPDX-License-Identifier: Apache-2.0
"""DeepPose and integral regression against mmpose, replayed from deeppose.npz."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
import pytest
import torch
from estimating import Remembered, estimate, estimator
from replay import Case, runner

from pose_ros.models import cards
from pose_ros.networks import catalogue

#: Case -> the card of such weights.
CARDS = {"plain-50": "deeppose-res50", "rle-50": "deeppose-res50-rle", "integral-50": "integral-res50-debias"}
RUNS = [
    ("plain-50", "torch"), ("rle-50", "torch"), ("rle-50", "onnx"), ("integral-50", "torch"), ("integral-50", "onnx"),
]  # fmt: skip


def build(name, size_wh=None):
    card = cards.get(name)
    return catalogue.build(card.network, size_wh or card.input_wh)


@lru_cache(maxsize=1)
def loaded(name):
    case = Case("deeppose", name)
    network = build(CARDS[name], tuple(case["size_wh"].tolist()))
    network.load(case.state(), name)
    return case, network


@pytest.fixture(scope="module", params=RUNS, ids="-".join)
def reference(request, tmp_path_factory):
    """Name of the card, case, names of outputs, and the network, run in one way or another."""
    name, runtime = request.param
    case, network = loaded(name)
    how = runner(runtime, network, case, tmp_path_factory)
    return CARDS[name], case, network.outputs, Remembered(how)


def test_says_the_same(reference):
    name, case, outputs, how = reference
    for n in (1, 4):
        found = how(cards.get(name).preprocess(case.crops(n)))
        assert max(case.error(n, output, found[output]) for output in outputs) < 1e-4


def test_estimates_the_same_keypoints(reference):
    name, case, _, how = reference
    size = tuple(case["size_wh"].tolist())
    for n, kind in product((1, 4), ("straight", "flipped")):
        poses = estimate(estimator(name, how, size, kind == "flipped"), case.crops(n))
        np.testing.assert_allclose(poses.keypoints, case[f"{n}/{kind}/keypoints"], atol=0.02)
        np.testing.assert_allclose(poses.scores, case[f"{n}/{kind}/scores"], atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*meta parameter")
@pytest.mark.parametrize(
    ("name", "card"),
    [("plain-101", "deeppose-res101"), ("rle-152", "deeppose-res152-rle"), ("mpii-50", "deeppose-res50-mpii"),
     ("wflw-50", "deeppose-res50-wflw"), ("integral-plain-50", "integral-res50"),
     ("integral-dsnt-50", "integral-res50-dsnt")],
)  # fmt: skip
def test_takes_the_weights_of_the_others(name, card):
    with torch.device("meta"):
        build(card).load(Case("deeppose", name).empty(), name)


@pytest.mark.filterwarnings("ignore:.*meta parameter")
@pytest.mark.parametrize("name", ["plain-50", "rle-50"])
def test_takes_what_mmpose_called_its_layers_before_1_0(name):
    """There the loss, with the flow that RLE trains beside the network, was ``loss``."""
    old = {key.replace("head.loss_module.", "keypoint_head.loss.").replace("head.fc", "keypoint_head.fc"): value
           for key, value in Case("deeppose", name).empty().items()}  # fmt: skip
    assert any("loss.flow_model.s.0" in key for key in old) == (name == "rle-50")
    with torch.device("meta"):
        build(CARDS[name]).load(old, "deeppose.pth")
