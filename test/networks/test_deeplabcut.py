# SPDX-License-Identifier: Apache-2.0
"""DeepLabCut's models against its own code, replayed from deeplabcut.npz; see test/data/networks/README.md."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
import torch
from replay import Case, prepared, run, runner, weights

from pose_ros import registry
from pose_ros.errors import ConfigError, ModelCorruptError
from pose_ros.models import cards
from pose_ros.networks import catalogue
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

#: Case -> the card that is made for it.
CARDS = {
    "superanimal-hrnet": "superanimal-quadruped-hrnet-w32",
    "superanimal-resnet": "superanimal-topviewmouse-resnet-50",
    "superanimal-rtmpose": "superanimal-quadruped-rtmpose-s",
}
#: Case -> a card's ``network``.
NAMES = {
    "project-resnet-topdown": {"backbone": "resnet101", "keypoints": 4, "head": "conv"},
    "project-hrnet-topdown": {"backbone": "hrnet_w18", "keypoints": 4, "head": "conv"},
    "project-hrnet": {"backbone": "hrnet_w48", "keypoints": 4},
}
#: What DeepLabCut calls the outputs.
THEIRS = {"heatmaps": "heatmap", "offsets": "locref", "simcc_x": "x", "simcc_y": "y"}


@cache
def network_of(name):
    """Return a case of deeplabcut.npz, and our network with its weights."""
    case = Case("deeplabcut", name)
    network = catalogue.build(cards.get(CARDS[name]).network, tuple(case["size_wh"].tolist()))
    network.load(case.state(), name)
    return case, network


@cache
def outputs_of(name):
    """Return what our network draws of four crops."""
    case, network = network_of(name)
    return run(network, prepared(case.crops(4)))


@pytest.mark.parametrize("name", CARDS)
def test_draws_the_same_maps(name):
    case, found = network_of(name)[0], outputs_of(name)
    assert max(case.error(4, THEIRS[key], value) for key, value in found.items()) < 1e-4


def test_exported_it_draws_the_same_maps(tmp_path_factory):
    """The ResNet, for one crop; that HRNet and RTMPose can be exported is shown with their other weights."""
    case, network = network_of("superanimal-resnet")
    found = runner("onnx", network, case, tmp_path_factory)(prepared(case.crops(1)))
    assert max(case.error(1, THEIRS[key], value) for key, value in found.items()) < 1e-4


@pytest.mark.filterwarnings("ignore:.*meta parameter")
@pytest.mark.parametrize("name", NAMES)
def test_takes_the_weights_of_other_projects(name):
    with torch.device("meta"):
        network = catalogue.build({"architecture": "deeplabcut", **NAMES[name]})
        network.load(Case("deeplabcut", name).empty(), name)


@pytest.mark.parametrize("wrong", [
    {"backbone": "resnet_50"}, {"backbone": "hrnet_w32", "keypoints": 0}, {"backbone": "hrnet_w32", "head": "dense"},
    {"backbone": "resnet50", "stride": 4},
])  # fmt: skip
def test_refuses_what_makes_no_network(wrong):
    with pytest.raises(ConfigError, match=r"expected .*got"):
        catalogue.build({"architecture": "deeplabcut", "keypoints": 3, **wrong})


def test_another_number_of_body_parts_is_told():
    network = catalogue.build({**cards.get(CARDS["superanimal-hrnet"]).network, "keypoints": 27})
    with pytest.raises(ModelCorruptError, match=r"head.heatmaps.weight has shape \(39, 32, 1, 1\) in place of \(27"):
        network.load(Case("deeplabcut", "superanimal-hrnet").empty(), "other")


def estimator(name, size_wh, outputs, seen=None):
    """Return the card's estimator, with a network that says this of whatever it sees."""
    card = dataclasses.replace(cards.get(CARDS[name]), input_wh=size_wh)

    def say(batch):
        if seen is not None:
            seen.append(batch)
        return {key: np.resize(value, (len(batch), *value.shape[1:])) for key, value in outputs.items()}

    shapes = [Tensor(key, (-1, *value.shape[1:])) for key, value in outputs.items()]
    session = FakeSession(Tensor("image", (-1, 3, *size_wh[::-1])), shapes, say)
    return registry.load("estimators", card.plugin)(Model(card, session))


@pytest.mark.parametrize("name", CARDS)
def test_finds_the_body_parts_where_deeplabcut_does(name):
    """In a region that is the crop; pixels of both are the same then."""
    case, outputs = network_of(name)[0], outputs_of(name)
    width, height = size_wh = tuple(case["size_wh"].tolist())
    region = np.float32([[width / 2 - 0.5, height / 2 - 0.5, width, height, 0]] * 4)
    poses = estimator(name, size_wh, outputs).estimate(np.zeros((height, width, 3), np.uint8), region)
    expected, scores = case["4/straight/keypoints"], case["4/straight/scores"]
    found = np.isfinite(poses.keypoints).all(axis=2)
    assert found.mean() > 0.5
    np.testing.assert_allclose(poses.keypoints[found], expected[found], atol=1e-2)
    np.testing.assert_allclose(poses.scores[found], np.clip(scores, 0, 1)[found], atol=1e-3)
    assert (scores[~found] <= 1e-3).all(), "what is missing has no score there either"


@pytest.mark.parametrize("i", range(3))
def test_cuts_crops_as_deeplabcut_does(i):
    """Crops, and the way back; their boxes are rounded to whole pixels, and so are these."""
    case = Case("deeplabcut", "crop")
    image = weights.random_crops(1, (200, 150))[0]
    x, y, width, height = case[f"{i}/box_xywh"].tolist()
    seen: list[np.ndarray] = []
    maps = np.zeros((1, 39, 16, 16), np.float32)
    maps[:, :, 3, 11] = 1
    # In our coordinates the first pixel begins at -0.5.
    region = np.float32([[x + width / 2 - 0.5, y + height / 2 - 0.5, width, height, 0]])
    poses = estimator("superanimal-hrnet", (64, 64), {"heatmaps": maps}, seen).estimate(image, region)
    expected = case[f"{i}/offset"] + (np.array([11, 3]) * 4 + 2) * case[f"{i}/scale"]
    np.testing.assert_allclose(poses.keypoints[0], np.tile(expected, (39, 1)), atol=1e-3)
    crop = seen[0][0].transpose(1, 2, 0) * [58.395, 57.12, 57.375] + [123.675, 116.28, 103.53]
    # Nothing outside the crop is seen by theirs, not even between its last pixel and its edge.
    difference = np.abs(crop - case[f"{i}/crop"])[2:-2, 2:-2]
    assert np.median(difference) < 1
    assert np.percentile(difference, 95) < 4
