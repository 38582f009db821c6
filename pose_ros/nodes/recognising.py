# SPDX-License-Identifier: Apache-2.0
"""Recognising: the work of an action node, from skeletons to what their subjects do."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from pose_ros.core.kinds import PARTS
from pose_ros.core.poses import Poses
from pose_ros.core.stages import Stages
from pose_ros.msg import ActionArray, SkeletonArray
from pose_ros.nodes.action_options import ActionOptions
from pose_ros.nodes.companions import Companions
from pose_ros.nodes.looking import Looking
from pose_ros.nodes.stream import Stream, beside
from pose_ros.nodes.tally import stamp_ns
from pose_ros.recognisers.aim import Targets
from pose_ros.recognisers.window import Place
from pose_ros.recognition import Recognition, Sees, looks_at_hands
from pose_ros.ros.actions import actions_to_array, actions_to_markers
from pose_ros.ros.frames import EXACT_S, Frames
from pose_ros.ros.health import Health
from pose_ros.ros.qos import RESULT, sensor
from pose_ros.ros.watchdog import why_silent

#: How often to look whether anybody listens, and while something waits for transforms, whether they came; seconds.
_LOOK_S, _SOON_S = 0.1, 0.02
#: Upwards in the frame of a level camera.
_LEVEL = np.array([0.0, -1.0, 0.0])


@dataclass
class _Held:
    """Skeletons that wait for transforms and for the hands of bodies; until when, by steady time."""

    kind: str
    msg: SkeletonArray
    poses: Poses
    until: float
    hands_until: float


class Recognising(Looking):
    """Hears skeletons while somebody listens, and answers each array. Used by the executor's thread only."""

    def __init__(
        self, node: Node, options: Callable[[], ActionOptions], sees: Mapping[str, Sees], health: Health
    ) -> None:
        """Advertise; :meth:`start` starts.

        Args:
            node: Subscribes and publishes.
            options: Returns what holds at present.
            sees: Recognisers by name.
            health: Counts.
        """
        super().__init__(node, health)
        self._options, self._sees, self._exact = options, sees, options().exact
        wanted = [part for part in PARTS if getattr(options(), part)]
        #: Kind of subjects, "" for whole ones -> what looks at them.
        self.looking = {
            kind: Recognition(sees, options(), health.fail) for kind in ("", *wanted)
            if not kind or any(one.subject == PARTS[kind] for one in sees.values())
        }
        self._arrays = {
            kind: node.create_publisher(ActionArray, f"~/{kind}/actions" if kind else "~/actions", RESULT)
            for kind in self.looking
        }
        self._markers = node.create_publisher(MarkerArray, "~/markers", RESULT)
        self.streams: dict[str, Stream] = {}
        self._frames: Frames | None = None
        self._held: deque[_Held] = deque()
        self._hands = Companions()
        self._reset = False
        #: Why the last skeletons were left out; empty when they were not.
        self._unplaced = ""
        #: Whether skeletons are wanted at all.
        self.enabled = True

    @property
    def listening(self) -> bool:
        """Whether skeletons are heard."""
        return bool(self.streams)

    def change(self, block: str, options: Any) -> None:
        """Let new options hold: those of the node, or of a recogniser."""
        if block:
            self._sees[block].options = options
        else:
            for recognition in self.looking.values():
                recognition.options = options

    def start(self) -> None:
        """Begin to work."""
        self._begin(self._look, _LOOK_S, self._turn, _SOON_S)

    def stop(self) -> None:
        """Rest, and end all actions."""
        self._end()
        self._listen(False)

    def close(self) -> None:
        """Let go, and take the topics away."""
        self.stop()
        for publisher in (*self._arrays.values(), self._markers):
            self._node.destroy_publisher(publisher)

    def reset(self) -> None:
        """End all actions before the next array."""
        self._reset = True

    def _look(self) -> None:
        wanted = any(p.get_subscription_count() for p in (*self._arrays.values(), self._markers))
        self._guarded(lambda: self._listen(self.enabled and wanted))
        self._guarded(self._turn)

    def _listen(self, wanted: bool) -> None:
        if wanted and not self.streams:
            options = self._options()
            if options.gravity_frame:
                self._frames = Frames(self._node, self._health.say, exact=self._exact)
            kinds = dict.fromkeys(self.looking)
            if options.hands and any(looks_at_hands(one.takes) for one in self._sees.values()):
                kinds["hands"] = None
            for kind in kinds:
                topic = beside(options.skeletons_topic, kind) if kind else options.skeletons_topic
                self.streams[kind] = Stream(self._node, topic, lambda *_: None, partial(self._take, kind))
        elif not wanted and self.streams:
            for stream in self.streams.values():
                stream.close()
            if self._frames is not None:
                self._frames.close()
            self.streams, self._frames = {}, None
            self._held.clear()
            self._hands.clear()
            for recognition in self.looking.values():
                recognition.reset()

    def _take(self, kind: str, msg: SkeletonArray, poses: Poses) -> None:
        options, now = self._options(), time.monotonic()
        self._health.took(0)
        if kind == "hands":
            self._hands.take(msg, poses)
        if kind in self.looking:
            exactly = self.streams.get("hands") if self._exact else None
            hands_until = now if kind else self._hands.until(options.hands_wait, exactly)
            tf_wait = max(options.tf_wait, EXACT_S * self._exact)
            self._held.append(_Held(kind, msg, poses, now + tf_wait, hands_until))
        self._guarded(self._turn)

    def _turn(self) -> None:
        """Answer the arrays whose hands and transforms are there, or do not come."""
        while self._held and self._ready(self._held[0]):
            self._recognise(self._held.popleft())
        for soon in self._timers[1:]:
            if not self._held:
                soon.cancel()
            elif soon.is_canceled():
                soon.reset()

    def _ready(self, held: _Held) -> bool:
        now = time.monotonic()
        if now < held.hands_until and self._hands.awaited(held.msg):
            return False
        return now > held.until or not self._behind(held.msg)

    def _behind(self, msg: SkeletonArray) -> bool:
        options, frames = self._options(), self._frames
        names = options.gravity_frame, *(options.target_frames if self._exact else ())
        return frames is not None and any(frames.behind(name, msg.header.frame_id, stamp_ns(msg)) for name in names)

    def _recognise(self, held: _Held) -> None:
        msg, poses, stamp = held.msg, held.poses, stamp_ns(held.msg)
        place, targets = None, None
        if self._frames is not None:
            gravity = self._options().gravity_frame
            place = self._frames.lookup(gravity, msg.header.frame_id, stamp)
            if place is None:
                self._health.drop("no_transform")
                why = self._frames.why_not(gravity, msg.header.frame_id, stamp)
                self._unplaced = f"skeletons are left out: {why}"
                self._health.say(self._unplaced)
                return
            self._unplaced = ""
            targets = self._targets(msg.header, stamp, place)
        if self._reset:
            self._reset = False
            for recognition in self.looking.values():
                recognition.reset()
        stages, recognition = Stages(), self.looking[held.kind]
        stages.add("transport", self._since(stamp))
        actions = recognition(
            poses, stamp, (msg.image_width, msg.image_height), msg.ended_ids, place, targets, stages,
            None if held.kind else self._hands.of(msg),
        )  # fmt: skip
        told = {} if self._exact else stages.ms
        self._arrays[held.kind].publish(actions_to_array(actions, msg.header, msg.schema, told))
        if self._markers.get_subscription_count():
            up = _LEVEL if place is None else place[0][2]
            prefix = f"{held.kind}/" if held.kind else ""
            self._markers.publish(MarkerArray(markers=actions_to_markers(actions, poses, msg.header, up, prefix)))
        took = sum(ms for name, ms in stages.ms.items() if name != "transport")
        self._health.finished(self._since(stamp), took, len(poses), {}, stages.ms)

    def _targets(self, header: Header, stamp: int, place: Place) -> Targets:
        """Return what can be pointed at; frames that TF does not know at the moment are left out, and said."""
        assert self._frames is not None
        options, places = self._options(), {}
        for name in options.target_frames:
            found = self._frames.lookup(header.frame_id, name, stamp)
            if found is None:
                self._health.say(f"nobody can point at '{name}': "
                                 f"{self._frames.why_not(header.frame_id, name, stamp)}")
            else:
                places[name] = found[1]
        rotation, translation = place
        # z of the frame is up @ x + t_z, and the ground is where that is 0.
        floor = np.append(rotation[2], -translation[2]) if options.floor else None
        return Targets(places, options.target_angle, floor)

    def _since(self, stamp: int) -> float:
        """Return milliseconds since a stamp by the node's clock."""
        now: int = self._node.get_clock().now().nanoseconds
        return (now - stamp) * 1e-6

    def why_not(self) -> str:
        """Say why nothing is recognised, while skeletons are heard."""
        stream = self.streams[""]
        if self._unplaced:
            return self._unplaced
        if stream.early:
            info, kind = stream.topics[0], "SkeletonInfo"
            return f"skeletons come, but nothing explains them: {self._why(info, kind)}"
        return self._why(self._options().skeletons_topic, "SkeletonArray")

    def _why(self, topic: str, kind: str) -> str:
        return why_silent(self._node, topic, f"pose_ros/msg/{kind}", sensor("reliable"), "skeletons", "skeletons_topic")

    def statuses(self) -> list[DiagnosticStatus]:
        """Return the diagnostics of the recognisers that look at anybody."""
        found = []
        for recognition in self.looking.values():
            problems = recognition.problems
            found += [self._health.status_of(name, "looks", problems.get(name, "")) for name in recognition.active]
        return found
