# SPDX-License-Identifier: Apache-2.0
"""Streams to measure with: a clip in memory, decoded, that is shown without end.

It is shown forwards and backwards in turns, so that nobody jumps where it begins again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.errors import ConfigError
from pose_ros.media.calibration import resize_camera
from pose_ros.media.sources import open_source

#: A clip has at most so many images, and bytes.
MOST_IMAGES, _MOST_BYTES = 60, 200_000_000
#: Images per second of a clip that does not say.
FPS_UNKNOWN = 30.0
#: The part of the demonstration's images, 640x480, in which the person is, from x to x.
_PERSON_X = 160, 480
#: Two sizes whose aspects differ by less than this have the same one.
_SAME_ASPECT = 0.01


def clip(spec: str, people: int = 0, size_wh: tuple[int, int] | None = None) -> tuple[list[Frame], float]:
    """Return the first images of a source, and how many there are in a second.

    Args:
        spec: See :mod:`pose_ros.media.sources`.
        people: In the demonstration: so many of the person, side by side, each of another moment; 0 leaves it alone.
        size_wh: Images are brought to this size, with black below or beside them where their aspect is another one.

    Raises:
        ConfigError: Somebody asks for people in a real source.
        SourceError: It cannot be read.
    """
    demo = spec == "demo"
    if people and not demo:
        raise ConfigError("--people", f"expected only with the source 'demo'; '{spec}' shows whom it shows")
    found: list[Frame] = []
    with open_source(f"demo:{MOST_IMAGES / FPS_UNKNOWN}" if demo else spec) as source:
        for frame in itertools.islice(source, MOST_IMAGES):
            found.append(frame if size_wh is None or people > 1 else fit(frame, size_wh))
            if sum(f.image.nbytes for f in found) >= _MOST_BYTES:
                break
        fps = source.fps or FPS_UNKNOWN
    if people > 1:
        crowds = (crowd(found, people, moment) for moment in range(len(found)))
        found = [fit(frame, size_wh) if size_wh else frame for frame in crowds]
        found = found[: max(2, _MOST_BYTES // found[0].image.nbytes)]
    return found, fps


def crowd(frames: list[Frame], people: int, moment: int) -> Frame:
    """Return an image of several people, in rows, each of whom is at another moment."""
    columns = math.ceil(math.sqrt(2 * people))
    rows, (left, right) = math.ceil(people / columns), _PERSON_X
    height, width = frames[0].image.shape[0], right - left
    image = np.zeros((rows * height, columns * width, 3), np.uint8)
    for one in range(people):
        y, x = (one // columns) * height, (one % columns) * width
        other = frames[(moment + one * len(frames) // people) % len(frames)]
        image[y : y + height, x : x + width] = other.image[:, left:right]
    return Frame(image, frames[moment].stamp_ns, frames[moment].frame_id)


def fit(frame: Frame, size_wh: tuple[int, int]) -> Frame:
    """Return a frame of another size; the camera is known where the aspect is the same."""
    import cv2

    width, height = frame.size_wh
    if (width, height) == size_wh:
        return frame
    scale = min(size_wh[0] / width, size_wh[1] / height)
    same = abs(size_wh[0] / size_wh[1] * height / width - 1) < _SAME_ASPECT
    small_wh = size_wh if same else (round(width * scale), round(height * scale))
    small = cv2.resize(frame.image, small_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    image[: small.shape[0], : small.shape[1]] = small
    camera = resize_camera(frame.camera, size_wh) if same and frame.camera else None
    return replace(frame, image=image, camera=camera)


def endless(frames: list[Frame], fps: float) -> Iterator[Frame]:
    """Yield a clip forwards and backwards, with stamps at equal distances."""
    there_and_back = frames + frames[-2:0:-1]
    for number, frame in enumerate(itertools.cycle(there_and_back), 1):
        yield replace(frame, stamp_ns=round(number * 1e9 / fps))
