# SPDX-License-Identifier: Apache-2.0
"""SimpleBaseline against mmpose and its authors' code, replayed from simplebaseline.npz."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from itertools import product

import numpy as np
import pytest
import torch
from estimating import Remembered, estimate, estimator
from replay import Case, runner

from pose_ros.errors import ConfigError, ModelCorruptError
from pose_ros.models import cards
from pose_ros.networks import catalogue

CARD = "simplebaseline-res50"
RUNS = [("mmpose-50", "torch"), ("mmpose-50", "onnx"), ("microsoft-50", "torch")]


def build(**arguments):
    return catalogue.build({"architecture": "simplebaseline", **arguments})


@lru_cache(maxsize=1)
def loaded(name):
    case, network = Case("simplebaseline", name), build(depth=50)
    network.load(case.state(), name)
    return case, network


@pytest.fixture(scope="module", params=RUNS, ids="-".join)
def reference(request, tmp_path_factory):
    """Name, case, and the network, run in one way or another."""
    name, runtime = request.param
    case, network = loaded(name)
    how = runner(runtime, network, case, tmp_path_factory)
    return name, case, Remembered(how)


@pytest.fixture
def preprocess(reference, monkeypatch):
    """The card's; with the other order of colours for the weights of the authors."""
    card = cards.get(CARD)
    if reference[0].startswith("microsoft"):
        card = dataclasses.replace(card, preprocess=dataclasses.replace(card.preprocess, color="bgr"))
        monkeypatch.setattr(cards, "get", lambda name: card)
    return card.preprocess


def test_draws_the_same_maps(reference, preprocess):
    _, case, how = reference
    for n in (1, 4):
        assert case.error(n, "heatmaps", how(preprocess(case.crops(n)))["heatmaps"]) < 1e-4


@pytest.mark.usefixtures("preprocess")
def test_estimates_the_same_keypoints(reference):
    """Away from the outermost pixels of the maps, where the references do not move the maximum."""
    _, case, how = reference
    size = tuple(case["size_wh"].tolist())
    for n, kind in product((1, 4), ("straight", "flipped")):
        poses = estimate(estimator(CARD, how, size, kind == "flipped"), case.crops(n))
        expected, scores = case[f"{n}/{kind}/keypoints"], case[f"{n}/{kind}/scores"]
        seen = np.isfinite(poses.keypoints).all(axis=2)
        assert (seen == (scores > 0)).all()
        inside = seen & ((expected > 6) & (expected < case["size_wh"] - 9)).all(axis=2)
        assert inside.mean() > 0.3
        np.testing.assert_allclose(poses.keypoints[inside], expected[inside], atol=0.02)
        np.testing.assert_allclose(poses.keypoints[seen], expected[seen], atol=1.01)
        np.testing.assert_allclose(poses.scores, np.clip(scores, 0, 1), atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*meta parameter")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("mmpose-101", {"depth": 101}), ("mmpose-152", {"depth": 152}), ("microsoft-101", {"depth": 101}),
     ("microsoft-152", {"depth": 152}), ("visibility-50", {"depth": 50, "visibility": True})],
)  # fmt: skip
def test_takes_the_weights_of_the_others(name, arguments):
    with torch.device("meta"):
        build(**arguments).load(Case("simplebaseline", name).empty(), name)


@pytest.mark.filterwarnings("ignore:.*meta parameter")
def test_takes_what_mmpose_called_its_layers_before_1_0():
    state = Case("simplebaseline", "mmpose-50").empty()
    state = {key.replace("head.", "keypoint_head."): value for key, value in state.items()}
    with torch.device("meta"):
        build().load(state, "res50_coco_256x192.pth")


def test_says_whether_keypoints_can_be_seen():
    network = build(depth=18, visibility=True, keypoints=5)
    heatmaps, visibility = network(torch.zeros(2, 3, 64, 64))
    assert network.outputs == ("heatmaps", "visibility")
    assert heatmaps.shape == (2, 5, 16, 16)
    assert visibility.shape == (2, 5)
    assert ((visibility > 0) & (visibility < 1)).all()


def test_refuses_other_networks():
    with pytest.raises(ConfigError, match=r"network\.depth: expected one of 18, 34, 50, 101, 152, got 51"):
        build(depth=51)
    with torch.device("meta"), pytest.raises(ModelCorruptError, match=r"that do not fit: .* is not known"):
        build(depth=50).load(Case("simplebaseline", "mmpose-101").empty(), "res101.pth")
