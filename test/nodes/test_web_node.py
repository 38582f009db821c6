# SPDX-License-Identifier: Apache-2.0
"""web_node between a pose node and a browser."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("aiohttp", reason="aiohttp is not installed: pip install 'pose_ros[web]'")

TOKEN = "0123456789abcdef"
IMAGE, SKELETONS, INFO = "/pose/image_annotated/compressed", "/pose/skeletons", "/pose/skeleton_info"


@pytest.fixture
def web_node(ros):
    from rclpy.parameter import Parameter

    from pose_ros.nodes.web_node import WebNode

    made = []

    def make(namespace="", **parameters):
        values = {"port": 0, "token": TOKEN, **parameters}
        given = [Parameter(name, value=value) for name, value in values.items()]
        made.append(ros.add(WebNode(context=ros.context, namespace=namespace, parameter_overrides=given)))
        assert not values.get("autostart", True) or ros.spin_until(lambda: made[-1].url or made[-1]._health.failed)
        return made[-1]

    yield make
    for node in made:
        node.close()


class Browser:
    """A browser in a thread of its own, as app.js is one: wants, takes, is ready."""

    def __init__(self, node, *keys):
        self.taken, self._keys, self._over = {}, [["overview", ""], *map(list, keys)], threading.Event()
        self._address = f"http://127.0.0.1:{node._server.port}/socket?token={TOKEN}"
        self._thread = threading.Thread(target=lambda: asyncio.run(self._look()))
        self._thread.start()

    async def _look(self):
        from aiohttp import ClientSession

        async with ClientSession() as session, session.ws_connect(self._address) as socket:
            await socket.send_str(json.dumps(self._keys))
            while not self._over.is_set():
                try:
                    data = await socket.receive_bytes(timeout=0.2)
                except asyncio.TimeoutError:
                    continue
                length = int.from_bytes(data[:4], "big")
                head = json.loads(data[4 : 4 + length])
                self.taken[head["kind"]] = head, data[4 + length :]
                await socket.send_str('"ready"')

    def close(self):
        self._over.set()
        self._thread.join()


@pytest.fixture
def browse(web_node):
    made = []

    def make(node, *keys):
        made.append(Browser(node, *keys))
        return made[-1]

    yield make
    for browser in made:
        browser.close()


def aside(ros, work):
    """Do some work in a thread while the nodes spin; returns its result."""
    done = []
    thread = threading.Thread(target=lambda: done.append(work()))
    thread.start()
    assert ros.spin_until(lambda: done)
    thread.join()
    return done[0]


def test_a_browser_sees_what_the_pose_node_sees(scene, web_node, browse, ros):
    import cv2

    robot = scene()
    node = web_node()
    robot.camera()
    browser = browse(node, ("image", IMAGE), ("skeletons", SKELETONS), ("info", INFO))
    assert ros.spin_until(lambda: robot.other.count_subscribers(IMAGE) and robot.other.count_subscribers(SKELETONS) > 1)

    def seen():
        robot.send(robot.image(subjects=2))
        ros.spin_for(0.1)
        return {"overview", "image", "skeletons", "info"} <= browser.taken.keys()

    assert any(seen() for _ in range(100)), browser.taken.keys()
    head, data = browser.taken["image"]
    assert head["type"] == "image/jpeg"
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)
    head, _ = browser.taken["skeletons"]
    assert (head["schema"], head["optical"], head["age_ms"], len(head["subjects"])) == ("coco17", False, None, 2)
    assert head["subjects"][1]["keypoints"][:4] == [40.0, 0.0, 41.0, 1.0]
    assert len(browser.taken["info"][0]["names"]) == 17
    assert ros.spin_until(lambda: any(s["node"] == "/pose" for s in browser.taken["overview"][0]["statuses"]))
    head, _ = browser.taken["overview"]
    assert sorted(head["services"]["/pose"]) == ["enable", "reset", "set_model"]
    assert {"/pose", "/web"} <= set(head["nodes"])


def test_nothing_is_heard_and_nothing_drawn_while_nobody_looks(scene, web_node, browse, ros):
    robot, node = scene(), web_node()
    ros.spin_for(1.5)
    assert robot.other.count_subscribers(IMAGE) == 0
    browser = browse(node, ("image", IMAGE), ("skeletons", SKELETONS))
    assert ros.spin_until(lambda: robot.other.count_subscribers(IMAGE) == 1)
    browser.close()
    assert ros.spin_until(lambda: robot.other.count_subscribers(IMAGE) == 0), "the last browser is gone"
    assert ros.spin_until(lambda: robot.other.count_subscribers("/diagnostics") == 0)
    assert node.robot.board.newer([("image", IMAGE), ("skeletons", SKELETONS)], 0) == []


def test_topics_that_are_not_there_are_not_subscribed_to(web_node, browse, ros):
    node = web_node()
    browser = browse(node, ("image", "/secret/image"), ("parameters", "/pose"), ("skeletons", IMAGE))
    assert ros.spin_until(lambda: "overview" in browser.taken)
    ros.spin_for(1.5)
    assert node.robot._subscriptions == {}


def test_services_are_called_and_answer(scene, web_node, browse, ros):
    robot = scene()
    node = web_node()
    browser = browse(node)
    assert ros.spin_until(lambda: "/pose" in browser.taken.get("overview", [{"services": ()}])[0]["services"])
    call = node.robot.call
    ok, said = aside(ros, lambda: call("/pose", "enable", {"data": False}))
    assert (ok, said) == (True, "paused: no input is taken")
    assert ros.spin_until(lambda: not robot.node._work.enabled)
    assert aside(ros, lambda: call("/pose", "reset", {})) == (True, "all tracks end before the next frame")
    ok, said = aside(ros, lambda: call("/pose", "set_model", {"model": "stub33"}))
    assert (ok, said) == (True, "stub33 takes over with the next frame")
    ok, said = aside(ros, lambda: call("/pose", "set_model", {"model": "stup"}))
    assert not ok
    assert "stub" in said


@pytest.mark.parametrize(("node_name", "service", "arguments", "said"), [
    ("/pose", "set_parameters", {}, "has no service set_parameters"),
    ("/nobody", "reset", {}, "has no service reset"),
    ("/pose", "enable", {"data": 1}, "expected data (boolean), got data 1"),
    ("/pose", "enable", {"else": True}, "expected data (boolean), got else True"),
    ("/pose", "set_model", {"model": 3}, "got model 3"),
    ("/pose", "set_model", {"model": "x" * 201}, "at most 200 ASCII letters"),
    ("/pose", "set_model", {"model": "\ud800"}, "at most 200 ASCII letters"),
])
def test_what_does_not_fit_never_reaches_the_node(web_node, node_name, service, arguments, said):
    node = web_node()
    node.robot._services = {"/pose": ["set_model", "enable", "reset"]}
    ok, answer = node.robot.call(node_name, service, arguments)
    assert not ok
    assert said in answer


def test_a_service_that_is_gone_is_said(web_node, ros, monkeypatch):
    from pose_ros.nodes import telling

    monkeypatch.setattr(telling, "_DISCOVERY_S", 0.1)
    node = web_node()
    node.robot._services = {"/pose": ["reset"]}
    assert node.robot.call("/pose", "reset", {}) == (False, "/pose/reset does not answer; is the node still there?")


def test_the_models_are_those_whose_files_are_here(stub_environment, web_node):
    names = {model["name"] for model in web_node().robot.models()}
    assert {"stub", "stub33", "written"} <= names
    assert not {"gone", "stub-lifter"} & names


def test_images_that_browsers_might_run_are_not_passed_on(web_node, ros):
    from sensor_msgs.msg import CompressedImage

    robot = web_node().robot
    take = robot._take(("image", IMAGE))
    for data in (b"<svg onload='alert()'/>", b"", b"\xff\xd8"):
        take(CompressedImage(format="jpeg", data=data))
    assert robot.board.newer([("image", IMAGE)], 0) == []
    take(CompressedImage(format="what a publisher likes", data=b"\xff\xd8\xff\xe0"))
    assert len(robot.board.newer([("image", IMAGE)], 0)) == 1


def test_another_robots_nodes_are_not_shown(ros, web_node, browse):
    from std_srvs.srv import Trigger

    for namespace in ("/robot1", "/robot2", "/robot11"):
        node = ros.node("pose", namespace=namespace)
        node.create_service(Trigger, "~/reset", lambda _, answer: answer)
    browser = browse(web_node(namespace="/robot1"))

    def told():
        return browser.taken.get("overview", [{"nodes": (), "services": {}}])[0]

    assert ros.spin_until(lambda: told()["services"])
    assert told()["nodes"] == ["/robot1/pose", "/robot1/web"]
    assert told()["services"] == {"/robot1/pose": ["reset"]}


def test_others_are_let_in_only_with_the_token_and_it_is_said(web_node, capfd):
    node = web_node(host="0.0.0.0")
    assert node.url.endswith(f"/?token={TOKEN}")
    end, text = time.monotonic() + 5, ""
    while "nothing is encrypted" not in text and time.monotonic() < end:
        text += capfd.readouterr().err
    assert f"?token={TOKEN}" in text
    assert "may change models; nothing is encrypted" in text
    assert web_node().url.endswith("/")


@pytest.mark.parametrize(("parameters", "why"), [
    ({"token": "short"}, "token: expected at least 16"), ({"port": 70000}, "port"), ({"hots": "0.0.0.0"}, "hots"),
])
def test_what_does_not_fit_is_refused(web_node, parameters, why):
    from pose_ros.errors import PoseRosError

    with pytest.raises(PoseRosError, match=why):
        web_node(**parameters)


def statuses_of(ros, name):
    """Return what /diagnostics says of a node: messages, newest last."""
    from diagnostic_msgs.msg import DiagnosticArray

    said = []
    ros.node("doctor").create_subscription(
        DiagnosticArray, "/diagnostics", lambda msg: said.extend(s for s in msg.status if s.name.startswith(name)), 10
    )
    return said


def test_a_port_that_is_taken_is_said_and_may_be_asked_for_again(web_node, ros, capfd, monkeypatch):
    import socket

    monkeypatch.setattr("pose_ros.ros.health._ERROR_S", 0.5)
    said = statuses_of(ros, "web: web page")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        node = web_node(port=port)
        assert ros.spin_until(lambda: said and said[-1].level == said[-1].ERROR)
    why = f"port: cannot listen on 127.0.0.1:{port}"
    assert why in said[-1].message
    assert why in capfd.readouterr().err
    assert node.url == ""
    node.trigger_configure()
    node.trigger_activate()
    assert ros.spin_until(lambda: said[-1].level == said[-1].OK)


def test_it_lives_as_the_others_do(scene, web_node, browse, ros):
    robot, node = scene(), web_node(watchdog=0.5)
    said = statuses_of(ros, "web: web page")
    keys = ("image", IMAGE), ("skeletons", SKELETONS)
    hears = lambda: robot.other.count_subscribers(IMAGE)  # noqa: E731
    browser = browse(node, *keys)
    assert ros.spin_until(hears)
    assert ros.spin_until(lambda: said and "nothing to show for" in said[-1].message and IMAGE in said[-1].message)
    assert {v.key: v.value for v in said[-1].values}["viewers"] == "1"
    node._enable(type("", (), {"data": False}), type("", (), {})())
    assert ros.spin_until(lambda: not hears())
    assert ros.spin_until(lambda: said[-1].message == "paused")
    node._enable(type("", (), {"data": True}), type("", (), {})())
    assert ros.spin_until(hears)
    node.trigger_deactivate()
    assert ros.spin_until(lambda: not hears())
    assert ros.spin_until(lambda: "/web activate" in said[-1].message)
    node.trigger_activate()
    assert ros.spin_until(hears)
    browser.close()
    assert ros.spin_until(lambda: said[-1].message == "idle: nobody listens")
    node.trigger_deactivate()
    before = len(list(node.timers))
    node.trigger_cleanup()
    assert (node.url, len(list(node.timers)), list(node.guards), list(node.clients)) == ("", before - 1, [], [])
    node.trigger_configure()
    assert node.url


def test_without_aiohttp_it_says_how_to_get_it(web_node, monkeypatch):
    import sys

    from pose_ros.errors import ConfigError

    monkeypatch.delitem(sys.modules, "pose_ros.web.server", raising=False)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ConfigError, match=r"web_node needs aiohttp: pip install 'pose_ros\[web\]'"):
        web_node()
