# SPDX-License-Identifier: Apache-2.0
"""``pose-ros models import``: files as DeepLabCut and SLEAP write them, up to a pose in an image."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper

from pose_ros.cli import labs
from pose_ros.cli.main import main
from pose_ros.core.frame import Frame
from pose_ros.errors import ConfigError
from pose_ros.models import cards
from pose_ros.models.store import Store
from pose_ros.networks import catalogue as networks
from pose_ros.skeletons import catalogue
from pose_ros.wiring import build

PARTS = ["snout", "leftear", "rightear", "Lpaw", "Rpaw", "tailbase"]
PROJECT = {
    "Task": "openfield", "bodyparts": PARTS, "multianimalproject": False, "skeleton": [["snout", "tailbase"]],
    "video_sets": {"/lab/m3v1.mp4": {"crop": "0, 640, 0, 480"}},
}  # fmt: skip
#: As SLEAP writes it; what jsonpickle met before is a number.
_NODES = [{"py/object": "sleap.skeleton.Node", "py/state": {"py/tuple": [name, 1.0]}} for name in ("head", "thorax")]
_SKELETON = {
    "links": [{"source": _NODES[0], "target": _NODES[1], "type": {}}],
    "nodes": [{"id": {"py/id": 1}}, {"id": {"py/id": 2}}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the files are, and where the cards come."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(tmp_path / "cards"))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(PROJECT))
    return tmp_path


def importing(*args: str) -> int:
    return main(["models", "import", *args, "--output", "cards", "--json"])


def pytorch_config(**changes: Any) -> dict[str, Any]:
    """Return what DeepLabCut 3 writes about a small network of one animal, as far as it is read."""
    head = {
        "type": "HeatmapHead",
        "predictor": {"type": "HeatmapPredictor", "apply_sigmoid": False, "location_refinement": True,
                      "locref_std": 7.2801},
        "heatmap_config": {"channels": [2048, 6], "kernel_size": [3], "strides": [2]},
        "locref_config": {"channels": [2048, 12], "kernel_size": [3], "strides": [2]},
    }  # fmt: skip
    backbone = {"type": "ResNet", "model_name": "resnet50_gn", "output_stride": 16}
    return {
        "method": "bu", "net_type": "resnet_50", "metadata": {"bodyparts": PARTS, "individuals": ["individual1"]},
        "data": {"colormode": "RGB", "inference": {"normalize_images": True}},
        "model": {"backbone": backbone, "backbone_output_channels": 2048, "heads": {"bodypart": head}}, **changes,
    }  # fmt: skip


def weights() -> dict[str, torch.Tensor]:
    """Return random weights under DeepLabCut's names."""
    torch.manual_seed(1)
    network = networks.build({"architecture": "deeplabcut", "backbone": "resnet50_gn", "keypoints": 6})
    theirs = {"head.heatmaps.": "heads.bodypart.heatmap_head.deconv_layers.0.",
              "head.offsets.": "heads.bodypart.locref_head.deconv_layers.0.", "backbone.": "backbone.model."}
    found = {}
    for key, value in network.state_dict().items():
        ours = next(prefix for prefix in theirs if key.startswith(prefix))
        found[key.replace(ours, theirs[ours], 1)] = value
    return found


def test_what_deeplabcut_3_exports_runs(folder, capsys):
    """An exported file holds its configuration, and a detector that is not read."""
    torch.save({"config": pytorch_config(), "pose": weights(), "detector": {"a": torch.zeros(1)}}, "DLC_Open-Field.pt")
    assert importing("DLC_Open-Field.pt", "--config", "config.yaml") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["model"], said["plugin"], said["keypoints"]) == ("dlc_open-field", "single-instance", 6)
    found = catalogue.get(cards.get("dlc_open-field").skeleton)
    assert (found.keypoints, found.edges, found.flip) == (tuple(PARTS), ((0, 5),), (0, 2, 1, 4, 3, 5))
    options = {"net_height": 64, "min_score": 0.0}
    pipeline = build({"model": "dlc_open-field", "estimator": options}, Store(offline=True))
    poses = pipeline(Frame(np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8), 0)).poses
    assert poses.keypoints.shape[1:] == (6, 2)
    assert pipeline.source.estimator.card.input_wh == (640, 480)


