# SPDX-License-Identifier: Apache-2.0
"""OpenPose against its authors' Caffe models and Osokin's network, replayed from openpose.npz; see the README there.

OpenPose's models were run from its own prototxt files by OpenCV's reader of Caffe models.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from replay import Case, Exported, run
from write_caffe import caffemodel

from pose_ros.errors import ModelCorruptError
from pose_ros.estimators.heatmap import HeatmapEstimator, HeatmapOptions
from pose_ros.models import cards
from pose_ros.networks import catalogue, checkpoint
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

#: Case -> model whose card describes the network.
RUNS = {"body25": "openpose-body25", "mpi-fast": "openpose-mpi-fast", "hand": "openpose-hand",
        "lightweight": "lightweight-openpose"}
NAMES = {"coco": "openpose-coco", "mpi": "openpose-mpi", "face": "openpose-face"}
#: Its file has six stages, of which it uses four.
LATER = {"mpi-fast": "mpi"}


def batch(case: Case, n: int) -> np.ndarray:
    """Return the input of all these networks: x / 256 - 0.5, blue first."""
    return np.ascontiguousarray((case.crops(n)[..., ::-1] / 256 - 0.5).transpose(0, 3, 1, 2), np.float32)


@pytest.fixture(scope="module", params=RUNS)
def reference(request):
    case = Case("openpose", request.param)
    network = catalogue.build(cards.get(RUNS[request.param]).network)
    network.load(case.state(), request.param)
    return case, network


@pytest.fixture(scope="module", params=["torch", "onnx"])
def outputs(request, reference, tmp_path_factory):
    case, network = reference
    how = partial(run, network)
    if request.param == "onnx":
        how = Exported(network, tuple(case["size_wh"].tolist()), tmp_path_factory.mktemp("openpose"))
    return case, network, {n: how(batch(case, n)) for n in (1, 4)}


def test_draws_the_same_maps(outputs):
    case, network, found = outputs
    for n in (1, 4):
        assert list(found[n]) == list(network.outputs)
        assert max(case.error(n, name, found[n][name]) for name in network.outputs) < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_the_larger_ones_have_the_weights_of_the_authors(name):
    with torch.device("meta"):
        network = catalogue.build(cards.get(NAMES[name]).network)
    assert {k: tuple(v.shape) for k, v in network.state_dict().items()} == Case("openpose", name).shapes


def test_the_fast_mpi_model_takes_the_first_stages_of_a_whole_file():
    with torch.device("meta"):
        network = catalogue.build(cards.get("openpose-mpi-fast").network)
        whole = catalogue.build(cards.get("openpose-mpi").network)
    network.load(Case("openpose", "mpi").empty(), "mpi")
    with pytest.raises(ModelCorruptError, match=r"expected a checkpoint of OpenPose with .*Mconv1_stage"):
        whole.load(Case("openpose", "mpi-fast").empty(), "mpi-fast")


def test_takes_the_state_dict_of_the_port():
    """Hzzone/pytorch-openpose publishes files with Caffe's names; its module puts the name of a part before them."""
    with torch.device("meta"):
        network = catalogue.build(cards.get("openpose-coco").network)
    part = {"conv": "model0", "conv5": "model1", "Mconv": "model2"}
    state = {}
    for key, value in Case("openpose", "coco").empty().items():
        kind = "Mconv" if key.startswith("Mconv") else "conv5" if key.startswith("conv5") else "conv"
        state[f"{part[kind]}{'' if kind == 'conv' else '_1' if '_L1' in key else '_2'}.{key}"] = value
    network.load(state, "port")


def test_reads_the_file_of_the_authors(tmp_path):
    """A whole .caffemodel, and then half of one."""
    case = Case("openpose", "hand")
    weights = {k: v.numpy() for k, v in case.state().items()}
    path = tmp_path / "pose_iter_102000.caffemodel"
    path.write_bytes(caffemodel(weights, old=True))
    network = catalogue.build(cards.get("openpose-hand").network)
    network.load(checkpoint.read(path), path.name)
    assert case.error(1, "heatmaps", run(network, batch(case, 1))["heatmaps"]) < 1e-4
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelCorruptError, match="cut off"):
        checkpoint.read(path)


def test_a_hand_is_decoded_as_the_authors_do():
    """They take the largest pixel of maps enlarged eight times; we the top of the blob, at most a pixel from that."""
    card = cards.get("openpose-hand")
    rng = np.random.default_rng(3)
    planted = rng.uniform(24, 340, (21, 2))
    place = (np.arange(46) + 0.5) * 8 - 0.5
    x, y = ((place - planted[:, axis, None]) ** 2 for axis in (0, 1))
    maps = np.exp(-(x[:, None] + y[:, :, None]) / (2 * 7.0**2)).astype(np.float32)
    maps = np.concatenate([maps, 1 - maps.max(axis=0, keepdims=True)])[None]
    session = FakeSession(Tensor("image", (-1, 3, 368, 368)), [Tensor("heatmaps", (-1, 22, 46, 46))],
                          lambda batch: {"heatmaps": maps})
    region = np.float32([[184 - 0.5, 184 - 0.5, 368, 368, 0]])
    estimator = HeatmapEstimator(Model(card, session), HeatmapOptions(padding=1.0))
    poses = estimator.estimate(np.zeros((368, 368, 3), np.uint8), region)
    np.testing.assert_allclose(poses.keypoints[0], planted, atol=0.2)
