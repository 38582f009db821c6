# SPDX-License-Identifier: Apache-2.0
"""recorder_node: keep what was seen: annotated video and picture, trajectories, a bag of the skeletons, a summary."""

from __future__ import annotations

import json
import shutil
import threading
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rclpy.context import Context
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from pose_ros.core.kinds import PARTS
from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.errors import ImageError, PoseRosError, SourceError
from pose_ros.media.moments import Moment, Moments
from pose_ros.media.pairs import Pairs
from pose_ros.media.recording import Recording
from pose_ros.msg import SkeletonArray, SkeletonInfo
from pose_ros.nodes.overheard import Overheard
from pose_ros.nodes.run import FAILED, Stop, run
from pose_ros.nodes.stream import Stream
from pose_ros.nodes.tally import Tally, stamp_ns
from pose_ros.ros import wire
from pose_ros.ros.bag import BagWriter
from pose_ros.ros.calibration import Calibration, CalibrationOptions
from pose_ros.ros.health import Health
from pose_ros.ros.images import compressed_to_rgb, image_to_rgb
from pose_ros.ros.manners import Manners
from pose_ros.ros.params import declare
from pose_ros.ros.process import stand_back
from pose_ros.ros.qos import sensor

#: What the summary says of parts.
_OF_PARTS = ("arrays", "models", "subjects_mean", "subjects_max", "ids")
#: Time between two looks for room on the disk, seconds.
_LOOK_S = 1.0
#: How far drawing yields to those who wait for an answer: a video may be late.
_NICE = 5
#: Images that may wait for their arrays: so many bytes, and numbers from .. to.
_REPORT_S = 1.0
_BYTES_WAITING, _FEWEST, _MOST = 128_000_000, 4, 32


@dataclass(frozen=True)
class RecorderOptions:
    """What to record, and where to."""

    plugin: str = option("recorder_node", "The node that runs under this name.", choices=("recorder_node",))
    output: str = option("out", "Folder to write to; older files of the same names are replaced.")
    image_topic: str = option("camera/image", "Images of the video; '/compressed' at the end selects compressed ones; "
                              "empty records none.")
    skeletons_topic: str = option("pose/skeletons", "Skeletons to record; 'skeleton_info' is expected beside it, and "
                                  "those of hands and faces in 'hands/skeletons' and 'faces/skeletons'.")
    camera_info_topic: str = option("camera/camera_info", "Calibration of the camera, to draw the axes of faces; empty "
                                    "draws none.")
    bag: bool = option(True, "Write the skeleton topics into an MCAP bag.")
    topics: tuple[str, ...] = option((), "More topics for the bag, of messages of any type; '*' stands for anything, "
                                     "such as [/action/actions, /humans/*].")
    fps: float = option(0.0, "Frames per second of the video; 0 measures it by the stamps.", unit="Hz", low=0.0,
                        high=1000.0)
    min_score: float = option(0.3, "Keypoints below it are not drawn or plotted; the bag holds them all.", low=0.0,
                              high=1.0)
    reliability: str = option("best_effort", "Of the image subscription; best_effort also hears reliable publishers.",
                              choices=("best_effort", "reliable"))
    depth: int = option(10, "Images that may wait in the transport.", low=1, high=1000)
    min_free: float = option(100.0, "Recording ends, with whole files, when the disk has less room left; 0: never.",
                             unit="MB", low=0.0, high=1e9)
    queue: int = option(512, "Memory for frames that wait to be drawn; beyond it they are left out of the video, and "
                        "counted.", unit="MB", low=1, high=1_000_000)


