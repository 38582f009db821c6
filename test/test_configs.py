# SPDX-License-Identifier: Apache-2.0
"""Every configuration is valid and builds, and every launch file parses."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from pose_ros import wiring
from pose_ros.cli import compose
from pose_ros.cli.node_options import options_of, pipeline_config
from pose_ros.cli.node_spec import NodeSpec
from pose_ros.cli.params_file import flat
from pose_ros.models.store import Store
from pose_ros.wiring import PARTS

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))
#: Models whose files neither PyPI nor the test data have: their pipelines are checked as far as that goes without them.
ELSEWHERE = {"rtmpose-m-ap10k"}
LAUNCHES = sorted((ROOT / "launch").glob("*.launch.py"))


def of(config: Path) -> list[NodeSpec]:
    pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed, and the options of nodes are read from them")
    return compose.load(config)


def test_they_are_there():
    uses = {"action", "body", "hand", "hri", "face", "animal", "wholebody", "everything", "manipulation", "multiview",
            "rgbd", "lifted", "web"}
    assert {p.stem for p in CONFIGS} == {*uses, "cell", "demo", "topdown"}
    assert {p.name.removesuffix(".launch.py") for p in LAUNCHES} == uses


@pytest.mark.parametrize("config", CONFIGS, ids=lambda p: p.name)
def test_every_key_is_known_and_every_value_fits(config):
    assert any(spec.plugin == "pose_node" for spec in of(config))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda p: p.name)
def test_ros_reads_the_same_values(config, ros):
    from rclpy.node import Node

    for spec in of(config):
        node = ros.add(Node("other", context=ros.context, cli_args=spec.arguments(config), use_global_arguments=False,
                            automatically_declare_parameters_from_overrides=True))
        assert {k: node.get_parameter(k).value for k in spec.parameters} == dict(spec.parameters)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda p: p.name)
def test_a_pipeline_can_be_built(config, models):
    store = Store()
    for spec in of(config):
        if spec.plugin != "pose_node":
            continue
        options = pipeline_config(spec.parameters)
        cards = wiring.models(options, store)
        if any(card.name in ELSEWHERE for card in cards):
            continue
        built = wiring.build(options, store, allow_fetch=False)
        assert built.source.name.endswith(str(spec.parameters["model"]))
        assert built.parts.keys() == {part for part in PARTS if spec.parameters.get(f"{part}.model")}


def test_the_nodes_of_the_demo_are_connected():
    specs = {spec.plugin: spec.parameters for spec in of(ROOT / "config" / "demo.yaml")}
    assert specs["pose_node"]["image_topic"] == "camera/image"
    recorder = {**{k: s.default for k, s in options_of("recorder_node", {}).items()}, **specs["recorder_node"]}
    assert (recorder["image_topic"], recorder["skeletons_topic"]) == ("camera/image", "pose/skeletons")


def opened(config):
    """Return the keys and values of the node of a file, those that are commented among them."""
    head, body = config.read_text().split("ros__parameters:\n")
    # A commented key is `# key: value # words` in the place where it would stand.
    text = re.sub(r"^( *)# (( {2})?[a-z_]+:( |$))", r"\1\2", body, flags=re.MULTILINE)
    return dict(flat(yaml.safe_load(f"{head}ros__parameters:\n{text}")["pose"]["ros__parameters"], "", "pose"))


def test_commented_keys_of_the_robots_file_are_real_and_show_their_defaults():
    """The file names every option of pose_node and of the parts of its model."""
    config = ROOT / "config" / "body.yaml"
    (spec,) = of(config)
    shown = opened(config)
    known = options_of("pose_node", spec.parameters)
    assert shown.keys() == known.keys()
    different = {k for k, s in known.items() if s.check(shown[k]) != s.default}
    assert different == {"image_topic", "camera_info_topic"}


@pytest.mark.parametrize("launch_file", LAUNCHES, ids=lambda p: p.name)
def test_a_launch_file_starts_the_configuration_of_its_name(launch_file):
    tree = ast.parse(launch_file.read_text(), launch_file.name)
    assert "generate_launch_description" in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "describe"]
    (config,) = [call.args[0].value for call in calls]
    assert config == launch_file.name.replace(".launch.py", ".yaml")
    nodes = [spec.parameters for spec in of(ROOT / "config" / config) if spec.plugin == "pose_node"]
    # Arguments that are given reach all pose_nodes: a model is for those that run the same, topics for one camera.
    given = {keyword.arg for keyword in calls[0].keywords}
    assert ("one_model" in given) == (len({node["model"] for node in nodes}) > 1)
    assert ("one_camera" in given) == any(spec.plugin == "multiview_node" for spec in of(ROOT / "config" / config))


@pytest.mark.parametrize("launch_file", LAUNCHES, ids=lambda p: p.name)
def test_launch_files_give_a_description(launch_file):
    pytest.importorskip("launch_ros", reason="launch is not installed; it comes with ROS 2, not from PyPI")
    spec = importlib.util.spec_from_file_location("launch_file", launch_file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    described = {a.name: a.description for a in module.generate_launch_description().get_launch_arguments()}
    assert all(len(text) > 10 for text in described.values())
    common = {"device", "params_file", "namespace", "use_rviz", "rviz_config", "log_level", "fixed_frame"}
    assert common <= described.keys()
    assert ({"image_topic", "camera_info_topic"} <= described.keys()) == (launch_file.name != "multiview.launch.py")
    assert ("model" in described) == (launch_file.name != "everything.launch.py")
    assert ("depth_topic" in described) == (launch_file.name in ("rgbd.launch.py", "manipulation.launch.py"))


def test_a_bag_with_depth_is_played_and_a_video_without_is_shown():
    rgbd, lifted = (compose.load(ROOT / "config" / f"{name}.yaml", source="bag") for name in ("rgbd", "lifted"))
    assert [spec.plugin for spec in rgbd] == ["player_node", "pose_node"]
    # Images, camera_info and depth.
    assert rgbd[0].parameters["wait_for_subscribers"] == 3
    assert rgbd[1].parameters["image_topic"] == "camera/camera/color/image_raw"
    assert [spec.plugin for spec in lifted] == ["camera_node", "pose_node"]


@pytest.mark.parametrize("name", ["rgbd", "lifted"])
def test_commented_keys_are_real_and_show_their_defaults(name):
    """Those of rgbd.yaml and lifted.yaml, some of which are blocks of models that are named in a comment."""
    config = ROOT / "config" / f"{name}.yaml"
    (spec,) = of(config)
    shown = opened(config)
    known = options_of("pose_node", {**spec.parameters, "lifting.model": "videopose3d-27"})
    assert shown.keys() <= known.keys()
    different = {k for k in shown if shown[k] != known[k].default}
    assert different == {"image_topic", "camera_info_topic", *({"depth_topic", "rgbd.max_range"} if name == "rgbd"
                                                              else ())}


def test_the_nodes_of_several_cameras_are_connected():
    specs = of(ROOT / "config" / "multiview.yaml")
    (room,) = (spec for spec in specs if spec.plugin == "multiview_node")
    cameras = room.parameters["cameras"]
    assert [spec.path for spec in specs if spec.plugin == "pose_node"] == [f"/{name}/pose" for name in cameras]
    assert room.parameters["skeletons_topic"] == "{camera}/pose/skeletons"
