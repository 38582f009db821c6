# SPDX-License-Identifier: Apache-2.0
"""Options of the node that serves the web page."""

from __future__ import annotations

from dataclasses import dataclass

from pose_ros.core.options import option


@dataclass(frozen=True)
class WebOptions:
    """Who may see the robot, and how much of it."""

    plugin: str = option("web_node", "Which node runs under this name.", choices=("web_node",))
    host: str = option("127.0.0.1", "Address to listen on. Any but this machine's own lets others in: the page then "
                       "demands the token in its address, which the log shows; nothing is encrypted.")
    port: int = option(8080, "Port to listen on; 0 for any that is free.", low=0, high=65535)
    token: str = option("", "Token of the page, at least 16 letters and digits; empty makes a new one at each start.")
    allowed_hosts: tuple[str, ...] = option((), "More names that browsers may call this machine by, such as "
                                            "'robot.example.org'.")
    read_only: bool = option(False, "Only show: no model may be changed, nothing be paused or reset.")
    max_clients: int = option(4, "Browsers that may look at the same time.", low=1, high=100)
    max_rate: float = option(15.0, "Images and skeletons per second and browser, at most.", unit="Hz", low=0.1,
                             high=120.0)
    autostart: bool = option(True, "Configure and activate at start; otherwise a lifecycle manager does.")
    watchdog: float = option(3.0, "Say why, when a browser looks and nothing to show has come for this long; 0 never.",
                             unit="s", low=0.0, high=3600.0, live=True)
