# SPDX-License-Identifier: Apache-2.0
"""The policies of config/security allow exactly what the nodes of each launch file are seen doing in the graph."""

from __future__ import annotations

import importlib
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from pose_ros.cli import compose
from pose_ros.cli.monitor import Monitor
from pose_ros.cli.node_spec import NodeSpec

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "config" / "security"
LAUNCHES = sorted(path.name.removesuffix(".launch.py") for path in (ROOT / "launch").glob("*.launch.py"))
#: What the nodes are called that ``pose-ros up`` and ``ros2 launch ... use_web:=true`` start beside those of the file.
MONITOR, WEB = "/pose_ros_monitor", "/web"
#: Services of nodes with a life cycle that their manager calls, and those that the web page offers.
MANAGED, OFFERED = ("get_state", "change_state"), ("enable", "reset", "set_model")
#: What the web page shows.
SHOWN = {"sensor_msgs/msg/CompressedImage", "pose_ros/msg/SkeletonArray", "pose_ros/msg/SkeletonInfo",
         "pose_ros/msg/ActionArray"}  # fmt: skip
#: Topics that come and go with people: REP-155 has some for each.
OF_PEOPLE = {"hri": ("/humans/bodies/*", "/humans/faces/*")}
RULES = {"publish": "topics", "subscribe": "topics", "reply": "services", "request": "services"}

#: Node -> kind of rule -> names.
Graph = dict[str, dict[str, set[str]]]


def seen(looker: Any, node: str) -> dict[str, set[str]]:
    """Return what a node publishes, subscribes to, serves and calls at this moment."""
    namespace, _, name = node.rpartition("/")
    ask = {"publish": looker.get_publisher_names_and_types_by_node, "reply": looker.get_service_names_and_types_by_node,
           "subscribe": looker.get_subscriber_names_and_types_by_node,
           "request": looker.get_client_names_and_types_by_node}  # fmt: skip
    return {rule: {topic for topic, _ in of(name, namespace or "/")} for rule, of in ask.items()}


def with_stubs(content: Any) -> Any:
    """Return a composition whose networks are stubs; what matters is whether they are there, not which."""
    if not isinstance(content, dict):
        return content
    if content.get("plugin") != "pose_node":
        return {key: with_stubs(value) for key, value in content.items()}
    stubs = {part: {"model": "stub-hand"} for part in ("hands", "faces") if part in content}
    networks = ("model", "skeleton", "top_down", "lifter", *stubs)
    return {**{key: value for key, value in content.items() if key not in networks}, "model": "stub", **stubs}


def observe(ros: Any, config: Path, specs: list[NodeSpec]) -> tuple[Graph, dict[str, str]]:
    """Run the nodes of a composition in a namespace, let somebody hear all that they publish, and watch the graph."""
    made: list[Any] = []
    looker = ros.node("looker")
    monitor = Monitor(specs)
    try:
        for spec in specs:
            kind: Any = getattr(importlib.import_module(f"pose_ros.nodes.{spec.plugin}"),
                                spec.plugin.title().replace("_", ""))  # fmt: skip
            made.append(kind(context=ros.context, cli_args=[*spec.arguments(config), "--"],
                             use_global_arguments=False))
            ros.add(made[-1])
        found: Graph = {spec.path: defaultdict(set) for spec in specs} | {MONITOR: defaultdict(set)}
        types: dict[str, str] = {}

        def settled() -> bool:
            grown = False
            for node, rules in found.items():
                try:
                    now = seen(looker, node)
                except RuntimeError:  # the monitor is another participant, which has to be found first
                    return False
                for rule, names in now.items():
                    grown |= not names <= rules[rule]
                    rules[rule] |= names
            # Some hear their sources only while somebody hears them.
            for topic, (kind, *_) in looker.get_topic_names_and_types():
                if topic not in types and any(topic in rules["publish"] for rules in found.values()):
                    types[topic] = kind
                    package, _, name = kind.partition("/msg/")
                    message = getattr(importlib.import_module(f"{package}.msg"), name)
                    looker.create_subscription(message, topic, lambda _: None, 1)
            return not grown and all(getattr(node, "_state", "active") == "active" for node in made)

        assert ros.spin_until(settled)
        still = 0.0
        while still < 0.3:
            ros.spin_for(0.1)
            still = still + 0.1 if settled() else 0.0
        return found, types
    finally:
        monitor.close()
        for node in made:
            node.close()


def with_what_is_done_on_demand(
    graph: Graph, types: dict[str, str], managed: set[str], robot: str
) -> Graph:
    """Add what is done for people who come, when a browser asks, and by the manager where nodes are managed."""
    for node in graph:
        graph[node]["publish"] |= set(OF_PEOPLE.get(node.removeprefix(f"{robot}/"), ()))
    web, own = robot + WEB, set(graph) - {robot + WEB, MONITOR}
    told = {topic for node in own for topic in graph[node]["publish"] if types.get(topic) in SHOWN}
    graph[web]["subscribe"] |= told | {"/diagnostics"}
    served = set.union(*(graph[node]["reply"] for node in own))
    graph[web]["request"] |= {s for s in served if s.rpartition("/")[2] in OFFERED}
    graph[MONITOR]["request"] = {f"{node}/{service}" for node in managed for service in MANAGED}
    return graph


