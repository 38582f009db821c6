# SPDX-License-Identifier: Apache-2.0
"""camera_node: any source of images becomes a ROS camera.

Publishes ``~/image``, ``~/image/compressed``, ``~/image/shared`` and ``~/camera_info``; ends when the source has ended.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from pose_ros.core.camera import Camera
from pose_ros.core.frame import Frame
from pose_ros.core.options import option
from pose_ros.errors import ConfigError, SourceError
from pose_ros.media.calibration import guess_camera, read_calibration, resize_camera
from pose_ros.media.pace import Pacer, read_ahead
from pose_ros.media.sources import open_source
from pose_ros.msg import SharedImage
from pose_ros.nodes.run import Stop, attempt, run
from pose_ros.ros.cameras import camera_to_info
from pose_ros.ros.health import Health
from pose_ros.ros.images import rgb_to_compressed
from pose_ros.ros.manners import Manners
from pose_ros.ros.params import declare
from pose_ros.ros.qos import sensor
from pose_ros.ros.shared import SharedWriter
from pose_ros.ros.wire import write_image

#: Longest wait at the end for subscribers to confirm the last image, and for those that do not confirm.
_DELIVERY_S, _LINGER_S = 2.0, 0.5
#: Subscribers that are known here get this long to know the camera, too; what comes before is lost to them.
_MATCH_S = 0.5
_REPORT_S = 1.0
#: Time between two looks for subscribers while it rests, and between two messages of calibration meanwhile.
_LOOK_S, _INFO_S = 0.1, 1.0


@dataclass(frozen=True)
class CameraOptions:
    """What to show, how fast, and as which camera."""

    plugin: str = option("camera_node", "The node that runs under this name.", choices=("camera_node",))
    source: str = option("", "Video, image, folder, webcam number, stream address, bag[#topic], or 'demo'.")
    loop: bool = option(False, "Begin again at the end instead of ending the node.")
    pace: str = option(
        "real_time", "When to publish: as the source's stamps say, or as fast as it can be read.",
        choices=("real_time", "as_fast"),
    )
    rate: float = option(0.0, "Publish at this rate instead of the source's own; every frame is shown.", unit="Hz",
                         low=0.0, high=1000.0)
    stamps: str = option(
        "now", "Stamp images with the time of publishing, or with the source's capture times (of files: its time line, "
        "from the moment of the first image).", choices=("now", "source"),
    )
    publish: str = option("both", "Which topics to offer; nothing is made that nobody subscribed to.",
                          choices=("raw", "compressed", "both"))
    encoding: str = option("rgb8", "Encoding of raw images.", choices=("rgb8", "bgr8", "mono8"))
    jpeg_quality: int = option(90, "Quality of compressed images.", low=1, high=100, live=True)
    width: int = option(0, "Resize images to this width; 0 keeps it, or the aspect if a height is given.", unit="px",
                        low=0, high=16384)
    height: int = option(0, "Resize images to this height; likewise.", unit="px", low=0, high=16384)
    frame_id: str = option("", "Frame of the images, '*_optical_frame' (REP-103: z forward); empty takes the source's "
                               "own or camera_optical_frame.")
    camera_info: str = option("", "Calibration file that camera_calibration wrote.")
    fov: float = option(0.0, "Guess an ideal camera of this horizontal field of view; 0 guesses nothing.", unit="deg",
                        low=0.0, high=170.0)
    reliability: str = option("reliable", "Offered quality of service; reliable serves both kinds of subscribers.",
                              choices=("reliable", "best_effort"))
    depth: int = option(5, "Images kept for slow subscribers; older ones are dropped, the camera never waits.", low=1,
                        high=1000)
    reconnect: float = option(2.0, "A webcam or stream that ends is tried again after this time; 0: the node ends, "
                              "too.", unit="s", low=0.0, high=3600.0, live=True)
    rest_after: float = option(2.0, "Rest when nobody has listened to the images for so long, until somebody does: a "
                               "webcam or stream is closed, everything else stands still, and camera_info comes once "
                               "a second; 0: never.", unit="s", low=0.0, high=3600.0, live=True)
    wait_for_subscribers: int = option(0, "Wait for so many subscriptions to the images before the first one.", low=0,
                                       high=100)
    wait_timeout: float = option(30.0, "Longest wait for them.", unit="s", low=0.0, high=3600.0)
    start_delay: float = option(0.0, "Wait before the first image.", unit="s", low=0.0, high=3600.0)


class CameraNode(Manners):
    """Publish the frames of a source from a thread of its own."""

    def __init__(
        self, context: Context | None = None, stop: Stop = lambda code: None, **node_arguments: Any
    ) -> None:
        """Open the source and begin.

        Args:
            context: rclpy's context; the default one when left out.
            stop: Called with an exit code after the last frame.
            node_arguments: For rclpy's Node.

        Raises:
            ConfigError: A parameter does not fit.
            SourceError: The source cannot be opened.
        """
        super().__init__(
            "camera", context=context, automatically_declare_parameters_from_overrides=True, **node_arguments
        )
        self._declared = declare(self, CameraOptions)
        options = self._declared.options
        if not options.source:
            raise ConfigError("source", "expected what to show: a video, image, folder, webcam number such as '0', "
                                        "stream address, bag, or 'demo'")
        if options.frame_id and not options.frame_id.endswith("_optical_frame"):
            raise ConfigError("frame_id", f"expected a name that ends in _optical_frame, whose z axis points forward "
                                          f"(REP-103), got '{options.frame_id}'")
        self._stop, self._closing = stop, threading.Event()
        self._calibration = read_calibration(options.camera_info) if options.camera_info else None
        self._source = open_source(options.source, loop=options.loop, fps=options.rate)
        qos = sensor(options.reliability, options.depth)
        self._raw = self.create_publisher(Image, "~/image", qos) if options.publish != "compressed" else None
        self._compressed = (
            self.create_publisher(CompressedImage, "~/image/compressed", qos) if options.publish != "raw" else None
        )
        self._shared = self.create_publisher(SharedImage, "~/image/shared", qos) if self._raw is not None else None
        self._memory = SharedWriter()
        self._info = self.create_publisher(CameraInfo, "~/camera_info", qos)
        #: Why a live source gives no images at present.
        self._lost = ""
        #: Images published so far.
        self.published = 0
        self._last_ns = 0
        #: What makes stamps of a time line those of now; None until an image says where the time line is.
        self._anchor_ns: int | None = None
        #: When anybody heard the images last, by steady time, and whether nothing is read for want of that.
        self._heard_at, self.rests = time.monotonic(), False
        self._info_of: tuple[Camera | None, tuple[int, int]] | None = None
        self._info_msg = CameraInfo()
        self._health = Health(self, "camera", answers=False)
        self.create_timer(_REPORT_S, self._report)
        self._thread = threading.Thread(target=self._run, name="camera")
        self._thread.start()

    def _run(self) -> None:
        self._stop(attempt(self, self._publish_all))

    def _publish_all(self) -> None:
        options = self._declared.options
        if not self._wait():
            return
        pacer = Pacer(options.rate) if options.pace == "real_time" and not self._source.live else None
        shown = f"{self._source.length or 'endless'} frames at {options.rate or self._source.fps or '?'} Hz"
        self.get_logger().info(f"shows '{options.source}': {shown}")
        self._heard_at = began = time.monotonic()
        for frame in self._frames():
            if pacer is not None and self._closing.wait(pacer.wait_s(frame.stamp_ns)):
                return
            self._publish(frame)
        self._deliver()
        seconds = time.monotonic() - began
        self.get_logger().info(f"end of '{options.source}': {self.published} images in {seconds:.1f} s")

    def _wait(self) -> bool:
        """Wait for the others; returns whether to go on."""
        options = self._declared.options
        if self._closing.wait(options.start_delay):
            return False
        end = time.monotonic() + options.wait_timeout
        while self._subscribers() < options.wait_for_subscribers and time.monotonic() < end:
            if self._closing.wait(0.02):
                return False
        if self._subscribers() < options.wait_for_subscribers:
            self.get_logger().warning(
                f"waited {options.wait_timeout:g} s for {options.wait_for_subscribers} subscriptions to the images, "
                f"got {self._subscribers()}; begins without"
            )
        return not (options.wait_for_subscribers and self._closing.wait(_MATCH_S))

    def _subscribers(self) -> int:
        return sum(p.get_subscription_count() for p in (self._raw, self._compressed, self._shared) if p is not None)

    def _frames(self) -> Iterator[Frame]:
        while True:
            frames = read_ahead(self._source)
            try:
                for frame in frames:
                    if self._closing.is_set():
                        return
                    if self._lost:
                        self._lost = ""
                        self.get_logger().info(f"'{self._source.name}' is back")
                    yield self._prepare(frame)
                    if self._unheard():
                        if self._source.live:
                            break
                        self._rest()
                problem = "it has ended, as if it were unplugged or switched off"
            except SourceError as error:
                if not self._source.live:
                    raise
                problem = str(error)
            finally:
                frames.close()  # type: ignore[attr-defined]
            if self._unheard():
                self._rest()
                continue
            wait = self._declared.options.reconnect
            if not self._source.live or not wait:
                return
            if not self._lost:
                self.get_logger().warning(f"no images from '{self._source.name}': {problem}; tried again every "
                                          f"{wait:g} s")
            self._lost = problem
            if self._closing.wait(wait):
                return

    def _unheard(self) -> bool:
        """Return whether nobody has heard the images for so long that nothing is to be read."""
        limit, now = self._declared.options.rest_after, time.monotonic()
        if self._subscribers():
            self._heard_at = now
        return 0 < limit < now - self._heard_at

    def _rest(self) -> None:
        """Wait until somebody listens; calibrations still come, for those who wait for images themselves."""
        self.rests, told = True, 0.0
        while not self._subscribers() and self._declared.options.rest_after and not self._closing.wait(_LOOK_S):
            now = time.monotonic()
            if now - told > _INFO_S and self._info_of is not None and self._declared.options.stamps == "now":
                told, self._info_msg.header.stamp = now, self.get_clock().now().to_msg()
                self._info.publish(self._info_msg)
        self.rests, self._heard_at, self._anchor_ns = False, time.monotonic(), None

    def _prepare(self, frame: Frame) -> Frame:
        """Resize a frame, and say what took it."""
        import cv2

        options, image = self._declared.options, frame.image
        camera = self._calibration or frame.camera
        if camera is None and options.fov:
            camera = guess_camera(frame.size_wh, math.radians(options.fov))
        if camera is None and not self.published:
            self.get_logger().warning("this source has no calibration, so nothing is known in metres in its frame; "
                                      "set parameter camera_info (a file), or guess with fov (degrees)")
        if camera is not None and camera.size_wh != frame.size_wh:
            expected, actual = ("x".join(map(str, size)) for size in (camera.size_wh, frame.size_wh))
            raise ConfigError("camera_info", f"is for images of {expected} pixels, the source has {actual}; "
                                             "calibrate at that size")
        if options.width or options.height:
            size = fit_size(frame.size_wh, options.width, options.height)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            camera = camera and resize_camera(camera, size)
        return Frame(image, frame.stamp_ns, options.frame_id or frame.frame_id or "camera_optical_frame", camera)

    def _publish(self, frame: Frame) -> None:
        header = Header(frame_id=frame.frame_id, stamp=Time(nanoseconds=self._stamp_ns(frame)).to_msg())
        # Before the image: after a rest an older one may be too old for it.
        self._info.publish(self._camera_info(frame, header))
        if self._raw is not None and self._raw.get_subscription_count():
            self._raw.publish(write_image(frame.image, header, self._declared.options.encoding))
        if self._shared is not None and self._shared.get_subscription_count():
            self._shared.publish(self._memory.write(frame.image, header))
        if self._compressed is not None and self._compressed.get_subscription_count():
            quality = self._declared.options.jpeg_quality
            self._compressed.publish(rgb_to_compressed(frame.image, header, quality=quality))
        self.published += 1
        self._health.sent()

    def _report(self) -> None:
        state = "active" if self.published else "waits for subscribers, or for the first image"
        state = "idle: nobody listens" if self.rests else state
        warning = f"no images: {self._lost}" if self._lost else ""
        self._health.report(state, warning, source=self._declared.options.source)

    def _stamp_ns(self, frame: Frame) -> int:
        now = self.get_clock().now().nanoseconds
        if self._declared.options.stamps == "source":
            if self._anchor_ns is None:
                self._anchor_ns = 0 if self._source.absolute else now - frame.stamp_ns
            return frame.stamp_ns + self._anchor_ns
        # Two images never carry the same stamp, however coarse or simulated the clock is.
        self._last_ns = max(now, self._last_ns + 1)
        return self._last_ns

    def _camera_info(self, frame: Frame, header: Header) -> CameraInfo:
        """Return the calibration; zeros say that there is none (REP-104)."""
        key = (frame.camera, frame.size_wh)
        if key != self._info_of:
            self._info_of = key
            self._info_msg = (
                CameraInfo(width=frame.size_wh[0], height=frame.size_wh[1])
                if frame.camera is None
                else camera_to_info(frame.camera, header)
            )
        self._info_msg.header = header
        return self._info_msg

    def _deliver(self) -> None:
        """Give the transport time to hand over the last image."""
        # An acknowledgement of the small camera_info may wait for the next heartbeat, which comes every 3 s.
        for publisher in (self._raw, self._compressed, self._shared):
            if publisher is not None:
                publisher.wait_for_all_acked(Duration(seconds=_DELIVERY_S))
        self._closing.wait(_LINGER_S)

    def close(self) -> None:
        """Stop publishing and close the source."""
        self._closing.set()
        self._thread.join()
        self._source.close()
        self._memory.close()


def fit_size(size_wh: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """Return the size with the given width and height, of which one may be 0 to keep the aspect."""
    wide = width or max(1, round(size_wh[0] * height / size_wh[1]))
    return wide, height or max(1, round(size_wh[1] * width / size_wh[0]))


def main(args: Sequence[str] | None = None) -> int:
    """Run camera_node as a process."""
    return run(CameraNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
