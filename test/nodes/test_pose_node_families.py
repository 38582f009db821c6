# SPDX-License-Identifier: Apache-2.0
"""The pose node runs checkpoints of every architecture, one after the other, from a folder of the user's own cards."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
import torch
from pose_ros.msg import SkeletonInfo
from pose_ros.srv import SetModel
from rcl_interfaces.srv import GetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header

from pose_ros.models import cards
from pose_ros.networks import catalogue
from pose_ros.ros.images import rgb_to_image
from pose_ros.runtime import torch_session
from pose_ros.skeletons import catalogue as skeletons

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
#: Shipped card, and what is smaller in the user's own, in the order in which the node runs them: subjects in crops
#: and in whole images take turns.
FAMILIES = {
    "rtmpose-t-pth": {},
    "rtmo-t-pth": {"input_wh": [96, 96]},
    "hrnet-w18-hand-dark": {},
    "lightweight-openpose": {"input_wh": [128, 128]},
    "deeppose-res50-rle": {"network": {"depth": 18}},
    "hrnet-w32-embedding": {"network": {"width": 18}, "input_wh": [128, 128]},
    "vitpose-s": {},
    "higherhrnet-w32": {"network": {"width": 18}, "input_wh": [128, 128]},
    "hourglass-1-bearpaw": {},
    "openpose-coco-pth": {"input_wh": [64, 64]},
    "simplebaseline-res50": {"network": {"depth": 18}},
    "integral-res50": {"network": {"depth": 18}},
    "simcc-mobilenetv2": {},
    "rtmw-m-pth": {},
}
#: Plugins that need no detector.
ONE_STAGE = ("rtmo", "paf", "embedding")
FINDER = "own-yolox-nano-pth"
#: Only the coarsest cell of an input of this size sees a person: in the whole image.
ONE_CELL = 32


def write(folder: Path, name: str, state: dict | None = None, **changes) -> None:
    """Write the user's card of a shipped model, and a checkpoint of random weights beside it."""
    card = cards.get(name)
    changes["network"] = {**card.network, **changes.get("network", {})}
    data = {**dataclasses.asdict(card), "licence": {"weights": "MIT"}, "file": {"path": f"{name}.pth"}, **changes}
    if data["kind"] == "estimator" and data["plugin"] not in ONE_STAGE:
        data["detector"] = FINDER
    del data["name"], data["folder"]
    (folder / f"own-{name}.yaml").write_text(json.dumps(data))
    torch.manual_seed(1)
    network = catalogue.build(data["network"], data["input_wh"])
    torch.save({"state_dict": {**network.state_dict(), **(state or {})}}, folder / f"{name}.pth")


def finder() -> dict[str, torch.Tensor]:
    """Return the last layers of a YOLOX with one class that sees one person, in the whole image."""
    state = {}
    for level, seen in enumerate((-9.0, -9.0, 9.0)):
        for layer, bias in {"cls": [seen], "obj": [seen], "reg": [0.5, 0.5, 0.0, 0.0]}.items():
            state[f"head.multi_level_conv_{layer}.{level}.weight"] = torch.zeros(len(bias), 64, 1, 1)
            state[f"head.multi_level_conv_{layer}.{level}.bias"] = torch.tensor(bias)
    return state


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own_models")
    for name, changes in FAMILIES.items():
        write(folder, name, **changes)
    write(folder, "yolox-nano-pth", finder(), network={"classes": 1}, classes=["person"], input_wh=[ONE_CELL] * 2)
    write(folder, "rtmdet-nano-person-pth", input_wh=[96, 96])
    # A card of one architecture with the file of another.
    wrong = json.loads((folder / "own-vitpose-s.yaml").read_text())
    (folder / "own-wrong.yaml").write_text(json.dumps({**wrong, "file": {"path": "rtmpose-t-pth.pth"}}))
    yield folder
    shutil.rmtree(folder)  # some hundred MB


@pytest.fixture
def scene(scene, folder, monkeypatch):
    def make(model, **parameters):
        monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(folder))
        return scene(model=model, threads=1, depth=10, reliability="reliable", **parameters)

    return make


def picture(seconds):
    rgb = np.random.default_rng(seconds).integers(0, 255, (96, 96, 3), np.uint8)
    header = Header(frame_id="camera")
    header.stamp.sec = seconds
    return rgb_to_image(rgb, header)