def relative(name: str, node: str, robot: str) -> str:
    """Return a name as a policy writes it: below the node, below its namespace, or absolute."""
    # The monitor stays in the root, and hears what follows the namespace.
    namespace = robot if node == MONITOR else node.rpartition("/")[0]
    if name.startswith(f"{node}/") and node != MONITOR:
        return f"~/{name.removeprefix(f'{node}/')}"
    if name.startswith(f"{namespace}/"):
        return name.removeprefix(f"{namespace}/")
    assert not name.startswith(f"{robot}/"), f"{name} of {node} cannot follow a namespace"
    return name


def allowed(text: str) -> Graph:
    """Return what a policy allows, names made whole as sros2 does it; nodes by the names in the policy."""
    graph: Graph = {}
    for profile in ET.fromstring(text.encode()).iter("profile"):
        namespace = profile.attrib["ns"].rstrip("/")
        rules = graph[f"{namespace}/{profile.attrib['node']}"] = dict[str, set[str]]()
        for rule in profile:
            starts = {"/": "", "~": f"{namespace}/{profile.attrib['node']}"}
            rules[next(iter(rule.attrib))] = {
                starts[one.text[0]] + one.text.removeprefix("~") if one.text[0] in starts else f"{namespace}/{one.text}"
                for one in rule if one.text}  # fmt: skip
    return graph


def policy(name: str, graph: Graph, robot: str) -> str:
    """Return the policy of one enclave, in the format 0.2.0 of sros2."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<!-- SPDX-License-Identifier: Apache-2.0 -->",
             f"<!-- What the nodes of launch/{name}.launch.py do, as seen in the graph; docs/security.md says how to "
             "use it. -->", '<policy version="0.2.0">', "  <enclaves>", f'    <enclave path="/pose_ros/{name}">',
             "      <profiles>"]  # fmt: skip
    for node, rules in sorted(graph.items(), key=lambda item: item[0].removeprefix(robot)):
        namespace, _, short = node.removeprefix(robot).rpartition("/")
        lines += [f'        <profile ns="{namespace or "/"}" node="{short}">']
        for rule, plural in RULES.items():
            names = sorted({relative(each, node, robot) for each in rules.get(rule, ())})
            if names:
                lines += [f'          <{plural} {rule}="ALLOW">',
                          *(f"            <{plural[:-1]}>{each}</{plural[:-1]}>" for each in names),
                          f"          </{plural}>"]  # fmt: skip
        lines += ["        </profile>"]
    return "\n".join([*lines, "      </profiles>", "    </enclave>", "  </enclaves>", "</policy>", ""])


@pytest.mark.parametrize("name", LAUNCHES)
def test_policies_allow_what_nodes_do(name: str, ros: Any, stub_environment: dict[str, str], tmp_path: Path) -> None:
    # In a namespace, by which names that follow it can be told from absolute ones; of its own, as the nodes of the test
    # before may not be gone yet.
    robot = f"/{name}_robot"
    config = tmp_path / "nodes.yaml"
    config.write_text(yaml.safe_dump(with_stubs(yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()))))
    specs = compose.load(config, ["web_node.port=0"], namespace=robot, web=True)
    graph, types = observe(ros, config, specs)
    lived = {spec.path for spec in specs if spec.lives}
    graph = with_what_is_done_on_demand(graph, types, lived, robot)
    text = policy(name, graph, robot)
    moved = allowed(text.replace('ns="/', f'ns="{robot}/'))
    moved[MONITOR] = moved.pop(robot + MONITOR)
    assert moved == {node: {rule: names for rule, names in rules.items() if names} for node, rules in graph.items()}
    shipped = FOLDER / f"{name}.policy.xml"
    new = tmp_path / shipped.name
    new.write_text(text, encoding="utf-8")
    assert shipped.is_file(), f"no policy; what the nodes do is in {new}"
    assert shipped.read_text(encoding="utf-8") == text, f"the nodes do something else; look at it, and copy {new}"


def test_there_are_no_others() -> None:
    assert sorted(path.name.removesuffix(".policy.xml") for path in FOLDER.iterdir()) == LAUNCHES


@pytest.mark.parametrize("name", LAUNCHES)
def test_they_are_of_the_format(name: str) -> None:
    """The elements and attributes of sros2's policy.xsd, without the optional ones that are not used."""
    root = ET.parse(FOLDER / f"{name}.policy.xml").getroot()
    assert (root.tag, root.attrib) == ("policy", {"version": "0.2.0"})
    (enclaves,) = root
    (enclave,) = enclaves
    (profiles,) = enclave
    assert (enclaves.tag, enclave.tag, enclave.attrib, profiles.tag) == (
        "enclaves", "enclave", {"path": f"/pose_ros/{name}"}, "profiles")
    for profile in profiles:
        assert profile.tag == "profile"
        assert profile.attrib.keys() == {"ns", "node"}
        for rule in profile:
            ((kind, value),) = rule.attrib.items()
            assert value == "ALLOW"
            assert rule.tag == RULES[kind]
            assert {one.tag for one in rule} == {rule.tag[:-1]}
