# SPDX-License-Identifier: Apache-2.0
"""Images: picture files as a source."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.errors import SourceError
from pose_ros.media.source import DEFAULT_FPS, Source

log = logging.getLogger(__name__)


class Images(Source):
    """Image files, one after another."""

    def __init__(self, name: str, paths: list[Path], loop: bool = False, fps: float = 0.0) -> None:
        """Read ``paths`` in this order, ``fps`` of them per second."""
        super().__init__(name, loop)
        self.paths = paths
        self.fps = fps or DEFAULT_FPS
        self.length = None if loop else len(paths)

    def _read(self) -> Iterator[Frame]:
        import cv2

        for index, path in enumerate(self.paths):
            data = np.frombuffer(path.read_bytes(), np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
            if image is None and len(self.paths) == 1:
                raise SourceError(self.name, "cannot be decoded as an image; it is cut off or has a wrong suffix")
            if image is None:
                log.warning("source '%s': left out %s: it cannot be decoded as an image", self.name, path.name)
                continue
            yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), round(index * 1e9 / (self.fps or DEFAULT_FPS)))
