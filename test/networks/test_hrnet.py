# SPDX-License-Identifier: Apache-2.0
"""HRNet against mmpose and its authors' code, replayed from hrnet.npz; see test/data/networks/README.md."""

from __future__ import annotations

from functools import cache, partial
from itertools import product

import numpy as np
import pytest
import torch
from replay import Case, Exported, prepared, run

from pose_ros import registry
from pose_ros.errors import ConfigError, ModelCorruptError
from pose_ros.estimators.heatmap import HeatmapEstimator, HeatmapOptions
from pose_ros.models import cards
from pose_ros.models.card import Licence, ModelCard, ModelFile
from pose_ros.networks import catalogue
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

#: Case -> arguments of the constructor.
RUNS = {
    "mmpose-w32": {"width": 32},
    "mmpose-w18-hand": {"width": 18, "keypoints": 21, "concat": True},
    "original-w32": {"width": 32},
}
NAMES = {
    "mmpose-w48": {"width": 48},
    "original-w48": {"width": 48},
    "mmpose-w32-offsets": {"width": 32, "maps": 3},
    "mmpose-w18-face": {"width": 18, "keypoints": 98, "concat": True},
}


#: The authors' network is mmpose's with other names, and exported once.
@pytest.fixture(scope="module", params=[(name, how) for name in RUNS for how in ("torch", "onnx")
                                        if (name, how) != ("original-w32", "onnx")], ids="-".join)
def outputs(request, tmp_path_factory):
    """Heat maps of one and of four crops, and of their mirror images."""
    name, how = request.param
    case = Case("hrnet", name)
    network = catalogue.build({"architecture": "hrnet", **RUNS[name]})
    network.load(case.state(), name)
    size = tuple(case["size_wh"].tolist())
    forward = partial(run, network) if how == "torch" else Exported(network, size, tmp_path_factory.mktemp("hrnet"))
    return case, {n: [forward(prepared(crops))["heatmaps"] for crops in (case.crops(n), case.crops(n)[:, :, ::-1])]
                  for n in (1, 4)}


def test_draws_the_same_maps(outputs):
    case, maps = outputs
    assert max(case.error(n, "heatmaps", maps[n][0]) for n in (1, 4)) < 1e-4


def test_decodes_to_the_same_keypoints(outputs):
    """Away from the outermost pixels of the maps, where the authors do not move the maximum and mmpose does in part."""
    case, maps = outputs
    for n, kind in product((1, 4), ("straight", "flipped")):
        k, rows, columns = maps[n][0].shape[1:]
        made = estimator(k, maps[n], flip_test=kind == "flipped")
        region = np.float32([2 * columns, 2 * rows, 4 * columns, 4 * rows, 0])
        poses = made.estimate(np.zeros((4 * rows, 4 * columns, 3), np.uint8), np.tile(region, (n, 1)))
        expected = case[f"{n}/{kind}/keypoints"]
        seen = np.isfinite(poses.keypoints).all(axis=2)
        assert (seen == (case[f"{n}/{kind}/scores"] > 0)).all()
        inside = seen & ((expected > 6) & (expected < 4 * np.array([columns, rows]) - 9)).all(axis=2)
        assert inside.mean() > 0.4
        np.testing.assert_allclose(poses.keypoints[inside], expected[inside], atol=0.02)
        np.testing.assert_allclose(poses.keypoints[seen], expected[seen], atol=1.01)
        np.testing.assert_allclose(poses.scores, np.clip(case[f"{n}/{kind}/scores"], 0, 1), atol=1e-4)


def estimator(keypoints: int, maps: list[np.ndarray], flip_test: bool) -> HeatmapEstimator:
    """Return an estimator whose network draws these maps of crops and of their mirror images."""
    name = "coco17" if keypoints == 17 else "hand21"
    card = ModelCard("test", "estimator", "heatmap", "A test.", ModelFile(path="x.onnx"), Licence("MIT"),
                     (4 * maps[0].shape[3], 4 * maps[0].shape[2]), skeleton=name, params={"padding": 1.0})
    session = FakeSession(Tensor("image", (-1, 3, *card.input_wh[::-1])), [Tensor("maps", (-1, *maps[0].shape[1:]))],
                          lambda batch: {"maps": np.concatenate(maps)[: len(batch)]})
    return HeatmapEstimator(Model(card, session), HeatmapOptions(flip_test))


@pytest.mark.filterwarnings("ignore:.*meta parameter")
@pytest.mark.parametrize("name", NAMES)
def test_takes_the_weights_of_larger_networks(name):
    with torch.device("meta"):
        network = catalogue.build({"architecture": "hrnet", **NAMES[name]})
        network.load(Case("hrnet", name).empty(), name)


@pytest.mark.parametrize("arguments", [{"width": 0}, {"keypoints": -1}, {"maps": 0}])
def test_refuses_sizes_that_are_none(arguments):
    with pytest.raises(ConfigError, match=r"network\.\w+: expected a positive number"):
        catalogue.build({"architecture": "hrnet", **arguments})


def test_refuses_the_weights_of_another_size():
    with torch.device("meta"):
        network = catalogue.build({"architecture": "hrnet", "width": 48})
    with pytest.raises(ModelCorruptError, match=r"has shape .* in place of"):
        network.load(Case("hrnet", "mmpose-w32").empty(), "w32.pth")


@pytest.mark.filterwarnings("ignore:.*meta parameter")
def test_takes_what_mmpose_called_its_layers_before_1_0():
    """There the head was keypoint_head, and convolutions before the last one were counted as part of it."""
    case = Case("hrnet", "mmpose-w18-hand")
    old = {key.replace("head.final_layer.", "keypoint_head.final_layer.3.")
           .replace("head.conv_layers.", "keypoint_head.final_layer."): value for key, value in case.empty().items()}
    assert "keypoint_head.final_layer.3.weight" in old
    with torch.device("meta"):
        network = catalogue.build({"architecture": "hrnet", **RUNS["mmpose-w18-hand"]})
    network.load(old, "hand.pth")


CARDS = [card for card in map(cards.get, cards.names()) if card.network.get("architecture") in ("hrnet", "higherhrnet")]


@cache
def outputs_of(network):
    """What a network gives for an input of any size, as a session says it."""
    with torch.device("meta"), torch.inference_mode():
        made = catalogue.build(dict(network))
        found = made(torch.zeros((1, 3, 64, 64)))
    return [Tensor(name, (-1, maps.shape[1], -1, -1)) for name, maps in zip(made.outputs, found, strict=True)]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_card_describes_a_network_that_its_plugin_takes(card):
    plugin = registry.load("estimators", card.plugin)
    made = outputs_of(tuple(card.network.items()))
    plugin(Model(card, FakeSession(Tensor("image", (-1, 3, -1, -1)), made, lambda batch: {})))
    assert card.file.sha256 == "" or f"-{card.file.sha256}" in card.file.url
    assert card.plugin == "embedding" or card.params["align"] == ("udp" if "udp" in card.name else "corner")
