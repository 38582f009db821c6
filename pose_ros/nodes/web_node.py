# SPDX-License-Identifier: Apache-2.0
"""web_node: a web page with the annotated stream, skeletons in 3D, diagnostics, and what may be changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rclpy.context import Context

from pose_ros.errors import ConfigError, PoseRosError
from pose_ros.nodes.managed import Closable, Managed
from pose_ros.nodes.run import Stop, run
from pose_ros.nodes.telling import Telling
from pose_ros.nodes.web_options import WebOptions
from pose_ros.ros.params import declare
from pose_ros.web.guard import Guard

if TYPE_CHECKING:
    from pose_ros.web.server import Server


class WebNode(Managed):
    """Lifecycle node around one :class:`Telling`; configured, the page is there; active, there are news on it."""

    ANSWERS = False

    def __init__(self, name: str = "web", context: Context | None = None, **arguments: Any) -> None:
        """Declare parameters and services; with ``autostart``, become active as soon as it spins.

        Raises:
            ConfigError: A parameter does not fit, or aiohttp is missing.
        """
        super().__init__(name, "web page", context, **arguments)
        #: Where the page is; empty while there is none.
        self.url = ""
        self._telling: Telling | None = None
        self._server: Server | None = None
        try:
            self._given = declare(self, WebOptions)
            options = self._options()
            self._guard = Guard(options.host, options.token, options.allowed_hosts)
            try:
                import pose_ros.web.server  # noqa: F401 - said before anything else is asked of the node
            except ModuleNotFoundError as error:
                raise ConfigError("plugin", f"web_node needs {error.name}: pip install 'pose_ros[web]', or apt install "
                                            "python3-aiohttp") from error
        except PoseRosError:
            self.destroy_node()
            raise
        self._begin(options.autostart)

    def _options(self) -> WebOptions:
        return self._given.options

    @property
    def _work(self) -> Telling | None:
        return self._telling

    @property
    def viewers(self) -> int:
        """Browsers that look."""
        return self._server.viewers if self._server is not None else 0

    @property
    def robot(self) -> Telling:
        """What the page shows; there is some once the node is configured."""
        assert self._telling is not None
        return self._telling

    def _prepare(self) -> Sequence[Closable]:
        """Listen, and say in the log where."""
        from pose_ros.web.server import Server

        options, guard = self._options(), self._guard
        telling = Telling(self, self._health)
        try:
            self._server = Server(
                telling, guard, host=options.host, port=options.port, max_clients=options.max_clients,
                max_rate=options.max_rate, read_only=options.read_only,
            )
        except PoseRosError:
            telling.close()
            raise
        self._telling = telling
        host = f"[{options.host}]" if ":" in options.host else options.host
        self.url = f"http://{host}:{self._server.port}/" + ("" if guard.local else f"?token={guard.token}")
        if not guard.local:
            self.get_logger().warning(
                "others than this machine may reach the page: whoever has the token sees the pictures"
                + ("" if options.read_only else " and may change models") + "; nothing is encrypted"
            )
        return [self._server, telling]

    def _forget(self) -> None:
        self._telling, self._server, self.url = None, None, ""

    def _begun(self) -> str:
        return f"the page is at {self.url}"

    def _heard(self) -> int:
        return self._telling.news if self._telling is not None else 0

    def _why_silent(self) -> tuple[str, str]:
        assert self._telling is not None
        return "nothing to show", self._telling.why_not()

    def _tell(self, state: str, warning: str) -> None:
        heard = self._telling.heard if self._telling is not None else []
        self._health.report(state, warning, (), viewers=self.viewers, hears=" ".join(heard))


def main(args: Sequence[str] | None = None) -> int:
    """Run the node as a process."""

    def make(context: Context, stop: Stop) -> WebNode:
        return WebNode(context=context)

    return run(make, args)


if __name__ == "__main__":
    raise SystemExit(main())