def test_a_snapshot_takes_its_configuration_beside_it(folder, capsys):
    """For one animal in each crop, with another name, and a detector."""
    config = pytorch_config(method="td")
    config["data"]["inference"]["top_down_crop"] = {"width": 128, "height": 96}
    head = config["model"]["heads"]["bodypart"]
    for part, count in (("heatmap_config", 6), ("locref_config", 12)):
        head[part] = {"channels": [2048], "kernel_size": [], "strides": [], "final_conv": {"out_channels": count}}
    (folder / "pytorch_config.yaml").write_text(yaml.safe_dump(config))
    torch.save({"model": weights(), "metadata": {"epoch": 5, "metrics": {"mAP": np.float64(3)}}}, "snapshot-5.pt")
    assert importing("snapshot-5.pt", "--config", "pytorch_config.yaml", "--name", "mouse", "--detector", "finder") == 0
    card = cards.get("mouse")
    assert (card.plugin, card.input_wh, card.detector) == ("centered-instance", (128, 96), "finder")
    assert (card.network["head"], card.params["stride"], card.file.path) == ("conv", 16.0, "../snapshot-5.pt")
    assert importing("snapshot-5.pt", "--name", "other") != 0
    assert "expected the pytorch_config.yaml of the training" in capsys.readouterr().err


