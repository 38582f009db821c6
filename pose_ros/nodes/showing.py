# SPDX-License-Identifier: Apache-2.0
"""Showing: the work of a camera, a thread that reads a source and publishes its images."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from pose_ros.core.camera import Camera
from pose_ros.core.frame import Frame
from pose_ros.errors import ConfigError, SourceError
from pose_ros.media.calibration import guess_camera, read_calibration, resize_camera
from pose_ros.media.pace import Pacer, read_ahead
from pose_ros.media.source import Source
from pose_ros.media.sources import open_source
from pose_ros.msg import SharedImage
from pose_ros.nodes.camera_options import CameraOptions
from pose_ros.nodes.run import Stop, attempt
from pose_ros.ros.cameras import camera_to_info
from pose_ros.ros.health import Health
from pose_ros.ros.images import rgb_to_compressed
from pose_ros.ros.qos import sensor
from pose_ros.ros.shared import SharedWriter
from pose_ros.ros.wire import write_image

#: Longest wait at the end for subscribers to confirm the last image, and for those that do not confirm.
_DELIVERY_S, _LINGER_S = 2.0, 0.5
#: Subscribers that are known here get this long to know the camera, too; what comes before is lost to them.
_MATCH_S = 0.5
#: Time between two looks for subscribers while it rests, and between two messages of calibration meanwhile.
_LOOK_S, _INFO_S = 0.1, 1.0


def shown(options: CameraOptions) -> Source:
    """Open what a camera is to show.

    Raises:
        ConfigError: The name is none.
        SourceError: It cannot be opened.
    """
    return open_source(options.source, loop=options.loop, fps=options.rate)


class Showing:
    """Reads the source while started; a device is held no longer, and a file then begins anew."""

    def __init__(
        self, node: Node, options: Callable[[], CameraOptions], source: Source, health: Health, ended: Stop
    ) -> None:
        """Advertise; :meth:`start` starts.

        Args:
            node: Publishes.
            options: Returns what holds at present.
            source: What is shown first.
            health: Counts.
            ended: Told the exit code when the source has ended, or cannot be read any further.

        Raises:
            ConfigError: The calibration cannot be read.
        """
        self._node, self._options, self._health, self._ended = node, options, health, ended
        given = options()
        self._calibration = read_calibration(given.camera_info) if given.camera_info else None
        self._source: Source | None = source
        qos = sensor(given.reliability, given.depth)
        self._raw = node.create_publisher(Image, "~/image", qos) if given.publish != "compressed" else None
        self._compressed = (
            node.create_publisher(CompressedImage, "~/image/compressed", qos) if given.publish != "raw" else None
        )
        self._shared = node.create_publisher(SharedImage, "~/image/shared", qos) if self._raw is not None else None
        self._memory = SharedWriter()
        self._info = node.create_publisher(CameraInfo, "~/camera_info", qos)
        #: Why a live source gives no images at present.
        self.lost = ""
        #: Images published so far.
        self.published = 0
        self._last_ns = 0
        #: What makes stamps of a time line those of now; None until an image says where the time line is.
        self._anchor_ns: int | None = None
        #: When anybody heard the images last, by steady time, and whether nothing is read for want of that.
        self._heard_at, self.rests = time.monotonic(), False
        self._info_of: tuple[Camera | None, tuple[int, int]] | None = None
        self._info_msg = CameraInfo()
        self._closing, self._again = threading.Event(), False
        self._thread: threading.Thread | None = None
        #: Whether images are wanted at all.
        self.enabled = True

    @property
    def listening(self) -> bool:
        """Whether the source is read: somebody listens to its images."""
        return self.enabled and not self.rests

    def start(self) -> None:
        """Begin to read and to publish."""
        self._closing.clear()
        self._thread = threading.Thread(target=self._run, name="camera")
        self._thread.start()

    def stop(self) -> None:
        """Finish the image at hand, and let go of the source."""
        if self._thread is not None:
            self._closing.set()
            self._thread.join()
            self._thread = None
        self._free()

    def reset(self) -> None:
        """Begin the source anew with the next image."""
        self._again = True

    def close(self) -> None:
        """Let go, and take the topics away."""
        self.stop()
        for publisher in (self._raw, self._compressed, self._shared, self._info):
            if publisher is not None:
                self._node.destroy_publisher(publisher)
        self._memory.close()

    def _run(self) -> None:
        code = attempt(self._node, self._publish_all)
        if not self._closing.is_set():
            self._ended(code)

    def _publish_all(self) -> None:
        options = self._options()
        if not self._wait():
            return
        self._source = self._source or shown(options)
        pacer = Pacer(options.rate) if options.pace == "real_time" and not self._source.live else None
        what = f"{self._source.length or 'endless'} frames at {options.rate or self._source.fps or '?'} Hz"
        self._node.get_logger().info(f"shows '{options.source}': {what}")
        self._heard_at = began = time.monotonic()
        for frame in self._frames():
            if pacer is not None and self._closing.wait(pacer.wait_s(frame.stamp_ns)):
                return
            self._publish(frame)
        self._deliver()
        seconds = time.monotonic() - began
        self._node.get_logger().info(f"end of '{options.source}': {self.published} images in {seconds:.1f} s")

    def _wait(self) -> bool:
        """Wait for the others; returns whether to go on."""
        options = self._options()
        if self._closing.wait(options.start_delay):
            return False
        end = time.monotonic() + options.wait_timeout
        while self._subscribers() < options.wait_for_subscribers and time.monotonic() < end:
            if self._closing.wait(0.02):
                return False
        if self._subscribers() < options.wait_for_subscribers:
            self._node.get_logger().warning(
                f"waited {options.wait_timeout:g} s for {options.wait_for_subscribers} subscriptions to the images, "
                f"got {self._subscribers()}; begins without"
            )
        return not (options.wait_for_subscribers and self._closing.wait(_MATCH_S))

    def _subscribers(self) -> int:
        return sum(p.get_subscription_count() for p in (self._raw, self._compressed, self._shared) if p is not None)

    def _frames(self) -> Iterator[Frame]:
        while True:
            self._source = self._source or shown(self._options())
            frames = read_ahead(self._source)
            try:
                for frame in frames:
                    if self._closing.is_set():
                        return
                    if self._again:
                        break
                    if self.lost:
                        self.lost = ""
                        self._node.get_logger().info(f"'{self._source.name}' is back")
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
            if self._again:
                self._again = False
                self._free()
                continue
            if self._unheard():
                self._rest()
                continue
            wait = self._options().reconnect
            if not self._source.live or not wait:
                return
            if not self.lost:
                self._node.get_logger().warning(
                    f"no images from '{self._source.name}': {problem}; tried again every {wait:g} s"
                )
            self.lost = problem
            if self._closing.wait(wait):
                return

    def _unheard(self) -> bool:
        """Return whether nobody has heard the images for so long that nothing is to be read."""
        limit, now = self._options().rest_after, time.monotonic()
        if self._subscribers():
            self._heard_at = now
        return not self.enabled or 0 < limit < now - self._heard_at

    def _rest(self) -> None:
        """Wait until somebody listens; calibrations still come, for those who wait for images themselves."""
        self.rests, told = True, 0.0
        while not self._wanted and not self._closing.wait(_LOOK_S):
            now = time.monotonic()
            if now - told > _INFO_S and self._info_of is not None and self._options().stamps == "now":
                told, self._info_msg.header.stamp = now, self._node.get_clock().now().to_msg()
                self._info.publish(self._info_msg)
        self.rests, self._heard_at, self._anchor_ns = False, time.monotonic(), None

    @property
    def _wanted(self) -> bool:
        return self.enabled and (self._subscribers() > 0 or not self._options().rest_after)

    def _prepare(self, frame: Frame) -> Frame:
        """Resize a frame, and say what took it."""
        import cv2

        options, image = self._options(), frame.image
        camera = self._calibration or frame.camera
        if camera is None and options.fov:
            camera = guess_camera(frame.size_wh, math.radians(options.fov))
        if camera is None and not self.published:
            self._node.get_logger().warning(
                "this source has no calibration, so nothing is known in metres in its frame; "
                "set parameter camera_info (a file), or guess with fov (degrees)"
            )
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
            self._raw.publish(write_image(frame.image, header, self._options().encoding))
        if self._shared is not None and self._shared.get_subscription_count():
            try:
                self._shared.publish(self._memory.write(frame.image, header))
            except ConfigError as error:  # no room; who hears the others is not to miss them for that
                self._health.say(str(error))
        if self._compressed is not None and self._compressed.get_subscription_count():
            quality = self._options().jpeg_quality
            self._compressed.publish(rgb_to_compressed(frame.image, header, quality=quality))
        self.published += 1
        self._health.sent()

    def _stamp_ns(self, frame: Frame) -> int:
        now = self._node.get_clock().now().nanoseconds
        if self._options().stamps == "source":
            assert self._source is not None
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

    def _free(self) -> None:
        """Let go of files and devices."""
        if self._source is not None:
            self._source.close()
        self._source, self._anchor_ns = None, None


def fit_size(size_wh: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """Return the size with the given width and height, of which one may be 0 to keep the aspect."""
    wide = width or max(1, round(size_wh[0] * height / size_wh[1]))
    return wide, height or max(1, round(size_wh[1] * width / size_wh[0]))
