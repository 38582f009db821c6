# SPDX-License-Identifier: Apache-2.0
"""Sources: where frames come from.

======================================  ======================================================================
``demo``, ``demo:SECONDS``              a real photograph under a slowly moving virtual camera
``clip.mp4``                            video file
``photo.jpg``, ``folder/``              image, or all images of a folder in natural order
``0``, ``/dev/video0``                  webcam
``rtsp://...``, ``http://...``          stream
``bag/``, ``bag.mcap``, ``bag.db3``      ROS 2 bag; ``bag#/topic`` names one of several cameras
======================================  ======================================================================
"""

from __future__ import annotations

import re
from pathlib import Path

from pose_ros.errors import SourceError
from pose_ros.media.capture import Capture
from pose_ros.media.images import Images
from pose_ros.media.source import Source

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
BAG_SUFFIXES = frozenset({".db3", ".mcap"})


def open_source(spec: str, *, loop: bool = False, fps: float = 0.0) -> Source:
    """Open a source of frames.

    Args:
        spec: See the table at the top of this module.
        loop: Begin again at the end; a stream is opened again.
        fps: Frames per second of an image folder; 0 means 10.

    Raises:
        SourceError: There is nothing of that kind, or it cannot be opened; says what to do.
    """
    spec = str(spec).strip()
    word, _, argument = spec.partition(":")
    if word == "demo":
        from pose_ros.media.demo import Demo

        return Demo(spec, argument, loop)
    if spec.isdigit():
        return Capture(spec, int(spec), live=True, loop=loop)
    if re.match(r"[a-z]+://", spec):
        return Capture(spec, spec, live=True, loop=loop)
    device = re.fullmatch(r"/dev/video(\d+)", spec)
    if device:
        return Capture(spec, int(device.group(1)), live=True, loop=loop)
    return _open_path(spec, loop, fps)


def _open_path(spec: str, loop: bool, fps: float) -> Source:
    path, topic = Path(spec).expanduser(), ""
    if not path.exists() and "#" in spec:
        before, _, topic = spec.rpartition("#")
        path = Path(before).expanduser()
    if not spec or not path.exists():
        raise SourceError(spec, f"no such file or folder, seen from {Path.cwd()}; expected a video, image, folder, "
                          "bag, webcam number, stream address or 'demo'")
    try:
        is_bag = (path / "metadata.yaml").is_file() if path.is_dir() else path.suffix.lower() in BAG_SUFFIXES
        if is_bag or topic:
            from pose_ros.media.bags import Bag

            return Bag(spec, path, topic, loop)
        if path.is_dir():
            images = sorted((p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=_natural)
            if not images:
                raise SourceError(spec, f"expected images ({' '.join(sorted(IMAGE_SUFFIXES))}) or a bag's "
                                  "metadata.yaml in the folder, found neither")
            return Images(spec, images, loop, fps)
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return Images(spec, [path], loop, fps)
        if path.suffix.lower() == ".bag":
            raise SourceError(spec, f"is a ROS 1 bag; convert it: rosbags-convert --src {path} --dst {path.stem}")
        path.open("rb").close()
    except OSError as error:
        raise SourceError(spec, f"cannot be read: {error.strerror or error}") from error
    return Capture(spec, str(path), loop=loop)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort 2.jpg before 10.jpg."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if odd % 2 else (-1, part) for odd, part in enumerate(parts)]


