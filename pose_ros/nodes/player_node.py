# SPDX-License-Identifier: Apache-2.0
"""player_node: a bag's topics as they were recorded, such as several cameras and where they stand.

Needs no rosbag2. What a bag recorded of one camera, camera_node shows too, with more say about it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock

from pose_ros.core.options import option
from pose_ros.errors import ConfigError
from pose_ros.media.pace import Pacer
from pose_ros.nodes.answers import Answers
from pose_ros.nodes.run import Stop, attempt, run
from pose_ros.ros.bag_reader import BagReader
from pose_ros.ros.health import Health
from pose_ros.ros.manners import Manners
from pose_ros.ros.params import declare
from pose_ros.ros.qos import RESULT, sensor

#: Longest wait at the end for subscribers to confirm the last messages, and for those that do not confirm.
_DELIVERY_S, _LINGER_S = 2.0, 0.5
_REPORT_S = 1.0
#: How often the time is told, seconds.
_CLOCK_S = 0.01


@dataclass(frozen=True)
class PlayerOptions:
    """What to play, and when."""

    plugin: str = option("player_node", "The node that runs under this name.", choices=("player_node",))
    source: str = option("", "Bag: a folder with metadata.yaml, or a .mcap or .db3 file.")
    topics: tuple[str, ...] = option((), "Topics to play; empty plays all.")
    loop: bool = option(False, "Begin again at the end instead of ending the node; stamps then run backwards.")
    speed: float = option(1.0, "How many seconds of the bag pass in one; 0 waits for nothing but `answers`.", low=0.0,
                          high=100.0)
    clock: bool = option(False, "Tell the time of the bag on /clock, for nodes with use_sim_time.")
    depth: int = option(100, "Messages kept for slow subscribers.", low=1, high=10_000)
    wait_for_subscribers: int = option(0, "Wait until so many topics that are not latched have a subscriber.", low=0,
                                       high=1000)
    wait_timeout: float = option(30.0, "Longest wait for them.", unit="s", low=0.0, high=3600.0)
    answers: tuple[str, ...] = option(
        (), "Which skeletons answer which images, such as [/camera/image:=/pose/skeletons]: then nothing more is "
        "played until an image has been answered.",
    )
    followers: tuple[str, ...] = option(
        (), "Topics that tell of the images some time after their skeletons, such as [/action/actions]: images are not "
        "played much sooner.",
    )
    answer_timeout: float = option(30.0, "Longest wait for an answer.", unit="s", low=0.1, high=3600.0)
    ahead: float = option(
        0.1, "How much earlier than images that are answered all else is played: what belongs to an image is often "
        "recorded a little later.", unit="s", low=0.0, high=10.0,
    )


class PlayerNode(Manners):
    """Publish the messages of a bag from a thread of its own, with the stamps that they have."""

    def __init__(
        self, context: Context | None = None, stop: Stop = lambda code: None, **node_arguments: Any
    ) -> None:
        """Open the bag and begin.

        Args:
            context: rclpy's context; the default one when left out.
            stop: Called with an exit code after the last message.
            node_arguments: For rclpy's Node.

        Raises:
            ConfigError: A parameter does not fit.
            SourceError: The bag cannot be read.
        """
        super().__init__(
            "player", context=context, automatically_declare_parameters_from_overrides=True, **node_arguments
        )
        self._options = declare(self, PlayerOptions).options
        if not self._options.source:
            raise ConfigError("source", "expected a bag: a folder with metadata.yaml, or a .mcap or .db3 file")
        self._stop, self._closing = stop, threading.Event()
        self._answers = Answers(self, self._options.answers, self._closing, self._options.followers)
        self._bag = BagReader(self._options.source, self._options.topics)
        try:
            self._answers.refuse_unknown(tuple(self._bag.topics))
        except ConfigError:
            self._bag.close()
            raise
        #: Messages published so far.
        self.published = 0
        self._latched = {topic for topic in self._bag.topics if self._bag.latched(topic)}
        self._publishers_of: dict[str, Publisher] = {
            topic: self.create_publisher(
                kind, topic, sensor("reliable", self._options.depth, latched=topic in self._latched)
            )
            for topic, kind in self._bag.topics.items()
        }
        #: Whether an image that is to be answered was played.
        self._asked = False
        tells = self._options.clock and "/clock" not in self._publishers_of
        self._time_publisher = self.create_publisher(Clock, "/clock", RESULT) if tells else None
        #: How much earlier the stamps are than the endless line on which messages are played, nanoseconds.
        self._offset_ns = 0
        for topic, why in self._bag.left_out.items():
            self.get_logger().warning(f"{topic} is not played: {why}")
        self._health = Health(self, "bag", answers=False)
        self.create_timer(_REPORT_S, lambda: self._health.report("active", source=self._options.source))
        self._thread = threading.Thread(target=self._run, name="player")
        self._thread.start()

    def _run(self) -> None:
        self._stop(attempt(self, self._publish_all))

    def _publish_all(self) -> None:
        pacer, first = Pacer(), True
        for topic, stamp_ns, data in self._ordered():
            if first and topic not in self._latched:
                first = False
                self._wait(stamp_ns)
            if topic not in self._answers or self._answers.asked(topic):
                self._answers.wait(self._options.answer_timeout)
            speed = self._options.speed
            if not self._until(stamp_ns, pacer.wait_s(round(stamp_ns / speed)) if speed else 0.0):
                return
            self._publish(topic, data)
        self._answers.wait(self._options.answer_timeout)
        if not self._answers:
            self._delivered()
        if not self._answers.finished(self._options.answer_timeout):
            self._closing.wait(_LINGER_S)
        missing = f", {self._answers.missing} images were not answered" if self._answers.missing else ""
        self.get_logger().info(f"end of '{self._options.source}': {self.published} messages{missing}")

    def _delivered(self) -> None:
        until = time.monotonic() + _DELIVERY_S
        for publisher in self._publishers_of.values():
            publisher.wait_for_all_acked(Duration(seconds=max(until - time.monotonic(), 0.0)))

    def _publish(self, topic: str, data: bytes) -> None:
        publisher = self._publishers_of[topic]
        if topic in self._answers:
            if not self._asked:
                # Once: a small message may be confirmed as late as 3 s after it has arrived. Later ones come in order.
                self._asked = True
                self._delivered()
            self._answers.ask(topic, data, self._options.answer_timeout)
        publisher.publish(data)
        self.published += 1
        self._health.sent()

    def _ordered(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield messages with images that are answered somewhat later than they were recorded."""
        later: list[tuple[int, int, str, bytes]] = []
        for number, (topic, stamp_ns, data) in enumerate(self._messages()):
            while later and later[0][0] <= stamp_ns:
                at_ns, _, image, held = heappop(later)
                yield image, at_ns, held
            if topic in self._answers:
                heappush(later, (stamp_ns + round(self._options.ahead * 1e9), number, topic, data))
            else:
                yield topic, stamp_ns, data
        while later and not self._closing.is_set():
            at_ns, _, image, held = heappop(later)
            yield image, at_ns, held

    def _until(self, stamp_ns: int, seconds: float) -> bool:
        """Wait until a moment of the bag and tell the time meanwhile; returns whether to go on."""
        due = time.monotonic() + seconds
        while (left := due - time.monotonic()) > 0:
            self._tell(stamp_ns - round(left * self._options.speed * 1e9))
            if self._closing.wait(min(left, _CLOCK_S)):
                return False
        self._tell(stamp_ns)
        return not self._closing.is_set()

    def _tell(self, stamp_ns: int) -> None:
        if self._time_publisher is not None:
            now = Clock()
            now.clock.sec, now.clock.nanosec = divmod(stamp_ns - self._offset_ns, 10**9)
            self._time_publisher.publish(now)

    def _messages(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield topic, time on an endless line, and serialized message."""
        while not self._closing.is_set():
            for topic, stamp_ns, data in self._bag.messages():
                yield topic, stamp_ns + self._offset_ns, data
            if not self._options.loop:
                return
            self._offset_ns += self._bag.duration_ns

    def _wait(self, stamp_ns: int) -> None:
        """Wait for subscribers at a moment of the bag, and warn when they do not come."""
        options, end = self._options, time.monotonic() + self._options.wait_timeout
        while (heard := self._heard()) < options.wait_for_subscribers and not self._closing.wait(0.02):
            self._tell(stamp_ns)
            if time.monotonic() > end:
                self.get_logger().warning(f"waited {options.wait_timeout:g} s for subscribers of "
                                          f"{options.wait_for_subscribers} topics, {heard} have one; begins without")
                break
        if self._answers and (missing := self._answers.calm(options.wait_timeout)):
            self.get_logger().warning(f"waited {options.wait_timeout:g} s, and {missing}; begins without")

    def _heard(self) -> int:
        return sum(p.get_subscription_count() > 0 for t, p in self._publishers_of.items() if t not in self._latched)

    def close(self) -> None:
        """Stop publishing and close the bag."""
        self._closing.set()
        self._thread.join()
        self._bag.close()


def main(args: Sequence[str] | None = None) -> int:
    """Run player_node as a process."""
    return run(PlayerNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
