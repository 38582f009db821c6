# SPDX-License-Identifier: Apache-2.0
"""Server: the page, its files, and one WebSocket for each browser that looks; a thread of its own.

A browser says what it shows, and after each packet that it is ready for the next one. So nothing piles up before a
slow one, and the robot is told what nobody looks at.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from pose_ros.errors import ConfigError
from pose_ros.web.board import OVERVIEW, Board, Key
from pose_ros.web.guard import Guard

_STATIC = Path(__file__).parent / "static"
_FILES = {"app.js": "text/javascript", "view3d.js": "text/javascript", "style.css": "text/css"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                               "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
#: Bytes of what a browser may send at once, and topics that it may show.
_LARGEST_REQUEST, _MOST_TOPICS = 4096, 16
#: A browser that takes a packet and says nothing for so long is cut off; seconds.
_SILENT_S = 15.0
_HEARTBEAT_S = 10.0


class Robot(Protocol):
    """What the page shows and touches."""

    board: Board

    def look(self, wanted: Set[Key]) -> None:
        """Hear what at least one browser shows, and nothing else."""

    def call(self, node: str, service: str, arguments: dict[str, Any]) -> tuple[bool, str]:
        """Call a service of a node; returns whether that worked, and what it said. May take its time."""

    def models(self) -> list[dict[str, Any]]:
        """Return the networks whose files are here. May take its time."""


class Viewer:
    """One browser."""

    def __init__(self) -> None:
        """Begin by looking at nothing but the overview."""
        self.wanted: set[Key] = {OVERVIEW}
        self.ready, self.news = asyncio.Event(), asyncio.Event()
        self.ready.set()
        self.news.set()

    def take(self, text: str) -> None:
        """Take a message.

        Raises:
            ValueError: It is none of ours.
        """
        message = json.loads(text)
        if message == "ready":
            self.ready.set()
            return
        if not (isinstance(message, list) and len(message) <= _MOST_TOPICS
                and all(isinstance(key, list) and len(key) == 2 and all(isinstance(part, str) for part in key)
                        for key in message)):
            raise ValueError('expected "ready" or [[kind, topic], ...]')
        self.wanted = {(kind, topic) for kind, topic in message}
        self.news.set()


class Server:
    """Runs from its making to :meth:`close`."""

    def __init__(self, robot: Robot, guard: Guard, *, host: str, port: int, max_clients: int = 4,
                 max_rate: float = 15.0, read_only: bool = False) -> None:
        """Listen.

        Args:
            robot: To show.
            guard: Says who may see it.
            host: Address to listen on.
            port: 0 for any that is free.
            max_clients: Browsers at the same time.
            max_rate: Packets of one kind per second and browser, Hz.
            read_only: Whether nothing may be touched.

        Raises:
            ConfigError: Nothing can be listened to there.
        """
        self._robot, self._guard, self._read_only = robot, guard, read_only
        self._max_clients, self._pause_s = max_clients, 1 / max_rate
        self._viewers: set[Viewer] = set()
        self._sockets: set[web.WebSocketResponse] = set()
        # One at a time: a second browser waits until a model is loaded.
        self._calls = ThreadPoolExecutor(1, "call")
        began: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(host, port, began)), name="web",
                                        daemon=True)
        self._thread.start()
        try:
            self.port = began.result()
        except OSError as error:
            problem = f"cannot listen on {host}:{port}: {error.strerror or error}; take another"
            raise ConfigError("port", problem) from error

    @property
    def viewers(self) -> int:
        """Browsers that look."""
        return len(self._viewers)

    def close(self) -> None:
        """Send everybody away."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._calls.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, host: str, port: int, began: Future[int]) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        app.on_response_prepare.append(_protect)
        app.add_routes([
            web.get("/", self._page), web.get("/socket", self._socket), web.get("/models", self._models),
            web.post("/call", self._call), web.get("/{name}", self._file),
        ])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            began.set_exception(error)
            return
        self._robot.board.changed = self._changed
        began.set_result(runner.addresses[0][1])
        await self._over.wait()
        self._robot.board.changed = lambda: None
        for socket in tuple(self._sockets):
            await socket.close(code=1001, message=b"the node has ended")
        await runner.cleanup()

    def _changed(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        for viewer in self._viewers:
            viewer.news.set()

    # What is answered.

    async def _page(self, request: web.Request) -> web.Response:
        _refuse(self._guard.page(request.headers.get("Host", ""), request.query.get("token", "")))
        text = (_STATIC / "index.html").read_text(encoding="utf-8").replace("{token}", self._guard.token)
        text = text.replace("{read_only}", "yes" if self._read_only else "")
        return web.Response(text=text, content_type="text/html")

    async def _file(self, request: web.Request) -> web.Response:
        _refuse(self._guard.file(request.headers.get("Host", "")))
        name = request.match_info["name"]
        if name not in _FILES:
            raise web.HTTPNotFound(text=f"no {name} here")
        return web.Response(body=(_STATIC / name).read_bytes(), content_type=_FILES[name], charset="utf-8")

    async def _models(self, request: web.Request) -> web.Response:
        _refuse(self._guard.action(request.headers, request.headers.get("X-Token", "")))
        return web.json_response(await self._aside(self._robot.models))

    async def _call(self, request: web.Request) -> web.Response:
        _refuse(self._guard.action(request.headers, request.headers.get("X-Token", "")))
        _refuse("nothing may be touched: the parameter read_only is set" if self._read_only else "")
        try:
            asked = json.loads(await request.text())
            node, service, arguments = str(asked["node"]), str(asked["service"]), dict(asked.get("arguments", {}))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise web.HTTPBadRequest(text='expected {"node": ..., "service": ..., "arguments": {...}}') from error
        ok, said = await self._aside(lambda: self._robot.call(node, service, arguments))
        return web.json_response({"ok": ok, "message": said})

    def _aside(self, work: Callable[[], Any]) -> Awaitable[Any]:
        return self._loop.run_in_executor(self._calls, work)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        _refuse(self._guard.action(request.headers, request.query.get("token", "")))
        if len(self._viewers) >= self._max_clients:
            raise web.HTTPServiceUnavailable(text=f"{self._max_clients} browsers look already; parameter max_clients")
        socket, viewer = web.WebSocketResponse(max_msg_size=_LARGEST_REQUEST, heartbeat=_HEARTBEAT_S), Viewer()
        self._viewers.add(viewer)
        sending = None
        try:
            await socket.prepare(request)
            self._sockets.add(socket)
            self._look()
            sending = asyncio.create_task(self._send(socket, viewer))
            async for message in socket:
                if message.type != WSMsgType.TEXT:
                    break
                try:
                    viewer.take(message.data)
                except (ValueError, RecursionError) as error:
                    await socket.close(code=1003, message=str(error)[:100].encode())
                    break
                self._look()
        finally:
            self._viewers.discard(viewer)
            self._sockets.discard(socket)
            self._look()
            # Before Python 3.12, wait_for loses a cancellation that comes together with what it waits for.
            while sending is not None and not sending.done():
                sending.cancel()
                await asyncio.wait([sending], timeout=0.1)
        return socket

    def _look(self) -> None:
        self._robot.look(set().union(*(viewer.wanted for viewer in self._viewers)))

    async def _send(self, socket: web.WebSocketResponse, viewer: Viewer) -> None:
        """Send what is new whenever the browser is ready for it."""
        sent: dict[Key, int] = {}
        try:
            while True:
                await viewer.news.wait()
                viewer.news.clear()
                new = [item for key in viewer.wanted for item in self._robot.board.newer([key], sent.get(key, 0))]
                for item in sorted(new, key=lambda item: item.number):
                    viewer.ready.clear()
                    await socket.send_bytes(item.packet)
                    sent[item.key] = item.number
                    await asyncio.wait_for(viewer.ready.wait(), _SILENT_S)
                await asyncio.sleep(self._pause_s)
        except (asyncio.TimeoutError, ConnectionError):
            await socket.close(code=1008, message=b"the browser does not answer")


async def _protect(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def _refuse(why: str) -> None:
    if why:
        raise web.HTTPForbidden(text=why)
