# SPDX-License-Identifier: Apache-2.0
"""Minding: the work of a manipulation node, from skeletons and TF to hands in reach and distances to keep."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.time import Time
from rclpy.timer import Timer
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose_ros.core.poses import Poses
from pose_ros.core.stages import Stages
from pose_ros.manipulation.separation import Robot, Zone
from pose_ros.manipulation.watch import Watch
from pose_ros.msg import HandoverArray, SeparationArray, SkeletonArray
from pose_ros.nodes.companions import Companions
from pose_ros.nodes.manipulation_options import ManipulationOptions
from pose_ros.nodes.stream import Stream, beside
from pose_ros.nodes.tally import stamp_ns
from pose_ros.ros.frames import EXACT_S, Frames
from pose_ros.ros.handovers import (
    separations_to_array,
    sight_to_handovers,
    sight_to_markers,
    sight_to_target,
    sight_to_transforms,
)
from pose_ros.ros.health import Health
from pose_ros.ros.manners import elapsed_s
from pose_ros.ros.qos import RESULT, sensor
from pose_ros.ros.watchdog import why_silent

#: Speeds of the robot are means over this time, seconds.
_SPEED_S = 0.1
#: Stamps may be ahead of the clock by this much, seconds.
_AHEAD_S = 0.1


@dataclass
class _Held:
    """Skeletons that wait for their hands or for transforms; until when, by steady time."""

    msg: SkeletonArray
    poses: Poses
    hands_until: float
    tf_until: float


class Minding:
    """Hears skeletons while somebody listens, and answers each array. Used by the executor's thread only."""

    def __init__(self, node: Node, options: Callable[[], ManipulationOptions], health: Health) -> None:
        """Advertise; :meth:`start` starts.

        Args:
            node: Subscribes and publishes.
            options: Returns what holds at present.
            health: Counts.

        Raises:
            ConfigError: A part of the robot cannot be read.
        """
        self._node, self._options, self._health, self._exact = node, options, health, options().exact
        self._parts = options().parts
        self._watch = Watch(options())
        self._handovers = node.create_publisher(HandoverArray, "~/handovers", RESULT)
        self._target = node.create_publisher(PoseStamped, "~/handover_target", RESULT)
        self._separation = node.create_publisher(SeparationArray, "~/separation", RESULT)
        self._markers = node.create_publisher(MarkerArray, "~/markers", RESULT)
        self._tf = node.create_publisher(TFMessage, "/tf", RESULT)
        self._publishers = (self._handovers, self._target, self._separation, self._markers)
        self._streams: list[Stream] = []
        self._frames: Frames | None = None
        self._held: deque[_Held] = deque()
        self._hands = Companions()
        self._timer: Timer | None = None
        self._reset = False
        #: When skeletons were answered last, by the time of silence, and when any zone was said, by steady time.
        self._answered_at = self._said_at = -np.inf
        #: Stamp of the skeletons that were answered last; None before the first.
        self._newest_ns: int | None = None
        #: Zone and reason that were said last.
        self.zone, self.reason = Zone.STOP, ""
        #: Whether skeletons are wanted at all.
        self.enabled = True

    @property
    def listening(self) -> bool:
        """Whether skeletons are heard."""
        return bool(self._streams)

    def change(self, options: ManipulationOptions) -> None:
        """Let new options hold."""
        self._watch.options = options

    def start(self) -> None:
        """Begin to work."""
        self._timer = self._node.create_timer(1 / max(self._options().stop_rate, 50.0), self._look)

    def stop(self) -> None:
        """Rest, and forget everybody."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
            if not self._exact:
                self._guarded(lambda: self._say_stop("the node is not active"))
        self._listen(False)

    def close(self) -> None:
        """Let go, and take the topics away."""
        self.stop()
        for publisher in (*self._publishers, self._tf):
            self._node.destroy_publisher(publisher)

    def reset(self) -> None:
        """Forget everybody before the next array."""
        self._reset = True

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # an executor ends with what its callbacks raise
            self._health.fail(error)

    def _look(self) -> None:
        self._guarded(lambda: self._listen(self.enabled and self._wanted()))
        self._guarded(self._turn)
        self._guarded(self._mind)

    def _wanted(self) -> bool:
        # A node that hears TF itself does not count.
        own = sum(s.topic_name == self._tf.topic_name for s in self._node.subscriptions)
        tf = self._options().publish_tf and self._tf.get_subscription_count() > own
        return tf or any(p.get_subscription_count() for p in self._publishers)

    def _listen(self, wanted: bool) -> None:
        if wanted and not self._streams:
            options = self._options()
            self._frames = Frames(self._node, self._health.say, exact=self._exact)
            self._streams = [Stream(self._node, options.skeletons_topic, lambda *_: None, self._take)]
            if options.hands:
                topic = beside(options.skeletons_topic, "hands")
                self._streams.append(Stream(self._node, topic, lambda *_: None, self._take_hands))
        elif not wanted and self._streams:
            for stream in self._streams:
                stream.close()
            if self._frames is not None:
                self._frames.close()
            self._streams, self._frames = [], None
            self._held.clear()
            self._hands.clear()
            self._watch.reset()
            self._newest_ns = None

    def _take(self, msg: SkeletonArray, poses: Poses) -> None:
        options, now = self._options(), time.monotonic()
        self._health.took(0)
        exactly = self._streams[-1] if self._exact and options.hands else None
        tf_wait = max(options.tf_wait, EXACT_S * self._exact)
        self._held.append(_Held(msg, poses, self._hands.until(options.hands_wait, exactly), now + tf_wait))
        self._guarded(self._turn)

    def _take_hands(self, msg: SkeletonArray, poses: Poses) -> None:
        self._hands.take(msg, poses)
        self._guarded(self._turn)

    def _turn(self) -> None:
        """Answer the arrays whose hands and transforms are there, or do not come."""
        while self._held and self._ready(self._held[0]):
            held = self._held.popleft()
            self._guarded(partial(self._answer, held))

    def _ready(self, held: _Held) -> bool:
        now, stamp = time.monotonic(), stamp_ns(held.msg)
        if now < held.hands_until and self._hands.awaited(held.msg):
            return False
        assert self._frames is not None
        base, behind = self._options().base_frame, self._frames.behind
        return now >= held.tf_until or not any(behind(base, name, stamp) for name in self._needed(held.msg))

    def _needed(self, msg: SkeletonArray) -> list[str]:
        """Return the frames without which nothing is known, that of the skeletons first."""
        options = self._options()
        names = [msg.header.frame_id, options.tool, options.shoulder]
        return list(dict.fromkeys([*names, *(name for ends, _ in self._parts for name in ends)]))

    def _answer(self, held: _Held) -> None:
        assert self._frames is not None
        options, msg, stamp = self._options(), held.msg, stamp_ns(held.msg)
        if self._reset:
            self._reset = False
            self._watch.reset()
        self._mind_stamps(stamp)
        header = Header(stamp=msg.header.stamp, frame_id=options.base_frame)
        since_s, began, stages = self._since_s(stamp), time.perf_counter(), Stages()
        stages.add("transport", since_s * 1e3)
        delay_s = 0.0 if self._exact else since_s
        places = {name: self._frames.lookup(options.base_frame, name, stamp) for name in self._needed(msg)}
        lacking = next((name for name, place in places.items() if place is None), None)
        if lacking is not None:
            reason = self._frames.why_not(options.base_frame, lacking, stamp)
            self._health.say(reason)
            self._answered_at = elapsed_s(self._node)
            self._handovers.publish(HandoverArray(header=header))
            self._say(separations_to_array(header, Zone.STOP, reason))
            return
        found = {name: place for name, place in places.items() if place is not None}
        robot = self._robot(found, stamp)
        stages.add("transforms", (time.perf_counter() - began) * 1e3)
        with stages("watch"):
            sight = self._watch(
                held.poses, self._hands.of(msg), stamp, *found[msg.header.frame_id], robot,
                found[options.tool][1], found[options.shoulder][1], delay_s,
            )  # fmt: skip
        told = time.perf_counter()
        zone, reason = sight.zone, sight.reason
        if not -_AHEAD_S <= delay_s <= options.max_silence:
            where = "old" if delay_s > 0 else "ahead of this node's clock"
            zone, reason = Zone.STOP, f"skeletons are {abs(delay_s):.2f} s {where}, expected <= {options.max_silence} s"
            self._health.say(reason)
        self._answered_at = elapsed_s(self._node)
        self._say(separations_to_array(header, zone, reason, sight.separations))
        self._handovers.publish(sight_to_handovers(sight, header))
        if (target := sight_to_target(sight, header)) is not None:
            self._target.publish(target)
        if options.publish_tf and (transforms := sight_to_transforms(sight, header, options.tf_prefix)):
            self._tf.publish(TFMessage(transforms=transforms))
        if self._markers.get_subscription_count():
            self._markers.publish(MarkerArray(markers=sight_to_markers(sight, robot, header)))
        stages.add("publish", (time.perf_counter() - told) * 1e3)
        took = (time.perf_counter() - began) * 1e3
        self._health.finished(self._since_s(stamp) * 1e3, took, len(sight.people), {}, stages.ms)

    def _robot(self, places: dict[str, tuple[np.ndarray, np.ndarray]], stamp: int) -> Robot:
        """Return the parts of the robot and how they move; of a frame that was not known before, as if it stood."""
        assert self._frames is not None
        base, names = self._options().base_frame, [ends for ends, _ in self._parts]
        speeds = {}
        for name in {name for ends in names for name in ends}:
            before = self._frames.lookup(base, name, stamp - round(_SPEED_S * 1e9))
            speeds[name] = np.zeros(3) if before is None else (places[name][1] - before[1]) / _SPEED_S
        return Robot(
            names, np.array([[places[name][1] for name in ends] for ends in names]).reshape(-1, 2, 3),
            np.array([[speeds[name] for name in ends] for ends in names]).reshape(-1, 2, 3),
            np.array([radius for _, radius in self._parts]),
        )  # fmt: skip

    def _mind(self) -> None:
        """Say STOP for as long as it is not known where people are; exact ones say so by stamps."""
        now, options = time.monotonic(), self._options()
        if now - self._said_at < 1 / options.stop_rate:
            return
        if not self.enabled:
            self._say_stop("paused: no input is taken")
        # What came meanwhile and was not good enough has said why. Time that runs backwards is of another bag.
        elif self._heeds_clock and (silence := abs(elapsed_s(self._node) - self._answered_at)) > options.max_silence:
            lasting = f" for {silence:.1f} s" if self._answered_at > -np.inf else " yet"
            self._say_stop(f"no skeletons{lasting}")

    @property
    def _heeds_clock(self) -> bool:
        return self.listening and not self._exact

    def _mind_stamps(self, stamp: int) -> None:
        """Say STOP once of a silence before this stamp, as of when it began, where no clock may say it."""
        before, self._newest_ns, longest_s = self._newest_ns, stamp, self._options().max_silence
        if self._exact and before is not None and stamp - before > longest_s * 1e9:
            self._say_stop(f"no skeletons for {longest_s:.1f} s", Time(nanoseconds=before + round(longest_s * 1e9)))

    def _say_stop(self, reason: str, at: Time | None = None) -> None:
        stamp = (at or self._node.get_clock().now()).to_msg()
        self._say(separations_to_array(Header(stamp=stamp, frame_id=self._options().base_frame), Zone.STOP, reason))

    def _say(self, array: SeparationArray) -> None:
        self._said_at, self.zone, self.reason = time.monotonic(), Zone(array.zone), array.reason
        self._separation.publish(array)

    def _since_s(self, stamp: int) -> float:
        """Return seconds since a stamp by the node's clock."""
        now: int = self._node.get_clock().now().nanoseconds
        return (now - stamp) * 1e-9

    def why_not(self) -> str:
        """Say why no skeletons come, while they are listened for."""
        stream = self._streams[0]
        if stream.early:
            topic, kind = stream.topics[0], "SkeletonInfo"
        else:
            topic, kind = self._options().skeletons_topic, "SkeletonArray"
        why = why_silent(self._node, topic, f"pose_ros/msg/{kind}", sensor("reliable"), "skeletons", "skeletons_topic")
        return f"skeletons come, but nothing explains them: {why}" if stream.early else why
