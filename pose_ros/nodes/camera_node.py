# SPDX-License-Identifier: Apache-2.0
"""camera_node: any source of images becomes a ROS camera. This file is life cycle; the showing does the work.

Publishes ``~/image``, ``~/image/compressed``, ``~/image/shared`` and ``~/camera_info``; ends when the source has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.context import Context

from pose_ros.errors import ConfigError, PoseRosError
from pose_ros.nodes.camera_options import CameraOptions
from pose_ros.nodes.managed import Closable, Managed
from pose_ros.nodes.run import Stop, run
from pose_ros.nodes.showing import Showing, shown
from pose_ros.ros.params import declare


class CameraNode(Managed):
    """Lifecycle node around one :class:`Showing`."""

    ANSWERS, ENDS = False, True
    RESETS = "the source begins anew with the next image"

    def __init__(self, context: Context | None = None, stop: Stop = lambda code: None, **arguments: Any) -> None:
        """Declare parameters and services; with ``autostart``, open the source and begin as soon as it spins.

        Args:
            context: rclpy's context; the default one when left out.
            stop: Called with an exit code after the last frame.
            arguments: For rclpy's node.

        Raises:
            ConfigError: A parameter does not fit.
            SourceError: The source cannot be opened.
        """
        super().__init__("camera", "camera", context, **arguments)
        self._stop = stop
        self._showing: Showing | None = None
        #: Made at once with ``autostart``, so that a process whose source is not there ends with a word.
        self._first: Showing | None = None
        try:
            self._declared = declare(self, CameraOptions)
            options = self._declared.options
            if not options.source:
                raise ConfigError("source", "expected what to show: a video, image, folder, webcam number such as '0', "
                                            "stream address, bag, or 'demo'")
            if options.frame_id and not options.frame_id.endswith("_optical_frame"):
                raise ConfigError("frame_id", f"expected a name that ends in _optical_frame, whose z axis points "
                                              f"forward (REP-103), got '{options.frame_id}'")
            if options.autostart:
                self._first = self._made()
        except PoseRosError:
            self.destroy_node()
            raise
        self._begin(options.autostart)

    def _options(self) -> CameraOptions:
        return self._declared.options

    @property
    def _work(self) -> Showing | None:
        return self._showing

    def _made(self) -> Showing:
        options = self._options()
        return Showing(self, self._options, shown(options), self._health, self._stop)

    def _prepare(self) -> Sequence[Closable]:
        """Open the source and advertise."""
        self._showing, self._first = self._first or self._made(), None
        return [self._showing]

    def _forget(self) -> None:
        self._showing = None

    def _begun(self) -> str:
        return f"has opened '{self._options().source}'"

    def _why_silent(self) -> None:
        return None  # what it waits for, its state says

    def _lacks(self) -> str:
        return f"no images: {self._showing.lost}" if self._showing is not None and self._showing.lost else ""

    def _tell(self, state: str, warning: str) -> None:
        if state == "active" and self._showing is not None and not self._showing.published:
            state = "waits for subscribers, or for the first image"
        self._health.report(state, warning, source=self._options().source)

    def close(self) -> None:
        """Stop publishing and close the source."""
        if self._first is not None:
            self._first.close()
        super().close()


def main(args: Sequence[str] | None = None) -> int:
    """Run camera_node as a process."""
    return run(CameraNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
