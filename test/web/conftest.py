# SPDX-License-Identifier: Apache-2.0
"""A robot that needs no ROS behind the page, and a real browser before it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_robot import FakeRobot


@pytest.fixture
def robot() -> FakeRobot:
    fake = FakeRobot()
    fake.overview()
    return fake


@pytest.fixture
def serve(robot: FakeRobot) -> Iterator[Callable[..., Any]]:
    """Make a server of the robot on a free port; keyword arguments are those of Server, and of Guard."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed: pip install 'pose_ros[web]'")
    from pose_ros.web.guard import Guard
    from pose_ros.web.server import Server

    made: list[Server] = []

    def make(token: str = "", names: Any = (), host: str = "127.0.0.1", seen_as: str = "", **arguments: Any) -> Server:
        made.append(Server(robot, Guard(seen_as or host, token, names), host=host, port=0, **arguments))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser; the test is skipped where there is none, with the way to get one."""
    how = "playwright is not installed: pip install playwright"
    playwright = pytest.importorskip("playwright.sync_api", reason=how)
    spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        executable, environment = module.find()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with playwright.sync_playwright() as driver:
        # Root has no sandbox, and CI machines are root's.
        launched = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"],
                                          env={**os.environ, **environment})
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab; the test fails when the page's scripts do."""
    opened = browser.new_page(viewport={"width": 1280, "height": 1100})
    opened.set_default_timeout(20_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.errors = errors
    yield opened
    opened.close()
    assert not errors
