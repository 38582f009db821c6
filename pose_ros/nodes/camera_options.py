# SPDX-License-Identifier: Apache-2.0
"""Options of the node that is a camera."""

from __future__ import annotations

from dataclasses import dataclass

from pose_ros.core.options import option


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
    autostart: bool = option(True, "Open the source and begin at start; otherwise a lifecycle manager does.")
    watchdog: float = option(3.0, "Say what to do, when nothing has been done for this long because of the life cycle; "
                             "0 never.", unit="s", low=0.0, high=3600.0, live=True)
