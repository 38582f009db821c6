# SPDX-License-Identifier: Apache-2.0
"""Scene: images, poses, cameras, transforms, actions, times and words, written into one Rerun recording.

Entities are named after topics, so that whoever knows the robot finds them. Places are told by named coordinate frames,
those of TF: an entity says in which frame it is, and the viewer finds the way. What lies in the image of the frame
``cam`` is in the frame ``cam#image``, which the calibration joins with ``cam``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.poses import SIDE_NAMES, Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.viewer import shapes
from pose_ros.viewer.layout import Layout

if TYPE_CHECKING:
    import rerun as rr

#: Time over which the rate is taken, by stamps.
_RATE_OVER_NS = 2_000_000_000
#: A latency beyond this says that the stamps are of another clock, such as that of a simulation.
_OTHER_CLOCK_NS = 60_000_000_000
#: How far before the camera its image hangs, the length of the axes of frames and of arrows; metres.
_IMAGE_AT_M, _AXIS_M, _APPROACH_M = 0.5, 0.1, 0.2
#: Phases of an action; the values of Action.msg.
_ENDED, _EVENT = 3, 4


class Scene:
    """What is known of a robot and the people around it; every call writes at the times that :meth:`at` named."""

    def __init__(self, recording: rr.RecordingStream, *, absolute: bool = True, min_score: float = 0.3) -> None:
        """Begin with nothing.

        Args:
            recording: Written to.
            absolute: Whether stamps are times since 1970; otherwise since the beginning of a video.
            min_score: Keypoints below it are not drawn.
        """
        self._recording, self._absolute, self._min_score = recording, absolute, min_score
        # Rerun's own times say when it was told, which may be years after it happened.
        recording.set_log_time_enabled(False)
        recording.set_log_tick_enabled(False)
        #: When the last thing was captured; None before the first.
        self._stamp_ns: int | None = None
        self._log_ns = 0
        self._layout = Layout()
        self._skeletons: dict[str, list[Skeleton]] = {}
        self._stamps: dict[str, deque[int]] = {}
        self._said: dict[str, tuple[str, str]] = {}
        self._shown: dict[str, set[str]] = {}
        self._doing: set[tuple[Any, ...]] = set()
        self._cameras: dict[str, str] = {}

    def at(self, stamp_ns: int, log_ns: int) -> None:
        """Say when the following things were.

        Args:
            stamp_ns: When it was captured, by its header; timeline ``stamp``.
            log_ns: When it was received or recorded; timeline ``log``.
        """
        self._stamp_ns, self._log_ns = stamp_ns, log_ns
        self._set("stamp", stamp_ns)
        self._set("log", log_ns)

    def said_at(self, stamp_ns: int, log_ns: int) -> None:
        """Say when the following words were said; those by another clock than that of images stand at ``log`` alone.

        Args:
            stamp_ns: By their header.
            log_ns: When they were received or recorded.
        """
        self._set("log", log_ns)
        if self._stamp_ns is not None and abs(stamp_ns - self._stamp_ns) < _OTHER_CLOCK_NS:
            self._set("stamp", stamp_ns)
        else:
            self._recording.disable_timeline("stamp")

    def _set(self, timeline: str, ns: int) -> None:
        if self._absolute:
            self._recording.set_time(timeline, timestamp=np.datetime64(ns, "ns"))
        else:
            self._recording.set_time(timeline, duration=np.timedelta64(ns, "ns"))

    def image(self, topic: str, frame: str, data: bytes, media_type: str) -> None:
        """Show an encoded picture, as it is."""
        import rerun as rr

        self._log(path(topic), rr.EncodedImage(contents=data, media_type=media_type), frame=image_frame(frame))
        self._layout.add_image(path(topic), image_frame(frame))

    def camera(self, topic: str, frame: str, camera: Camera) -> None:
        """Show where a camera looks; its distortion is left out, which Rerun cannot show in space."""
        import rerun as rr

        # A frame belongs to one entity, whoever else says the same.
        if self._cameras.setdefault(frame, topic) == topic:
            self._log(path(topic), rr.Pinhole(
                image_from_camera=camera.K, resolution=camera.size_wh, image_plane_distance=_IMAGE_AT_M,
                parent_frame=frame, child_frame=image_frame(frame),
            ))
            self._layout.add_frame(frame, path(topic))

    def transform(
        self, parent: str, child: str, translation: Sequence[float], rotation: Sequence[float], *, static: bool = False
    ) -> None:
        """Place a frame in another one, as TF does: ``x_parent = R x_child + translation``, x, y, z, w."""
        import rerun as rr

        parent, child = parent.lstrip("/"), child.lstrip("/")
        if self.is_keypoint(child):
            return
        moved = rr.Transform3D(translation=translation, quaternion=rr.Quaternion(xyzw=rotation), parent_frame=parent,
                               child_frame=child)
        self._log(path("tf", child), moved, rr.TransformAxes3D(_AXIS_M), frame=child, static=static)
        self._layout.add_transform(parent, child)

    def is_keypoint(self, child: str) -> bool:
        """Return whether a frame is a keypoint of a skeleton that is drawn anyway: ``body_3/left_wrist``."""
        name, _, keypoint = child.rpartition("/")
        known = (s for skeletons in self._skeletons.values() for s in skeletons)
        return name.rpartition("_")[2].isdigit() and any(keypoint in skeleton.index for skeleton in known)

    def poses(
        self, topic: str, frame: str, poses: Poses, *, in_image: bool = True, kind: str = "",
        stages_ms: Mapping[str, float] | None = None,
    ) -> None:
        """Show all subjects of one moment; those of the moment before vanish.

        Args:
            topic: Of the skeletons.
            frame: Of ``poses.points``, and of the camera.
            poses: The subjects.
            in_image: Whether they belong to one image, and so have pixels.
            kind: What parts are called, such as ``hand``.
            stages_ms: Where the time went.
        """
        import rerun as rr

        number = self._class(topic, poses.skeleton)
        self._log(path(topic), shapes.about(poses))
        shown = dict[str, tuple[str, Any]]()
        if in_image:
            flat = shapes.in_image(poses, kind, number, self._min_score)
            shown = {path(topic, "image", name): (image_frame(frame), shape) for name, shape in flat.items()}
            self._layout.add_flat(path(topic, "image"), image_frame(frame))
        # What has no place gets a space of its own, in which it stands where nothing else does.
        placed = poses.points is not None
        branch, where = ("space", frame) if placed else ("shape", f"{topic}#local")
        if solid := shapes.in_space(poses, number, self._min_score):
            shown |= {path(topic, branch, name): (where, shape) for name, shape in solid.items()}
            self._layout.add_solid(path(topic, branch), where, placed=placed)
        for entity, (frame_of_it, shape) in shown.items():
            self._log(entity, shape, frame=frame_of_it)
        # Nobody has no points; what was there before is gone all the same.
        for entity in self._shown.get(topic, set()) - shown.keys():
            self._log(entity, rr.Clear(recursive=False))
        self._shown[topic] = set(shown)
        self._times(topic, stages_ms or {})

    def _class(self, topic: str, skeleton: Skeleton) -> int:
        """Return the class of a skeleton, explained where it is new."""
        known = self._skeletons.setdefault(topic, [])
        if skeleton not in known:
            known.append(skeleton)
            self._recording.log(path(topic), shapes.explained(known), static=True)
        return known.index(skeleton)

    def _times(self, topic: str, stages_ms: Mapping[str, float]) -> None:
        """Plot how long each stage took, how old the result was when it came, and how many come in a second."""
        import rerun as rr

        assert self._stamp_ns is not None
        age_ns = self._log_ns - self._stamp_ns
        values = dict(stages_ms)
        if 0 < age_ns < _OTHER_CLOCK_NS:
            values["capture to here"] = age_ns / 1e6
        for name, ms in values.items():
            self._log(path(topic, "ms", name), rr.Scalars(ms))
        stamps = self._stamps.setdefault(topic, deque())
        if stamps and self._stamp_ns <= stamps[-1]:
            stamps.clear()  # time ran backwards
        stamps.append(self._stamp_ns)
        while stamps[0] < self._stamp_ns - _RATE_OVER_NS:
            stamps.popleft()
        if len(stamps) > 1:
            self._log(path(topic, "hz"), rr.Scalars((len(stamps) - 1) * 1e9 / (stamps[-1] - stamps[0])))
        self._layout.add_times(path(topic, "ms") if values else "", path(topic, "hz"))

    def action(self, topic: str, name: str, phase: int, track_id: int, side: int, *, score: float, onset_ns: int,
               end_ns: int, count: int = 0, recogniser: str = "") -> None:
        """Show what a subject does: a lane for each action from its onset to its end, and a line of text.

        Args:
            topic: Of the actions.
            name: Such as ``waving``.
            phase: As in Action.msg.
            track_id: Who.
            side: With which hand, arm or leg.
            score: Confidence.
            onset_ns: When it began.
            end_ns: When it was over; 0 while it goes on.
            count: Of events: how often this subject did it.
            recogniser: What says so.
        """
        import rerun as rr

        lane = path(topic, f"#{track_id}", " ".join(filter(None, [name, SIDE_NAMES.get(side, "")])))
        assert self._stamp_ns is not None
        before, key = (self._stamp_ns, self._log_ns), (lane, recogniser)
        who = f"#{track_id} {lane.rpartition('/')[2]}".replace("\\", "")
        if phase == _EVENT:
            self._tell(topic, f"{who} {count}" if count else who, score)
            self._log(path(topic, f"#{track_id}", f"{name} count"), rr.Scalars(count))
        elif phase == _ENDED:
            self._doing.discard(key)
            self.at(end_ns or before[0], before[1])
            self._log(lane, rr.StateChange(state=""))
            self._tell(topic, f"{who} ended", score)
        elif key not in self._doing:
            self._doing.add(key)
            self.at(onset_ns, before[1])
            self._log(lane, rr.StateChange(state=name))
            self._tell(topic, f"{who} began", score)
        self.at(*before)
        self._layout.add_actions(path(topic))

    def _tell(self, topic: str, text: str, score: float) -> None:
        import rerun as rr

        self._log(path(topic, "told"), rr.TextLog(f"{text} ({score:.2f})", level=rr.TextLogLevel.INFO))
        self._layout.add_log(path(topic, "told"))

    def status(self, name: str, level: str, message: str, values: Mapping[str, str]) -> None:
        """Show diagnostics: all values as a table, and a line of text where the level or the message changed.

        Args:
            name: Of what is told.
            level: OK, WARN, ERROR or STALE.
            message: In words.
            values: In numbers.
        """
        import rerun as rr

        lines = [f"## {level}: {name}", message, "", "| | |", "|---|---|"]
        lines += [f"| {key} | {str(value).replace('|', '/')} |" for key, value in values.items()]
        table = rr.TextDocument("\n".join(lines), media_type=rr.MediaType.MARKDOWN)
        self._log(path("diagnostics", name), table)
        if self._said.get(name) != (level, message):
            self._said[name] = level, message
            self.line("diagnostics/told", {"OK": "INFO", "STALE": "WARN"}.get(level, level), f"{name}: {message}")
        self._layout.add_status(path("diagnostics", name))

    def line(self, topic: str, level: str, text: str) -> None:
        """Show a line of text."""
        import rerun as rr

        self._log(path(topic), rr.TextLog(text, level=level))
        self._layout.add_log(path(topic))

    def distances(self, topic: str, frame: str, people: np.ndarray, robot: np.ndarray, labels: list[str]) -> None:
        """Show lines between people and parts of the robot.

        Args:
            topic: Of the separations.
            frame: Of the points.
            people: (N, 3) metres.
            robot: (N, 3) metres.
            labels: Of each line.
        """
        import rerun as rr

        lines = rr.LineStrips3D(np.stack([people, robot], axis=1), labels=labels, radii=_AXIS_M / 20)
        self._log(path(topic), lines, frame=frame)
        self._layout.add_solid(path(topic), frame, placed=True)

    def approaches(self, topic: str, frame: str, palms: np.ndarray, ways: np.ndarray, labels: list[str]) -> None:
        """Show arrows that end in palms, along which a gripper would come.

        Args:
            topic: Of the handovers.
            frame: Of the points.
            palms: (N, 3) metres.
            ways: (N, 3) unit vectors.
            labels: Of each arrow.
        """
        import rerun as rr

        vectors = _APPROACH_M * ways
        self._log(path(topic), rr.Arrows3D(origins=palms - vectors, vectors=vectors, labels=labels), frame=frame)
        self._layout.add_solid(path(topic), frame, placed=True)

    def _log(self, entity: str, *what: Any, frame: str = "", static: bool = False) -> None:
        import rerun as rr

        where = [rr.CoordinateFrame(frame)] if frame else []
        self._recording.log(entity, *what, *where, static=static)

    def arrange(self) -> None:
        """Send the arrangement of views where there is something new to see."""
        if self._layout.changed:
            self._recording.send_blueprint(self._layout.blueprint(), make_active=True, make_default=True)


def path(*names: str) -> str:
    """Return the entity of a topic, and what stands below it."""
    import rerun as rr

    return rr.new_entity_path([part for name in names for part in name.split("/") if part])


def image_frame(frame: str) -> str:
    """Return the coordinate frame of the pixels of a camera."""
    return f"{frame.lstrip('/') or 'camera'}#image"