def test_set_model_goes_through_all_families(scene, ros):
    names = [f"own-{name}" for name in FAMILIES]
    scene, infos = scene(names[0]), []
    scene.other.create_subscription(SkeletonInfo, "/pose/skeleton_info", infos.append, LATCHED)
    # At the end another detector, and back to where it began.
    for seconds, asked in enumerate([*names, f"own-rtmdet-nano-person-pth+{names[0]}", names[0]], 1):
        response = scene.call(SetModel, "set_model", model=asked)
        assert response.success, response.message
        card = cards.get(asked.partition("+")[2] or asked)
        running = asked if "+" in asked or not card.detector else f"{card.detector}+{asked}"
        assert (response.model, "torch" in response.device) == (running, True)
        array = scene.send(picture(seconds))
        assert (array.model, array.schema) == (running, card.skeleton)
        known = skeletons.get(card.skeleton)
        for skeleton in array.skeletons:
            assert (len(skeleton.keypoints), len(skeleton.scores)) == (2 * len(known), len(known))
        assert len(array.skeletons) == 1 or not running.startswith(FINDER)
        assert ros.spin_until(lambda running=running: infos and infos[-1].model == running)
        assert (infos[-1].name, list(infos[-1].keypoint_names)) == (card.skeleton, list(known.keypoints))
        status, values = scene.diagnostics()
        assert (status.level, values["last_error"]) == (b"\0", ""), values


def test_a_checkpoint_of_another_architecture_leaves_the_old_one(scene):
    scene = scene("own-hourglass-1-bearpaw")
    before = scene.send(picture(1))
    response = scene.call(SetModel, "set_model", model="own-wrong")
    assert not response.success
    assert "'own-wrong': expected a checkpoint of ViTPose with" in response.message
    assert response.model == before.model == "own-yolox-nano-pth+own-hourglass-1-bearpaw"
    assert scene.send(picture(2)).model == before.model
    assert "own-wrong" in scene.diagnostics()[1]["last_error"]


def test_options_outlive_a_model_that_has_no_use_for_them(scene):
    scene = scene("own-rtmpose-t-pth", top_down__max_subjects=3, one_stage__max_subjects=4)
    assert scene.set(detector__score_threshold=0.25)[0].successful
    # With random weights, it sees many.
    assert scene.call(SetModel, "set_model", model="own-rtmo-t-pth").success
    assert len(scene.send(picture(1)).skeletons) == 4
    assert scene.call(SetModel, "set_model", model="own-hourglass-1-bearpaw").success
    source = scene.node._switch.worker.pipeline.source
    assert (source.options.max_subjects, source.detector.options.score_threshold) == (3, 0.25)


def get(scene, name):
    value = scene.call(GetParameters, "get_parameters", names=[name]).values[0]
    return value.integer_value if name == "batch" else value.string_value


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("batch", -1, "batch out of range"),
        ("batch", "many", "expected 'Type.INTEGER'"),
        ("precision", "float17", "precision: expected one of float32, float16, bfloat16; got 'float17'"),
    ],
)
def test_refused_values_say_what_would_do(scene, name, value, reason):
    scene = scene("own-rtmpose-t-pth")
    result = scene.set(**{name: value})[0]
    assert not result.successful
    assert reason in result.reason
    assert scene.send(picture(1)).schema == "coco17"


def test_batch_and_precision_load_the_network_anew(scene, ros):
    scene = scene("own-rtmpose-t-pth", batch=2)
    scene.send(picture(1))

    def reload(name, value):
        running = scene.node._switch.worker.pipeline
        assert scene.set(**{name: value})[0].successful
        assert ros.spin_until(lambda: not scene.node._switch.loading)
        assert scene.send(picture(2 + scene.arrays[-1].header.stamp.sec)).skeletons
        return scene.node._switch.worker.pipeline is not running

    assert reload("batch", 1)
    assert get(scene, "batch") == 1
    for precision in ("bfloat16", "float16"):
        able = torch_session._fast(precision)
        assert reload("precision", precision) == able
        assert ros.spin_until(lambda e=precision if able else "float32": get(scene, "precision") == e)
        assert able or f"no arithmetic in {precision}" in scene.diagnostics()[1]["last_error"]
        reload("precision", "float32")
