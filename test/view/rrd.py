# SPDX-License-Identifier: Apache-2.0
"""Recordings of Rerun, read back; and bags with messages of this package, written without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton

_MSG = Path(__file__).parents[2] / "msg"
TYPES = get_typestore(Stores.ROS2_JAZZY)
for _file in sorted(_MSG.glob("*.msg")):
    TYPES.register(get_types_from_msg(_file.read_text(), f"pose_ros/msg/{_file.stem}"))


class Rrd:
    """What stands in a recording."""

    def __init__(self, path: Path) -> None:
        from rerun.chunk import RrdReader

        reader = RrdReader(path)
        self.blueprints = len(reader.blueprints())
        #: Entity -> component -> (stamp, log, values) in order of log time; None where it does not stand there.
        self.entities: dict[str, dict[str, list[tuple[int | None, int | None, Any]]]] = {}
        for chunk in reader.stream():
            batch = chunk.to_record_batch()
            columns = {name: batch.column(name).to_pylist() for name in batch.schema.names
                       if name not in (*chunk.timeline_names, "rerun.controls.RowId")}
            times = [[_ns(batch, name, row) for name in ("stamp", "log")] for row in range(batch.num_rows)]
            entity = self.entities.setdefault(chunk.entity_path.lstrip("/"), {})
            for name, values in columns.items():
                rows = [(*at, value) for at, value in zip(times, values, strict=True) if value is not None]
                entity.setdefault(name, []).extend(rows)
                entity[name].sort(key=lambda row: row[1] or 0)

    def values(self, entity: str, component: str) -> list[Any]:
        """Return what an entity says, one after the other."""
        return [value for _, _, value in self.entities[entity][component]]

    def stamps(self, entity: str, component: str) -> list[int | None]:
        """Return when it was so."""
        return [stamp for stamp, _, _ in self.entities[entity][component]]


def _ns(batch: Any, timeline: str, row: int) -> int | None:
    return batch.column(timeline)[row].value if timeline in batch.schema.names else None


def make(kind: str, /, **fields: Any) -> Any:
    """Return a message; fields that are not given are zero."""
    cls = TYPES.types[kind]
    for field, (node, about) in TYPES.fielddefs[kind][1]:
        fields.setdefault(field, _zero(node.name, about))
    return cls(**fields)


def _zero(kind: str, about: Any) -> Any:
    if kind == "BASE":
        return {"string": "", "bool": False}.get(about[0], 0)
    if kind == "NAME":
        return make(about)
    element, size = about[0], about[1]
    if element[0].name == "BASE" and element[1][0] != "string":
        return np.zeros(size, {"octet": "u1", "byte": "u1"}.get(element[1][0], element[1][0]))
    return []


def header(stamp_ns: int, frame_id: str = "camera_optical_frame") -> Any:
    sec, nanosec = divmod(stamp_ns, 10**9)
    return make("std_msgs/msg/Header", stamp=make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec),
                frame_id=frame_id)


def info(skeleton: Skeleton) -> Any:
    return make(
        "pose_ros/msg/SkeletonInfo", name=skeleton.name, keypoint_names=list(skeleton.keypoints),
        edges=np.array(skeleton.edges, np.uint16).ravel(), flip=np.array(skeleton.flip, np.uint16),
        sigmas=np.array(skeleton.sigmas, np.float32), root=skeleton.root,
        colors=np.array(skeleton.colors, np.uint8).ravel(), measure_names=list(skeleton.measures),
        measure_units=[skeleton.units.get(name, "") for name in skeleton.measures],
        frame_names=list(skeleton.frames),
    )


def array(stamp_ns: int, poses: Poses, frame_id: str = "camera_optical_frame", **fields: Any) -> Any:
    """Return the SkeletonArray of poses."""
    optional = ("points", "covariances", "local_points", "frames")
    skeletons = [
        make("pose_ros/msg/Skeleton", track_id=int(poses.ids[row]), parent_id=int(poses.parents[row]), track_state=2,
             score=float(poses.subject_scores[row]), box=poses.boxes[row], keypoints=poses.keypoints[row].ravel(),
             scores=poses.scores[row], sources=poses.sources[row],
             **{name: column[row].ravel() for name in optional if (column := getattr(poses, name)) is not None})
        for row in range(len(poses))
    ]
    return make("pose_ros/msg/SkeletonArray", header=header(stamp_ns, frame_id), schema=poses.skeleton.name,
                skeletons=skeletons, **{"image_width": 640, "image_height": 480, **fields})


def write(path: Path, topics: dict[str, Sequence[tuple[int, Any]]]) -> str:
    """Write a bag; topic -> (time of recording, message)."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        for topic, messages in topics.items():
            kind = messages[0][1].__msgtype__
            connection = bag.add_connection(topic, kind, typestore=TYPES)
            for log_ns, message in messages:
                bag.write(connection, log_ns, TYPES.serialize_cdr(message, kind))
    return str(path)
