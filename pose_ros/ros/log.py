# SPDX-License-Identifier: Apache-2.0
"""Log: what modules without ROS say, to the log of a node and so to /rosout."""

from __future__ import annotations

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger


class ToNode(logging.Handler):
    """Hands what the package's modules log to a node's logger."""

    def __init__(self, logger: RcutilsLogger) -> None:
        """Begin; :meth:`close` ends it. There is one at a time: modules do not know for which node they work.

        Args:
            logger: Of the node.
        """
        super().__init__()
        self._logger, self._root = logger, logging.getLogger("pose_ros")
        self._root.addHandler(self)
        self._root.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Say one thing."""
        text = self.format(record)
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)

    def close(self) -> None:
        """Let what is said go where it went before."""
        self._root.removeHandler(self)
        self._root.propagate = True
        super().close()