def onnx_file(path: str, outputs: dict[str, tuple[int, int]], channels: int) -> None:
    """Write a network, channels last, whose outputs (stride, count) show the mean of the colours in every channel."""
    nodes = [helper.make_node("Transpose", ["image"], ["chw"], perm=[0, 3, 1, 2])]
    constants = []
    for name, (stride, count) in outputs.items():
        weight = np.full((count, channels, 1, 1), 1 / channels, np.float32)
        constants.append(numpy_helper.from_array(weight, f"{name}_w"))
        nodes += [
            helper.make_node("Conv", ["chw", f"{name}_w"], [f"{name}_c"], strides=[stride, stride]),
            helper.make_node("Transpose", [f"{name}_c"], [name], perm=[0, 2, 3, 1]),
        ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", "H", "W", channels])
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", None, None, None]) for name in outputs]
    graph = helper.make_graph(nodes, "net", [image], made, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def spot(size_wh: tuple[int, int], at: tuple[int, int]) -> np.ndarray:
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    image[at[1] - 4 : at[1] + 5, at[0] - 4 : at[0] + 5] = 255
    return image


def test_a_converted_network_of_deeplabcut_2_runs(folder):
    """As tf2onnx makes it: channels last, pixels of 0 .. 255, logits; here they are what the image is."""
    onnx_file("dlc2.onnx", {"pose/part_pred/block4/BiasAdd:0": (8, 6), "pose/locref_pred/block4/BiasAdd:0": (8, 12)}, 3)
    assert importing("dlc2.onnx", "--config", "config.yaml") == 0
    pipeline = build("dlc2", Store(offline=True))
    poses = pipeline(Frame(spot((640, 480), (324, 204)), 0)).poses
    # The cell that sees the spot begins at 320, 200; from its middle the offset is 255 times DeepLabCut's deviation.
    np.testing.assert_allclose(poses.keypoints[0], np.tile(np.array([324, 204]) + 255 * 7.2801, (6, 1)), atol=0.1)
    assert (poses.scores > 0.99).all()


def sleap_config(kind: str, head: dict[str, Any], scaling: float = 1.0, crop: int | None = None) -> None:
    heads = {**dict.fromkeys(("single_instance", "centroid", "centered_instance", "multi_instance")), kind: head}
    data = {"labels": {"skeletons": [_SKELETON]}, "preprocessing": {"input_scaling": scaling},
            "instance_cropping": {"crop_size": crop}}
    model = {"backbone": {"leap": None, "unet": {"max_stride": 16, "output_stride": 2}}, "heads": heads}
    with open("training_config.json", "w") as file:
        json.dump({"data": data, "model": model}, file)


def test_a_single_instance_model_of_sleap_runs(folder):
    """In a half of the size of the images."""
    sleap_config("single_instance", {"part_names": None, "output_stride": 4}, scaling=0.5)
    onnx_file("fly.onnx", {"SingleInstanceConfmapsHead": (4, 2)}, 1)
    assert importing("fly.onnx", "--config", "training_config.json", "--size", "320x192") == 0
    card = cards.get("fly")
    assert (card.input_wh, card.preprocess.color, card.params["multiple"]) == ((160, 96), "gray", 16)
    poses = build("fly", Store(offline=True))(Frame(spot((320, 192), (160, 80)), 0)).poses
    # Pixel 80, 40 of the input sees what lies half a pixel beside 160, 80.
    np.testing.assert_allclose(poses.keypoints[0], [[160.5, 80.5]] * 2, atol=0.6)
    assert catalogue.get("fly").edges == ((0, 1),)


def test_a_top_down_model_of_sleap_is_two_networks(folder):
    sleap_config("centroid", {"anchor_part": None, "output_stride": 4}, crop=64)
    onnx_file("centroid.onnx", {"CentroidConfmapsHead": (4, 1)}, 1)
    assert importing("centroid.onnx", "--config", "training_config.json", "--size", "320x192") == 0
    sleap_config("centered_instance", {"part_names": ["head", "thorax"], "output_stride": 2}, crop=64)
    onnx_file("centered.onnx", {"CenteredInstanceConfmapsHead": (2, 2), "OffsetRefinementHead": (2, 4)}, 1)
    assert importing("centered.onnx", "--config", "training_config.json", "--detector", "centroid") == 0
    assert (cards.get("centroid").params["box"], cards.get("centered").input_wh) == (64, (64, 64))
    # One brightest cell: a peak is higher than all that are beside it.
    image = np.zeros((192, 320, 3), np.uint8)
    image[80, 160] = 255
    poses = build("centered", Store(offline=True))(Frame(image, 0)).poses
    np.testing.assert_allclose(poses.keypoints, [[[160, 80]] * 2], atol=1.1)


def test_a_bottom_up_model_of_sleap_becomes_part_affinity_fields(folder):
    sleap_config("multi_instance", {"confmaps": {"part_names": ["head", "thorax"], "output_stride": 4},
                                    "pafs": {"edges": [["thorax", "head"]], "output_stride": 8}})
    onnx_file("flies.onnx", {"MultiInstanceConfmapsHead_0": (4, 2), "PartAffinityFieldsHead_0": (8, 2)}, 1)
    assert importing("flies.onnx", "--config", "training_config.json", "--size", "320x192") == 0
    card = cards.get("flies")
    assert (card.plugin, card.params["limbs"], card.params["channels"], card.params["offset"]) == (
        "paf", "1-0", "0,1", -1.5)
    assert len(build("flies", Store(offline=True))(Frame(np.zeros((192, 320, 3), np.uint8), 0)).poses) == 0


@pytest.mark.parametrize(("kind", "plugin", "size"), [
    ("single_instance", "single-instance", (640, 480)), ("centered_instance", "centered-instance", (128, 96)),
    ("centroid", "centroid", (640, 480)),
])  # fmt: skip
def test_exports_of_sleap_nn_say_what_they_need(kind, plugin, size):
    config = {"model_type": kind, "node_names": ["head", "thorax"], "edge_inds": [[0, 1]], "input_channels": 1,
              "crop_size": [96, 128], "input_dtype": "uint8"}
    assert labs.kind_of(config) == "sleap-nn"
    card = labs.sleap_nn(config, (640, 480))
    assert (card["plugin"], tuple(card["input_wh"]), card["preprocess"]["dtype"]) == (plugin, size, "uint8")


@pytest.mark.parametrize(("name", "other"), [
    ("left_ear", "right_ear"), ("leftear", "rightear"), ("LeftEar", "RightEar"), ("ear_L", "ear_R"), ("l-paw", "r-paw"),
    ("pawL", "pawR"), ("Paw Left", "Paw Right"), ("RHpaw", "LHpaw"), ("collar", None), ("left", None),
])  # fmt: skip
def test_sides_are_read_from_names(name, other):
    made = labs.skeleton([name, *([other] if other else ["tail"])])
    assert made.get("flip_pairs") == ([[name, other]] if other else None)


WRONG = {
    "no such file": (["none.pt"], "expected a file at none.pt, found none"),
    "no configuration": (["x.onnx"], "expected what the training has written"),
    "another configuration": (["x.onnx", "--config", "other.yaml"], "expected a config.yaml or pytorch_config.yaml of"),
    "size": (["x.onnx", "--config", "config.yaml", "--size", "big"], "expected WIDTHxHEIGHT such as 640x480, got"),
    "outputs": (["x.onnx", "--config", "config.yaml"], "expected one with 'part_pred' in its name"),
    "no YAML": (["x.onnx", "--config", "broken.json"], "cannot read broken.json"),
}


@pytest.mark.parametrize(("args", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_told(folder, capsys, args, message):
    onnx_file("x.onnx", {"maps": (4, 2)}, 3)
    (folder / "other.yaml").write_text("a: 1\n")
    (folder / "broken.json").write_text("{")
    assert importing(*args) != 0
    assert message in capsys.readouterr().err
    assert not list(folder.glob("cards/*.yaml"))


@pytest.mark.parametrize(("change", "message"), [
    ({"heads": {"bodypart": {"type": "DLCRNetHead"}}}, "networks for several animals at once are not known"),
    ({"backbone": {"type": "HRNet", "interpolate_branches": True}}, "expected a HRNet's finest maps alone"),
])  # fmt: skip
def test_networks_of_deeplabcut_that_are_not_known_are_told(change, message):
    config = pytorch_config()
    config["model"].update(change)
    with pytest.raises(ConfigError, match=message):
        labs.deeplabcut(config, PROJECT, None)


def test_the_size_is_asked_for_where_nothing_says_it():
    with pytest.raises(ConfigError, match="expected WIDTHxHEIGHT of the images that the network was trained with"):
        labs.deeplabcut(pytorch_config(), {}, None)
