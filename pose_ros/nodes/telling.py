# SPDX-License-Identifier: Apache-2.0
"""Telling: what the web page knows of the nodes around, heard only while a browser shows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Set
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.client import Client
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import SetBool, Trigger

from pose_ros import wiring
from pose_ros.errors import PoseRosError
from pose_ros.models.store import Store
from pose_ros.msg import ActionArray, SkeletonArray, SkeletonInfo
from pose_ros.ros import plain
from pose_ros.ros.health import Health
from pose_ros.ros.qos import LATCHED, RESULT, SENSOR
from pose_ros.srv import SetModel
from pose_ros.web.board import OVERVIEW, Board, Key

#: Kind of thing on the board -> type of its topic, its quality of service.
_HEARD: dict[str, tuple[type, str, Any]] = {
    "image": (CompressedImage, "sensor_msgs/msg/CompressedImage", SENSOR),
    "skeletons": (SkeletonArray, "pose_ros/msg/SkeletonArray", RESULT),
    "info": (SkeletonInfo, "pose_ros/msg/SkeletonInfo", LATCHED),
    "actions": (ActionArray, "pose_ros/msg/ActionArray", RESULT),
}
#: Service of a node that the page may call -> its type, and the longest wait for an answer, seconds.
_SERVICES: dict[str, tuple[Any, str, float]] = {
    "set_model": (SetModel, "pose_ros/srv/SetModel", 180.0),
    "enable": (SetBool, "std_srvs/srv/SetBool", 5.0),
    "reset": (Trigger, "std_srvs/srv/Trigger", 5.0),
}
_DISCOVERY_S = 3.0
#: Diagnostics that have not come again for so long are stale, and forgotten after a while; seconds.
_STALE_S, _FORGET_S = 5.0, 60.0
#: An image larger than this is no annotated one; bytes.
_LARGEST_IMAGE = 16 * 1024 * 1024
#: What browsers show on a canvas, by how the data begin. SVG is not among them: it holds scripts.
_FORMATS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png"}
_LONGEST_TEXT = 200
_TYPES = {"string": str, "boolean": bool}


class Telling:
    """The robot of :class:`pose_ros.web.server.Server`."""

    def __init__(self, node: Node, health: Health) -> None:
        """Hear nothing yet; :meth:`start` lets it hear what is wanted, and count it."""
        self.board = Board()
        self._node, self._health = node, health
        self._wanted: frozenset[Key] = frozenset()
        self._subscriptions: dict[Key, Subscription] = {}
        self._diagnostics: Subscription | None = None
        self._statuses: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}
        self._clients: dict[str, Client] = {}
        self._services: dict[str, list[str]] = {}
        self._topics: dict[str, list[str]] = {}
        self._started, self._enabled = False, True
        #: Grows with everything that comes to be shown, and when somebody begins to look.
        self.news = 0
        # Wakes the executor from any thread; entities are made and destroyed by the executor's thread alone.
        self._changed = node.create_guard_condition(self._follow)
        self._timer = node.create_timer(1.0, self._overview)

    @property
    def enabled(self) -> bool:
        """Whether anything is to be heard at all."""
        return self._enabled

    @enabled.setter
    def enabled(self, wanted: bool) -> None:
        self._enabled = wanted
        self._changed.trigger()

    @property
    def listening(self) -> bool:
        """Whether any browser looks, and may."""
        return bool(self._heeded)

    @property
    def heard(self) -> list[str]:
        """Topics of what is shown."""
        return sorted(topic for _, topic in self._subscriptions)

    @property
    def _heeded(self) -> frozenset[Key]:
        return self._wanted if self._started and self._enabled else frozenset()

    def start(self) -> None:
        """Begin."""
        self._started = True
        self._follow()

    def stop(self) -> None:
        """Hear nothing; the page stays as it is."""
        self._started = False
        self._follow()

    def reset(self) -> None:
        """Forget who is there and how they do."""
        self._statuses.clear()

    def close(self) -> None:
        """Let go of all topics and services."""
        self.stop()
        self._node.destroy_timer(self._timer)
        self._node.destroy_guard_condition(self._changed)
        for client in self._clients.values():
            self._node.destroy_client(client)

    def why_not(self) -> str:
        """Say why there is nothing to show."""
        if self._subscriptions:
            return f"nothing comes from {', '.join(self.heard)}; the diagnostics of who publishes there say why"
        return (f"nobody publishes images, skeletons or actions in namespace {self._node.get_namespace()}; start a "
                "pose_node there, or this node in its namespace")

    # For the server, by its threads.

    def look(self, wanted: Set[Key]) -> None:
        """Hear what at least one browser shows, and nothing else."""
        if wanted != self._wanted:
            self.news += not self._wanted
            self._wanted = frozenset(wanted)
            self._changed.trigger()

    def models(self) -> list[dict[str, Any]]:
        """Return the estimators that could run at once: all files that they need are here."""
        store = Store()
        found = []
        for card in store.cards():
            # Most are not here: what else they would need is looked up for the others alone.
            if card.kind != "estimator" or store.state(card, hashed=False) != "ready":
                continue
            try:
                needed = wiring.models({"model": card.name}, store)
            except PoseRosError:  # a card that names what is not installed
                continue
            if all(store.state(other, hashed=False) == "ready" for other in needed):
                found.append({"name": card.name, "skeleton": card.skeleton, "summary": card.summary,
                              "licence": card.licence.weights})
        return found

    def call(self, node: str, service: str, arguments: dict[str, Any]) -> tuple[bool, str]:
        """Call a service of a node that the page shows; waits for the answer."""
        if service not in self._services.get(node, ()):
            return False, f"{node} has no service {service}; the page shows what there is"
        kind, _, limit_s = _SERVICES[service]
        fields = kind.Request.get_fields_and_field_types()
        for name, value in arguments.items():
            # rclpy converts in C, and does not survive a value of another type or a lone surrogate.
            if name not in fields or not isinstance(value, _TYPES[fields[name]]):
                return False, f"expected {', '.join(f'{n} ({t})' for n, t in fields.items())}, got {name} {value!r:.60}"
            if isinstance(value, str) and (len(value) > _LONGEST_TEXT or not value.isascii()):
                return False, f"{name}: expected at most {_LONGEST_TEXT} ASCII letters"
        request = kind.Request(**arguments)
        client = self._clients.get(f"{node}/{service}")
        if client is None:
            client = self._clients[f"{node}/{service}"] = self._node.create_client(kind, f"{node}/{service}")
        if not client.wait_for_service(_DISCOVERY_S):
            return False, f"{node}/{service} does not answer; is the node still there?"
        answered = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(limit_s):
            client.remove_pending_request(future)
            return False, f"{node}/{service} has not answered for {limit_s:.0f} s"
        answer = future.result()
        return bool(answer.success), str(answer.message)

    # By the executor's thread.

    def _follow(self) -> None:
        """Subscribe to what is wanted, and let go of the rest."""
        node, wanted = self._node, self._heeded
        gone = self._subscriptions.keys() - wanted
        for key in gone:
            node.destroy_subscription(self._subscriptions.pop(key))
        self.board.drop(gone)
        if bool(wanted) != (self._diagnostics is not None):
            if wanted:
                self._diagnostics = node.create_subscription(DiagnosticArray, "/diagnostics", self._hear, 50)
            else:
                node.destroy_subscription(self._diagnostics)
                self._diagnostics = None
                self._statuses.clear()
        if OVERVIEW in wanted and not self._topics:
            self._overview()
        for key in wanted - self._subscriptions.keys():
            kind, topic = key
            # A browser names only what it was told of.
            if topic in self._topics.get(kind, ()):
                message, _, profile = _HEARD[kind]
                self._subscriptions[key] = node.create_subscription(message, topic, self._take(key), profile)

    def _count(self) -> None:
        self.news += 1
        self._health.sent()

    def _take(self, key: Key) -> Callable[[Any], None]:
        def skeletons(msg: Any) -> None:
            now_ns = time.time_ns()
            self._count()
            self.board.put(key, lambda: (plain.skeletons(msg, now_ns), b""))

        def image(msg: Any) -> None:
            data, now_ns = bytes(msg.data), time.time_ns()
            kind = next((kind for begin, kind in _FORMATS.items() if data.startswith(begin)), "")
            if kind and len(data) <= _LARGEST_IMAGE:
                age = plain.age_ms(msg.header, now_ns)
                self._count()
                self.board.put(key, lambda: ({"type": kind, "age_ms": age}, data))

        others: dict[str, Callable[[Any], dict[str, Any]]] = {"info": plain.info, "actions": plain.actions}

        def other(msg: Any) -> None:
            self._count()
            self.board.put(key, lambda: (others[key[0]](msg), b""))

        return {"skeletons": skeletons, "image": image}.get(key[0], other)

    def _hear(self, msg: Any) -> None:
        now = time.monotonic()
        for status in msg.status:
            if self._ours(status.hardware_id) or not status.hardware_id.startswith("/"):
                self._statuses[status.hardware_id, status.name] = now, plain.status(status)

    def _ours(self, name: str) -> bool:
        """Return whether a name is in this node's namespace: another robot's are not shown."""
        return name.startswith(self._node.get_namespace().rstrip("/") + "/")

    def _overview(self) -> None:
        """Put on the board who is there and how they do."""
        if not self._heeded:
            return
        node, now = self._node, time.monotonic()
        topics = [(name, kinds) for name, kinds in node.get_topic_names_and_types() if self._ours(name)]
        for kind, (_, type_name, _) in _HEARD.items():
            self._topics[kind] = sorted(name for name, kinds in topics if type_name in kinds
                                        and (kind == "info" or node.count_publishers(name)))
        services: dict[str, list[str]] = {}
        for name, kinds in node.get_service_names_and_types():
            of, _, service = name.rpartition("/")
            if (service in _SERVICES and _SERVICES[service][1] in kinds and self._ours(name)
                    and of != node.get_fully_qualified_name()):  # a page that is paused could not resume itself
                services.setdefault(of, []).append(service)
        self._services = services
        self._statuses = {key: value for key, value in self._statuses.items() if now - value[0] < _FORGET_S}
        statuses = [
            {**status, **({"silent": True, "message": f"silent for {now - heard:.0f} s"}
                          if now - heard > _STALE_S else {})}
            for heard, status in self._statuses.values()
        ]
        names = sorted(f"{namespace.rstrip('/')}/{name}" for name, namespace in node.get_node_names_and_namespaces())
        told = {
            "topics": self._topics, "services": services, "statuses": statuses,
            "nodes": [name for name in names if self._ours(name)],
        }
        self.board.put(OVERVIEW, lambda: (told, b""))
        self._changed.trigger()  # what was wanted before it was there
