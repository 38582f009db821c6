# SPDX-License-Identifier: Apache-2.0
"""Networks of the user's own, by cards alone, as docs/models.md says; and what is said about files that do not fit."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper

from pose_ros.media.video import write_image
from pose_ros.networks import catalogue
from pose_ros.wiring import build

_PAGE = Path(__file__).parents[2] / "docs" / "models.md"
_BLOCKS = re.compile(r"```yaml\n# ~/my_models/(\S+)\.yaml\n(.*?)```", re.DOTALL)
_CARDS: dict[str, str] = dict(_BLOCKS.findall(_PAGE.read_text(encoding="utf-8")))
_FINDER = """\
kind: detector
plugin: yolox
summary: One person in the middle of every image.
file: {path: finder.onnx}
licence: {weights: MIT}
input_wh: [64, 64]
classes: [person]
"""
#: Where the image is bright: x, y.
_SPOT = 40, 28


def _model(path: Path, size: tuple[int, int, int], nodes, constants, outputs, opset=17, inputs=("image",)) -> None:
    """Write an ONNX file; every input is float32 (N, *size)."""
    graph = helper.make_graph(
        nodes, "own", [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *size]) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)


def heatmaps(path: Path, width=192, height=256, keypoints=17, output="heatmaps", **how) -> None:
    """Write a network that draws the image's brightness as the heat map of every keypoint."""
    nodes = [helper.make_node("AveragePool", ["image"], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
             helper.make_node("Conv", ["small", "grey"], [output])]
    _model(path, (3, height, width), nodes, {"grey": np.full((keypoints, 3, 1, 1), 0.1, np.float32)},
           {output: ["N", keypoints, height // 4, width // 4]}, **how)


def finder(path: Path) -> None:
    """Write a YOLOX of one class that sees a person in the middle of every image, 48 wide and high."""
    found = np.zeros((1, 84, 6), np.float32)
    found[0, 80] = [1, 1, np.log(1.5), np.log(1.5), 1, 0.9]
    nodes = [helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
             helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
             helper.make_node("Add", ["nothing", "found"], ["output"])]
    _model(path, (3, 64, 64), nodes, {"zero": np.zeros((), np.float32), "found": found}, {"output": [1, 84, 6]})


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """The cards of the documentation, an ONNX file and a checkpoint of the user's own, and a detector."""
    folder = tmp_path_factory.mktemp("files")
    for name, text in _CARDS.items():
        (folder / f"{name}.yaml").write_text(text)
    (folder / "finder.yaml").write_text(_FINDER)
    finder(folder / "finder.onnx")
    heatmaps(folder / "my_net.onnx")
    torch.manual_seed(3)
    network = catalogue.build({"architecture": "hourglass", "stacks": 1, "keypoints": 17})
    torch.save({"state_dict": network.state_dict(), "epoch": 30}, folder / "my_checkpoint.pth")
    return folder


@pytest.fixture
def folder(files, tmp_path, monkeypatch) -> Path:
    """The user's folder, which a test may spoil."""
    folder = tmp_path / "my_models"
    shutil.copytree(files, folder)
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(folder))
    monkeypatch.setenv("POSE_ROS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POSE_ROS_OFFLINE", "1")
    return folder


@pytest.fixture
def image(tmp_path) -> Path:
    pixels = np.zeros((64, 64, 3), np.uint8)
    distance = np.hypot(*(np.indices((64, 64)) - np.array(_SPOT[::-1])[:, None, None]))
    pixels[...] = (255 * np.exp(-((distance / 6) ** 2)))[..., None]
    write_image(tmp_path / "spot.png", pixels)
    return tmp_path / "spot.png"


def test_the_documentation_has_a_card_of_each_kind():
    assert list(_CARDS) == ["my-net", "my-checkpoint", "my-family"]


def test_own_networks_are_listed(cli, folder):
    rows = {row["name"]: row for row in json.loads(cli("models", "list", "--json").out)}
    assert {name: rows[name]["state"] for name in ("my-net", "my-checkpoint", "my-small", "my-large", "finder")} == {
        "my-net": "ready", "my-checkpoint": "ready", "my-small": "missing", "my-large": "missing", "finder": "ready",
    }  # fmt: skip
    assert rows["my-checkpoint"]["architecture"] == "hourglass"
    assert "hourglass" in cli("list", "architectures").out


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_an_onnx_file_runs(cli, folder, image, runtime):
    ran = cli("run", image, "--model", "finder+my-net", "--set", f"runtime={runtime}", "--json")
    assert ran.code == 0, ran.err
    (subject,) = json.loads(ran.out)["sources"][0]["frames"][0]["subjects"]
    # One pixel of the heat maps is 1.25 pixels of the image.
    np.testing.assert_allclose(np.array(subject["keypoints"])[:, :2], [_SPOT] * 17, atol=0.7)


def test_a_checkpoint_runs(cli, folder, image, tmp_path):
    out = tmp_path / "out"
    ran = cli("run", image, "--model", "finder+my-checkpoint", "--set", "threads=1", "--output", out, "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    (subject,) = document["sources"][0]["frames"][0]["subjects"]
    assert np.isfinite(np.array(subject["keypoints"], float)).all(axis=1).any()
    assert (out / "spot_pose.jpg").exists()


def test_a_family_of_checkpoints(folder):
    from safetensors.torch import save_file

    for name, stacks in (("small", 1), ("large", 2)):
        state = catalogue.build({"architecture": "hourglass", "stacks": stacks, "keypoints": 17}).state_dict()
        save_file(state, folder / f"my_{name}.safetensors")
        estimator = build({"model": f"finder+my-{name}", "threads": 1}).source.estimator
        assert [t.name for t in estimator.session.outputs] == [f"heatmaps_{stacks}"]


def _change(folder: Path, card: str, **changes: object) -> None:
    path = folder / f"{card}.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def _evil(folder: Path) -> None:
    torch.save({"state_dict": _Evil(folder / "was-here")}, folder / "my_checkpoint.pth")


def _half(folder: Path, name: str = "my_checkpoint.pth") -> None:
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])


def _other(folder: Path) -> None:
    torch.save(catalogue.build({"architecture": "hourglass", "stacks": 2, "keypoints": 17}).state_dict(),
               folder / "my_checkpoint.pth")


_NET, _CHECKPOINT = "finder+my-net", "finder+my-checkpoint"


#: Model, what is done to the folder, what is said about it.
_BAD = [
    (_CHECKPOINT, _evil, r"'my-checkpoint': expected a checkpoint with weights alone, got one that asks to run "
                         r"posix\.system when it is read .* Nothing of it was run"),
    (_CHECKPOINT, _half, r"'my-checkpoint': expected a whole \.pth file at .*, got one that is cut off or damaged .*"
                         r"fetch it again"),
    (_CHECKPOINT, _other, r"'my-checkpoint': expected a checkpoint of StackedHourglass with \d+ tensors, got \d+ that "
                          r"do not fit: features\.1\.\S+ is not known.*Check the card's network, or fetch another"),
    (_CHECKPOINT, lambda f: _change(f, "my-checkpoint", network={"architecture": "hourglas"}),
     "unknown architecture 'hourglas'; did you mean 'hourglass'"),
    (_CHECKPOINT, lambda f: _change(f, "my-checkpoint", network={"architecture": "hourglass", "stack": 1}),
     r"'my-checkpoint': network: architecture 'hourglass' takes \(stacks: 'int' = 8, keypoints.*, got \{'stack': 1\}"),
    (_CHECKPOINT, lambda f: _change(f, "my-checkpoint", network={"architecture": "hourglass", "stacks": "one"}),
     r"'my-checkpoint': network\.stacks: expected int, got str 'one'"),
    (_CHECKPOINT, lambda f: _change(f, "my-checkpoint", outputs=["heatmaps"]),
     r"unknown output of model 'my-checkpoint' 'heatmaps'; did you mean 'heatmaps_1'\?.* Mend the card's outputs"),
    (_CHECKPOINT, lambda f: _change(f, "my-checkpoint", network={"architecture": "hourglass", "stacks": 1}),
     r"'my-checkpoint': expected a checkpoint .*: heads\.0\.bias has shape \(17,\) in place of \(16,"),
    (_NET, lambda f: heatmaps(f / "my_net.onnx", 96, 128),
     r"'my-net': expected an input float32 \('N', 3, 256, 192\) as its card says \(input_wh, preprocess.layout, "
     r"preprocess.dtype\), got float32 \('N', 3, 128, 96\) in .*my_net.onnx; mend the card or take another file"),
    (_NET, lambda f: heatmaps(f / "my_net.onnx", keypoints=16),
     r"'my-net': expected 17 heat maps .*, got \(-1, 16, 64, 48\)"),
    (_NET, lambda f: heatmaps(f / "my_net.onnx", output="maps"),
     r"unknown output of model 'my-net' 'heatmaps'; did you mean 'maps'\?.* Mend the card's outputs"),
    (_NET, lambda f: heatmaps(f / "my_net.onnx", inputs=("image", "mask")),
     r"'my-net': expected a network with one input, the image, got image \(-1, 3, 256, 192\), mask .*; export it"),
    (_NET, lambda f: heatmaps(f / "my_net.onnx", opset=99),
     r"'my-net': onnxruntime [\d.]+ cannot read .*, made for ONNX IR 8, opset 99: .*or made for another version of "
     r"onnxruntime \(pip install --upgrade onnxruntime, or try another runtime\)"),
    (_NET, lambda f: _half(f, "my_net.onnx"), r"'my-net': expected a whole \.onnx file at .*, got one that is "
                                              r"cut off or damaged \(\d+ bytes where part 7, at \d+, needs \d+\)"),
    (_NET, lambda f: (f / "my_net.onnx").write_text("<!DOCTYPE html><html>Not found"),
     "'my-net': expected a whole .onnx file at .*, got a message of the server in place of a file, '<!DOCTYPE html>"),
    (_NET, lambda f: (f / "my_net.onnx").unlink(), "'my-net': expected its file at .*my_net.onnx, found none"),
    (_NET, lambda f: _change(f, "my-net", input_hw=[256, 192]),
     r"'my-net': .*my-net\.yaml: input_hw: unknown key; did you mean 'input_wh'"),
    (_NET, lambda f: _change(f, "my-net", params={"paddign": 1.0}),
     r"'my-net': params\.paddign: unknown key; did you mean 'padding'"),
    (_NET, lambda f: _change(f, "my-net", network={"architecture": "hourglass"}),
     r"'my-net': .*my-net.yaml: network: expected with a checkpoint .*; the file is named '\.onnx'"),
]


@pytest.mark.parametrize(("model", "spoil", "message"), _BAD, ids=range(len(_BAD)))
def test_what_does_not_fit_is_said(cli, folder, image, model, spoil, message):
    spoil(folder)
    ran = cli("run", image, "--model", model, "--set", "runtime=onnxruntime" if model == _NET else "threads=1")
    assert ran.code not in (0, None)
    assert re.search(f"^pose-ros: (model )?{message}", ran.err, re.MULTILINE), ran.err
    assert "Traceback" not in ran.err
    assert not (folder / "was-here").exists()
    assert not [path for path in (folder.parent / "cache").rglob("*") if path.is_file()]


def test_the_mark_of_the_attack_is_real(folder):
    _evil(folder)
    torch.load(folder / "my_checkpoint.pth", weights_only=False)
    assert (folder / "was-here").exists()
