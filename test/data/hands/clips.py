# SPDX-License-Identifier: Apache-2.0
"""Short films of hands that move in known ways, cut out of pictures of the test data.

Pictures move by whole pixels, so that every program and every OpenCV sees the same numbers. Needs nothing of this
package: the program that records MediaPipe imports it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

#: Part of a picture: file, left, top. A left and a right hand, each open towards the camera.
LEFT_HAND = ("hand/gesture_images/four/07fdea90-1102-4419-a3af-b394cb29531b.jpg", 214, 140)
RIGHT_HAND = ("hand/gesture_images/four/0c960166-75b0-4c1b-a3cc-2ddbd5a21703.jpg", 6, 206)
#: Of those parts, and of the film.
PART_WH, FILM_WH = (136, 192), (480, 320)
FRAMES = 44


def part(testdata: Path, where: tuple[str, int, int]) -> np.ndarray:
    """Return a hand with what is around it, RGB."""
    file, x, y = where
    width, height = PART_WH
    return cv2.cvtColor(cv2.imread(str(testdata / file)), cv2.COLOR_BGR2RGB)[y : y + height, x : x + width]


def film(parts: list[tuple[np.ndarray, int, int]]) -> np.ndarray:
    """Return a grey picture with parts at (left, top), the last one in front; they may reach outside."""
    image = np.full((FILM_WH[1] + 400, FILM_WH[0] + 400, 3), 128, np.uint8)
    for picture, x, y in parts:
        height, width = picture.shape[:2]
        image[y + 200 : y + 200 + height, x + 200 : x + 200 + width] = picture
    return np.ascontiguousarray(image[200:-200, 200:-200])


def crossing(testdata: Path) -> Iterator[np.ndarray]:
    """Two hands pass each other; the left one is in front, and hides the other one for a while."""
    left, right = part(testdata, LEFT_HAND), part(testdata, RIGHT_HAND)
    for frame in range(FRAMES):
        yield film([(right, 336 - 8 * frame, 70), (left, 8 * frame, 60)])


def circling(testdata: Path) -> Iterator[np.ndarray]:
    """Two hands circle side by side, half a turn apart."""
    left, right = part(testdata, LEFT_HAND), part(testdata, RIGHT_HAND)
    for frame in range(FRAMES):
        x, y = (round(float(v)) for v in (30 * np.cos(frame / 7), 30 * np.sin(frame / 7)))
        yield film([(right, 60 + x, 64 + y), (left, 280 - x, 64 - y)])


#: Name, as of a file -> its frames.
CLIPS: dict[str, Callable[[Path], Iterator[np.ndarray]]] = {"clip/crossing": crossing, "clip/circling": circling}