class RecorderNode(Manners):
    """Record until :meth:`close`. Skeletons go to the bag as they come; a thread draws and encodes."""

    def __init__(
        self, context: Context | None = None, stop: Stop = lambda code: None, **node_arguments: Any
    ) -> None:
        """Subscribe.

        Args:
            context: rclpy's context; the default one when left out.
            stop: Called with an exit code when files cannot be written any more.
            node_arguments: For rclpy's Node.

        Raises:
            ConfigError: A parameter does not fit.
            SourceError: The output folder cannot be written.
        """
        super().__init__(
            "recorder", context=context, automatically_declare_parameters_from_overrides=True, **node_arguments
        )
        options = declare(self, RecorderOptions).options
        self._stop, self.folder = stop, Path(options.output).expanduser()
        #: Frames that came faster than they could be drawn, and images that could not be read.
        self.not_drawn = self.unreadable = 0
        self._pairs: Pairs[bytes, Poses] = Pairs(_MOST)
        self._moments: Moments[tuple[bytes, Poses]] = Moments()
        self._queue_bytes = options.queue * 1_000_000
        self._recording = Recording(self.folder, options.fps, options.min_score)
        self._bag = BagWriter(self.folder / "skeletons") if options.bag else None

        base, slash, _ = options.skeletons_topic.rpartition("/")
        self.whole = Stream(self, options.skeletons_topic, self._record, self._on_poses)
        self.parts = {
            name: Stream(self, f"{base}{slash}{name}/skeletons", self._record, partial(self._on_part, name))
            for name in PARTS
        }
        for topic, kind in zip(self.whole.topics, (SkeletonInfo, SkeletonArray), strict=True):
            self._announce(topic, kind, kind is SkeletonInfo)
        known = [topic for stream in (self.whole, *self.parts.values()) for topic in stream.topics]
        self._overheard = Overheard(self, options.topics, self._record, known) if options.bag else None
        self._calibration = None
        if options.camera_info_topic:
            where = CalibrationOptions(camera_info_topic=options.camera_info_topic, camera_info_max_age=0.0)
            self._calibration = Calibration(self, lambda: where, self.get_logger().warning)
        if options.image_topic:
            kind = CompressedImage if options.image_topic.endswith("/compressed") else Image
            self._read = partial(deserialize_message, message_type=kind) if kind is CompressedImage else wire.read_image
            qos = sensor(options.reliability, options.depth)
            self.create_subscription(kind, options.image_topic, self._on_image, qos, raw=True)
        #: Why recording ended before the node; empty while it goes on.
        self.ended = ""
        self._missing: dict[str, str] = {}
        self._bag_name = self._bag_problem = ""
        self._least_mb = options.min_free
        if options.min_free:
            self.create_timer(_LOOK_S, self._look_for_room)
        self._work: SimpleQueue[Moment[tuple[bytes, Poses]] | None] = SimpleQueue()
        self._health = Health(self, "recording", answers=False)
        self.create_timer(_REPORT_S, self._report)
        self._thread = threading.Thread(target=self._draw_all, name="draw")
        self._thread.start()
        self.get_logger().info(f"records '{self.whole.topics[1]}' into '{self.folder}'")

    @property
    def tally(self) -> Tally:
        """Of the whole subjects."""
        return self.whole.tally

    def _announce(self, topic: str, kind: type, latched: bool) -> None:
        if self._bag is not None and topic not in self._bag.counts:
            self._bag.add(topic, kind, latched=latched)

    def _record(self, topic: str, kind: type, data: bytes, latched: bool) -> None:
        if self._bag is None or self.ended:
            return
        # Topics of parts stand in the bag when there are any.
        try:
            self._announce(topic, kind, latched)
            self._bag.write(topic, data, self.get_clock().now().nanoseconds)
        except SourceError as error:
            self._end(str(error))

    def _look_for_room(self) -> None:
        free = shutil.disk_usage(self.folder).free / 1e6
        if free < self._least_mb and not self.ended:
            self._end(f"the disk of '{self.folder}' has {free:.0f} MB left; free some, or set parameter min_free")

    def _end(self, reason: str) -> None:
        """Finish all files now, while there is room for their ends; the node goes on, and records no more."""
        self.ended = reason
        self.get_logger().error(f"nothing more is recorded: {reason}")
        self._close_bag()
        self._queue(self._moments.flush())
        self._work.put(None)

    def _close_bag(self) -> None:
        if self._bag is not None and not self._bag_name:
            self._bag_name, self._bag_problem = str(self._bag.path.relative_to(self.folder)), ""
            try:
                self._bag.close()
            except SourceError as error:
                self._bag_problem = str(error)

    def _report(self) -> None:
        late = f"{self.not_drawn} frames were left out of the video: drawing is slower than the images"
        unreadable = f"{self.unreadable} images could not be read"
        warning = late if self.not_drawn else unreadable if self.unreadable else ""
        self._health.report("active", warning, (), arrays=self.tally.arrays, images=self.tally.images,
                            drops_not_drawn=self.not_drawn, drops_unreadable=self.unreadable, output=str(self.folder))

    def _on_poses(self, msg: SkeletonArray, poses: Poses) -> None:
        if self.ended:
            return
        stamp = stamp_ns(msg)
        self._health.sent()
        self._recording.add_poses(stamp, poses)
        self._draw(stamp, self._pairs.add_b(stamp, poses))

    def _on_part(self, name: str, msg: SkeletonArray, poses: Poses) -> None:
        if not self.ended:
            self._queue(self._moments.add_part(stamp_ns(msg), name, poses, self._expected()))

    def _expected(self) -> list[str]:
        """Return the parts that are looked at, as far as they have explained themselves."""
        return [name for name, stream in self.parts.items() if stream.skeleton is not None]

    def _on_image(self, data: bytes) -> None:
        """Keep an image as it came: most of its cost is in reading it, and not every one gets an answer."""
        if self.ended:
            return
        self.tally.images += 1
        self._pairs.depth = min(max(_BYTES_WAITING // len(data), _FEWEST), _MOST)
        stamp = wire.stamp_ns(data)
        self._draw(stamp, self._pairs.add_a(stamp, data))

    def _draw(self, stamp: int, pair: tuple[bytes, Poses] | None) -> None:
        if pair is not None:
            self._queue(self._moments.add_whole(stamp, pair, self._expected()))

    def _queue(self, moments: Iterable[Moment[tuple[bytes, Poses]]]) -> None:
        for moment in moments:
            if self._work.qsize() < max(self._queue_bytes // len(moment.whole[0]), _FEWEST):
                self._work.put(moment)
                continue
            self.not_drawn += 1
            self.get_logger().warning("drawing is slower than the images: frames are left out of the video",
                                      throttle_duration_sec=5.0)

    def _draw_all(self) -> None:
        """Draw until :meth:`close` says that nothing more comes; the thread's whole life."""
        stand_back(_NICE)
        try:
            while (item := self._work.get()) is not None:
                self._draw_one(item)
            self._missing = self._recording.close()
        except PoseRosError as error:
            self.get_logger().fatal(str(error))
            self._stop(FAILED)
        except Exception:
            self.get_logger().fatal(traceback.format_exc())
            self._stop(FAILED)

    def _draw_one(self, moment: Moment[tuple[bytes, Poses]]) -> None:
        data, poses = moment.whole
        try:
            msg = self._read(data)
            image = compressed_to_rgb(msg) if isinstance(msg, CompressedImage) else image_to_rgb(msg)
        except (ImageError, RuntimeError) as error:  # the latter of rclpy: these bytes are no such message
            self.unreadable += 1
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        size_wh = (image.shape[1], image.shape[0])
        camera = self._calibration.camera(msg.header, size_wh) if self._calibration is not None else None
        self._recording.add_frame(moment.stamp_ns, image, poses, moment.parts, camera)

    def close(self) -> None:
        """Draw what still waits, finish all files, and say which."""
        self._queue(self._moments.flush())
        self._work.put(None)
        self._thread.join()
        # Empty where drawing had failed.
        missing = dict(self._missing or self._recording.close())
        self._close_bag()
        if self._bag_name:
            missing[self._bag_name] = self._bag_problem
        video = self._recording.video
        frames = video.frames if video else 0
        summary = {
            **self.tally.summary(),
            "video_frames": frames,
            "video_fps": video.fps if video else None,
            "arrays_without_image": self.tally.arrays - frames - self.not_drawn - self.unreadable,
            "frames_not_drawn_in_time": self.not_drawn,
            "unreadable_images": self.unreadable,
            "parts": {
                name: {key: stream.tally.summary()[key] for key in _OF_PARTS}
                for name, stream in self.parts.items() if stream.tally.arrays
            },
            "ended": self.ended,
            "missing_files": {name: why for name, why in missing.items() if why},
        }
        try:
            (self.folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
            missing["summary.json"] = ""
        except OSError as error:
            missing["summary.json"] = error.strerror or str(error)
        written = [name for name, why in missing.items() if not why]
        self.get_logger().info(f"wrote into '{self.folder}': {', '.join(written) or 'nothing'}")
        for name, why in ((name, why) for name, why in missing.items() if why):
            self.get_logger().warning(f"no {name}: {why}")


def main(args: Sequence[str] | None = None) -> int:
    """Run recorder_node as a process."""
    return run(RecorderNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
