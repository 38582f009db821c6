# SPDX-License-Identifier: Apache-2.0
"""DeepLabCut's models against its own code, replayed from deeplabcut.npz; see test/data/networks/README.md."""

from __future__ import annotations

import pytest
import torch
from replay import Case, prepared, runner

from pose_ros.errors import ConfigError, ModelCorruptError
from pose_ros.networks import catalogue

#: Case -> the card's ``network``.
RUNS = {
    "superanimal-hrnet": {"backbone": "hrnet_w32", "keypoints": 39, "head": "conv", "offsets": False},
    "superanimal-resnet": {"backbone": "resnet50_gn", "keypoints": 27},
}
NAMES = {
    "project-resnet-topdown": {"backbone": "resnet101", "keypoints": 4, "head": "conv"},
    "project-hrnet-topdown": {"backbone": "hrnet_w18", "keypoints": 4, "head": "conv"},
    "project-hrnet": {"backbone": "hrnet_w48", "keypoints": 4},
}
#: What DeepLabCut calls the outputs.
THEIRS = {"heatmaps": "heatmap", "offsets": "locref", "simcc_x": "x", "simcc_y": "y"}


#: That HRNet can be exported is shown elsewhere.
@pytest.mark.parametrize(("name", "how"), [
    ("superanimal-hrnet", "torch"), ("superanimal-resnet", "torch"), ("superanimal-resnet", "onnx"),
])  # fmt: skip
def test_draws_the_same_maps(name, how, tmp_path_factory):
    case = Case("deeplabcut", name)
    network = catalogue.build({"architecture": "deeplabcut", **RUNS[name]})
    network.load(case.state(), name)
    forward = runner(how, network, case, tmp_path_factory)
    for n in (1, 4):
        found = forward(prepared(case.crops(n)))
        assert set(found) == set(network.outputs)
        assert max(case.error(n, THEIRS[key], value) for key, value in found.items()) < 1e-4


def test_rtmpose_of_deeplabcut_draws_the_same_vectors():
    case = Case("deeplabcut", "superanimal-rtmpose")
    network = catalogue.build({"architecture": "rtmpose", "size": "s", "keypoints": 39}, (256, 256))
    network.load(case.state(), "rtmpose")
    found = runner("torch", network, case, None)(prepared(case.crops(4)))
    assert max(case.error(4, THEIRS[key], value) for key, value in found.items()) < 1e-4


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


def test_another_head_is_told():
    case = Case("deeplabcut", "superanimal-hrnet")
    network = catalogue.build({"architecture": "deeplabcut", **RUNS["superanimal-hrnet"], "keypoints": 27})
    with pytest.raises(ModelCorruptError, match=r"head.heatmaps.weight has shape \(39, 32, 1, 1\) in place of \(27"):
        network.load(case.empty(), "other")
