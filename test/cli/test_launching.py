# SPDX-License-Identifier: Apache-2.0
"""What launch files ask of launch_ros, which is not needed for that: which processes, with which arguments."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from pose_ros.cli import launching
from pose_ros.nodes.start import _split

_CONFIG = """\
/**:
  ros__parameters:
    process: {managed: true, restart: 3, restart_delay: 2.0}
body:
  ros__parameters: {plugin: pose_node, model: toy, process: {name: eyes}}
hand:
  ros__parameters: {plugin: pose_node, model: toy, process: {name: eyes}}
alone:
  ros__parameters: {plugin: pose_node, model: toy}
"""


@pytest.fixture
def nodes(monkeypatch, tmp_path, toy):
    """What would be started, with launch arguments as keywords."""

    class LaunchConfiguration:
        def __init__(self, name):
            self.name = name

        def perform(self, context):
            return context[self.name]

    for name, content in {
        "launch": {}, "launch.substitutions": {"LaunchConfiguration": LaunchConfiguration}, "launch_ros": {},
        "launch_ros.actions": {"Node": lambda **arguments: SimpleNamespace(**arguments)},
    }.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    (tmp_path / "mine.yaml").write_text(_CONFIG)
    return lambda namespace="": launching._nodes(
        {"params_file": str(tmp_path / "mine.yaml"), "namespace": namespace}, {})


def test_nodes_that_share_a_process_become_one_container(nodes):
    container, alone = nodes()
    assert container.executable == "container"
    groups = _split(container.arguments)
    assert [group[:5] for group in groups] == [
        ["pose_node", "--ros-args", "-r", f"__node:={name}", "--params-file"] for name in ("body", "hand")]
    assert all("autostart:=true" in group for group in groups)
    assert (alone.executable, alone.name, alone.namespace) == ("pose_node", "alone", "")
    assert alone.parameters[0]["autostart"] is True
    assert [(node.respawn, node.respawn_delay) for node in (container, alone)] == [(True, 2.0)] * 2


def test_a_namespace_reaches_all_nodes_and_their_frames(nodes):
    container, alone = nodes("robot1")
    assert all("__ns:=/robot1" in group for group in _split(container.arguments))
    assert all('tf_prefix:="robot1/"' in group for group in _split(container.arguments))
    assert (alone.namespace, alone.parameters[0]["tf_prefix"]) == ("/robot1", "robot1/")
