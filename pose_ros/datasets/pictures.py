# SPDX-License-Identifier: Apache-2.0
"""Pictures of data sets: files, and single frames of videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pose_ros.errors import DatasetError


def decode(data: bytes | np.ndarray, where: str) -> np.ndarray:
    """Return an encoded picture as RGB uint8 (H, W, 3).

    Raises:
        DatasetError: It is none.
    """
    import cv2

    buffer = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data.view(np.uint8).ravel()
    image = cv2.imdecode(buffer, cv2.IMREAD_COLOR) if buffer.size else None
    if image is None:
        raise DatasetError(where, "cannot be decoded as a picture; it is cut off or is something else: get it again")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def read(path: Path) -> np.ndarray:
    """Return a file as RGB uint8 (H, W, 3), in the orientation that the file says."""
    return decode(path.read_bytes(), str(path))


def read_frame(path: Path, frame: int) -> np.ndarray:
    """Return one frame of a video as RGB uint8 (H, W, 3).

    Raises:
        DatasetError: There is no such frame.
    """
    import cv2

    video = cv2.VideoCapture(str(path))
    try:
        video.set(cv2.CAP_PROP_POS_FRAMES, frame)
        good, image = video.read()
        if not good:
            frames = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
            raise DatasetError(str(path), f"expected a frame {frame}, got a video of {frames} frames")
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    finally:
        video.release()


def shown(image: np.ndarray) -> np.ndarray:
    """Return a stored array (H, W), (H, W, 1) or (H, W, 3), any number type 0 .. 255, as RGB uint8 (H, W, 3)."""
    image = np.asarray(image, np.uint8)
    image = image[:, :, None] if image.ndim == 2 else image
    return np.ascontiguousarray(np.broadcast_to(image[:, :, :3], (*image.shape[:2], 3)))
