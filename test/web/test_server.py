# SPDX-License-Identifier: Apache-2.0
"""The server, by plain HTTP and WebSockets."""

import asyncio
import http.client
import json
import socket

import pytest
from fake_robot import IMAGE, NODE, SKELETONS, within

from pose_ros.errors import ConfigError
from pose_ros.web.board import Board


def ask(server, path, method="GET", headers=(), body=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        connection.close()


def call(server, token, body, **headers):
    return ask(server, "/call", "POST", {"X-Token": token, **headers}, body)


def test_the_page_and_its_files_are_there_and_protected(serve):
    server = serve(token="0123456789abcdef")
    status, text, headers = ask(server, "/")
    assert status == 200
    assert 'content="0123456789abcdef"' in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert not [name for name in headers if name.startswith("Access-Control")]
    for name in ("app.js", "view3d.js", "style.css"):
        assert name in text or name == "view3d.js"
        status, _, headers = ask(server, f"/{name}")
        assert (status, headers["X-Content-Type-Options"]) == (200, "nosniff")


@pytest.mark.parametrize("path", ["/index.html", "/server.py", "/..%2fserver.py", "/../server.py", "/static/app.js",
                                  "/%2e%2e/%2e%2e/errors.py", "/app.js%00", "//etc/passwd"])
def test_nothing_else_is(serve, path):
    assert ask(serve(), path)[0] == 404


def test_strangers_are_refused(serve):
    server = serve(token="0123456789abcdef")
    evil = {"Host": "evil.example"}
    for path in ("/", "/app.js", "/models", "/socket"):
        status, text, headers = ask(server, path, headers=evil)
        assert status == 403
        assert "0123456789abcdef" not in text
        assert "Content-Security-Policy" in headers
    assert ask(server, "/models")[0] == 403
    assert ask(server, "/models", headers={"X-Token": "0123456789abcdef"})[0] == 200
    assert ask(server, "/socket?token=wrong")[0] == 403
    assert ask(server, "/", "OPTIONS", {"Origin": "http://evil.example"})[0] == 405


def test_beyond_loopback_the_address_needs_the_token(serve):
    server = serve(token="0123456789abcdef", seen_as="0.0.0.0")
    status, text, _ = ask(server, "/")
    assert (status, "0123456789abcdef" in text) == (403, False)
    assert ask(server, "/?token=0123456789abcdef")[0] == 200


def test_a_service_is_called_with_the_token_from_the_same_origin(serve, robot):
    server, body = serve(token="0123456789abcdef"), json.dumps(
        {"node": NODE, "service": "set_model", "arguments": {"model": "other"}})
    assert call(server, "", body)[0] == 403
    assert call(server, "0123456789abcdef", body, Origin="http://evil.example")[0] == 403
    # A form of a stranger could do that.
    assert ask(server, "/call?token=0123456789abcdef", "POST", body=body)[0] == 403
    assert ask(server, "/call", headers={"X-Token": "0123456789abcdef"})[0] == 404
    assert not robot.calls
    robot.answer = False, "no such model"
    status, text, _ = call(server, "0123456789abcdef", body, Origin=f"http://127.0.0.1:{server.port}")
    assert (status, json.loads(text)) == (200, {"ok": False, "message": "no such model"})
    assert robot.calls == [(NODE, "set_model", {"model": "other"})]


@pytest.mark.parametrize(("body", "status"), [
    ("", 400), ("[]", 400), ("{}", 400), ('{"node": 1}', 400), ("[" * 4000, 400), ("x" * 5000, 413),
    ('{"node": "/pose", "service": "reset", "arguments": 3}', 400), (b"\xff\xfe", 400),
])
def test_what_is_no_call_is_refused(serve, robot, body, status):
    server = serve(token="0123456789abcdef")
    assert call(server, "0123456789abcdef", body)[0] == status
    assert not robot.calls


def test_read_only_means_that(serve, robot):
    server = serve(token="0123456789abcdef", read_only=True)
    status, text, _ = call(server, "0123456789abcdef", json.dumps({"node": NODE, "service": "reset"}))
    assert (status, "read_only" in text, robot.calls) == (403, True, [])
    assert 'name="read-only" content="yes"' in ask(server, "/")[1]


def test_a_port_that_is_taken_is_named():
    pytest.importorskip("aiohttp")
    from pose_ros.web.guard import Guard
    from pose_ros.web.server import Server

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port: cannot listen on 127.0.0.1:{port}: .*; take another"):
            Server(None, Guard("127.0.0.1"), host="127.0.0.1", port=port)


class Browser:
    """What app.js does, in Python."""

    def __init__(self, socket):
        self.socket = socket

    async def want(self, *keys):
        await self.socket.send_str(json.dumps([["overview", ""], *keys]))

    async def ready(self):
        await self.socket.send_str('"ready"')

    async def take(self, timeout=5.0):
        data = await self.socket.receive_bytes(timeout=timeout)
        length = int.from_bytes(data[:4], "big")
        return json.loads(data[4 : 4 + length]), data[4 + length :]


def browse(server, work, token="0123456789abcdef", **headers):
    """Do some work as a browser."""
    from aiohttp import ClientSession

    async def main():
        address = f"http://127.0.0.1:{server.port}/socket?token={token}"
        async with ClientSession() as session, session.ws_connect(address, headers=headers) as opened:
            return await work(Browser(opened))

    return asyncio.run(main())


def test_a_browser_gets_what_it_wants_and_the_robot_knows(serve, robot):
    server = serve(token="0123456789abcdef", max_rate=100.0)

    async def work(browser):
        head, _ = await browser.take()
        assert (head["kind"], head["nodes"]) == ("overview", [NODE])
        await browser.ready()
        await browser.want(["image", IMAGE])
        assert await asyncio.to_thread(within, lambda: ("image", IMAGE) in robot.wanted)
        robot.board.put(("skeletons", SKELETONS), lambda: ({"nobody": "wants this"}, b""))
        robot.board.put(("image", IMAGE), lambda: ({"type": "image/jpeg"}, b"pixels"))
        head, body = await browser.take()
        assert (head["kind"], head["topic"], head["type"], body) == ("image", IMAGE, "image/jpeg", b"pixels")

    browse(server, work)
    assert within(lambda: robot.wanted == set()), "the browser is gone"
    assert server.viewers == 0


def test_the_newest_wins_and_nothing_piles_up(serve, robot):
    server, made = serve(token="0123456789abcdef", max_rate=100.0), []

    def show(i):
        def make():
            made.append(i)
            return {"number": i}, b""

        robot.board.put(("image", IMAGE), make)

    async def work(browser):
        await browser.take()
        await browser.ready()
        await browser.want(["image", IMAGE])
        assert await asyncio.to_thread(within, lambda: ("image", IMAGE) in robot.wanted)
        show(0)
        assert (await browser.take())[0]["number"] == 0
        for i in range(1, 100):
            show(i)
        with pytest.raises(asyncio.TimeoutError):  # it has not said that it is ready
            await browser.take(timeout=0.3)

    browse(server, work)
    assert made == [0]
    assert within(lambda: server.viewers == 0)

    async def again(browser):
        await browser.take()
        await browser.ready()
        await browser.want(["image", IMAGE])
        assert (await browser.take())[0]["number"] == 99

    browse(server, again)
    assert made == [0, 99], "what nobody takes is never made"


def test_browsers_are_counted(serve):
    from aiohttp import WSServerHandshakeError

    server = serve(token="0123456789abcdef", max_clients=1)

    async def work(browser):
        await browser.take()

        async def other(_):
            raise AssertionError("it was let in")

        with pytest.raises(WSServerHandshakeError, match="503"):
            await asyncio.to_thread(browse, server, other)

    browse(server, work)
    assert within(lambda: server.viewers == 0)
    browse(server, Browser.take)


@pytest.mark.parametrize("said", ["", "{", "1", '"else"', "[1]", '[["image"]]', '[["image", 1]]', "[" * 3000,
                                  json.dumps([["image", "/x"]] * 17), "x" * 5000])
def test_who_talks_nonsense_is_sent_away(serve, robot, said):
    server = serve(token="0123456789abcdef")

    async def work(browser):
        await browser.take()
        await browser.socket.send_str(said)
        await browser.socket.receive(timeout=5)
        return browser.socket.close_code

    assert browse(server, work) in (1003, 1009)
    assert within(lambda: server.viewers == 0)


def test_strangers_pages_get_no_socket(serve):
    from aiohttp import WSServerHandshakeError

    server = serve(token="0123456789abcdef")
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        with pytest.raises(WSServerHandshakeError, match="403"):
            browse(server, Browser.take, **headers)
    with pytest.raises(WSServerHandshakeError, match="403"):
        browse(server, Browser.take, token="0123456789abcdee")


def test_a_browser_that_says_nothing_is_cut_off(serve, monkeypatch):
    from pose_ros.web import server as module

    monkeypatch.setattr(module, "_SILENT_S", 0.2)
    server = serve(token="0123456789abcdef")

    async def work(browser):
        await browser.take()
        await browser.socket.receive(timeout=5)
        return browser.socket.close_code

    assert browse(server, work) == 1008


def test_the_board_keeps_the_newest():
    board, told = Board(), []
    board.changed = lambda: told.append(1)
    for i in range(3):
        board.put(("image", "/a"), lambda i=i: ({"i": i}, b""))
    board.put(("image", "/b"), lambda: ({}, b""))
    assert len(told) == 4
    (item,) = board.newer([("image", "/a"), ("image", "/c")], 0)
    assert json.loads(item.packet[4:])["i"] == 2
    assert board.newer([("image", "/a")], item.number) == []
    board.drop([("image", "/b")])
    assert board.newer([("image", "/b")], 0) == []
