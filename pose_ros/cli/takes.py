# SPDX-License-Identifier: Apache-2.0
"""Takes: moments with poses out of whatever holds them: bags, results of ``pose-ros run``, live topics."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.cli import console
from pose_ros.core import json_text
from pose_ros.core.poses import SIDE_NAMES, Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError, PoseRosError, SourceError
from pose_ros.media.bag_file import BagFile
from pose_ros.skeletons import catalogue

_ARRAY, _INFO = "pose_ros/msg/SkeletonArray", "pose_ros/msg/SkeletonInfo"
Moments = Iterator[tuple[int, Poses]]


class BagTake:
    """The skeletons of one topic of a bag; needs rosbags, and no ROS."""

    def __init__(self, path: Path, topic: str = "") -> None:
        """Open a bag.

        Args:
            path: Folder with metadata.yaml, or a .mcap or .db3 file.
            topic: Of SkeletonArray; may be left out where there is but one.

        Raises:
            SourceError: It is no bag, has no skeletons, or several topics of which none was named.
        """
        self._name = str(path)
        self._bag = BagFile(self._name, path)
        topics = sorted({c.topic for c in self._bag.connections if c.msgtype == _ARRAY})
        if not topics:
            self._bag.close()
            raise SourceError(self._name, "expected skeletons in the bag, found none; `pose-ros export` also takes the "
                                          "images of a bag: name one as BAG#TOPIC")
        if len(topics) > 1 and not topic:
            whole = [name for name in topics if name.rsplit("/", 2)[-2] not in ("hands", "faces")]
            topics = whole if len(whole) == 1 else topics
        if (topic and topic not in topics) or (not topic and len(topics) > 1):
            self._bag.close()
            raise SourceError(self._name, f"name one of its topics with --topic: {', '.join(topics)}")
        self.topic = topic or topics[0]
        #: Whether the skeletons belong to an image, and so to an optical frame.
        self.optical = True
        #: Pixels of that image, from the first message on.
        self.size_wh = (0, 0)

    def moments(self) -> Moments:
        """Yield stamp and poses of every message.

        Raises:
            SourceError: The bag is broken, or does not say what the keypoints are.
        """
        from pose_ros.ros.reading import array_to_poses, info_to_skeleton

        info_topic = f"{self.topic.removesuffix('skeletons')}skeleton_info"
        wanted = [c for c in self._bag.connections if c.topic in (self.topic, info_topic)]
        skeletons: dict[str, Skeleton] = {}
        with self._bag.reading(), contextlib.closing(self._bag):
            infos = [c for c in wanted if c.msgtype == _INFO]
            for connection, _, data in self._bag.messages(infos):
                info: Any = self._bag.deserialize(data, connection.msgtype)
                skeletons[info.name] = info_to_skeleton(info)
            for connection, _, data in self._bag.messages([c for c in wanted if c.msgtype == _ARRAY]):
                msg: Any = self._bag.deserialize(data, connection.msgtype)
                if msg.schema not in skeletons:
                    skeletons[msg.schema] = catalogue.get(msg.schema)
                self.optical = msg.image_width > 0
                self.size_wh = msg.image_width, msg.image_height
                yield _stamp(msg), array_to_poses(msg, skeletons[msg.schema])


def run_moments(document: Mapping[str, Any], part: str = "") -> Moments:
    """Yield the moments of a video in results of ``pose-ros run``.

    Args:
        document: What results.json holds; see :mod:`pose_ros.cli.results`.
        part: ``hands`` or ``faces`` in place of the whole subjects.

    Raises:
        ConfigError: It holds no video, or several, or is not as `pose-ros run` writes it.
    """
    with as_written("source"):
        yield from _run_moments(document, part)


@contextlib.contextmanager
def as_written(where: str) -> Iterator[None]:
    """Say of results in which something is missing, or is of another kind, that `pose-ros run` did not write them.

    Raises:
        ConfigError: In place of what provokes it.
    """
    try:
        yield
    except PoseRosError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ConfigError(where, "expected results.json of `pose-ros run` as it writes it, got another: "
                                 f"{type(error).__name__}: {error}") from error


def _run_moments(document: Mapping[str, Any], part: str) -> Moments:
    if document.get("schema") != "pose_ros.run/1":
        raise ConfigError("source", f"expected results of `pose-ros run` (pose_ros.run/1), got "
                                    f"{document.get('schema')!r}")
    videos = [s for s in document["sources"] if s.get("kind") == "video" and s["frames"]]
    if len(videos) != 1:
        raise ConfigError("source", f"expected the results of one video, got {len(videos)}")
    about = document["parts"][part] if part else document
    named = about["skeleton"]
    skeleton = catalogue.get(named["name"]) if named["name"] in catalogue.names() else Skeleton(
        named["name"], tuple(named["keypoints"]), tuple((a, b) for a, b in named["edges"]))
    for frame in videos[0]["frames"]:
        subjects = frame["parts"][part] if part else frame["subjects"]
        yield round(frame["time_s"] * 1e9), _poses(subjects, skeleton)


def _poses(subjects: list[dict[str, Any]], skeleton: Skeleton) -> Poses:
    """Return the poses of one frame of results."""
    k, sides = len(skeleton), {name: side for side, name in SIDE_NAMES.items()}
    pixels = _numbers([s["keypoints"] for s in subjects], (k, 3))

    def optional(name: str, size: int, names: tuple[str, ...] = ()) -> np.ndarray | None:
        if not any(name in s for s in subjects):
            return None
        empty = [[None] * size] * k
        values = [list(s[name].values()) if names else s.get(name, empty) for s in subjects]
        return _numbers(values, (len(names),) if names else (k, size))

    return Poses(
        skeleton, pixels[..., :2], np.nan_to_num(pixels[..., 2]),
        boxes=_numbers([s["box"] for s in subjects], (4,)),
        subject_scores=_numbers([s["score"] for s in subjects], ()),
        ids=np.array([s["id"] or 0 for s in subjects], np.int64),
        labels=np.array([s.get("label", "") for s in subjects], "U32"),
        sides=np.array([sides.get(s.get("side", ""), 0) for s in subjects], np.uint8),
        states=np.full(len(subjects), 2), points=optional("points", 3), local_points=optional("local_points", 3),
        measures=optional("measures", 0, skeleton.measures),
    )


def _numbers(values: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    return np.array(values, np.float64).reshape(len(values), *shape)


def read_run(path: Path) -> dict[str, Any]:
    """Return the document in a results.json.

    Raises:
        SourceError: It is none.
    """
    try:
        document: dict[str, Any] = json_text.read(path, most=json_text.LARGE)
    except (OSError, ValueError) as error:
        raise SourceError(str(path), f"expected results.json of `pose-ros run`: {error}") from error
    return document


class LiveTake:
    """What comes on a topic, until Ctrl-C or for so many seconds; needs ROS 2."""

    def __init__(self, topic: str, seconds: float = 0.0) -> None:
        """Name the topic; 0 seconds are as long as the user likes."""
        self.topic, self._seconds = topic, seconds
        #: Whether the skeletons belong to an image, and so to an optical frame.
        self.optical = True
        self._came: list[tuple[int, Poses]] = []

    def _heard(self, msg: Any, poses: Poses) -> None:
        self.optical = msg.image_width > 0
        self._came.append((_stamp(msg), poses))

    def moments(self) -> Moments:
        """Yield stamp and poses of every message.

        Raises:
            ModuleNotFoundError: rclpy is not installed.
        """
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node

        from pose_ros.nodes.stream import Stream

        context = rclpy.Context()
        context.init()
        node = Node("pose_ros_export", context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        stream = Stream(node, self.topic, lambda *_: None, self._heard)
        end = time.monotonic() + (self._seconds or float("inf"))
        console.note(f"listening to {self.topic}; {f'{self._seconds:g} s' if self._seconds else 'Ctrl-C ends it'}")
        try:
            while time.monotonic() < end:
                executor.spin_once(timeout_sec=0.1)
                yield from self._came
                self._came.clear()
        except KeyboardInterrupt:
            pass  # what came until then is the take
        finally:
            stream.close()
            executor.shutdown()
            node.destroy_node()
            context.try_shutdown()


def _stamp(msg: Any) -> int:
    return int(msg.header.stamp.sec * 1_000_000_000 + msg.header.stamp.nanosec)
