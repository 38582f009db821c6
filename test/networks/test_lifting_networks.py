# SPDX-License-Identifier: Apache-2.0
"""Martinez, VideoPose3D and MotionBERT against mmpose and their authors' code, replayed from lifters.npz.

Each case goes the whole way, from keypoints in pixels to metres around the root.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from replay import Case, Exported, run
from tracks import SIZE_WH, random_tracks

from pose_ros import formats
from pose_ros.errors import ConfigError
from pose_ros.lifters.sequence import SequenceLifter, SequenceOptions
from pose_ros.models import cards
from pose_ros.networks import catalogue
from pose_ros.networks.checkpoint import read
from pose_ros.networks.export import export
from pose_ros.plugin import Model
from pose_ros.runtime import open_session
from pose_ros.runtime.session import FakeSession, Tensor

#: Case -> the card of such weights.
CARDS = {
    "martinez": "martinez-h36m", "mmpose-27": "videopose3d-27", "facebook-27": "videopose3d-27",
    "bert": "motionbert-h36m", "authors-lite": "motionbert-lite",
}  # fmt: skip
#: Cases whose authors average mirror images.
FLIPPED = {"bert": "flipped", "facebook-27": "flipped"}


def lifter(name, network, how, moments, **options):
    """Return the plugin of a card for fewer moments."""
    card = cards.get(name)
    card = dataclasses.replace(card, input_wh=(card.input_wh[0], moments))
    channels = network.channels
    found = how(np.zeros((1, channels, moments, 17), np.float32))
    outputs = [Tensor(key, (-1, *value.shape[1:])) for key, value in found.items()]
    session = FakeSession(Tensor("image", (-1, channels, moments, 17)), outputs, how)
    return SequenceLifter(Model(card, session), SequenceOptions(**options))


RUNS = [*((name, "torch") for name in CARDS), *((name, "onnx") for name in ("martinez", "mmpose-27", "bert"))]


def build(name, case=""):
    """Return the network of a card, with as many blocks as a case has."""
    fewer = {"depth": 2} if case in ("bert", "authors-lite") else {}
    return catalogue.build({**cards.get(name).network, **fewer})


@pytest.fixture(scope="module", params=RUNS, ids="-".join)
def reference(request, tmp_path_factory):
    """Case, the name of its card, its network, and a function that runs it."""
    name, runtime = request.param
    case, network = Case("lifters", name), build(CARDS[name], name)
    network.load(case.state(), name)
    if runtime == "torch":
        return name, case, network, lambda batch: run(network, batch)
    return name, case, network, Exported(network, (17, int(case["moments"])), tmp_path_factory.mktemp("onnx"))


def test_lifts_to_the_same_points(reference):
    name, case, network, how = reference
    moments = int(case["moments"])
    # Where every moment is lifted, the last one and one before it; else the one in the middle.
    runs = {(moments // 2, "points"), (0 if "bert" in CARDS[name] else moments // 2, FLIPPED.get(name, "points"))}
    for ahead, kind in sorted(runs):
        made = lifter(CARDS[name], network, how, moments, flip_test=kind == "flipped", ahead=ahead)
        assert (made.window, made.ahead) == (moments, ahead)
        for n in (1, 4):
            points = made.lift(*random_tracks(n, moments), SIZE_WH)
            expected = case[f"{n}/{kind}"]
            expected = expected[:, moments - 1 - ahead] if expected.ndim == 4 else expected
            if name == "authors-lite":  # as seen by a camera, in units of half the shorter side
                expected = (expected - expected[:, :1]) * 2
            expected[:, 0] = 0  # what is left of the root
            assert n == 1 or np.ptp(points, axis=0).max() > 0.1 * np.abs(points).max()
            assert case.away(n, f"{kind} {ahead}", points, expected) < 1e-4


@pytest.mark.filterwarnings("ignore:.*meta parameter")
@pytest.mark.parametrize(
    ("name", "card"),
    [("mmpose-1", "videopose3d-1-cpn"), ("mmpose-81", "videopose3d-81"), ("mmpose-243", "videopose3d-243-cpn"),
     ("mmpose-semi", "videopose3d-27-semi"), ("facebook-243", "videopose3d-243-coco"),
     ("authors", "motionbert-ft-h36m-authors"), ("authors-lite-5", "motionbert-lite"),
     ("bert-5", "motionbert-ft-h36m")],
)  # fmt: skip
def test_takes_the_weights_of_the_others(name, card):
    with torch.device("meta"):
        build(card).load(Case("lifters", name).empty(), name)


@pytest.mark.filterwarnings("ignore:.*meta parameter")
@pytest.mark.parametrize("name", ["martinez", "mmpose-27", "mmpose-semi"])
def test_takes_what_mmpose_called_its_layers_before_1_0(name):
    """The published files are of that time."""
    old = {key.replace("head.", "keypoint_head.", 1) if key.startswith("head.") else key: value
           for key, value in Case("lifters", name).empty().items()}  # fmt: skip
    card = {"martinez": "martinez-h36m"}.get(name, "videopose3d-27-semi")
    with torch.device("meta"):
        build(card).load(old, f"{name}.pth")


@pytest.mark.parametrize(("case", "card"), [("facebook-27", "videopose3d-27"), ("authors-lite", "motionbert-lite")])
def test_finds_the_weights_in_the_files_of_authors(case, card, tmp_path):
    """They lie beside the state of random generators, which is not read, and of another network."""
    state = {f"module.{key}": value for key, value in Case("lifters", case).state().items()}
    saved = {"epoch": 80, "lr": 0.001, "random_state": np.random.RandomState(1), "optimizer": {"state": {}},
             "model_pos": state, "model_traj": None}  # fmt: skip
    torch.save(saved, tmp_path / "best_epoch.bin")
    formats.check(tmp_path / "best_epoch.bin")
    build(card, case).load(read(tmp_path / "best_epoch.bin"), case)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("name", ["martinez-h36m", "videopose3d-27", "motionbert-lite"])
def test_exported_file_says_what_the_plugin_asks_for(name, runtime, tmp_path):
    card = cards.get(name)
    card = dataclasses.replace(card, input_wh=(17, min(card.input_wh[1], 27)))
    network = catalogue.build({**card.network, **({"depth": 1} if "bert" in name else {})})
    export(network, card.input_wh, tmp_path / "net.onnx")
    session = open_session(tmp_path / "net.onnx", device="cpu", runtime=runtime)
    made = SequenceLifter(Model(card, session))
    keypoints, scores = random_tracks(2, made.window)
    assert made.lift(keypoints, scores, SIZE_WH).shape == (2, 17, 3)


def test_refuses_a_width_that_cannot_be_shared_by_its_heads():
    with pytest.raises(ConfigError, match=r"network\.width: expected a multiple of 8 heads, got 100"):
        catalogue.build({"architecture": "motionbert", "width": 100})
