# SPDX-License-Identifier: Apache-2.0
"""web_node: a web page with the annotated stream, skeletons in 3D, diagnostics, and what may be changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.context import Context
from rclpy.node import Node

from pose_ros.errors import ConfigError, PoseRosError
from pose_ros.nodes.run import Stop, run
from pose_ros.nodes.telling import Telling
from pose_ros.nodes.web_options import WebOptions
from pose_ros.ros.params import declare
from pose_ros.web.guard import Guard


class WebNode(Node):
    """Serves the page from its making to :meth:`close`; works only while a browser looks."""

    def __init__(self, name: str = "web", context: Context | None = None, **arguments: Any) -> None:
        """Listen, and say in the log where.

        Raises:
            ConfigError: A parameter does not fit, nothing can be listened to there, or aiohttp is missing.
        """
        super().__init__(name, context=context, automatically_declare_parameters_from_overrides=True, **arguments)
        try:
            self._serve(declare(self, WebOptions).options)
        except PoseRosError:
            self.destroy_node()
            raise

    def _serve(self, options: WebOptions) -> None:
        try:
            from pose_ros.web.server import Server
        except ModuleNotFoundError as error:
            raise ConfigError("plugin", f"web_node needs {error.name}: pip install 'pose_ros[web]', or apt install "
                                        "python3-aiohttp") from error
        guard = Guard(options.host, options.token, options.allowed_hosts)
        self.robot = Telling(self)
        self._server = Server(
            self.robot, guard, host=options.host, port=options.port, max_clients=options.max_clients,
            max_rate=options.max_rate, read_only=options.read_only,
        )
        host = f"[{options.host}]" if ":" in options.host else options.host
        #: Where the page is.
        self.url = f"http://{host}:{self._server.port}/" + ("" if guard.local else f"?token={guard.token}")
        self.get_logger().info(f"the page is at {self.url}")
        if not guard.local:
            self.get_logger().warning(
                "others than this machine may reach the page: whoever has the token sees the pictures"
                + ("" if options.read_only else " and may change models") + "; nothing is encrypted"
            )

    @property
    def viewers(self) -> int:
        """Browsers that look."""
        return self._server.viewers

    def close(self) -> None:
        """Send all browsers away."""
        self._server.close()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node as a process."""

    def make(context: Context, stop: Stop) -> WebNode:
        return WebNode(context=context)

    return run(make, args)


if __name__ == "__main__":
    raise SystemExit(main())
