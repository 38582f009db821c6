# SPDX-License-Identifier: Apache-2.0
"""Messages of ROS into a scene: anything that has their fields will do, of a bag or of live topics."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from pose_ros.core.kinds import PARTS
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError, ImageError, PoseRosError
from pose_ros.ros.cameras import camera_from_info
from pose_ros.ros.image_file import size
from pose_ros.ros.images import image_to_rgb
from pose_ros.ros.reading import array_to_poses, info_to_skeleton
from pose_ros.skeletons import catalogue
from pose_ros.viewer.scene import Scene

_LEVELS = {0: "OK", 1: "WARN", 2: "ERROR", 3: "STALE"}
#: Levels of rcl_interfaces/Log, and those that are shown.
_LOG_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARN", 40: "ERROR", 50: "CRITICAL"}
#: Arrays that may wait for their info.
_EARLY = 300
_ZONES = {1: "slow", 2: "stop"}
_ARRAY = "pose_ros/msg/SkeletonArray"


class Messages:
    """Shows messages of all types that it knows, at their stamps."""

    def __init__(self, scene: Scene, say: Callable[[str], None]) -> None:
        """Begin.

        Args:
            scene: Told what is seen.
            say: Told, once, what a topic sends that cannot be shown.
        """
        self._scene, self._say = scene, say
        self._skeletons: dict[tuple[str, str], Skeleton] = {}
        self._early: deque[tuple[str, Any, int]] = deque(maxlen=_EARLY)
        self._complained: set[str] = set()
        self._show: dict[str, Callable[[str, Any, int], None]] = {
            "sensor_msgs/msg/Image": self._image, "sensor_msgs/msg/CompressedImage": self._compressed,
            "sensor_msgs/msg/CameraInfo": self._camera, "tf2_msgs/msg/TFMessage": self._transforms,
            "pose_ros/msg/SkeletonInfo": self._info, _ARRAY: self._array,
            "pose_ros/msg/ActionArray": self._actions, "pose_ros/msg/SeparationArray": self._separations,
            "pose_ros/msg/HandoverArray": self._handovers,
            "diagnostic_msgs/msg/DiagnosticArray": self._diagnostics, "rcl_interfaces/msg/Log": self._line,
        }

    @property
    def types(self) -> tuple[str, ...]:
        """Message types that are shown."""
        return tuple(self._show)

    def take(self, topic: str, message_type: str, msg: Any, log_ns: int) -> None:
        """Show one message.

        Args:
            topic: Where it came from.
            message_type: Such as ``sensor_msgs/msg/Image``.
            msg: Anything with its fields.
            log_ns: When it came, or was recorded.
        """
        try:
            self._show[message_type](topic, msg, log_ns)
        except (PoseRosError, ValueError) as error:
            self._complain(topic, str(error))
        except AttributeError as error:  # a bag has the fields of its day
            self._complain(topic, f"its {message_type} are of another version: they lack the field '{error.name}'")

    def arrange(self) -> None:
        """Arrange the views, where there is something new to see."""
        self._scene.arrange()

    def finish(self) -> None:
        """Show arrays whose info never came, where we know their skeleton, and arrange the views."""
        waiting, self._early = self._early, deque(maxlen=_EARLY)
        for topic, msg, log_ns in waiting:
            key = _base(topic), msg.schema
            if key not in self._skeletons and msg.schema in catalogue.names():
                self._skeletons[key] = catalogue.get(msg.schema)
            if key in self._skeletons:
                self.take(topic, _ARRAY, msg, log_ns)
            else:
                self._complain(topic, f"nobody says what '{msg.schema}' is; record {key[0]}skeleton_info, too")
        self._scene.arrange()

    def _complain(self, topic: str, problem: str) -> None:
        if topic not in self._complained:
            self._complained.add(topic)
            self._say(f"{topic}: {problem}")

    def _at(self, header: Any, log_ns: int) -> None:
        # Who does not stamp means now.
        self._scene.at(_ns(header.stamp) or log_ns, log_ns)

    def _image(self, topic: str, msg: Any, log_ns: int) -> None:
        import cv2

        rgb = image_to_rgb(msg)
        done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
        if not done:
            raise ImageError(f"cannot write {rgb.shape[1]}x{rgb.shape[0]} pixels as JPEG")
        self._at(msg.header, log_ns)
        self._scene.image(topic, msg.header.frame_id, data.tobytes(), "image/jpeg")

    def _compressed(self, topic: str, msg: Any, log_ns: int) -> None:
        data = bytes(msg.data)
        if "compressedDepth" in msg.format:
            raise ImageError(f"format '{msg.format}' is a depth image, which is not shown")
        size(data)  # what is neither JPEG nor PNG ends here
        self._at(msg.header, log_ns)
        self._scene.image(topic, msg.header.frame_id, data, "image/png" if data[:1] == b"\x89" else "image/jpeg")

    def _camera(self, topic: str, msg: Any, log_ns: int) -> None:
        try:
            camera = camera_from_info(msg)
        except ConfigError:
            return  # not calibrated, which is no fault of a picture
        self._at(msg.header, log_ns)
        self._scene.camera(topic, msg.header.frame_id, camera)

    def _transforms(self, topic: str, msg: Any, log_ns: int) -> None:
        static = topic.endswith("tf_static")
        for moved in msg.transforms:
            place, turn = moved.transform.translation, moved.transform.rotation
            if not static:
                self._at(moved.header, log_ns)
            self._scene.transform(moved.header.frame_id, moved.child_frame_id, (place.x, place.y, place.z),
                                  (turn.x, turn.y, turn.z, turn.w), static=static)

    def _info(self, topic: str, msg: Any, log_ns: int) -> None:
        skeleton = info_to_skeleton(msg)
        self._skeletons[_base(topic), skeleton.name] = skeleton
        waiting, self._early = self._early, deque(maxlen=_EARLY)
        for early in waiting:
            self._array(*early)

    def _array(self, topic: str, msg: Any, log_ns: int) -> None:
        skeleton = self._skeletons.get((_base(topic), msg.schema))
        if skeleton is None:
            self._early.append((topic, msg, log_ns))
            return
        poses = array_to_poses(msg, skeleton)
        self._at(msg.header, log_ns)
        self._scene.poses(
            topic, msg.header.frame_id, poses, in_image=msg.image_width > 0,
            kind=PARTS.get(topic.rsplit("/", 2)[-2], ""),
            stages_ms=dict(zip(msg.stage_names, map(float, msg.stage_ms), strict=False)),
        )

    def _actions(self, topic: str, msg: Any, log_ns: int) -> None:
        self._at(msg.header, log_ns)
        for action in msg.actions:
            self._scene.action(
                topic, action.name, action.phase, action.track_id, action.side, score=action.score,
                onset_ns=_ns(action.onset), end_ns=_ns(action.end), count=action.count, recogniser=action.recogniser,
            )

    def _separations(self, topic: str, msg: Any, log_ns: int) -> None:
        self._at(msg.header, log_ns)
        ends = np.array([[_xyz(s.person_point), _xyz(s.robot_point)] for s in msg.separations]).reshape(-1, 2, 3)
        words = [f"#{s.track_id} {s.distance:.2f} m {_ZONES.get(s.zone, '')}".strip() for s in msg.separations]
        self._scene.distances(topic, msg.header.frame_id, ends[:, 0], ends[:, 1], words)

    def _handovers(self, topic: str, msg: Any, log_ns: int) -> None:
        self._at(msg.header, log_ns)
        palms = np.array([_xyz(h.pose.pose.position) for h in msg.handovers]).reshape(-1, 3)
        ways = np.array([_xyz(h.approach) for h in msg.handovers]).reshape(-1, 3)
        words = [f"#{h.track_id} " + ("valid" if h.valid else h.reason) for h in msg.handovers]
        self._scene.approaches(topic, msg.header.frame_id, palms, ways, words)

    def _diagnostics(self, topic: str, msg: Any, log_ns: int) -> None:
        self._scene.said_at(_ns(msg.header.stamp), log_ns)
        for status in msg.status:
            level = ord(status.level) if isinstance(status.level, bytes) else int(status.level)
            values = {pair.key: pair.value for pair in status.values}
            self._scene.status(status.name, _LEVELS.get(level, str(level)), status.message, values)

    def _line(self, topic: str, msg: Any, log_ns: int) -> None:
        self._scene.said_at(_ns(msg.stamp), log_ns)
        self._scene.line(topic, _LOG_LEVELS.get(int(msg.level), "INFO"), f"{msg.name}: {msg.msg}")


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def _xyz(point: Any) -> tuple[float, float, float]:
    return point.x, point.y, point.z


def _base(topic: str) -> str:
    """Return what a topic of skeletons and its info have in common."""
    return topic.rpartition("/")[0] + "/"
