# SPDX-License-Identifier: Apache-2.0
"""A synthetic scene whose cameras publish as pose nodes and drivers do, and a multi-view node that hears them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from pose_ros.msg import SkeletonArray, SkeletonInfo
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from scenes import Faults, Recording, Shot, circling, observe, rig
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pose_ros.core.quaternion import from_matrices
from pose_ros.core.stages import Stages
from pose_ros.multiview.rig import PosedCamera
from pose_ros.nodes.multiview_node import MultiviewNode
from pose_ros.parts import OwnPart
from pose_ros.pipeline import Result
from pose_ros.ros.cameras import camera_to_info
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.qos import RESULT
from pose_ros.skeletons import catalogue

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RIG = rig(3, models=("plumb_bob", "equidistant"), sizes=((1280, 720), (640, 480)))
HAND = catalogue.get("hand21")
NAMES = tuple(camera.name for camera in RIG)


@cache
def seen(people: int, kind: str) -> Recording:
    """Return four seconds of what the cameras see; to make them takes most of a second."""
    return observe(circling(people), RIG, kind, seconds=4.0, faults=Faults(sigma_px=1.0))


def header(stamp_ns: int, frame_id: str) -> Header:
    made = Header(frame_id=frame_id)
    made.stamp.sec, made.stamp.nanosec = divmod(stamp_ns, 10**9)
    return made


def standing(camera: PosedCamera, stamp_ns: int, frame_id: str, world: str = "world") -> TransformStamped:
    """Return where a camera stands, as TF says it: the pose of the child in its parent."""
    x, y, z, w = from_matrices(camera.rotation.T).tolist()
    made = TransformStamped(header=header(stamp_ns, world), child_frame_id=frame_id)
    made.transform.translation = Vector3(**dict(zip("xyz", camera.centre.tolist(), strict=True)))
    made.transform.rotation = Quaternion(x=x, y=y, z=z, w=w)
    return made


class Room:
    """Cameras, people, a multi-view node and a listener in one executor."""

    def __init__(self, ros: Any, capture: Any, *, people: int = 2, seen_as: str = "coco17", tf: bool = True,
                 hands_of: tuple[str, ...] = (), **parameters: Any) -> None:
        """Start the node.

        Args:
            ros: Of conftest.py.
            capture: What is logged.
            people: How many.
            seen_as: Skeleton.
            tf: Whether to say at once where the cameras stand.
            hands_of: Cameras whose pose nodes look at hands, too.
            parameters: Of the node; ``__`` in their names stands for a dot.
        """
        self.ros, self.rig, self._capture = ros, RIG, capture
        self.recording = seen(people, "wholebody133" if hands_of else seen_as)
        self.other = ros.node("other")
        #: Camera -> frame of its images, clock, info and skeleton, for tests to spoil.
        self.frames = {name: f"{name}_optical_frame" for name in NAMES}
        self.offset_ns = dict.fromkeys(NAMES, 0)
        #: Who has left, by true ids.
        self.gone: set[int] = set()
        self.infos = {c.name: camera_to_info(c.camera, Header()) for c in RIG}
        self.skeletons = dict.fromkeys(NAMES, seen_as)
        self.arrays: list[Any] = []
        self.fused: list[tuple[int, Any]] = []
        self._static = self.other.create_publisher(TFMessage, "/tf_static", LATCHED)
        if tf:
            self.place(*NAMES)
        self._publishers: dict[str, tuple[Any, Any, Any]] = {}
        for name in NAMES:
            self._publishers[name] = (
                self.other.create_publisher(SkeletonArray, f"/{name}/pose/skeletons", RESULT),
                self.other.create_publisher(SkeletonInfo, f"/{name}/pose/skeleton_info", LATCHED),
                self.other.create_publisher(CameraInfo, f"/{name}/camera_info", RESULT),
            )
        self.hands: list[Any] = []
        self._hands = {name: (
            self.other.create_publisher(SkeletonArray, f"/{name}/pose/hands/skeletons", RESULT),
            self.other.create_publisher(SkeletonInfo, f"/{name}/pose/hands/skeleton_info", LATCHED),
        ) for name in hands_of}
        values = {"cameras": ", ".join(NAMES), **{k.replace("__", "."): v for k, v in parameters.items()}}
        self.node = ros.add(MultiviewNode(
            context=ros.context, parameter_overrides=[Parameter(n, value=v) for n, v in values.items()]
        ))
        self._ticks = iter(self.recording.ticks())
        self._announced: set[tuple[str, str]] = set()
        self.statuses: dict[str, Any] = {}
        self.other.create_subscription(DiagnosticArray, "/diagnostics", self._diagnosed, 10)

    def listen(self) -> Room:
        """Listen, and wait until the node hears the cameras."""
        self.other.create_subscription(SkeletonArray, "/multiview/skeletons", self.arrays.append, 100)
        self.other.create_subscription(SkeletonArray, "/multiview/hands/skeletons", self.hands.append, 100)
        assert self.ros.spin_until(lambda: all(
            array.get_subscription_count() and info.get_subscription_count()
            for array, info, *_ in (*self._publishers.values(), *self._hands.values())
        )), "the node did not subscribe"
        for name, (_, _, camera_infos) in self._publishers.items():  # drivers run before networks do
            self.infos[name].header = header(self.recording.shots[0].stamp_ns, self.frames[name])
            camera_infos.publish(self.infos[name])
        self.ros.spin_for(0.1)
        return self

    def _diagnosed(self, message: Any) -> None:
        for status in message.status:
            self.statuses[status.name] = status

    def place(self, *names: str) -> None:
        """Say by static transforms where cameras stand."""
        self._static.publish(TFMessage(transforms=[
            standing(c, 0, self.frames[c.name]) for c in self.rig if c.name in names
        ]))

    def send(self, shot: Shot) -> None:
        """Publish one camera's sight and its calibration."""
        name = shot.camera.name
        skeleton = catalogue.get(self.skeletons[name])
        arrays, infos, camera_infos = self._publishers[name]
        if (name, skeleton.name) not in self._announced:
            self._announced.add((name, skeleton.name))
            infos.publish(skeleton_to_info(skeleton, "model"))
        head = header(shot.stamp_ns + self.offset_ns[name], self.frames[name])
        # Each camera has ids of its own.
        whole = shot.poses.replace(ids=shot.true_ids + 100 * NAMES.index(name) + 7)
        whole = whole.select(~np.isin(shot.true_ids, [*self.gone]))
        poses = whole if skeleton == whole.skeleton else whole.to(skeleton)
        info = self.infos[name]
        info.header = head
        camera_infos.publish(info)
        result = Result(poses, (), Stages())
        arrays.publish(poses_to_array(result, head, tuple(shot.camera.camera.size_wh), "model"))
        if name in self._hands:
            hands = OwnPart("hands", dict.fromkeys(("left_hand", "right_hand"), HAND))(None, Stages(), whole)
            arrays, infos = self._hands[name]
            if (name, HAND.name) not in self._announced:
                self._announced.add((name, HAND.name))
                infos.publish(skeleton_to_info(HAND, "hands"))
            hands = Result(hands.replace(ids=np.arange(len(hands)) + 1), (), Stages())
            arrays.publish(poses_to_array(hands, head, tuple(shot.camera.camera.size_wh), "hands"))

    def play(self, ticks: int = 5, cameras: tuple[str, ...] = NAMES) -> list[Any]:
        """Let some cameras see some moments, 1/30 s apart; returns the arrays that came."""
        before, health = len(self.arrays), self.node._health
        for _ in range(ticks):
            expected = health.received
            for shot in next(self._ticks):
                if shot is not None and shot.camera.name in cameras:
                    self.send(shot)
                    expected += bool(self.node._fusing and self.node._fusing.listening)
            assert self.ros.spin_until(lambda: health.received >= expected), "the node did not take what was sent"  # noqa: B023
            self.ros.spin_for(0.02)
        self.ros.spin_for(0.1)
        return self.arrays[before:]

    def errors(self, array: Any) -> np.ndarray:
        """Return (N, K) how far the keypoints of fused people or hands are from where they truly are, metres."""
        stamp = array.header.stamp.sec * 10**9 + array.header.stamp.nanosec
        moment = self.recording.truth(stamp)
        if array.schema == HAND.name:
            whole = catalogue.get("wholebody133")
            hands = [list(whole.blocks[f"{side}_hand"][1]) for side in ("left", "right")]
            truth = moment.points(whole)[0][:, hands].reshape(-1, len(HAND), 3)
        else:
            truth = moment.points(catalogue.get(array.schema))[0]
        points = np.array([np.reshape(s.points, (-1, 3)) for s in array.skeletons])
        distances = np.linalg.norm(points[:, None] - truth[None], axis=3)
        nearest = np.nanmedian(distances, axis=2).argmin(axis=1)
        return distances[np.arange(len(points)), nearest]

    def status(self, name: str = "fusion") -> tuple[str, dict[str, str]]:
        """Return message and values of the newest diagnostics."""
        self.statuses.clear()
        assert self.ros.spin_until(lambda: f"multiview: {name}" in self.statuses)
        status = self.statuses[f"multiview: {name}"]
        return status.message, {pair.key: pair.value for pair in status.values}

    def said(self) -> str:
        """Return what was logged since the last call."""
        return self._capture.readouterr().err
