# SPDX-License-Identifier: Apache-2.0
"""A robot that is made up, for the server and the page."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pose_ros.web.board import OVERVIEW, Board

NODE = "/pose"
IMAGE, SKELETONS, INFO, ACTIONS = (f"{NODE}/{name}" for name in (
    "image_annotated/compressed", "skeletons", "skeleton_info", "actions"))


def within(condition: Callable[[], object], timeout_s: float = 10.0) -> bool:
    """Wait until the condition holds; returns whether it did."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class FakeRobot:
    """Shows what a test puts on its board, and remembers what is asked of it."""

    def __init__(self) -> None:
        self.board = Board()
        self.wanted: set[tuple[str, str]] = set()
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.answer = True, "done"
        self.known = [{"name": "blazepose-full", "skeleton": "mediapipe33"}, {"name": "other", "skeleton": "coco17"}]

    def look(self, wanted: Any) -> None:
        self.wanted = set(wanted)

    def call(self, node: str, service: str, arguments: dict[str, Any]) -> tuple[bool, str]:
        self.calls.append((node, service, arguments))
        return self.answer

    def models(self) -> list[dict[str, Any]]:
        return self.known

    def overview(self, **changes: Any) -> None:
        status = {"name": "pose: pipeline", "node": NODE, "level": 0, "message": "active", "values": {
            "model": "blazepose-full", "device": "cpu", "rate_hz": "29.7", "latency_p50_ms": "21.5"}}
        told = {"topics": {"image": [IMAGE], "skeletons": [SKELETONS], "info": [INFO], "actions": [ACTIONS]},
                "services": {NODE: ["set_model", "enable", "reset"]}, "statuses": [status], "nodes": [NODE], **changes}
        self.board.put(OVERVIEW, lambda: (told, b""))
